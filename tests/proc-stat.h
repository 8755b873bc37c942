// SPDX-License-Identifier: MIT
/* What a process or thread does right now, as /proc has it. For tests and the benchmark alike. */
#pragma once

#include <sys/types.h>

/* R, S, D, T ...; 0 when it is gone. Of a thread it takes the thread's id. */
char proc_state(pid_t task);
