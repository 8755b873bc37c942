// SPDX-License-Identifier: MIT
/*
 * Calls: the program's callbacks and the library's own, while they run in a dispatch. Whoever cancels one, or closes what
 * it is about, waits here until none runs. A call lies on the stack of the thread that makes it, which may be in one
 * inside another.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdint.h>

#include "fencebroker.h"

/* What is to be called. */
struct callback {
	const void *owner; /* the link or exchange whose it is; NULL: none */
	fbk_point_fn *fn;
	void *arg;
};

struct call {
	LIST_ENTRY(call) links;
	uint64_t number; /* of the watch, or of the handle */
	const void *owner;
	pthread_t thread;
};

/* Of a context, under its mutex. */
struct calls {
	pthread_mutex_t *mutex;
	LIST_HEAD(, call) running;
	pthread_cond_t ended;
	unsigned int waiting; /* threads, for that */
};

void calls_init(struct calls *calls, pthread_mutex_t *mutex);
void calls_finish(struct calls *calls);

/* Under the mutex, but not while the callback runs. */
void call_begin(struct calls *calls, struct call *call, uint64_t number, const void *owner);
void call_end(struct calls *calls, struct call *call);

/* The same, not under the mutex; for a callback inside another call, whose lock keeps it from being cancelled until it is
 * entered. */
void call_enter(struct calls *calls, struct call *call, uint64_t number, const void *owner);
void call_leave(struct calls *calls, struct call *call);

/* Wait until none of that number, or of that owner, runs on another thread. Calls of this thread are left out: one may
 * cancel itself. Not under the mutex. */
void calls_wait_number(struct calls *calls, uint64_t number);
void calls_wait_owner(struct calls *calls, const void *owner);
