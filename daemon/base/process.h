// SPDX-License-Identifier: MIT
/* The state of another process. Any thread. */
#pragma once

#include <sys/types.h>

/* R, S, D, T ..., as in /proc/PID/stat, of a process or one task; 0 when it is gone or /proc can't be read. */
char process_state(pid_t pid);
