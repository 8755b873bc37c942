// SPDX-License-Identifier: MIT
/* Buffers that go from a producer to consumers and back, in processes of their own: routes,
 * callbacks, several consumers, and the end of any of them. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-wire.h"

#define FRAMES 1000

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

static void established(void)
{
	int r = fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "waiting for a consumer: %s", fbk_error_detail());
}

/* Takes all buffers but so many, one after the other, and keeps them. */
static void take_all_but(uint32_t count)
{
	for (uint32_t i = count; i < PRODUCER_BUFFERS; i++) {
		uint32_t index;
		int r = fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index,
					  NULL);
		ck_assert_msg(r == 0, "buffer %u: %s", i, fbk_error_detail());
	}
}

static void take_all(void)
{
	take_all_but(0);
}

/* Hand over buffer `index`, readable at once: 0, also where all are paused. */
static int hand(uint32_t index, uint64_t deadline_ns, fbk_released_fn *fn, void *arg)
{
	int r = fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED, deadline_ns, NULL,
				  fn, arg);
	return r > 0 ? 0 : r;
}

/* --------------------------------------------------------------------------- a consumer process -- */

struct kind {
	const char *name;
	uint32_t waits; /* the consumer's */
	enum fbk_route acquire;
	consumer_fn *wait;
	uint64_t frames;
};

static int consumer(int socket, void *arg)
{
	const struct kind *kind = arg;
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct fbk_link *link;
	int fd;
	receive_word(socket, &fd);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", kind->waits, FBK_FENCE_MEMORY64);
	int r = link_accept(device, fd, &link);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	close(fd);
	EXPECT(fbk_link_info(link, &info) == 0);
	ck_assert_int_eq(info.acquire, kind->acquire);
	ck_assert_int_eq(info.role, FBK_ROLE_CONSUMER);
	ck_assert_str_eq(info.peer, "producer");
	uint64_t count = consume(link, kind->wait, NULL);
	ck_assert_uint_eq(count, kind->frames);
	ck_assert_ptr_nonnull(strstr(fbk_link_cause(link), "producer"));
	fbk_link_close(link);
	fbk_disconnect(context);
	return 0;
}

/* Forked before the producer waits for anything, which starts a thread; told to go on later. */
static void consumer_start(struct peer *peer, const struct kind *kind)
{
	peer_start(peer, consumer, (void *)(uintptr_t)kind);
}

static void consumer_accepts(struct peer *peer, int fd)
{
	send_word(peer->socket, 0, fd);
}

static const struct kind kinds[] = {
	{ "native", FBK_FENCE_MEMORY64, FBK_ROUTE_NATIVE, wait_point, FRAMES },
	{ "eventfd", FBK_FENCE_EVENTFD, FBK_ROUTE_EVENTFD, wait_fd, FRAMES },
	{ "gate", 0, FBK_ROUTE_GATE, wait_point, FRAMES },
	{ "cpu-wait", FBK_FENCE_SYNC_FILE, FBK_ROUTE_CPU_WAIT, NULL, FRAMES },
};

START_TEST(each_route)
{
	struct peer peer;
	consumer_start(&peer, &kinds[_i]);
	consumer_accepts(&peer, offer);
	established();
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	take_all();
	fbk_link_close(producer.link);
	producer.link = NULL;
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

/* -------------------------------------------------------------------------------- several of them -- */

START_TEST(two_consumers)
{
	struct kind some = kinds[1], all = kinds[0];
	struct fbk_link *second;
	struct peer peers[2];
	int offer2;
	ck_assert_int_eq(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer2, &second), 0);
	ck_assert_int_eq(fbk_exchange_attach(producer.exchange, second), 0);
	all.frames = 300;
	some.frames = 200;
	consumer_start(&peers[0], &all);
	consumer_start(&peers[1], &some);
	consumer_accepts(&peers[0], offer);
	established();
	for (int i = 0; i < 100; i++) {
		producer_frame(&producer);
	}
	consumer_accepts(&peers[1], offer2); /* it gets the frames from now on */
	ck_assert_int_eq(fbk_link_wait(second, deadline_ms(PATIENCE_MS)), 0);
	for (int i = 0; i < 200; i++) {
		producer_frame(&producer);
	}
	take_all();
	fbk_link_close(second);
	ck_assert_int_eq(peer_wait(&peers[1]), 0);
	fbk_link_close(producer.link);
	producer.link = NULL;
	ck_assert_int_eq(peer_wait(&peers[0]), 0);
	close(offer2);
}
END_TEST

/* ---------------------------------------------------------------------------------- callbacks --- */

struct told {
	unsigned int count;
	int results[PRODUCER_BUFFERS];
};

static void on_released(void *arg, int result)
{
	struct told *told = arg;
	EXPECT(told->count < PRODUCER_BUFFERS);
	told->results[told->count++] = result;
}

static void dispatch_until(struct fbk_context *context, const unsigned int *count,
			   unsigned int want)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	while (*count < want) {
		EXPECT(now_ms() < end);
		readable_within(fbk_context_fd(context), 100);
		EXPECT(fbk_dispatch(context) >= 0);
	}
}

/* A consumer in this process, with a context of its own. */
struct local {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

static void local_open(struct local *local, uint32_t waits, uint32_t signals)
{
	local->context = peer_connect(&server);
	local->device = exchange_device(local->context, "local", waits, signals);
	int r = link_accept(local->device, offer, &local->link);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	established();
}

static void local_close(struct local *local)
{
	fbk_link_close(local->link);
	fbk_disconnect(local->context);
}

static struct fbk_frame *local_next(struct local *local)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(local->link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	return frame;
}

START_TEST(released_by_callback)
{
	struct local local;
	struct fbk_frame *frames[2];
	struct told told = { 0 };
	local_open(&local, 0, 0);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS), on_released, &told), 0);
	}
	ck_assert_int_eq(hand(1, 0, on_released, &told), -EBUSY);
	frames[0] = local_next(&local);
	frames[1] = local_next(&local);
	ck_assert_uint_eq(fbk_frame_index(frames[0]), 0);
	ck_assert_uint_eq(fbk_frame_index(frames[1]), 1);
	/* Once each, and with a result; in any order. */
	ck_assert_int_eq(fbk_frame_release(frames[1], -EIO), 0);
	ck_assert_int_eq(fbk_frame_release(frames[1], 0), -ESTALE);
	dispatch_until(producer.context, &told.count, 1);
	ck_assert_int_eq(told.results[0], -EIO);
	ck_assert_int_eq(fbk_dispatch(producer.context), 0);
	ck_assert_int_eq(frame_release(frames[0], 0), 0);
	dispatch_until(producer.context, &told.count, 2);
	ck_assert_int_eq(told.results[1], 0);
	fbk_frame_unref(frames[1]);
	/* The program has it again; it is not free for fbk_exchange_take(). */
	ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS), on_released, &told), 0);
	ck_assert_int_eq(fbk_exchange_remove(producer.exchange, 0), -EBUSY);
	ck_assert_int_eq(fbk_exchange_remove(producer.exchange, 1), 0);
	local_close(&local);
	dispatch_until(producer.context, &told.count, 3);
	ck_assert_int_eq(told.results[2], -EPIPE);
}
END_TEST

/* Released at a point, or by a fence. */
START_TEST(released_later)
{
	struct local local;
	struct told told = { 0 };
	local_open(&local, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD);
	int fence = eventfd(0, EFD_CLOEXEC);
	struct fbk_point done;
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS), on_released, &told), 0);
	}
	struct fbk_frame *first = local_next(&local), *second = local_next(&local);
	ck_assert_int_eq(fbk_frame_release_on(first, dup(offer)), -EBADF); /* no fence: kept */
	ck_assert_int_eq(fbk_frame_release_later(first, &done), 0);
	ck_assert_int_eq(fbk_frame_release_on(second, dup(fence)), 0);
	ck_assert_int_eq(eventfd_write(fence, 1), 0); /* the second is done, before the first */
	dispatch_until(producer.context, &told.count, 1);
	ck_assert_int_eq(told.results[0], 0);
	for (int i = 0; i < 20; i++) {
		readable_within(fbk_context_fd(producer.context), 1);
		EXPECT(fbk_dispatch(producer.context) >= 0);
		EXPECT(told.count == 1);
	}
	ck_assert_int_eq(fbk_point_signal(done), 0);
	dispatch_until(producer.context, &told.count, 2);
	ck_assert_int_eq(told.results[1], 0);
	fbk_frame_unref(first);
	fbk_frame_unref(second);
	close(fence);
	local_close(&local);
}
END_TEST

/* Its point fails before its producer has looked: that frame is back in error, and the link goes on. */
START_TEST(fails_before_a_look)
{
	struct local local;
	struct told told = { 0 };
	struct fbk_point done;
	local_open(&local, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS), on_released, &told), 0);
		struct fbk_frame *frame = local_next(&local);
		ck_assert_int_eq(fbk_frame_release_later(frame, &done), 0);
		ck_assert_int_eq(fbk_timeline_fail(done.timeline, -EIO, "no room"), 0);
		fbk_frame_unref(frame);
		dispatch_until(producer.context, &told.count, i + 1);
		ck_assert_int_eq(told.results[i], -EIO);
	}
	local_close(&local);
}
END_TEST

/* A device that waits by itself gets the buffer before the consumer's device is done with it. */
START_TEST(taken_early)
{
	struct local local;
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	struct fbk_point done[3];
	uint32_t index;
	size_t count;
	local_open(&local, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS), NULL, NULL), 0);
	}
	ck_assert_int_eq(fbk_exchange_take_early(producer.exchange, deadline_ms(1), &index, NULL,
						 releases, &count),
			 -ETIMEDOUT);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(frame_release_later(local_next(&local), &done[i]), 0);
	}
	/* Not free for a producer that waits on the CPU. */
	ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(1), &index, NULL),
			 -ETIMEDOUT);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(fbk_exchange_take_early(producer.exchange,
							 deadline_ms(PATIENCE_MS), &index, NULL,
							 releases, &count),
				 0);
		ck_assert_uint_eq(index, i);
		ck_assert_uint_eq(count, 1);
		ck_assert_int_eq(fbk_point_check(releases[0].point), -EAGAIN);
	}
	int fd;
	ck_assert_int_eq(fbk_release_fd(&releases[0], 0, &fd), -EOPNOTSUPP); /* native */
	/* Handed over again before its last release: the consumer must wait for that one. */
	ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS), NULL, NULL), 0);
	ck_assert_int_eq(fbk_point_signal(done[1]), 0);
	ck_assert_int_eq(fbk_point_wait(releases[0].point, deadline_ms(PATIENCE_MS)), 0);
	/* The points fail with the consumer; they can still be queried. */
	ck_assert_int_eq(frame_release_later(local_next(&local), &done[2]), 0);
	ck_assert_int_eq(fbk_exchange_take_early(producer.exchange, deadline_ms(PATIENCE_MS),
						 &index, NULL, releases, &count),
			 0);
	ck_assert_uint_eq(index, 2);
	ck_assert_uint_eq(count, 1);
	local_close(&local);
	ck_assert_int_eq(fbk_point_wait(releases[0].point, deadline_ms(PATIENCE_MS)), -EPIPE);
	take_all_but(2);
	ck_assert_int_eq(fbk_point_check(releases[0].point), -EPIPE);
}
END_TEST

static void count_next(void *arg, struct fbk_link *link)
{
	(void)link;
	++*(unsigned int *)arg;
}

static void count_phase(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	(void)link;
	*(unsigned int *)arg |= 1U << phase;
}

START_TEST(in_an_event_loop)
{
	struct local local;
	unsigned int next = 0, phases = 0;
	local_open(&local, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(fbk_link_listen(local.link, count_phase, &phases, NULL), 0);
	ck_assert_int_eq(fbk_link_watch(local.link, count_next, &next, NULL), 0);
	fbk_dispatch(local.context);
	ck_assert_uint_eq(next, 0);
	ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS), NULL, NULL), 0);
	dispatch_until(local.context, &next, 1);
	ck_assert_uint_eq(phases, 1U << FBK_PHASE_ESTABLISHED);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	ck_assert_int_eq(fbk_link_watch(local.link, count_next, &next, NULL), 0);
	fbk_link_close(producer.link);
	producer.link = NULL;
	dispatch_until(local.context, &next, 2); /* the end of the link is reported too */
	ck_assert_uint_ne(phases & 1U << FBK_PHASE_ENDED, 0);
	local_close(&local);
}
END_TEST

/* --------------------------------------------------------------------------------------- ends --- */

/* Takes all frames and releases none. */
static int hoarder(int socket, void *arg)
{
	struct local local;
	struct fbk_frame *frame;
	(void)arg;
	local.context = peer_connect(&server);
	local.device =
		exchange_device(local.context, "hoarder", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	EXPECT(link_accept(local.device, offer, &local.link) == 0);
	send_word(socket, 0, -1);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame) == 0);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* for ever */
	return 0;
}

static void hoarder_start(struct peer *peer, struct told *told, uint64_t deadline_ns)
{
	peer_start(peer, hoarder, NULL);
	receive_word(peer->socket, NULL);
	established();
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i, deadline_ns, told ? on_released : NULL, told), 0);
	}
	receive_word(peer->socket, NULL);
}

static void peer_kill(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	ck_assert_int_eq(peer_wait(peer), 128 + SIGKILL);
}

/* A consumer dies with all buffers: they come back, and the next consumer takes the same offer. */
START_TEST(consumer_killed)
{
	struct told told = { 0 };
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct kind next = kinds[0];
	struct peer peer, heir;
	next.frames = 50;
	consumer_start(&heir, &next);
	hoarder_start(&peer, &told, deadline_ms(PATIENCE_MS));
	peer_kill(&peer);
	dispatch_until(producer.context, &told.count, PRODUCER_BUFFERS);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(told.results[i], -EOWNERDEAD);
	}
	ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_OFFERED);
	ck_assert_int_eq(info.error, -EOWNERDEAD);
	ck_assert_ptr_nonnull(strstr(info.cause, "hoarder"));
	ck_assert_int_eq(hand(0, 0, NULL, NULL), -EPIPE);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "hoarder"));
	consumer_accepts(&heir, offer);
	established();
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_write(&producer.buffers[i], i + 1);
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS), NULL, NULL), 0);
	}
	producer.frame = PRODUCER_BUFFERS;
	for (uint64_t i = PRODUCER_BUFFERS; i < next.frames; i++) {
		producer_frame(&producer);
	}
	take_all();
	fbk_link_close(producer.link);
	producer.link = NULL;
	ck_assert_int_eq(peer_wait(&heir), 0);
}
END_TEST

/* A release before the consumer left counts, also when nothing looked at it until then. */
START_TEST(last_words)
{
	struct told told = { 0 };
	struct local local;
	local_open(&local, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS), on_released, &told), 0);
	}
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	struct fbk_frame *held = local_next(&local);
	local_close(&local);
	fbk_frame_unref(held);
	dispatch_until(producer.context, &told.count, 2);
	ck_assert_int_eq(told.results[0], 0);
	ck_assert_int_eq(told.results[1], -EPIPE);
}
END_TEST

/* A late consumer is named, and keeps its buffers; they come back when it dies. */
START_TEST(consumer_stopped)
{
	struct told told = { 0 };
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct peer peer;
	char pid[32], text[512];
	uint32_t index;
	hoarder_start(&peer, _i ? &told : NULL, deadline_ms(50));
	kill(peer.pid, SIGSTOP);
	ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(100), &index, NULL),
			 -ETIMEDOUT);
	ck_assert_int_eq(fbk_link_blame(producer.link, text, sizeof(text)), 0);
	snprintf(pid, sizeof(pid), "pid %d", peer.pid);
	ck_assert_msg(strstr(text, "hoarder") && strstr(text, pid), "the blame is: %s", text);
	ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
	peer_kill(&peer);
	if (_i) {
		dispatch_until(producer.context, &told.count, PRODUCER_BUFFERS);
		ck_assert_int_eq(told.results[0], -EOWNERDEAD);
	} else {
		take_all();
	}
}
END_TEST

/* The consumer learns of the producer's end, and its frames cannot be released any more. */
static int produce_and_die(int socket, void *arg)
{
	struct producer own;
	int fd;
	(void)arg;
	producer_open(&own, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &fd);
	send_word(socket, 0, fd);
	EXPECT(fbk_link_wait(own.link, deadline_ms(PATIENCE_MS)) == 0);
	producer_frame(&own);
	receive_word(socket, NULL);
	raise(SIGKILL);
	return 0;
}

START_TEST(producer_killed)
{
	struct local local;
	struct fbk_frame *frame, *none;
	struct peer peer;
	int fd;
	peer_start(&peer, produce_and_die, NULL);
	receive_word(peer.socket, &fd);
	local.context = peer_connect(&server);
	local.device =
		exchange_device(local.context, "local", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(local.device, fd, &local.link), 0);
	frame = local_next(&local);
	ck_assert_int_eq(wait_point(frame, 0, NULL), 0);
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &none), -EPIPE);
	ck_assert_ptr_nonnull(strstr(fbk_link_cause(local.link), "producer"));
	ck_assert_int_eq(frame_release(frame, 0), -ESTALE);
	ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
	close(fd);
	local_close(&local);
}
END_TEST

/* The consumer offers: its producers come and go. */
START_TEST(producers_replaced)
{
	struct local local;
	int fd;
	local.context = peer_connect(&server);
	local.device =
		exchange_device(local.context, "local", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_offer(local.device, FBK_ROLE_CONSUMER, &fd, &local.link), 0);
	for (int round = 0; round < 3; round++) {
		struct producer own = { .context = peer_connect(&server) };
		struct fbk_frame *frame;
		own.device =
			exchange_device(own.context, "own", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
		own.timeline = peer_timeline(own.device, "drawn", 0);
		int r = link_accept(own.device, fd, &own.link);
		ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
		ck_assert_int_eq(fbk_exchange_create(own.link, &own.exchange), 0);
		for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
			buffer_create(&own.buffers[i]);
			struct fbk_buffer_desc desc = buffer_desc(&own.buffers[i]);
			ck_assert_int_eq(fbk_exchange_add(own.exchange, i, &desc), 0);
		}
		for (int i = 0; i < 5; i++) {
			producer_frame(&own);
			frame = local_next(&local);
			ck_assert_int_eq(wait_point(frame, 0, NULL), 0);
			if (i < 4) {
				ck_assert_int_eq(frame_release(frame, 0), 0);
			}
		}
		producer_close(&own);
		fbk_frame_unref(frame);
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(1), &frame), -ETIMEDOUT);
	}
	close(fd);
	local_close(&local);
}
END_TEST

/* Of two consumers that offer, one ends: what is added after that goes to the other. */
START_TEST(added_when_one_has_ended)
{
	struct local locals[2];
	struct producer own = { .context = peer_connect(&server) };
	struct fbk_link *links[2];
	own.device = exchange_device(own.context, "own", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	own.timeline = peer_timeline(own.device, "drawn", 0);
	for (int i = 0; i < 2; i++) {
		int fd;
		locals[i].context = peer_connect(&server);
		locals[i].device = exchange_device(locals[i].context, i ? "second" : "first",
						   FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
		ck_assert_int_eq(
			link_offer(locals[i].device, FBK_ROLE_CONSUMER, &fd, &locals[i].link), 0);
		ck_assert_int_eq(link_accept(own.device, fd, &links[i]), 0);
		close(fd);
	}
	own.link = links[1];
	ck_assert_int_eq(fbk_exchange_create(links[1], &own.exchange), 0);
	ck_assert_int_eq(fbk_exchange_attach(own.exchange, links[0]), 0);
	fbk_disconnect(locals[_i].context);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_create(&own.buffers[i]);
		struct fbk_buffer_desc desc = buffer_desc(&own.buffers[i]);
		int r = fbk_exchange_add(own.exchange, i, &desc);
		ck_assert_msg(r == 0, "adding: %d (%s)", r, fbk_error_detail());
	}
	for (int i = 0; i < 2 * PRODUCER_BUFFERS; i++) {
		producer_frame(&own);
		struct fbk_frame *frame = local_next(&locals[1 - _i]);
		ck_assert_int_eq(wait_point(frame, 0, NULL), 0);
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	producer_close(&own);
	local_close(&locals[1 - _i]);
}
END_TEST

START_TEST(daemon_killed)
{
	struct local local;
	struct fbk_frame *frames[PRODUCER_BUFFERS], *frame;
	uint32_t index;
	local_open(&local, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS), NULL, NULL), 0);
		frames[i] = local_next(&local);
	}
	daemon_kill(&server);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), -ENOTCONN);
	ck_assert_int_eq(
		fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL),
		-ENOTCONN);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		fbk_frame_unref(frames[i]);
	}
	local_close(&local);
	daemon_start(&server, NULL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, each_route, kinds);
	tcase_add_test(tcase, two_consumers);
	tcase_add_test(tcase, released_by_callback);
	tcase_add_test(tcase, released_later);
	tcase_add_test(tcase, fails_before_a_look);
	tcase_add_test(tcase, taken_early);
	tcase_add_test(tcase, in_an_event_loop);
	tcase_add_test(tcase, consumer_killed);
	tcase_add_test(tcase, last_words);
	tcase_add_loop_test(tcase, consumer_stopped, 0, 2);
	tcase_add_test(tcase, producer_killed);
	tcase_add_test(tcase, producers_replaced);
	tcase_add_loop_test(tcase, added_when_one_has_ended, 0, 2);
	tcase_add_test(tcase, daemon_killed);
}

int main(void)
{
	return suite_main("exchange", add);
}
