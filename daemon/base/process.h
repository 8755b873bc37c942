// SPDX-License-Identifier: MIT
/* The state of another process. Any thread. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* R, S, D, T ..., as in /proc/PID/stat, of a process or one task; 0 when it is gone or /proc can't be read. */
char process_state(pid_t pid);

/* What was seen of a process. */
enum process_sight {
	PROCESS_RUNS,    /* alive, and none of the others */
	PROCESS_STOPPED, /* by a signal or a debugger */
	PROCESS_FROZEN,  /* its control group is */
	PROCESS_HANGS,   /* its only thread is in uninterruptible sleep */
	PROCESS_DEAD,
	PROCESS_HIDDEN, /* alive, and /proc does not show it */
};

/* Whether it lives is what the pidfd says. The rest comes from /proc, which may hide it, or belong to other pid namespaces
 * than the process: its number there is what the pidfd says too. */
enum process_sight process_look(int pidfd);

bool process_runs(int pidfd);
