// SPDX-License-Identifier: MIT
/* Cycles over a hand-over: declared waits, and waits that only the lanes show. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/link/link.h"
#include "client/lib/timeline.h"
#include "lib-exchange.h"
#include "lib-wire.h"

static struct daemon server;
static struct client observer;
static struct producer producer;
static struct fbk_context *consumer;
static struct fbk_timeline *done; /* the consumer's */
static struct fbk_link *link_end;

static void setup(void)
{
	int offer;
	daemon_serve(&server, NULL);
	client_open(&observer, &server);
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer);
	consumer = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(consumer, "consumer", FBK_MEMORY64, FBK_MEMORY64);
	done = peer_timeline(device, "done", 0);
	EXPECT(fbk_link_accept(device, offer, &link_end) == 0);
	close(offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
}

static void teardown(void)
{
	fbk_disconnect(consumer);
	producer_close(&producer);
	client_close(&observer);
	daemon_stop(&server);
}

/* A device that waits for releases by itself takes a buffer and hands it over; it draws at the next
 * point. */
static struct fbk_frame *pass(void)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX];
	struct fbk_frame *frame;
	struct fbk_point acquire = { producer.timeline, ++producer.frame };
	uint32_t index;
	size_t count;
	int r = fbk_exchange_take_early(producer.exchange, deadline_ms(PATIENCE_MS), &index,
					releases, &count);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	r = fbk_exchange_hand(producer.exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
			      NULL);
	ck_assert_msg(r == 0, "handing over: %s", fbk_error_detail());
	r = fbk_link_next(link_end, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	return frame;
}

static struct fbk_point pass_back(struct fbk_frame *frame)
{
	struct fbk_point release = { done, fbk_frame_acquire(frame).value };
	EXPECT(fbk_frame_release_at(frame, release) == 0);
	return release;
}

/* A display that shows each picture until the next one comes, with too few buffers for that. */
START_TEST(shown_until_the_next)
{
	struct fbk_point drawn[PRODUCER_BUFFERS + 1], releases[PRODUCER_BUFFERS];
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		struct fbk_frame *frame = pass();
		drawn[i] = fbk_frame_acquire(frame);
		releases[i] = pass_back(frame);
	}
	/* With enough buffers it shows one while the next is drawn. */
	for (int i = 0; i + 1 < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(fbk_point_depends(releases[i], drawn[i + 1]), 0);
	}
	drawn[PRODUCER_BUFFERS] = fbk_frame_acquire(pass()); /* in the first one's buffer */
	ck_assert_int_eq(fbk_point_depends(releases[0], drawn[PRODUCER_BUFFERS]), -EDEADLK);
	ck_assert_str_eq(fbk_error_detail(), "done.1 waits for drawn.4, which waits for done.1");
	ck_assert_uint_eq(client_counter(&observer, "cycles_refused"), 1);
	/* A search adds nothing to the graph. */
	ck_assert_uint_eq(client_usage(&observer, getuid(), "edges"), PRODUCER_BUFFERS - 1);

	/* Released without a fence: no cycle. */
	EXPECT(fbk_point_signal((struct fbk_point){ producer.timeline, PRODUCER_BUFFERS }) == 0);
	EXPECT(fbk_point_signal(releases[0]) == 0);
	ck_assert_int_eq(fbk_point_depends(releases[1], drawn[PRODUCER_BUFFERS]), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ liars ---- */

static const struct lane_entry lies[] = {
	{ .timeline = 1, .value = 1 },
	{ .timeline = 1, .value = FBK_POINT_MAX, .index = 1 },
	{ .timeline = 1, .value = UINT64_MAX },
	{ .timeline = 1, .value = 0 },
	{ .timeline = 1, .value = 1, .index = FBK_BUFFERS_MAX },
	{ .timeline = 1, .value = 1, .index = UINT32_MAX },
	{ .timeline = 2, .value = 1 },
	{ .timeline = FBK_LANE_POINTS, .value = 1 },
	{ .timeline = FBK_LANE_POINTS + 1, .value = 1 },
	{ .timeline = UINT32_MAX, .value = 1 },
};

static void lane_lie(struct fbk_link *link, const struct lane_entry *lie)
{
	struct fbk_ring_entry *entries =
		fbk_ring_entry_at(link->out.timeline->payload_map->memory, 0);
	for (uint64_t i = 0; i < FBK_RING_SIZE; i++) {
		uint64_t frame = FBK_POINT_MAX - i;
		struct fbk_ring_entry *entry = &entries[frame % FBK_RING_SIZE];
		atomic_store(&entry->sequence, frame);
		atomic_store(&entry->timeline, lie->timeline);
		atomic_store(&entry->value, lie->value);
		atomic_store(&entry->index, lie->index);
	}
}

/* Both lanes are full of nonsense: the daemon derives no false waits of other clients from it. */
START_TEST(nonsense_in_lanes)
{
	struct fbk_frame *frame = pass();
	struct fbk_timeline *drawn = fbk_frame_acquire(frame).timeline;
	struct fbk_timeline *own = peer_timeline(producer.device, "own", 0);
	struct fbk_timeline *next = peer_timeline(producer.device, "next", 0);
	pass_back(frame);
	EXPECT(fbk_timeline_signal(link_end->out.timeline, FBK_POINT_MAX) == 0);
	EXPECT(fbk_timeline_signal(producer.link->out.timeline, FBK_POINT_MAX) == 0);
	for (uint64_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		for (uint64_t j = 0; j < sizeof(lies) / sizeof(lies[0]); j++) {
			lane_lie(link_end, &lies[i]);
			lane_lie(producer.link, &lies[j]);
			struct fbk_point point = { own, 1 + i }, on = { next, 1 + j };
			ck_assert_int_eq(fbk_point_depends(point, on), 0);
			/* The consumer lies about its own timeline, so a cycle on that is
			 * possible. */
			int r = fbk_point_depends((struct fbk_point){ done, 1 + i },
						  (struct fbk_point){ drawn, 1 + j });
			ck_assert_msg(r == 0 || r == -EDEADLK, "%d", r);
		}
	}
	client_ping(&observer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, shown_until_the_next);
	tcase_add_test(tcase, nonsense_in_lanes);
}

int main(void)
{
	return suite_main("depend link", add);
}
