// SPDX-License-Identifier: MIT
/*
 * Races of a few instructions, repeated often enough to meet the bad orders: signals against arms,
 * failures against arms, deaths at any instant. $FBK_SOAK: a hundred times as often.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-peer.h"

/* No spinning: each wait is armed at the daemon, and all but those that lose the race sleep. */
#define POLICY                                                                       \
	"version = 1; settings: { spin_us = 0; };\n"                                 \
	"rules: ( { user = \"*\"; connect = true; register = true; class = \"*\";\n" \
	"           inspect = \"all\"; } );\n"

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, POLICY);
}

static void teardown(void)
{
	daemon_stop(&server);
}

static uint64_t rounds(uint64_t soak)
{
	return getenv("FBK_SOAK") ? soak : soak / 100;
}

static void dither(unsigned int *state)
{
	*state = *state * 1103515245 + 12345;
	for (volatile unsigned int i = (*state >> 16) % 2000; i > 0; i--) {
	}
}

/* ---------------------------------------------------------------------------- signal and arm --- */

#define PING_SOAK 1000000

static int echo(int socket, void *arg)
{
	unsigned int state = 1;
	int token;
	struct fbk_timeline *forth = NULL;
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *back = peer_timeline(peer_device(context, "echo"), "back", 0);
	uint64_t count = *(uint64_t *)arg;
	EXPECT(fbk_timeline_share(back, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &forth) == 0);
	for (uint64_t i = 1; i <= count; i++) {
		EXPECT(fbk_point_wait((struct fbk_point){ forth, i }, deadline_ms(PATIENCE_MS)) ==
		       0);
		dither(&state);
		EXPECT(fbk_timeline_signal(back, i) == 0);
	}
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return 0;
}

struct told {
	bool done;
	int result;
};

static void on_point(void *arg, struct fbk_point point, int result)
{
	struct told *told = arg;
	(void)point;
	told->done = true;
	told->result = result;
}

static void await_watch(struct fbk_context *context, struct fbk_point point)
{
	struct told told = { 0 };
	EXPECT(fbk_point_watch(point, FBK_DEADLINE_MAX, on_point, &told, NULL) == 0);
	while (!told.done) {
		loop_turn(context);
	}
	EXPECT(told.result == 0);
}

static void await_export(struct fbk_point point)
{
	int fd;
	EXPECT(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd) == 0);
	EXPECT(readable_within(fd, PATIENCE_MS) == 1);
	EXPECT(fbk_point_check(point) == 0);
	close(fd);
}

static struct fbk_context *waiting;

/* `how`: 0: wait; 1: wait for any of it and one that never comes; 2: watch; 3: export. */
static void await(struct fbk_point point, struct fbk_timeline *never, int how)
{
	struct fbk_point points[] = { { never, 1 }, point };
	size_t index = 0;
	switch (how) {
	case 0:
		EXPECT(fbk_point_wait(point, deadline_ms(PATIENCE_MS)) == 0);
		break;
	case 1:
		EXPECT(fbk_point_wait_any(points, 2, deadline_ms(PATIENCE_MS), &index) == 0);
		EXPECT(index == 1);
		break;
	case 2:
		await_watch(waiting, point);
		break;
	case 3:
		await_export(point);
		break;
	}
}

START_TEST(no_signal_is_lost)
{
	/* requests cost more than waits: fewer of them */
	uint64_t count = rounds(_i < 2 ? PING_SOAK : PING_SOAK / 5);
	struct fbk_timeline *back = NULL;
	unsigned int state = 2;
	struct peer peer;
	int token;
	peer_start(&peer, echo, &count);
	waiting = peer_connect(&server);
	struct fbk_device *device = peer_device(waiting, "ping");
	struct fbk_timeline *forth = peer_timeline(device, "forth", 0);
	struct fbk_timeline *never = peer_timeline(device, "never", 0);
	receive_word(peer.socket, &token);
	EXPECT(fbk_timeline_open(waiting, token, &back) == 0);
	close(token);
	EXPECT(fbk_timeline_share(forth, FBK_RIGHT_WAIT, &token) == 0);
	send_word(peer.socket, 0, token);
	close(token);
	for (uint64_t i = 1; i <= count; i++) {
		EXPECT(fbk_timeline_signal(forth, i) == 0);
		dither(&state);
		await((struct fbk_point){ back, i }, never, _i);
	}
	send_word(peer.socket, 1, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	fbk_disconnect(waiting);
}
END_TEST

/* ------------------------------------------------------------------------------ fail and arm --- */

#define FAIL_SOAK 100000

struct waiter {
	struct fbk_timeline *timeline;
	uint64_t value;
	unsigned int state;
	int result;
};

static void *wait_for_it(void *arg)
{
	struct waiter *waiter = arg;
	dither(&waiter->state);
	waiter->result = fbk_point_wait((struct fbk_point){ waiter->timeline, waiter->value },
					deadline_ms(PATIENCE_MS));
	return NULL;
}

/* A point that was signalled before the failure is reached for every waiter, the next one for none,
 * at any time. */
START_TEST(a_failure_is_one_moment)
{
	struct fbk_context *maker = peer_connect(&server);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_device *device = peer_device(maker, "dev");
	unsigned int state = 3;
	for (uint64_t i = rounds(FAIL_SOAK); i > 0; i--) {
		struct fbk_timeline *timeline = peer_timeline(device, "line", 0);
		struct fbk_timeline *seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
		struct waiter waiters[2] = { { seen, 1, (unsigned int)i, 1 },
					     { seen, 2, (unsigned int)i + 7, 1 } };
		pthread_t threads[2];
		for (int w = 0; w < 2; w++) {
			EXPECT(pthread_create(&threads[w], NULL, wait_for_it, &waiters[w]) == 0);
		}
		dither(&state);
		EXPECT(fbk_timeline_signal(timeline, 1) == 0);
		EXPECT(fbk_timeline_fail(timeline, -EIO, NULL) == 0);
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		EXPECT(waiters[0].result == 0);
		EXPECT(waiters[1].result == -EIO);
		fbk_timeline_close(seen);
		fbk_timeline_close(timeline);
	}
	fbk_disconnect(other);
	fbk_disconnect(maker);
}
END_TEST

/* Checks the point without a pause until it sees `over`. */
struct looker {
	struct fbk_point point;
	_Atomic bool looks, over;
	int first_other; /* than 0 */
};

static void *look_at_it(void *arg)
{
	struct looker *looker = arg;
	while (!looker->first_other && !atomic_load(&looker->over)) {
		looker->first_other = fbk_point_check(looker->point);
		atomic_store(&looker->looks, true);
	}
	return NULL;
}

/* ... also while its timeline fails: an eventfd raised for the failure would be taken for a passed
 * deadline. _i: whether the daemon knew. */
START_TEST(reached_stays_reached)
{
	struct fbk_context *maker = peer_connect(&server);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_device *device = peer_device(maker, "dev");
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	for (uint64_t i = rounds(FAIL_SOAK); i > 0; i--) {
		struct fbk_timeline *timeline = peer_timeline(device, "line", 0);
		struct fbk_timeline *seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
		struct looker looker = { .point = { seen, 1 } };
		pthread_t thread;
		EXPECT(fbk_timeline_signal(timeline, 1) == 0);
		EXPECT(_i == 0 || fbk_timeline_info(seen, &info) == 0);
		EXPECT(pthread_create(&thread, NULL, look_at_it, &looker) == 0);
		while (!atomic_load(&looker.looks)) {
		}
		EXPECT(fbk_timeline_fail(timeline, -EIO, NULL) == 0);
		atomic_store(&looker.over, true);
		pthread_join(thread, NULL);
		ck_assert_int_eq(looker.first_other, 0);
		fbk_timeline_close(seen);
		fbk_timeline_close(timeline);
	}
	fbk_disconnect(other);
	fbk_disconnect(maker);
}
END_TEST

/* ------------------------------------------------------------------------ death at any instant -- */

#define DEATH_SOAK 5000

/* Signals as fast as it can, and stores its last value where the test can see it. */
static int die_signalling(int socket, void *arg)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "mortal", 0);
	int token;
	(void)arg;
	EXPECT(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	for (uint64_t i = 1;; i++) {
		EXPECT(fbk_timeline_signal(timeline, i) == 0);
	}
	return 0;
}

START_TEST(a_death_loses_nothing_that_was_reached)
{
	struct fbk_context *context = peer_connect(&server);
	unsigned int state = 4;
	for (uint64_t i = rounds(DEATH_SOAK); i > 0; i--) {
		struct fbk_timeline *timeline = NULL;
		struct fbk_timeline_info info = { .struct_size = sizeof(info) };
		struct peer peer;
		int token;
		peer_start(&peer, die_signalling, NULL);
		receive_word(peer.socket, &token);
		EXPECT(fbk_timeline_open(context, token, &timeline) == 0);
		close(token);
		EXPECT(fbk_point_wait((struct fbk_point){ timeline, 10 },
				      deadline_ms(PATIENCE_MS)) == 0);
		for (int n = 0; n < 20; n++) {
			dither(&state);
		}
		uint64_t value = fbk_timeline_value(timeline);
		kill(peer.pid, SIGKILL);
		EXPECT(fbk_point_wait((struct fbk_point){ timeline, FBK_POINT_MAX },
				      deadline_ms(PATIENCE_MS)) == -EOWNERDEAD);
		EXPECT(fbk_timeline_info(timeline, &info) == 0);
		EXPECT(info.failed_from > value && info.value == info.failed_from - 1);
		EXPECT(fbk_point_check((struct fbk_point){ timeline, info.value }) == 0);
		EXPECT(fbk_point_check((struct fbk_point){ timeline, info.failed_from }) ==
		       -EOWNERDEAD);
		EXPECT(peer_wait(&peer) == 128 + SIGKILL);
		fbk_timeline_close(timeline);
	}
	fbk_disconnect(context);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, getenv("FBK_SOAK") ? 7200 : 300);
	tcase_add_loop_test(tcase, no_signal_is_lost, 0, 4);
	tcase_add_test(tcase, a_failure_is_one_moment);
	tcase_add_loop_test(tcase, reached_stays_reached, 0, 2);
	tcase_add_test(tcase, a_death_loses_nothing_that_was_reached);
}

int main(void)
{
	return suite_main("race", add_tests);
}
