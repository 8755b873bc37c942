// SPDX-License-Identifier: MIT
/* Watches that the signaler wakes without the daemon: they behave like any other watch. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-stuck.h"
#include "lib-wire.h"

static struct daemon server;
static struct client observer;
static struct fbk_context *signaler, *waiter;
static struct fbk_device *device;

static void setup(void)
{
	daemon_serve(&server, NULL);
	client_open(&observer, &server);
	signaler = peer_connect(&server);
	waiter = peer_connect(&server);
	device = peer_device(signaler, "signaler");
}

static void teardown(void)
{
	fbk_disconnect(waiter);
	fbk_disconnect(signaler);
	client_close(&observer);
	daemon_stop(&server);
}

/* ---------------------------------------------------------------------------------- a timeline -- */

#define HEARD_MAX 256

struct line {
	struct fbk_timeline *signals, *waits;
	uint64_t value; /* the last one signalled */
	size_t heard;
	uint64_t values[HEARD_MAX];
	int results[HEARD_MAX];
};

static void hear(void *arg, struct fbk_point point, int result)
{
	struct line *line = arg;
	line->values[line->heard % HEARD_MAX] = point.value;
	line->results[line->heard++ % HEARD_MAX] = result;
}

static struct fbk_watch *watch(struct line *line, uint64_t value, uint64_t deadline_ns)
{
	struct fbk_watch *watch = NULL;
	int r = fbk_point_watch((struct fbk_point){ line->waits, value }, deadline_ns, hear, line,
				&watch);
	ck_assert_msg(r == 0, "fbk_point_watch: %s", fbk_error_detail());
	return watch;
}

/* Dispatches until so many have fired. */
static void loop(struct line *line, size_t count)
{
	while (line->heard < count) {
		loop_turn(waiter);
	}
	ck_assert_uint_eq(line->heard, count);
}

static void round_trip(struct line *line)
{
	line->heard = 0;
	watch(line, ++line->value, deadline_ms(PATIENCE_MS));
	EXPECT(fbk_timeline_signal(line->signals, line->value) == 0);
	loop(line, 1);
	ck_assert_uint_eq(line->values[0], line->value);
	ck_assert_int_eq(line->results[0], 0);
}

/* Rounds until the daemon took no part in some of them. */
static void line_pair(struct line *line)
{
	uint64_t end = now_ms() + PATIENCE_MS, before = 0, requests;
	while ((requests = client_counter(&observer, "requests")) != before + 1) {
		ck_assert_msg(now_ms() < end, "the daemon is asked each time");
		for (int i = 0; i < 5; i++) {
			round_trip(line);
		}
		before = requests;
	}
	line->heard = 0;
}

static void line_open(struct line *line, const char *name)
{
	*line = (struct line){ .signals = peer_timeline(device, name, 0) };
	line->waits = peer_open(waiter, line->signals, FBK_RIGHT_WAIT);
	line_pair(line);
}

/* How many requests the daemon got since the last time, less those of this function. */
static uint64_t asked(void)
{
	static uint64_t before;
	uint64_t requests = client_counter(&observer, "requests"), since = requests - before - 1;
	before = requests;
	return since;
}

/* ------------------------------------------------------------------------------------ reached -- */

START_TEST(the_daemon_is_left_alone)
{
	struct line line;
	line_open(&line, "line");
	uint64_t bells = client_counter(&observer, "bells");
	asked();
	for (int i = 0; i < 1000; i++) {
		round_trip(&line);
	}
	ck_assert_uint_eq(asked(), 0);
	ck_assert_uint_eq(client_counter(&observer, "bells"), bells);
}
END_TEST

/* Watches fire by value, in whatever order they were armed; one signal may reach several. */
START_TEST(in_order)
{
	static const uint64_t ahead[] = { 4, 1, 3, 2, 5, 1 };
	struct line line;
	line_open(&line, "line");
	asked();
	for (size_t i = 0; i < 6; i++) {
		watch(&line, line.value + ahead[i], deadline_ms(PATIENCE_MS));
	}
	EXPECT(fbk_timeline_signal(line.signals, line.value + 2) == 0);
	loop(&line, 3);
	ck_assert_int_eq(readable_within(fbk_context_fd(waiter), 20), 0);
	EXPECT(fbk_timeline_signal(line.signals, line.value + 5) == 0);
	loop(&line, 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(line.values[i], line.value + (i < 2 ? 1 : i));
		ck_assert_int_eq(line.results[i], 0);
	}
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* Signals that come faster than this loop turns: the signaler still finds a sleeper for each. */
START_TEST(behind)
{
	struct line line;
	line_open(&line, "line");
	asked();
	watch(&line, line.value + 100, deadline_ms(PATIENCE_MS));
	for (uint64_t i = 1; i <= 100; i++) {
		if (i < 100) {
			watch(&line, line.value + i, deadline_ms(PATIENCE_MS));
		}
		EXPECT(fbk_timeline_signal(line.signals, line.value + i) == 0);
	}
	loop(&line, 100);
	for (uint64_t i = 1; i <= 100; i++) {
		ck_assert_uint_eq(line.values[i - 1], line.value + i);
		ck_assert_int_eq(line.results[i - 1], 0);
	}
	line.value += 100;
	round_trip(&line);
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* More at once than the kernel has room for in one go. */
START_TEST(many_timelines)
{
	enum { LINES = 200 };
	static struct line lines[LINES];
	size_t heard = 0;
	for (int i = 0; i < LINES; i++) {
		char name[16];
		snprintf(name, sizeof(name), "line%d", i);
		line_open(&lines[i], name);
	}
	asked();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < LINES; i++) {
			lines[i].heard = 0;
			watch(&lines[i], ++lines[i].value, deadline_ms(PATIENCE_MS));
		}
		for (int i = 0; i < LINES; i++) {
			EXPECT(fbk_timeline_signal(lines[i].signals, lines[i].value) == 0);
		}
		for (heard = 0; heard < LINES;) {
			heard += (size_t)loop_turn(waiter);
		}
		for (int i = 0; i < LINES; i++) {
			ck_assert_uint_eq(lines[i].heard, 1);
		}
	}
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* ---------------------------------------------------------------------------------- not reached -- */

START_TEST(deadlines)
{
	struct line line;
	line_open(&line, "line");
	asked();
	uint64_t began = now_ms();
	watch(&line, line.value + 3, deadline_ms(300));
	watch(&line, line.value + 2, deadline_ms(PATIENCE_MS));
	watch(&line, line.value + 1, deadline_ms(100)); /* earlier than those before it */
	loop(&line, 1);
	ck_assert_uint_ge(now_ms() - began, 100);
	ck_assert_uint_eq(line.values[0], line.value + 1);
	ck_assert_int_eq(line.results[0], -ETIMEDOUT);
	loop(&line, 2);
	ck_assert_uint_ge(now_ms() - began, 300);
	ck_assert_uint_eq(line.values[1], line.value + 3);
	ck_assert_int_eq(line.results[1], -ETIMEDOUT);
	EXPECT(fbk_timeline_signal(line.signals, line.value + 2) == 0);
	loop(&line, 3);
	ck_assert_int_eq(line.results[2], 0);
	/* Reached by its deadline, though checked only later. */
	watch(&line, line.value + 3, deadline_ms(50));
	EXPECT(fbk_timeline_signal(line.signals, line.value + 3) == 0);
	usleep(60000); /* past it */
	loop(&line, 4);
	ck_assert_int_eq(line.results[3], 0);
	/* The deadline has passed when it is armed. */
	for (size_t i = 0; i < 2; i++) {
		watch(&line, line.value + 4, i);
		loop(&line, 5 + i);
		ck_assert_int_eq(line.results[4 + i], -ETIMEDOUT);
	}
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

START_TEST(cancelled)
{
	struct line line;
	line_open(&line, "line");
	asked();
	struct fbk_watch *first = watch(&line, line.value + 1, deadline_ms(PATIENCE_MS));
	watch(&line, line.value + 2, deadline_ms(PATIENCE_MS));
	fbk_watch_cancel(first);
	EXPECT(fbk_timeline_signal(line.signals, line.value + 1) == 0);
	EXPECT(fbk_timeline_signal(line.signals, line.value + 2) == 0);
	loop(&line, 1);
	ck_assert_uint_eq(line.values[0], line.value + 2);
	/* Reached, and not told yet. */
	first = watch(&line, line.value + 3, deadline_ms(PATIENCE_MS));
	EXPECT(fbk_timeline_signal(line.signals, line.value + 3) == 0);
	fbk_watch_cancel(first);
	watch(&line, line.value + 4, deadline_ms(PATIENCE_MS));
	EXPECT(fbk_timeline_signal(line.signals, line.value + 4) == 0);
	loop(&line, 2);
	ck_assert_uint_eq(line.values[1], line.value + 4);
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* `fencectl stuck`, which lists waits: the cell stays armed, but no wait belongs to it any more. */
START_TEST(cancelled_waits_no_more)
{
	struct line line;
	char *text;
	line_open(&line, "line");
	struct fbk_watch *first = watch(&line, line.value + 1, FBK_DEADLINE_MAX);
	ck_assert_int_eq(fencectl(&server, "stuck --older 0", &text), STUCK);
	ck_assert_msg(strstr(text, "pair wait"), "%s", text);
	free(text);
	fbk_watch_cancel(first);
	ck_assert_int_eq(fencectl(&server, "stuck --older 0", &text), NOT_STUCK);
	free(text);
}
END_TEST

START_TEST(failed)
{
	struct line line;
	line_open(&line, "line");
	watch(&line, line.value + 1, deadline_ms(PATIENCE_MS));
	watch(&line, line.value + 9, deadline_ms(PATIENCE_MS));
	EXPECT(fbk_timeline_signal(line.signals, line.value + 2) == 0);
	EXPECT(fbk_timeline_fail(line.signals, -EIO, "the lens cap is on") == 0);
	loop(&line, 2);
	ck_assert_int_eq(line.results[0], 0);
	ck_assert_int_eq(line.results[1], -EIO);
}
END_TEST

START_TEST(owner_gone)
{
	struct line line;
	line_open(&line, "line");
	watch(&line, line.value + 1, deadline_ms(PATIENCE_MS));
	fbk_disconnect(signaler);
	loop(&line, 1);
	ck_assert_int_lt(line.results[0], 0);
	signaler = peer_connect(&server);
}
END_TEST

START_TEST(daemon_gone)
{
	struct line line;
	line_open(&line, "line");
	watch(&line, line.value + 1, deadline_ms(PATIENCE_MS));
	watch(&line, line.value + 2, deadline_ms(PATIENCE_MS));
	EXPECT(fbk_timeline_signal(line.signals, line.value + 1) == 0);
	daemon_kill(&server);
	loop(&line, 2);
	for (size_t i = 0; i < 2; i++) { /* reached stays reached, whoever has died */
		ck_assert_int_eq(line.results[i], line.values[i] == line.value + 1 ? 0 : -ENOTCONN);
	}
	daemon_start(&server, NULL);
}
END_TEST

/* The timeline is closed, and so is the sleep for it. */
START_TEST(closed)
{
	for (int i = 0; i < 100; i++) {
		struct line line;
		line_open(&line, "line");
		watch(&line, line.value + 1, deadline_ms(PATIENCE_MS));
		if (i % 2 == 0) { /* when it is awake, or not */
			EXPECT(fbk_timeline_signal(line.signals, line.value + 1) == 0);
		}
		fbk_timeline_close(line.waits);
		fbk_timeline_close(line.signals);
		fbk_dispatch(waiter);
		ck_assert_uint_eq(line.heard, 1);
		ck_assert_int_eq(line.results[0], i % 2 == 0 ? 0 : -ECANCELED);
	}
}
END_TEST

/* ------------------------------------------------------------------------------------- threads -- */

static void *rounds(void *arg)
{
	for (int i = 0; i < 50; i++) {
		round_trip(arg);
	}
	return NULL;
}

/* Each thread in turn dispatches and ends: its sleeps go to the next one, and at last to the
 * daemon. */
START_TEST(other_threads_dispatch)
{
	struct line line;
	pthread_t thread;
	line_open(&line, "line");
	for (int i = 0; i < 12; i++) {
		struct line other = { .signals = line.signals, .waits = line.waits };
		watch(&other, line.value + 51, deadline_ms(PATIENCE_MS));
		EXPECT(pthread_create(&thread, NULL, rounds, &line) == 0);
		EXPECT(pthread_join(thread, NULL) == 0);
		EXPECT(fbk_timeline_signal(line.signals, ++line.value) == 0);
		loop(&other, 1);
		ck_assert_int_eq(other.results[0], 0);
	}
}
END_TEST

/* Dispatches, while another thread watches. */
static void *dispatch(void *arg)
{
	_Atomic bool *stop = arg;
	while (!*stop) {
		readable_within(fbk_context_fd(waiter), 10);
		EXPECT(fbk_dispatch(waiter) >= 0);
	}
	return NULL;
}

static void count(void *arg, struct fbk_point point, int result)
{
	(void)point;
	EXPECT(result == 0);
	++*(_Atomic unsigned int *)arg;
}

START_TEST(another_thread_watches)
{
	static _Atomic bool stop;
	static _Atomic unsigned int heard;
	struct line line;
	pthread_t thread;
	line_open(&line, "line");
	EXPECT(pthread_create(&thread, NULL, dispatch, (void *)&stop) == 0);
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t end = now_ms() + PATIENCE_MS;
		struct fbk_point point = { line.waits, ++line.value };
		EXPECT(fbk_point_watch(point, deadline_ms(PATIENCE_MS), count, (void *)&heard,
				       NULL) == 0);
		EXPECT(fbk_timeline_signal(line.signals, line.value) == 0);
		while (heard <= i) {
			ck_assert_msg(now_ms() < end, "watch %u is not heard", i);
		}
	}
	stop = true;
	EXPECT(pthread_join(thread, NULL) == 0);
}
END_TEST

/* -------------------------------------------------------------------------------- both at once -- */

#define ROUNDS 5000

struct half {
	struct fbk_timeline *mine, *theirs;
	uint64_t ahead; /* what fires here */
	uint64_t next;
	int result;
};

static void pass(void *arg, struct fbk_point point, int result)
{
	struct half *half = arg;
	half->result = result;
	half->next = point.value + 1;
	EXPECT(result < 0 || fbk_timeline_signal(half->mine, point.value + half->ahead) == 0);
	if (result == 0 && half->next <= ROUNDS) {
		/* twice, and one of them not for long */
		struct fbk_watch *other;
		struct fbk_point next = { half->theirs, half->next };
		EXPECT(fbk_point_watch(next, FBK_DEADLINE_MAX, pass, half, &other) == 0);
		fbk_watch_cancel(other);
		EXPECT(fbk_point_watch(next, deadline_ms(PATIENCE_MS), pass, half, NULL) == 0);
	}
}

static void half_open(struct half *half, int socket, struct fbk_context *context, const char *name)
{
	int token;
	half->mine = peer_timeline(peer_device(context, name), "passes", 0);
	EXPECT(fbk_timeline_share(half->mine, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &half->theirs) == 0);
	close(token);
	half->next = 1;
	struct fbk_point first = { half->theirs, 1 };
	EXPECT(fbk_point_watch(first, deadline_ms(PATIENCE_MS), pass, half, NULL) == 0);
}

static void half_loop(struct half *half, struct fbk_context *context, uint64_t rounds)
{
	while (half->result == 0 && half->next <= rounds) {
		loop_turn(context);
	}
}

/* Rounds until the daemon took no part in some of them: its last part may come late. */
static void half_pair(struct half *half)
{
	uint64_t before = 0, requests;
	while ((requests = client_counter(&observer, "requests")) != before + 1) {
		ck_assert_msg(half->next < ROUNDS / 2, "the daemon is asked each time");
		half_loop(half, waiter, half->next + 100);
		before = requests;
	}
}

static int answer(int socket, void *arg)
{
	struct half half = { NULL };
	struct fbk_context *context = peer_connect(&server);
	(void)arg;
	half_open(&half, socket, context, "answer");
	half_loop(&half, context, ROUNDS);
	int result = half.result;
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return -result;
}

/* Two processes, each woken by the other alone. */
START_TEST(back_and_forth)
{
	struct half half = { .ahead = 1 };
	struct peer peer;
	peer_start(&peer, answer, NULL);
	half_open(&half, peer.socket, waiter, "serve");
	/* The first serves a point, the next answers it. */
	EXPECT(fbk_timeline_signal(half.mine, 1) == 0);
	half_pair(&half);
	asked();
	half_loop(&half, waiter, ROUNDS);
	ck_assert_int_eq(half.result, 0);
	ck_assert_uint_lt(asked(), 500); /* through the daemon it would be six for each round */
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_daemon_is_left_alone);
	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, behind);
	tcase_add_test(tcase, many_timelines);
	tcase_add_test(tcase, deadlines);
	tcase_add_test(tcase, cancelled);
	tcase_add_test(tcase, cancelled_waits_no_more);
	tcase_add_test(tcase, failed);
	tcase_add_test(tcase, owner_gone);
	tcase_add_test(tcase, daemon_gone);
	tcase_add_test(tcase, closed);
	tcase_add_test(tcase, other_threads_dispatch);
	tcase_add_test(tcase, another_thread_watches);
	tcase_add_test(tcase, back_and_forth);
}

int main(void)
{
	if (!kernel_naps()) {
		printf("SKIPPED: this kernel's io_uring can't wait on futexes (Linux 6.7)\n");
		return 77;
	}
	return suite_main("watch cell", add);
}
