// SPDX-License-Identifier: MIT
/* Causes: what a peer is told when a link ends, and which process is blamed for a frame that does
 * not come. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-wire.h"

static struct daemon server;
static struct producer producer;
static int offer;

static void setup(void)
{
	daemon_serve(&server, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
}

static void teardown(void)
{
	close(offer);
	producer_close(&producer);
	daemon_stop(&server);
}

static struct fbk_frame *consumer_next(struct fbk_link *link)
{
	struct fbk_frame *frame;
	int r = fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	return frame;
}

static void meet(struct peer *peer, int (*consumer)(int socket, void *arg), void *arg)
{
	peer_start(peer, consumer, arg);
	send_word(peer->socket, 0, offer);
	int r = fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "meeting: %s", fbk_error_detail());
}

/* ----------------------------------------------------------------------------------- a reason -- */

static int consumer_fails(int socket, void *arg)
{
	struct consumer self;
	consumer_open(&self, &server, NULL, socket);
	(void)arg;
	for (int i = 0; i < PRODUCER_BUFFERS; i++) { /* no hand-over comes after its end */
		consumer_next(self.link);
	}
	ck_assert_int_eq(fbk_link_fail(self.link, 0, "none"), -EINVAL);
	ck_assert_int_eq(fbk_link_fail(self.link, -EIO, "the lens cap is on"), 0);
	ck_assert_int_eq(fbk_link_fail(self.link, -EIO, "again"), -EPIPE);
	fbk_disconnect(self.context);
	return 0;
}

START_TEST(consumer_says_why)
{
	char expected[128];
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct peer peer;
	uint32_t index;
	ck_assert_int_eq(fbk_link_fail(producer.link, -EIO, "nobody hears it"), -EPIPE);
	meet(&peer, consumer_fails, NULL);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		producer_frame(&producer);
	}
	/* Its frames come back. */
	ck_assert_int_eq(
		fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL), 0);
	snprintf(expected, sizeof(expected), "consumer (pid %d, uid %u): the lens cap is on",
		 (int)peer.pid, getuid());
	ck_assert_str_eq(fbk_link_cause(producer.link), expected);
	EXPECT(fbk_link_info(producer.link, &info) == 0);
	ck_assert_int_eq(info.error, -EIO);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

static int consumer_hears(int socket, void *arg)
{
	struct consumer self;
	consumer_open(&self, &server, NULL, socket);
	(void)arg;
	struct fbk_frame *frame;
	ck_assert_int_eq(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame), -EPIPE);
	ck_assert_msg(strstr(fbk_link_cause(self.link), "the tube is cold"), "%s",
		      fbk_link_cause(self.link));
	return 0;
}

START_TEST(producer_says_why)
{
	struct peer peer;
	meet(&peer, consumer_hears, NULL);
	ck_assert_int_eq(fbk_link_fail(producer.link, -EIO, "the tube is cold"), 0);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

/* The peer has not asked yet when the process that said why is gone too. */
static int consumer_hears_late(int socket, void *arg)
{
	struct consumer self;
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct fbk_frame *frame;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	receive_word(socket, NULL);
	ck_assert_int_eq(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame), -EPIPE);
	EXPECT(fbk_link_info(self.link, &info) == 0);
	ck_assert_msg(strstr(info.cause, "producer (pid "), "%s", info.cause);
	ck_assert_msg(strstr(info.cause, "): the tube is cold"), "%s", info.cause);
	ck_assert_int_eq(info.error, -EIO);
	return 0;
}

static void link_closes(struct producer *own)
{
	fbk_exchange_destroy(own->exchange);
	fbk_link_close(own->link);
}

static void context_goes(struct producer *own)
{
	fbk_disconnect(own->context);
}

static void process_dies(struct producer *own)
{
	(void)own;
	raise(SIGKILL);
}

static void (*const departures[])(struct producer *own) = { link_closes, context_goes,
							    process_dies };

static int producer_fails(int socket, void *arg)
{
	struct producer own;
	int fd;
	producer_open(&own, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &fd);
	send_word(socket, 0, fd);
	EXPECT(fbk_link_wait(own.link, deadline_ms(PATIENCE_MS)) == 0);
	EXPECT(fbk_link_fail(own.link, -EIO, "the tube is cold") == 0);
	departures[(uintptr_t)arg](&own);
	return 0;
}

START_TEST(producer_says_why_and_goes)
{
	struct peer failing, hearing;
	int fd;
	peer_start(&failing, producer_fails, (void *)(uintptr_t)_i);
	receive_word(failing.socket, &fd);
	peer_start(&hearing, consumer_hears_late, NULL);
	send_word(hearing.socket, 0, fd);
	close(fd);
	peer_wait(&failing);
	send_word(hearing.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&hearing), 0);
}
END_TEST

/* -------------------------------------------------------------------------------------- blame -- */

static struct fbk_device *device_of(struct fbk_context *context)
{
	return exchange_device(context, "scaler", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
}

/* It keeps the frame, or releases it at a point that it does not signal. */
static int consumer_keeps(int socket, void *arg)
{
	struct consumer self;
	consumer_open(&self, &server, NULL, socket);
	struct fbk_frame *frame = consumer_next(self.link);
	if (arg) {
		struct fbk_point released;
		ck_assert_int_eq(fbk_frame_release_later(frame, &released), 0);
	}
	raise(SIGSTOP);
	return 0;
}

static const struct {
	bool early;
	const char *blame;
} blames[] = {
	{ false, "returned point 1 (now 0) of consumer (pid %d), which is stopped" },
	{ true, "released-0 point 1 (now 0) of consumer (pid %d), which is stopped" },
};

START_TEST(consumer_is_blamed)
{
	char expected[128], text[FBK_REASON_SIZE];
	struct peer peer;
	meet(&peer, consumer_keeps, (void *)(uintptr_t)blames[_i].early);
	ck_assert_int_eq(fbk_link_blame(producer.link, text, sizeof(text)), -ENOENT);
	producer_frame(&producer);
	EXPECT(waitpid(peer.pid, NULL, WUNTRACED) == peer.pid);
	int r = fbk_link_blame(producer.link, text, sizeof(text));
	ck_assert_msg(r == 0, "blame: %s", fbk_error_detail());
	snprintf(expected, sizeof(expected), blames[_i].blame, (int)peer.pid);
	ck_assert_str_eq(text, expected);
	kill(peer.pid, SIGKILL);
	peer_wait(&peer);
}
END_TEST

/* A consumer that waits for a stopped producer's next frame waits for that process. Whether a
 * running producer has a next frame, the daemon cannot know. */
static int producer_stops(int socket, void *arg)
{
	struct producer own;
	int fd;
	(void)arg;
	producer_open(&own, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &fd);
	send_word(socket, 0, fd);
	EXPECT(fbk_link_wait(own.link, deadline_ms(PATIENCE_MS)) == 0);
	receive_word(socket, NULL);
	raise(SIGSTOP);
	return 0;
}

/* Owes a signal of "scaled", and waits for a frame. */
static int consumer_waits(int socket, void *arg)
{
	struct consumer self;
	struct fbk_frame *frame;
	int token;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	struct fbk_timeline *scaled = peer_timeline(device_of(self.context), "scaled", 0);
	EXPECT(fbk_timeline_share(scaled, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_word(socket, NULL);
	int r = fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == -EPIPE, "the link ends with %d", r);
	return 0;
}

static void blame(struct fbk_timeline *timeline, char *text, size_t size)
{
	int r = fbk_point_blame((struct fbk_point){ timeline, 1 }, text, size);
	ck_assert_msg(r == 0, "blame: %s", fbk_error_detail());
}

START_TEST(stopped_producer_is_blamed)
{
	char expected[128], text[2 * FBK_REASON_SIZE];
	struct fbk_timeline *scaled;
	struct peer stopped_producer, consumer;
	int token, fd;
	peer_start(&stopped_producer, producer_stops, NULL);
	receive_word(stopped_producer.socket, &fd);
	peer_start(&consumer, consumer_waits, NULL);
	send_word(consumer.socket, 0, fd);
	close(fd);
	receive_word(consumer.socket, &token);
	EXPECT(fbk_timeline_open(producer.context, token, &scaled) == 0);
	close(token);
	blame(scaled, text, sizeof(text));
	snprintf(expected, sizeof(expected),
		 "scaled point 1 (now 0) of scaler (pid %d), which waits for no process here and "
		 "has not signalled",
		 (int)consumer.pid);
	ck_assert_str_eq(text, expected);
	send_word(consumer.socket, 0, -1);
	send_word(stopped_producer.socket, 0, -1);
	EXPECT(waitpid(stopped_producer.pid, NULL, WUNTRACED) == stopped_producer.pid);
	snprintf(expected, sizeof(expected), "of producer (pid %d), which is stopped",
		 (int)stopped_producer.pid);
	do { /* until it sleeps */
		blame(scaled, text, sizeof(text));
	} while (!strstr(text, ", which waits for handed point"));
	ck_assert_msg(strstr(text, expected), "%s", text);
	kill(stopped_producer.pid, SIGKILL);
	peer_wait(&stopped_producer);
	ck_assert_int_eq(peer_wait(&consumer), 0);
}
END_TEST

/* --------------------------------------------------------------------------------- the daemon -- */

static int consumer_stays(int socket, void *arg)
{
	struct consumer self;
	struct fbk_frame *frame;
	consumer_open(&self, &server, NULL, socket);
	(void)arg;
	consumer_next(self.link);
	send_word(socket, 0, -1);
	int r = fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == -ENOTCONN || r == -EPIPE, "the link ends with %d", r);
	fbk_disconnect(self.context);
	return 0;
}

/* The producer continues only until it has to wait. */
START_TEST(daemon_goes)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct peer peer;
	uint32_t index;
	int r = 0;
	meet(&peer, consumer_stays, NULL);
	producer_frame(&producer);
	receive_word(peer.socket, NULL);
	daemon_kill(&server);
	for (int i = 0; r == 0 && i <= PRODUCER_BUFFERS; i++) {
		r = fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL);
		if (r == 0) {
			r = fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
					      deadline_ms(PATIENCE_MS), NULL, NULL, NULL);
			r = r > 0 ? 0 : r;
		}
	}
	ck_assert_int_eq(r, -ENOTCONN);
	fbk_link_info(producer.link, &info);
	ck_assert_int_eq(info.phase, FBK_PHASE_ENDED);
	ck_assert_int_eq(info.error, -ENOTCONN);
	ck_assert_msg(strstr(info.cause, "the daemon is gone"), "%s", info.cause);
	ck_assert_int_eq(peer_wait(&peer), 0);
	daemon_start(&server, NULL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, consumer_says_why);
	tcase_add_test(tcase, producer_says_why);
	ADD_LOOP(tcase, producer_says_why_and_goes, departures);
	ADD_LOOP(tcase, consumer_is_blamed, blames);
	tcase_add_test(tcase, stopped_producer_is_blamed);
	tcase_add_test(tcase, daemon_goes);
}

int main(void)
{
	return suite_main("link-fault", add);
}
