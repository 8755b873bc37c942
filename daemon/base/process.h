// SPDX-License-Identifier: MIT
/* What the kernel says of another process. Any thread. */
#pragma once

#include <sys/types.h>

/* R, S, D, T ..., as /proc/PID/stat has it, of a process or of one task; 0 when it is gone, or /proc says nothing. */
char process_state(pid_t pid);
