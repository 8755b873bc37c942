// SPDX-License-Identifier: MIT
/* Links and exchanges: their refusals, their costs, and what a lying peer can do: no harm to other
 * clients. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/lib/link/link-point.h"
#include "client/lib/timeline.h"
#include "lib-exchange.h"
#include "lib-stuck.h"
#include "lib-wire.h"

static const char policy[] = "version = 1;\n"
			     "limits: { links = 3; };\n"
			     "rules: ( { user = \"*\"; connect = true; register = true; inspect = "
			     "\"all\"; } );\n";

static struct daemon server;
static struct client observer;
static struct producer producer;
static int offer;

static void setup(void)
{
	daemon_serve(&server, policy);
	client_open(&observer, &server);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
}

static void teardown(void)
{
	close(offer);
	producer_close(&producer);
	client_close(&observer);
	daemon_stop(&server);
}

static void expect_error(int result, int error, const char *part)
{
	ck_assert_msg(result == error && strstr(fbk_error_detail(), part), "%d: %s", result,
		      fbk_error_detail());
}

struct local {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

static void local_connect(struct local *local, uint32_t waits)
{
	local->context = peer_connect(&server);
	local->device = exchange_device(local->context, "local", waits, FBK_FENCE_MEMORY64);
}

static void local_open(struct local *local)
{
	local_connect(local, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(local->device, offer, &local->link), 0);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
}

static void local_close(struct local *local)
{
	fbk_link_close(local->link);
	fbk_disconnect(local->context);
}

static int hand(uint32_t index, uint64_t deadline_ns)
{
	int r = fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED, deadline_ns, NULL,
				  NULL, NULL);
	return r > 0 ? 0 : r;
}

/* ----------------------------------------------------------------------------------- meeting --- */

START_TEST(who_may_accept)
{
	struct fbk_link *link = NULL;
	struct local first, second;
	int token;
	local_connect(&first, FBK_FENCE_MEMORY64);
	local_connect(&second, FBK_FENCE_MEMORY64);
	expect_error(link_accept(producer.device, offer, &link), -ELOOP, "oneself");
	ck_assert_int_eq(fbk_timeline_share(producer.timeline, FBK_RIGHT_WAIT, &token), 0);
	expect_error(link_accept(first.device, token, &link), -EBADF, "no offer of a link");
	expect_error(link_accept(first.device, STDIN_FILENO, &link), -EBADF, "not a token");
	ck_assert_int_eq(link_accept(first.device, offer, &first.link), 0);
	expect_error(link_accept(second.device, offer, &link), -EBUSY, "has that link");
	ck_assert_ptr_null(link);
	/* A consumer that left makes room for the next. */
	fbk_link_close(first.link);
	ck_assert_int_eq(link_accept(second.device, offer, &second.link), 0);
	fbk_disconnect(first.context);
	local_close(&second);
	close(token);
}
END_TEST

START_TEST(no_route)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "picky",
					.device_class = FBK_CLASS_ENCODER,
					.waits = FBK_FENCE_SYNC_FILE,
					.signals = FBK_FENCE_MEMORY64,
					.routes = 1U << FBK_ROUTE_SYNC_FILE_PROMISE };
	struct fbk_device *device;
	struct fbk_link *link = NULL;
	struct local local;
	local_connect(&local, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(fbk_device_register(local.context, &desc, &device), 0);
	expect_error(link_accept(device, offer, &link), -EOPNOTSUPP, "picky");
	/* The offer is still good, for a device that can. */
	ck_assert_int_eq(link_accept(local.device, offer, &local.link), 0);
	local_close(&local);
}
END_TEST

START_TEST(wrong_end)
{
	struct fbk_exchange *exchange = NULL;
	struct fbk_frame *frame = NULL;
	struct local local;
	local_open(&local);
	ck_assert_int_eq(fbk_link_next(producer.link, deadline_ms(0), &frame), -EPERM);
	ck_assert_int_eq(fbk_exchange_create(local.link, &exchange), -EPERM);
	ck_assert_int_eq(fbk_exchange_create(producer.link, &exchange), -EBUSY);
	ck_assert_int_eq(fbk_exchange_attach(producer.exchange, local.link), -EPERM);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(1), &frame), -ETIMEDOUT);
	local_close(&local);
}
END_TEST

/* Unregistering the device of either end ends the link. */
START_TEST(device_gone)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct local local;
	struct fbk_frame *frame;
	for (int round = 0; round < 2; round++) {
		local_open(&local);
		ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS)), 0);
		if (round == 0) {
			fbk_device_unregister(local.device);
			ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
			ck_assert_int_eq(info.phase, FBK_PHASE_OFFERED);
			ck_assert_int_eq(info.error, -EPIPE);
		} else {
			fbk_device_unregister(producer.device);
			ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
			ck_assert_int_eq(info.phase, FBK_PHASE_ENDED);
		}
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame),
				 -EPIPE);
		uint32_t index;
		for (int i = round ? 1 : PRODUCER_BUFFERS; i > 0; i--) {
			ck_assert_int_eq(fbk_exchange_take(producer.exchange, 0, &index, NULL), 0);
		}
		local_close(&local);
	}
}
END_TEST

START_TEST(limited)
{
	struct fbk_link *links[3] = { NULL };
	int offers[3];
	/* The producer has one of three. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
			link_offer(producer.device, FBK_ROLE_PRODUCER, &offers[i], &links[i]), 0);
	}
	expect_error(link_offer(producer.device, FBK_ROLE_PRODUCER, &offers[2], &links[2]), -EDQUOT,
		     "links");
	fbk_link_close(links[0]);
	ck_assert_int_eq(link_offer(producer.device, FBK_ROLE_PRODUCER, &offers[2], &links[2]), 0);
	for (int i = 0; i < 3; i++) {
		close(offers[i]);
	}
	fbk_link_close(links[1]);
	fbk_link_close(links[2]);
}
END_TEST

/* ----------------------------------------------------------------------------------- buffers --- */

static int memfd(unsigned int seals)
{
	int fd = memfd_create("test-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	EXPECT(fd >= 0 && ftruncate(fd, BUFFER_SIZE) == 0);
	EXPECT(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static int add_buffer(uint32_t index, int fd, uint32_t planes)
{
	struct fbk_buffer_desc desc = { .struct_size = sizeof(desc),
					.memory = FBK_MEMORY_MEMFD,
					.fd = { fd, -1, -1, -1 },
					.plane_count = planes,
					.stride = { 64 } };
	return fbk_exchange_add(producer.exchange, index, &desc);
}

START_TEST(bad_buffers)
{
	uint32_t last = FBK_BUFFERS_MAX - 1;
	expect_error(add_buffer(0, memfd(F_SEAL_SHRINK), 1), -EEXIST, "buffer 0");
	expect_error(add_buffer(last + 1, memfd(F_SEAL_SHRINK), 1), -EINVAL, "at most 64");
	expect_error(add_buffer(100000, memfd(F_SEAL_SHRINK), 1), -EINVAL, "at most 64");
	expect_error(add_buffer(last, memfd(F_SEAL_SHRINK), 0), -EINVAL, "planes");
	expect_error(add_buffer(last, memfd(F_SEAL_SHRINK), 5), -EINVAL, "planes");
	expect_error(add_buffer(last, memfd(0), 1), -EINVAL, "F_SEAL_SHRINK");
	expect_error(add_buffer(last, eventfd(0, EFD_CLOEXEC), 1), -EINVAL, "an eventfd");
	expect_error(add_buffer(last, open("/dev/null", O_RDWR | O_CLOEXEC), 1), -EINVAL,
		     "a character device");
	ck_assert_int_eq(add_buffer(last, memfd(F_SEAL_SHRINK), 4), 0);
	expect_error(fbk_exchange_remove(producer.exchange, last - 1), -ENOENT, "62");
	ck_assert_int_eq(fbk_exchange_remove(producer.exchange, last), 0);
}
END_TEST

START_TEST(none_to_take)
{
	struct local local;
	uint32_t index;
	local_open(&local);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(fbk_exchange_take(producer.exchange, 0, &index, NULL), 0);
		ck_assert_uint_eq(index, i);
	}
	expect_error(fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL),
		     -EBUSY, "hand one over");
	ck_assert_int_eq(hand(1, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(1), &index, NULL),
			 -ETIMEDOUT);
	expect_error(hand(PRODUCER_BUFFERS, 0), -ENOENT, "no buffer 3");
	local_close(&local); /* it comes back */
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(fbk_exchange_remove(producer.exchange, i), 0);
	}
	expect_error(fbk_exchange_take(producer.exchange, 0, &index, NULL), -ENOENT, "add some");
}
END_TEST

/* A new buffer replaces another: the consumer gets the new one. */
START_TEST(replaced_midstream)
{
	struct local local;
	struct fbk_frame *frame;
	local_open(&local);
	for (uint64_t round = 1; round <= 5; round++) {
		ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS)), 0);
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
		uint64_t word = 0;
		EXPECT(pread(frame_fd(frame), &word, sizeof(word), 0) == sizeof(word));
		ck_assert_uint_eq(word, round - 1);
		ck_assert_uint_eq(fbk_frame_buffer(frame)->stride[0], round == 1 ? 128 : 64);
		ck_assert_int_eq(fbk_exchange_remove(producer.exchange, 0), -EBUSY);
		ck_assert_int_eq(frame_release(frame, 0), 0);
		ck_assert_int_eq(fbk_exchange_remove(producer.exchange, 0), 0);
		int fd = memfd(F_SEAL_SHRINK);
		EXPECT(pwrite(fd, &round, sizeof(round), 0) == sizeof(round));
		ck_assert_int_eq(add_buffer(0, fd, 1), 0);
	}
	local_close(&local);
}
END_TEST

/* Points of more timelines than a link has numbers: those whose frames are over give theirs up. */
START_TEST(many_timelines)
{
	struct local local;
	struct fbk_frame *frame;
	local_open(&local);
	for (int i = 0; i < 3 * FBK_LANE_ACQUIRES; i++) {
		struct fbk_point point = { peer_timeline(producer.device, "more", 0), 1 };
		ck_assert_int_eq(fbk_exchange_hand(producer.exchange, 0, point,
						   deadline_ms(PATIENCE_MS), NULL, NULL, NULL),
				 1);
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
		ck_assert_int_eq(fbk_point_check(fbk_frame_acquire(frame)), -EAGAIN);
		ck_assert_int_eq(fbk_point_signal(point), 0);
		ck_assert_int_eq(fbk_point_check(fbk_frame_acquire(frame)), 0);
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	local_close(&local);
}
END_TEST

/* Its acquire point fails: the frame comes with that error, which its producer gets back with it. */
START_TEST(acquire_fails)
{
	struct local local = { .context = peer_connect(&server) };
	struct fbk_frame *frame;
	struct fbk_point point = { peer_timeline(producer.device, "fails", 0), 1 };
	local.device =
		exchange_device(local.context, "waits", FBK_FENCE_SYNC_FILE, 0); /* cpu-wait */
	ck_assert_int_eq(link_accept(local.device, offer, &local.link), 0);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(hand(2, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, 0, point, deadline_ms(PATIENCE_MS),
					   NULL, NULL, NULL),
			 1);
	ck_assert_int_eq(hand(1, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
	struct fbk_frame *other;
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(1), &other), -ETIMEDOUT);
	ck_assert_int_eq(fbk_timeline_fail(point.timeline, -EIO, "no picture"), 0);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &other), 0);
	ck_assert_uint_eq(fbk_frame_index(other), 0);
	ck_assert_int_eq(fbk_frame_error(other), -EIO);
	ck_assert_int_eq(frame_release(other, 0), 0);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &other), 0);
	ck_assert_uint_eq(fbk_frame_index(other), 1);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_int_eq(frame_release(other, 0), 0);
	uint32_t index;
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS),
						   &index, NULL),
				 0);
	}
	local_close(&local);
}
END_TEST

/* ------------------------------------------------------------------------------------ liars ---- */

/* What a consumer writes for the first frame's buffer instead of the truth; `sequence` from that frame's. */
static const struct lie {
	const char *name;
	const char *cause;
	struct lane_return back;
} lies[] = {
	{ "a frame that is not there yet", "buffer 0 as frame 2,", { .sequence = 1 } },
	{ "a frame that never comes", "buffer 0 as frame ", { .sequence = FBK_POINT_MAX } },
	{ "a timeline that it does not show",
	  "a timeline that it does not show",
	  { .kind = FBK_RELEASE_MEMORY, .incarnation = 1, .value = 1 } },
	{ "a point that is none",
	  "buffer 0, frame 1, is invalid",
	  { .kind = FBK_RELEASE_BROKERED, .incarnation = 1 } },
	{ "a kind that is none", "buffer 0, frame 1, is invalid", { .kind = 3, .value = 1 } },
	{ "a good result that is none", "buffer 0, frame 1, is invalid", { .result = 5 } },
};

static void lane_lie(struct fbk_link *link, const struct lie *lie, uint64_t first)
{
	struct lane_return back = lie->back;
	back.sequence += first;
	lane_return_write(&link->out.page, &back);
	EXPECT(lane_raise(&link->out) == 0);
}

START_TEST(consumer_lies)
{
	const struct lie *lie = &lies[_i];
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct local local;
	uint32_t index;
	local_open(&local);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS)), 0);
	}
	lane_lie(local.link, lie, producer.link->next - PRODUCER_BUFFERS);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		int r = fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index,
					  NULL);
		ck_assert_msg(r == 0, "%s: %s", lie->name, fbk_error_detail());
	}
	ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_OFFERED);
	ck_assert_int_eq(info.error, -EPROTO);
	ck_assert_msg(strstr(info.cause, lie->cause) != NULL, "%s", info.cause);
	struct fbk_frame *frame;
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), -EPIPE);
	local_close(&local);
}
END_TEST

/* The same by a producer. Frames 0 and 1 are taken and held. */
static const struct offer_lie {
	const char *name;
	struct lane_frame frame;
	int result; /* of fbk_link_next() */
} offer_lies[] = {
	{ "a buffer that is not there", { .index = 7 }, -EPIPE },
	{ "a timeline that it does not show",
	  { .index = 2, .timeline = 2, .incarnation = 1, .value = 1 },
	  -ETIMEDOUT }, /* it may come to show it */
	{ "a number that there can't be", { .index = 2, .timeline = 65, .value = 1 }, -EPIPE },
	{ "a point that there can't be",
	  { .index = 2, .timeline = 1, .value = UINT64_MAX },
	  -EPIPE },
	{ "a buffer of another generation", { .index = 2, .generation = 7 }, -EPIPE },
	{ "a buffer that is here", { .index = 1 }, -EPIPE },
	{ "a frame that it did not write", { .index = 64 }, -ETIMEDOUT },
	{ "an index that there can't be", { .index = 65 }, -ETIMEDOUT },
};

static void lane_offer(struct fbk_link *link, const struct offer_lie *lie)
{
	struct lane_frame frame = lie->frame;
	frame.sequence = link->next;
	frame.generation += 1;
	if (frame.index < FBK_BUFFERS_MAX) {
		claim_offer(peer_claims(&link->peer), frame.index, frame.sequence);
		lane_frame_write(&link->out.page, &frame);
	} else if (frame.index > FBK_BUFFERS_MAX) {
		_Atomic uint32_t *order =
			(_Atomic uint32_t *)(void *)(link->out.page.memory +
						     link->out.page.geometry.order);
		atomic_store(&order[frame.sequence % link->out.page.geometry.order_length],
			     UINT32_MAX);
	}
	ck_assert_int_eq(fbk_timeline_signal(link->out.timeline, frame.sequence), 0);
}

START_TEST(producer_lies)
{
	const struct offer_lie *lie = &offer_lies[_i];
	struct local local;
	struct fbk_frame *frames[2], *frame;
	local_open(&local);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS)), 0);
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frames[i]),
				 0);
	}
	lane_offer(producer.link, lie);
	int r = fbk_link_next(local.link, deadline_ms(200), &frame);
	ck_assert_msg(r == lie->result, "%s: %d (%s)", lie->name, r, fbk_error_detail());
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(frame_release(frames[i], 0), r == -EPIPE ? -ESTALE : 0);
	}
	local_close(&local);
}
END_TEST

/* Claim words of nonsense: frames of this link are lost, and nothing else. */
START_TEST(claims_lie)
{
	struct local local;
	struct fbk_frame *frame;
	uint32_t index;
	local_open(&local);
	ck_assert_int_eq(hand(0, deadline_ms(PATIENCE_MS)), 0);
	const struct fbk_link *end = local.link->peer.claims ? local.link : producer.link;
	memset((void *)claim_at(peer_claims(&end->peer), 0), 0xff,
	       FBK_BUFFERS_MAX * FBK_CLAIM_STRIDE);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(50), &frame), -ETIMEDOUT);
	ck_assert_int_eq(hand(1, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
	ck_assert_uint_eq(fbk_frame_index(frame), 1);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_int_eq(
		fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL), 0);
	local_close(&local);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS - 1);
}
END_TEST

/* --------------------------------------------------------------------------- for ever and ever --- */

#define ROUNDS 500

/* A consumer that comes and goes, holding frames: none is kept, none is lost. */
START_TEST(come_and_go)
{
	unsigned int fds = 0;
	uint32_t index;
	for (int round = 0; round < ROUNDS; round++) {
		struct local local;
		struct fbk_frame *frame;
		local_open(&local);
		for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
			ck_assert_int_eq(fbk_exchange_take(producer.exchange,
							   deadline_ms(PATIENCE_MS), &index, NULL),
					 0);
			ck_assert_int_eq(hand(index, deadline_ms(PATIENCE_MS)), 0);
		}
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
		local_close(&local);
		fbk_frame_unref(frame);
		if (round == 9) {
			fds = daemon_fd_count(&server);
		}
	}
	daemon_await_fds(&server, fds);
}
END_TEST

/* Which process holds each buffer, for people. A late consumer is named; one that waits for the
 * next frame is not late. */
static void nothing(void *arg, struct fbk_link *link)
{
	(void)arg;
	(void)link;
}

START_TEST(shown)
{
	struct local local;
	struct fbk_frame *frame;
	char *text;
	local_open(&local);
	for (uint32_t i = 1; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i, deadline_ms(PATIENCE_MS)), 0);
	}
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
	ck_assert_int_eq(fencectl(&server, "links", &text), 0);
	ck_assert_msg(strstr(text, "established native  native") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "3, consumer has 2 #2") != NULL, "%s", text);
	free(text);
	/* The last frame's holder is named, not the one that waits for the next: late by its
	 * deadline, for any user that asks. */
	ck_assert_int_eq(fbk_link_watch(local.link, nothing, NULL, NULL), 0);
	struct json_object *list = stuck(&server, 0);
	ck_assert_uint_eq(json_object_array_length(list), 1);
	ck_assert_str_eq(word_of(json_object_array_get_idx(list, 0), "by"), "frame");
	json_object_put(list);
	list = stuck(&server, 1000);
	ck_assert_uint_eq(json_object_array_length(list), 0);
	json_object_put(list);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_int_eq(hand(0, deadline_ms(0)), 0);
	ck_assert_int_eq(fencectl(&server, "links", &text), 0);
	ck_assert_msg(strstr(text, "3, offered 0 #3 (") != NULL, "%s", text);
	ck_assert_msg(strstr(text, " ms late)") != NULL, "%s", text);
	free(text);
	list = stuck(&server, 1000);
	ck_assert_uint_eq(json_object_array_length(list), 1);
	ck_assert_str_eq(word_of(json_object_array_get_idx(list, 0), "by"), "frame");
	json_object_put(list);
	local_close(&local);
}
END_TEST

/* Requests of a stranger, who has neither end. */
START_TEST(strangers)
{
	struct local local, stranger;
	local_open(&local);
	local_connect(&stranger, FBK_FENCE_MEMORY64);
	struct fbk_timeline *state;
	ck_assert_int_eq(fbk_timeline_open(stranger.context, offer, &state), 0);
	struct fbk_link fake = { .context = stranger.context, .state = state };
	struct lane_point *point;
	expect_error(link_show(&fake, 1, 1, state), -EPIPE, "not accepted");
	expect_error(link_point_of(&fake, 1, 1, &point), -EPIPE, "not accepted");
	link_give_up(&fake, -EIO, "because I say so");
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
	fbk_disconnect(stranger.context);
	local_close(&local);
}
END_TEST

/* A wait for the link says which end keeps it from being established. */
START_TEST(waits_for_what)
{
	struct local local;
	struct fbk_link *from, *to;
	struct fbk_exchange *exchange;
	int own;
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &own, &from) == 0);
	expect_error(fbk_link_wait(from, 0), -ETIMEDOUT, "the other end of the link did not come");
	local_connect(&local, FBK_FENCE_MEMORY64);
	EXPECT(link_accept(local.device, own, &to) == 0);
	expect_error(fbk_link_wait(from, 0), -ETIMEDOUT, "fbk_exchange_create() at this end");
	expect_error(fbk_link_wait(to, 0), -ETIMEDOUT, "the producer made no exchange");
	EXPECT(fbk_exchange_create(from, &exchange) == 0);
	EXPECT(fbk_link_wait(from, deadline_ms(PATIENCE_MS)) == 0);
	EXPECT(fbk_link_wait(to, deadline_ms(PATIENCE_MS)) == 0);
	fbk_exchange_destroy(exchange);
	fbk_disconnect(local.context);
	fbk_link_close(from);
	close(own);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, who_may_accept);
	tcase_add_test(tcase, no_route);
	tcase_add_test(tcase, wrong_end);
	tcase_add_test(tcase, device_gone);
	tcase_add_test(tcase, limited);
	tcase_add_test(tcase, bad_buffers);
	tcase_add_test(tcase, none_to_take);
	tcase_add_test(tcase, replaced_midstream);
	tcase_add_test(tcase, many_timelines);
	tcase_add_test(tcase, acquire_fails);
	ADD_LOOP(tcase, consumer_lies, lies);
	ADD_LOOP(tcase, producer_lies, offer_lies);
	tcase_add_test(tcase, claims_lie);
	tcase_add_test(tcase, come_and_go);
	tcase_add_test(tcase, shown);
	tcase_add_test(tcase, strangers);
	tcase_add_test(tcase, waits_for_what);
}

int main(void)
{
	return suite_main("link", add);
}
