// SPDX-License-Identifier: MIT
/* The logs of a run, and the checker that reads them. Owned by the run; one thread. */
#pragma once

#include <stdint.h>

/* Makes the directory `keep`, which must not exist, or a new one where that many bytes have room.
 * The path stays valid. */
const char *logs_create(const char *keep, uint64_t room);
void logs_remove(void);

/* Runs that program, from this one's directory, over the logs: its exit status. */
int logs_check(const char *program);
