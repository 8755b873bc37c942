// SPDX-License-Identifier: MIT
/* Who waits for a frame is listed as stuck when the process that owes it is stopped, or moves no frames for much longer than
 * its pace; and not when it only may. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-stuck.h"

#define PACE_MS 20
#define OLD_MS  1000 /* what `fencectl stuck` lists without --older */

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_end(&server);
}

/* --------------------------------------------------------------------------------- processes --- */

enum order {
	ORDER_FRAMES, /* hand some over, at a pace */
	ORDER_ONE,
	ORDER_FILL, /* hand all buffers over, then poll for one until the next order */
	ORDER_STOP, /* say that no more come */
	ORDER_LEAVE,
};

static void wait_ms(uint64_t ms)
{
	for (uint64_t end = now_ms() + ms; now_ms() < end;) {
		yield_briefly();
	}
}

static void produce_at_pace(struct producer *producer)
{
	for (int i = 0; i < 2 * PRODUCER_BUFFERS; i++) {
		producer_frame(producer);
		wait_ms(PACE_MS);
	}
}

static void fill_and_poll(struct producer *producer, int socket)
{
	uint32_t index;
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		producer_frame(producer);
		wait_ms(PACE_MS);
	}
	send_word(socket, 0, -1);
	while (!readable_within(socket, 1)) {
		ck_assert_int_eq(fbk_exchange_take(producer->exchange, 0, &index, NULL),
				 -ETIMEDOUT);
	}
}

/* A second consumer of the same buffers. */
static void attach_another(struct producer *producer, int socket)
{
	struct fbk_link *link;
	int offer;
	EXPECT(link_offer(producer->device, FBK_ROLE_PRODUCER, &offer, &link) == 0);
	EXPECT(fbk_exchange_attach(producer->exchange, link) == 0);
	send_word(socket, 0, offer);
	EXPECT(fbk_link_wait(link, deadline_ms(PATIENCE_MS)) == 0);
}

/* `arg` not NULL: for two consumers. */
static int producer_run(int socket, void *arg)
{
	struct producer producer;
	int offer;
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	send_word(socket, 0, offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	if (arg) {
		attach_another(&producer, socket);
	}
	for (;;) {
		switch (receive_word(socket, NULL)) {
		case ORDER_FRAMES:
			produce_at_pace(&producer);
			break;
		case ORDER_ONE:
			producer_frame(&producer);
			break;
		case ORDER_FILL:
			fill_and_poll(&producer, socket);
			continue;
		case ORDER_STOP:
			EXPECT(fbk_link_stop(producer.link) == 0);
			break;
		default:
			producer_close(&producer);
			return 0;
		}
		send_word(socket, 0, -1);
	}
}

/* Gives each frame back at once, and always sleeps for the next one. */
static int consumer_run(int socket, void *arg)
{
	struct consumer self;
	struct fbk_frame *frame;
	const bool *pauses = arg;
	consumer_open(&self, &server, NULL, socket);
	send_word(socket, 0, -1);
	int r = 0;
	for (int i = 0; r == 0; i++) {
		if (pauses && i == 2 * PRODUCER_BUFFERS) {
			EXPECT(fbk_link_pause(self.link, true) == 0);
		}
		r = fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame);
		if (r == 0) {
			EXPECT(frame_release(frame, 0) == 0);
		}
	}
	ck_assert_int_eq(r, -EPIPE);
	fbk_disconnect(self.context);
	return 0;
}

struct keeping {
	int count;
	bool later; /* releases them at points that it does not signal */
};

static int keeper_run(int socket, void *arg)
{
	const struct keeping *keeping = arg;
	struct consumer self;
	struct fbk_frame *frame;
	struct fbk_point released;
	consumer_open(&self, &server, NULL, socket);
	send_word(socket, 0, -1);
	for (int i = 0; i < keeping->count; i++) {
		EXPECT(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame) == 0);
		EXPECT(!keeping->later || frame_release_later(frame, &released) == 0);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	fbk_disconnect(self.context);
	return 0;
}

/* Takes all frames, and gives none back: for each it hands one over itself, over a connection of its own. */
static int middle_run(int socket, void *arg)
{
	struct consumer from;
	struct producer to;
	struct fbk_frame *frame;
	int offer;
	(void)arg;
	consumer_open(&from, &server, NULL, socket);
	producer_open(&to, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	send_word(socket, 0, offer);
	EXPECT(fbk_link_wait(to.link, deadline_ms(PATIENCE_MS)) == 0);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_link_next(from.link, deadline_ms(PATIENCE_MS), &frame) == 0);
		producer_frame(&to);
		wait_ms(PACE_MS);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	return 0;
}

struct pair {
	struct peer producer, consumer;
};

static void pair_start(struct pair *pair, int (*consumer)(int socket, void *arg), void *arg)
{
	int offer;
	peer_start(&pair->producer, producer_run, NULL);
	receive_word(pair->producer.socket, &offer);
	peer_start(&pair->consumer, consumer, arg);
	send_word(pair->consumer.socket, 0, offer);
	close(offer);
	receive_word(pair->consumer.socket, NULL);
}

static void order(const struct pair *pair, enum order what)
{
	send_word(pair->producer.socket, what, -1);
	if (what != ORDER_LEAVE) {
		receive_word(pair->producer.socket, NULL);
	}
}

static void stop(const struct peer *peer)
{
	ck_assert_int_eq(kill(peer->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(peer->pid, NULL, WUNTRACED), peer->pid);
}

/* Both are killed: one of them may be stopped. */
static void pair_kill(struct pair *pair)
{
	kill(pair->producer.pid, SIGKILL);
	kill(pair->consumer.pid, SIGKILL);
	peer_wait(&pair->producer);
	peer_wait(&pair->consumer);
}

/* What is stuck for that long by now, which may be nothing. */
static void expect_none(void)
{
	struct json_object *list = stuck(&server, OLD_MS);
	ck_assert_msg(json_object_array_length(list) == 0, "%s", json_object_to_json_string(list));
	json_object_put(list);
	list = stuck(&server, 0);
	ck_assert_msg(json_object_array_length(list) == 0, "%s", json_object_to_json_string(list));
	json_object_put(list);
}

/* The only entry, once it is old enough. */
static struct json_object *stuck_old(void)
{
	for (uint64_t end = now_ms() + PATIENCE_MS;;) {
		struct json_object *list = stuck(&server, OLD_MS);
		if (json_object_array_length(list) == 1) {
			return list;
		}
		ck_assert_uint_lt(now_ms(), end);
		json_object_put(list);
	}
}

/* ------------------------------------------------------------------------ the next frame's owner --- */

START_TEST(producer_stopped)
{
	struct pair pair;
	pair_start(&pair, consumer_run, NULL);
	order(&pair, ORDER_FRAMES);
	stop(&pair.producer);
	struct json_object *list = stuck_old();
	struct json_object *entry = json_object_array_get_idx(list, 0);
	expect_cause(entry, "stopped", pair.producer.pid, "is stopped");
	ck_assert_int_eq(number_of(entry, "waiter_pid"), pair.consumer.pid);
	ck_assert_int_ge(number_of(entry, "waiting_ms"), OLD_MS);
	json_object_put(list);
	json_object_put(stuck_await(&server, 1)); /* of any age */
	pair_kill(&pair);
}
END_TEST

START_TEST(producer_silent)
{
	struct pair pair;
	pair_start(&pair, consumer_run, NULL);
	order(&pair, ORDER_FRAMES);
	struct json_object *list = stuck_old();
	struct json_object *entry = json_object_array_get_idx(list, 0);
	expect_cause(entry, "late", pair.producer.pid, "has handed over no frame for ");
	ck_assert_int_eq(number_of(entry, "waiter_pid"), pair.consumer.pid);
	ck_assert_int_ge(number_of(entry, "waiting_ms"), OLD_MS);
	json_object_put(list);
	order(&pair, ORDER_LEAVE);
	ck_assert_int_eq(peer_wait(&pair.producer), 0);
	ck_assert_int_eq(peer_wait(&pair.consumer), 0);
}
END_TEST

/* As silent, with a good reason: _i 0: it has not handed over any; 1: none come any more; 2: its consumer wants none. */
START_TEST(producer_owes_none)
{
	struct pair pair;
	static bool pauses = true;
	pair_start(&pair, consumer_run, _i == 2 ? &pauses : NULL);
	if (_i > 0) {
		order(&pair, ORDER_FRAMES);
	}
	if (_i == 1) {
		send_word(pair.producer.socket, ORDER_STOP, -1);
	}
	wait_ms(OLD_MS + 10 * PACE_MS);
	expect_none();
	pair_kill(&pair);
}
END_TEST

/* ------------------------------------------------------------------------- who keeps the buffers --- */

static struct keeping keeps[] = { { PRODUCER_BUFFERS, false }, { PRODUCER_BUFFERS, true } };

START_TEST(consumer_stopped_with_all)
{
	struct pair pair;
	pair_start(&pair, keeper_run, &keeps[_i]);
	order(&pair, ORDER_FILL);
	receive_word(pair.consumer.socket, NULL);
	stop(&pair.consumer);
	struct json_object *list = stuck_old();
	struct json_object *entry = json_object_array_get_idx(list, 0);
	expect_cause(entry, "stopped", pair.consumer.pid, "is stopped");
	ck_assert_str_eq(word_of(entry, "by"), "frame");
	ck_assert_int_eq(number_of(entry, "waiter_pid"), pair.producer.pid);
	ck_assert_int_ge(number_of(entry, "waiting_ms"), OLD_MS);
	json_object_put(list);
	pair_kill(&pair);
}
END_TEST

START_TEST(consumer_silent_with_all)
{
	struct pair pair;
	pair_start(&pair, keeper_run, &keeps[0]);
	order(&pair, ORDER_FILL);
	receive_word(pair.consumer.socket, NULL);
	struct json_object *list = stuck_old();
	struct json_object *entry = json_object_array_get_idx(list, 0);
	expect_cause(entry, "late", pair.consumer.pid, "has given back no frame for ");
	json_object_put(list);
	pair_kill(&pair);
}
END_TEST

/* It shows a picture for as long as it likes: its producer has buffers. */
START_TEST(consumer_keeps_one)
{
	struct pair pair;
	struct keeping one = { 1, false };
	pair_start(&pair, keeper_run, &one);
	order(&pair, ORDER_ONE);
	receive_word(pair.consumer.socket, NULL);
	wait_ms(OLD_MS + 10 * PACE_MS);
	struct json_object *list = stuck(&server, OLD_MS);
	ck_assert_msg(json_object_array_length(list) == 0, "%s", json_object_to_json_string(list));
	json_object_put(list);
	pair_kill(&pair);
}
END_TEST

/* ------------------------------------------------------------------------------- along a chain --- */

/* Owes point 1 of "encoded", and sleeps for the next frame. */
static int encoder_run(int socket, void *arg)
{
	struct consumer self;
	struct fbk_frame *frame;
	int token;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	struct fbk_timeline *encoded = peer_timeline(self.device, "encoded", 0);
	EXPECT(fbk_timeline_share(encoded, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	while (fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame) == 0) {
		EXPECT(frame_release(frame, 0) == 0);
	}
	return 0;
}

/* A silent process that sleeps for another's frame: the sentence says so, and does not accuse that other, which may have
 * none. */
START_TEST(sleeps_for_a_frame)
{
	struct peer producer, encoder;
	struct fbk_timeline *encoded;
	char waits[64];
	int offer, token, fd;
	peer_start(&producer, producer_run, NULL);
	receive_word(producer.socket, &offer);
	peer_start(&encoder, encoder_run, NULL);
	send_word(encoder.socket, 0, offer);
	close(offer);
	receive_word(encoder.socket, &token);
	struct fbk_context *context = peer_connect(&server);
	EXPECT(fbk_timeline_open(context, token, &encoded) == 0);
	close(token);
	EXPECT(fbk_point_export((struct fbk_point){ encoded, 1 }, FBK_FENCE_EVENTFD,
				FBK_DEADLINE_MAX, &fd) == 0);
	snprintf(waits, sizeof(waits), "waits for the next frame of producer (pid %d)",
		 producer.pid);
	for (uint64_t end = now_ms() + PATIENCE_MS;;) { /* until it sleeps */
		struct json_object *list = stuck_await(&server, 1);
		struct json_object *entry = json_object_array_get_idx(list, 0);
		bool sleeps = strcmp(word_of(entry, "end"), "frame") == 0;
		if (sleeps) {
			expect_cause(entry, "frame", encoder.pid, waits);
			expect_chain(entry, (pid_t[]){ encoder.pid }, 1);
		}
		json_object_put(list);
		if (sleeps) {
			break;
		}
		ck_assert_uint_lt(now_ms(), end);
	}
	stop(&producer);
	struct json_object *list = stuck_await(&server, 2);
	struct json_object *entry = entry_of(list, "waiter_pid", getpid());
	expect_cause(entry, "stopped", producer.pid, "is stopped");
	expect_chain(entry, (pid_t[]){ encoder.pid, producer.pid }, 2);
	json_object_put(list);
	kill(producer.pid, SIGKILL);
	peer_wait(&producer);
	ck_assert_int_eq(peer_wait(&encoder), 0);
	fbk_disconnect(context);
	close(fd);
}
END_TEST

/* It keeps all frames of this offer. */
static void keeper_start(struct peer *keeper, int offer)
{
	peer_start(keeper, keeper_run, &keeps[0]);
	send_word(keeper->socket, 0, offer);
	close(offer);
	receive_word(keeper->socket, NULL);
}

/* It has stopped: `waiter` waits for it by way of `middle`. All end. */
static void expect_keeper(struct pair *pair, struct peer *keeper, pid_t waiter, pid_t middle)
{
	receive_word(keeper->socket, NULL);
	stop(keeper);
	struct json_object *list = stuck_await(&server, 2);
	struct json_object *entry = entry_of(list, "waiter_pid", waiter);
	expect_cause(entry, "stopped", keeper->pid, "is stopped");
	expect_chain(entry, (pid_t[]){ middle, keeper->pid }, 2);
	json_object_put(list);
	pair_kill(pair);
	kill(keeper->pid, SIGKILL);
	peer_wait(keeper);
}

/* The producer polls: nobody told the daemon that it waits for the other consumer. */
START_TEST(another_has_the_buffers)
{
	struct pair pair;
	struct peer keeper;
	int offer;
	peer_start(&pair.producer, producer_run, &server);
	receive_word(pair.producer.socket, &offer);
	peer_start(&pair.consumer, consumer_run, NULL);
	send_word(pair.consumer.socket, 0, offer);
	close(offer);
	receive_word(pair.consumer.socket, NULL);
	receive_word(pair.producer.socket, &offer);
	keeper_start(&keeper, offer);
	order(&pair, ORDER_FILL);
	expect_keeper(&pair, &keeper, pair.consumer.pid, pair.producer.pid);
}
END_TEST

/* Who has the frames moves none for want of a buffer, and told nobody. It has two connections. */
START_TEST(the_next_has_the_buffers)
{
	struct pair pair;
	struct peer keeper;
	int offer;
	peer_start(&pair.producer, producer_run, NULL);
	receive_word(pair.producer.socket, &offer);
	peer_start(&pair.consumer, middle_run, NULL);
	send_word(pair.consumer.socket, 0, offer);
	close(offer);
	receive_word(pair.consumer.socket, &offer);
	keeper_start(&keeper, offer);
	order(&pair, ORDER_FILL);
	receive_word(pair.consumer.socket, NULL);
	expect_keeper(&pair, &keeper, pair.producer.pid, pair.consumer.pid);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, producer_stopped);
	tcase_add_test(tcase, producer_silent);
	tcase_add_loop_test(tcase, producer_owes_none, 0, 3);
	ADD_LOOP(tcase, consumer_stopped_with_all, keeps);
	tcase_add_test(tcase, consumer_silent_with_all);
	tcase_add_test(tcase, consumer_keeps_one);
	tcase_add_test(tcase, sleeps_for_a_frame);
	tcase_add_test(tcase, another_has_the_buffers);
	tcase_add_test(tcase, the_next_has_the_buffers);
}

int main(void)
{
	return suite_main("link-late", add);
}
