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
static struct fbk_link *link_end;

static void setup(void)
{
	int offer;
	daemon_serve(&server, NULL);
	client_open(&observer, &server);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	consumer = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(consumer, "consumer", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	EXPECT(link_accept(device, offer, &link_end) == 0);
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
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	struct fbk_frame *frame;
	struct fbk_point acquire = { producer.timeline, ++producer.frame };
	uint32_t index;
	size_t count;
	int r = fbk_exchange_take_early(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL,
					releases, &count);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	r = fbk_exchange_hand(producer.exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
			      NULL, NULL);
	ck_assert_msg(r > 0, "handing over: %s", fbk_error_detail());
	r = fbk_link_next(link_end, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	return frame;
}

static struct fbk_point pass_back(struct fbk_frame *frame)
{
	struct fbk_point release;
	EXPECT(frame_release_later(frame, &release) == 0);
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
	struct fbk_frame *last = pass(); /* in the first one's buffer */
	drawn[PRODUCER_BUFFERS] = fbk_frame_acquire(last);
	ck_assert_int_eq(fbk_point_depends(releases[0], drawn[PRODUCER_BUFFERS]), -EDEADLK);
	ck_assert_str_eq(fbk_error_detail(),
			 "released-0.1 waits for drawn.4, which waits for released-0.1");
	ck_assert_uint_eq(client_counter(&observer, "cycles_refused"), 1);
	/* A search adds nothing to the graph. */
	ck_assert_uint_eq(client_usage(&observer, getuid(), "dependencies"), PRODUCER_BUFFERS - 1);

	/* Released without a fence: no cycle. */
	EXPECT(fbk_point_signal((struct fbk_point){ producer.timeline, PRODUCER_BUFFERS }) == 0);
	EXPECT(fbk_point_signal(releases[0]) == 0);
	ck_assert_int_eq(fbk_point_depends(releases[1], drawn[PRODUCER_BUFFERS]), 0);
	fbk_frame_unref(last);
}
END_TEST

/* ------------------------------------------------------------------------------------ liars ---- */

/* Frames and returns alike. */
static const struct lie {
	uint32_t timeline, kind, index;
	uint64_t value;
} lies[] = {
	{ 1, FBK_RELEASE_MEMORY, 0, 1 },
	{ 1, FBK_RELEASE_BROKERED, 0, 1 },
	{ 1, FBK_RELEASE_MEMORY, 1, FBK_POINT_MAX },
	{ 1, FBK_RELEASE_MEMORY, 0, UINT64_MAX },
	{ 1, FBK_RELEASE_MEMORY, 0, 0 },
	{ 2, 3, 0, 1 },
	{ FBK_LANE_POINTS, FBK_RELEASE_MEMORY, FBK_BUFFERS_MAX - 1, 1 },
	{ FBK_LANE_POINTS + 1, UINT32_MAX, 0, 1 },
	{ UINT32_MAX, UINT32_MAX, 0, 1 },
};

static void lane_lie(struct fbk_link *link, const struct lie *lie)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		uint64_t sequence = FBK_POINT_MAX - i;
		if (link->role == FBK_ROLE_PRODUCER) {
			struct lane_frame frame = { .sequence = sequence,
						    .index = i,
						    .timeline = lie->timeline,
						    .value = lie->value };
			claim_offer(peer_claims(&link->peer), i, sequence);
			lane_frame_write(&link->out.page, &frame);
		} else {
			struct lane_return back = { .sequence = sequence - lie->index,
						    .index = i,
						    .kind = lie->kind,
						    .value = lie->value };
			lane_taken_write(&link->out.page, i, sequence);
			lane_return_write(&link->out.page, &back);
		}
	}
}

/* Both lanes are full of nonsense: the daemon derives no false waits of other clients from it. */
START_TEST(nonsense_in_lanes)
{
	struct fbk_frame *frame = pass();
	struct fbk_timeline *drawn = fbk_frame_acquire(frame).timeline;
	struct fbk_timeline *own = peer_timeline(producer.device, "own", 0);
	struct fbk_timeline *next = peer_timeline(producer.device, "next", 0);
	struct fbk_timeline *done = pass_back(frame).timeline;
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
