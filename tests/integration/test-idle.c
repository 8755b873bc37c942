// SPDX-License-Identifier: MIT
/* An idle daemon sleeps, and the hot path does not involve it. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-wire.h"

#define SLEEPERS    32
#define STILL_MS    1500
#define GREETING_MS 5000 /* the daemon's limit for a Hello */

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_stop(&server);
}

static void *sleep_on(void *arg)
{
	struct fbk_timeline *timeline = arg;
	int r = fbk_point_wait((struct fbk_point){ timeline, 1 }, FBK_DEADLINE_MAX);
	return (void *)(intptr_t)r;
}

/* Waits, watches and exports with the longest deadlines: no timer is due for a minute. */
START_TEST(no_wakeups_while_all_sleep)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_context *others[SLEEPERS];
	struct client observer;
	pthread_t threads[SLEEPERS];
	int exported;
	client_open(&observer, &server);
	for (int i = 0; i < SLEEPERS; i++) {
		others[i] = peer_connect(&server);
		struct fbk_timeline *seen = peer_open(others[i], timeline, FBK_RIGHT_WAIT);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_on, seen), 0);
	}
	ck_assert_int_eq(fbk_point_export((struct fbk_point){ timeline, 1 }, FBK_FENCE_EVENTFD,
					  FBK_DEADLINE_MAX, &exported),
			 0);
	client_await_counter(&observer, "waits", SLEEPERS);
	daemon_settled(&server, STILL_MS); /* finds wake-ups at shorter intervals */
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	for (int i = 0; i < SLEEPERS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		ck_assert_int_eq((int)(intptr_t)result, 0);
		fbk_disconnect(others[i]);
	}
	close(exported);
	client_close(&observer);
	fbk_disconnect(context);
}
END_TEST

static void told(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	(void)result;
}

/* Timers that were cancelled, or whose event came first, wake nothing at their time: greetings,
 * watches, exports, and the closing of a client's token and socket. */
START_TEST(no_wakeups_for_what_was_called_off)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	for (int i = 0; i < SLEEPERS; i++) {
		struct fbk_context *other = peer_connect(&server);
		struct fbk_timeline *seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
		struct fbk_point point = { seen, (uint64_t)i + 1 };
		uint64_t deadline = deadline_ms((uint64_t)(STILL_MS + 70 * i));
		struct fbk_watch *watch;
		int exported;
		ck_assert_int_eq(fbk_point_watch(point, deadline, told, NULL, &watch), 0);
		ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, deadline, &exported),
				 0);
		fbk_watch_cancel(watch);
		ck_assert_int_eq(fbk_timeline_signal(timeline, point.value), 0);
		ck_assert_int_eq(readable_within(exported, PATIENCE_MS), 1);
		close(exported);
		fbk_disconnect(other);
	}
	unsigned long before = daemon_settled(&server, 100);
	ck_assert_uint_eq(daemon_settled(&server, GREETING_MS + 500), before);
	fbk_disconnect(context);
}
END_TEST

/* Signals without waiters, and waits for reached points: no request, no ring. */
START_TEST(the_hot_path_asks_nothing)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_timeline *seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
	struct client observer;
	client_open(&observer, &server);
	uint64_t requests = client_counter(&observer, "requests");
	uint64_t bells = client_counter(&observer, "bells");
	unsigned long before =
		daemon_settled(&server, 20); /* it sent its reply before it waited again */
	for (uint64_t i = 1; i <= 10000; i++) {
		EXPECT(fbk_timeline_signal(timeline, i) == 0);
		EXPECT(fbk_point_wait((struct fbk_point){ seen, i }, 0) == 0);
		EXPECT(fbk_point_check((struct fbk_point){ seen, i + 1 }) == -EAGAIN);
	}
	ck_assert_uint_eq(daemon_wakeups(&server), before);
	ck_assert_uint_eq(client_counter(&observer, "bells"), bells);
	/* the two questions about bells before and after, and the one about requests */
	ck_assert_uint_le(client_counter(&observer, "requests"), requests + 3);
	client_close(&observer);
	fbk_disconnect(other);
	fbk_disconnect(context);
}
END_TEST

/* A wait that sleeps costs rings and wakes, but no request. */
START_TEST(a_sleeping_wait_makes_no_request)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_timeline *seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
	struct client observer;
	pthread_t thread;
	void *result;
	client_open(&observer, &server);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, seen), 0);
	client_await_counter(&observer, "waits", 1);
	uint64_t requests = client_counter(&observer, "requests");
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	pthread_join(thread, &result);
	ck_assert_int_eq((int)(intptr_t)result, 0);
	ck_assert_uint_eq(client_counter(&observer, "wakes"), 1);
	ck_assert_uint_le(client_counter(&observer, "requests"), requests + 2);
	client_close(&observer);
	fbk_disconnect(other);
	fbk_disconnect(context);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, no_wakeups_while_all_sleep);
	tcase_add_test(tcase, no_wakeups_for_what_was_called_off);
	tcase_add_test(tcase, the_hot_path_asks_nothing);
	tcase_add_test(tcase, a_sleeping_wait_makes_no_request);
}

int main(void)
{
	return suite_main("idle", add_tests);
}
