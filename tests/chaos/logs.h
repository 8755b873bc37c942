// SPDX-License-Identifier: MIT
/* Where a run keeps its logs, and the checker that reads them. Owned by the run; one thread. */
#pragma once

#include <stdint.h>

/* `keep`, which must not be there yet, or a new one where there is room for that many bytes. The path stays
 * valid. */
const char *logs_create(const char *keep, uint64_t room);
void logs_remove(void);

/* Runs that program, beside this one, over them: its exit status. */
int logs_check(const char *program);
