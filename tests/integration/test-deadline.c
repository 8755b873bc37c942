// SPDX-License-Identifier: MIT
/*
 * A point that is reached by its deadline counts as reached, wherever the waiter loses the CPU. The
 * test replaces the clock: one of the waiter's looks at it takes until the deadline has passed.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib-peer.h"

#define POLICY                                                                           \
	"version = 1; settings: { spin_us = 0; };\n" /* each look at the clock counts */ \
	"rules: ( { user = \"*\"; connect = true; register = true; class = \"*\"; } );\n"

#define LOOKS      8 /* more looks at the clock than a wait without a wake makes */
#define TIMEOUT_NS UINT64_C(5000000)

static struct daemon server;
static struct fbk_context *context;
static struct fbk_timeline *timeline;

static int looks_left = -1; /* looks until one is delayed */
static uint64_t deadline;
static uint64_t signalled; /* when the signal was done */

static uint64_t clock_read(struct timespec *ret)
{
	EXPECT(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, ret) == 0);
	return (uint64_t)ret->tv_sec * 1000000000 + (uint64_t)ret->tv_nsec;
}

/* Replaces the C library's function. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (clock == CLOCK_MONOTONIC && looks_left >= 0 && looks_left-- == 0) {
		EXPECT(fbk_timeline_signal(timeline, 1) == 0);
		signalled = clock_read(ret);
		while (clock_read(ret) <= deadline) {
			yield_briefly();
		}
	}
	return (int)syscall(SYS_clock_gettime, clock, ret);
}

static void setup(void)
{
	daemon_serve(&server, POLICY);
	context = peer_connect(&server);
	timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
}

static void teardown(void)
{
	fbk_disconnect(context);
	daemon_stop(&server);
}

/* _i: the look that is delayed */
START_TEST(reached_by_the_deadline)
{
	struct timespec now;
	deadline = clock_read(&now) + TIMEOUT_NS;
	signalled = UINT64_MAX;
	looks_left = _i;
	int r = fbk_point_wait((struct fbk_point){ timeline, 1 }, deadline);
	looks_left = -1;
	if (signalled < deadline) {
		ck_assert_int_eq(r, 0);
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, reached_by_the_deadline, 0, LOOKS);
}

int main(void)
{
	return suite_main("deadline", add_tests);
}
