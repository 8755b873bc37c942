// SPDX-License-Identifier: MIT
/* Threads of our own, in the daemon and in a program that uses the library. */
#pragma once

#include <pthread.h>
#include <stddef.h>

/*
 * Start a thread that has `room` bytes of stack for itself, whatever the program, its libraries and its limits keep in thread
 * storage. All signals are blocked in it but `open` (0: all). 0, or a negative errno.
 */
int thread_start(pthread_t *ret_thread, size_t room, int open, void *(*run)(void *), void *arg);
