// SPDX-License-Identifier: MIT
/*
 * Frames of several buffers, there and back natively: the producer hands all of them over, and takes all of them again;
 * the consumer gives them back as they came, or the last one first.
 */
#include <stdlib.h>

#include "ours-exchange.h"

#define ORDER_BUFFERS 4

struct order {
	struct hall hall;
	uint32_t indices[ORDER_BUFFERS]; /* that the producer has */
};

static int order_take(void *arg, uint64_t value)
{
	struct order *order = arg;
	int r = 0;
	(void)value;
	for (unsigned int i = 0; r == 0 && i < ORDER_BUFFERS; i++) {
		r = hall_take(&order->hall, &order->indices[i]);
	}
	return r;
}

static int order_hand(void *arg, uint64_t value)
{
	struct order *order = arg;
	int r = 0;
	(void)value;
	for (unsigned int i = 0; r == 0 && i < ORDER_BUFFERS; i++) {
		r = hall_hand(&order->hall, order->indices[i], FBK_POINT_SIGNALLED);
	}
	return r;
}

/* ---------------------------------------------------------------------------------- the consumer -- */

struct keeper {
	struct guest guest;
	struct fbk_frame *frames[ORDER_BUFFERS];
};

static int keeper_next(void *arg, uint64_t value)
{
	struct keeper *keeper = arg;
	int r = 0;
	(void)value;
	for (unsigned int i = 0; r == 0 && i < ORDER_BUFFERS; i++) {
		r = guest_next(&keeper->guest, &keeper->frames[i]);
	}
	return r;
}

static int keeper_release(struct keeper *keeper, unsigned int i)
{
	int r = fbk_frame_release(keeper->frames[i], 0);
	fbk_frame_unref(keeper->frames[i]);
	return r < 0 ? ours_fail("giving back") : 0;
}

static int release_as_they_came(void *arg, uint64_t value)
{
	int r = 0;
	(void)value;
	for (unsigned int i = 0; r == 0 && i < ORDER_BUFFERS; i++) {
		r = keeper_release(arg, i);
	}
	return r;
}

static int release_last_first(void *arg, uint64_t value)
{
	int r = 0;
	(void)value;
	for (unsigned int i = ORDER_BUFFERS; r == 0 && i > 0; i--) {
		r = keeper_release(arg, i - 1);
	}
	return r;
}

static int keeper_run(int socket, struct ours *ours, int (*release)(void *arg, uint64_t value))
{
	struct keeper keeper;
	struct half half = { .arg = &keeper, .signal = release, .wait = keeper_next };
	int r = guest_join(&keeper.guest, &ours->daemon, socket, FBK_FENCE_MEMORY64,
			   FBK_FENCE_MEMORY64);
	return r < 0 ? r : trip_follow(socket, ours->meeting, &half, ours->row->think_ns);
}

static int in_order_partner(int socket, void *arg)
{
	return keeper_run(socket, arg, release_as_they_came);
}

static int last_first_partner(int socket, void *arg)
{
	return keeper_run(socket, arg, release_last_first);
}

/* ---------------------------------------------------------------------------------- the producer -- */

static int order_open(const struct row *row, member_fn *fn, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, fn, 1, &ours);
	if (r < 0) {
		return r;
	}
	struct order *order = ours->more = calloc(1, sizeof(*order));
	r = order ? hall_open(&order->hall, &ours->party, ours->partners[0].socket, ORDER_BUFFERS)
		  : bench_fail("no memory");
	if (r == 0) {
		r = order_take(order, 0);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	ours->half.arg = order;
	ours->half.signal = order_hand;
	ours->half.wait = order_take;
	*ret_state = ours;
	return 0;
}

static int in_order_open(const struct row *row, void **ret_state)
{
	return order_open(row, in_order_partner, ret_state);
}

static int last_first_open(const struct row *row, void **ret_state)
{
	return order_open(row, last_first_partner, ret_state);
}

static int order_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return trip_lead(ours->partners[0].socket, ours->meeting, &ours->half, count,
			 ours->row->think_ns, true, samples);
}

const struct side ours_in_order = { "as they came", in_order_open, order_round, ours_close };
const struct side ours_last_first = { "the last one first", last_first_open, order_round,
				      ours_close };
