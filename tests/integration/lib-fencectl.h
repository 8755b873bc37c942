// SPDX-License-Identifier: MIT
/* fencectl, run as a process of its own. Every unexpected error fails the running test. */
#pragma once

#include "lib-daemon.h"

/* Copies fencectl to where other users may run it; removed at the end of the test. */
void fencectl_copy(const struct daemon *daemon);

/* Runs it, 250 columns wide where COLUMNS is not set, with these arguments, which a shell reads. Returns the exit status; `ret_text`, which the
 * caller frees, is its output on both streams. */
int fencectl_run(const char *args, char **ret_text);

/* What it printed last, for those who only look at it. */
extern char *said;

/* Runs it, and keeps what it prints in `said`. Its exit status. */
int fencectl_say(const char *args);

void expect_said(const char *what);
