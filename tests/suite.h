// SPDX-License-Identifier: MIT
/* Runs the tests of every kind: suites of one test case, each test in a process of its own. */
#pragma once

#include <check.h>
#include <stdint.h>

/* main() of a suite with one test case: `add` puts the tests into it. A test may take 300 s unless
 * `add` sets another limit: machines are slow at times. Returns the exit status. */
int suite_main(const char *name, void (*add)(TCase *tcase));

#define ADD_LOOP(tcase, test, table) \
	tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

/* The same numbers in each test. */
uint64_t random_next(void);

/* A connected TCP socket whose close takes half a minute: it has sent data that `ret_peer` does not
 * read. */
int fd_lingering(int *ret_peer);
