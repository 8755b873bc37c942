// SPDX-License-Identifier: MIT
/* What the tests of every kind are run by: suites of one test case, each test in a process of its own. */
#pragma once

#include <check.h>
#include <stdint.h>

/* main() of a suite with one test case: `add` puts the tests into it. Each may take 300 s, where `add`
 * says nothing else: machines are slow at times. Returns the exit status. */
int suite_main(const char *name, void (*add)(TCase *tcase));

#define ADD_LOOP(tcase, test, table) \
	tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

/* The same numbers in each test. */
uint64_t random_next(void);

/* A connected TCP socket whose close takes half a minute: it has data that the other end, `ret_peer`, does not read. */
int fd_lingering(int *ret_peer);
