// SPDX-License-Identifier: MIT
/* System calls that a sandbox refuses: seccomp filters, for this process and those that it starts. */
#pragma once

#include <stddef.h>

/* This process's call `number` fails with `error` (positive) from now on. It cannot be undone. */
void filter_refuse(int number, int error);

/* All calls but these fail with `error`. */
void filter_allow(const int *numbers, size_t count, int error);
