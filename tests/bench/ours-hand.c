// SPDX-License-Identifier: MIT
/*
 * Hand-overs of a frame, there and back. Native: the daemon takes no part. With eventfds: the daemon exports the
 * acquire point to one eventfd and imports the release from another. Both are requested right after the frame is
 * handed over and before its device signals, so these requests are not in the figure.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ours-exchange.h"

#define PATIENCE_MS 20000

struct hand {
	struct hall hall;
	uint32_t index; /* of the buffer that the producer holds */
};

static int hand_open(const struct row *row, member_fn *fn, struct ours **ret_ours)
{
	struct ours *ours;
	int r = ours_open(row, NULL, fn, 1, &ours);
	if (r < 0) {
		return r;
	}
	struct hand *hand = ours->more = calloc(1, sizeof(*hand));
	r = hand ? hall_open(&hand->hall, &ours->party, ours->partners[0].socket, 1)
		 : bench_fail("no memory");
	if (r == 0) {
		r = hall_take(&hand->hall, &hand->index);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	ours->half.arg = hand;
	*ret_ours = ours;
	return 0;
}

static int hand_take(void *arg, uint64_t value)
{
	struct hand *hand = arg;
	(void)value;
	return hall_take(&hand->hall, &hand->index);
}

/* --------------------------------------------------------------------------------------- native -- */

static int native_hand(void *arg, uint64_t value)
{
	struct hand *hand = arg;
	(void)value;
	return hall_hand(&hand->hall, hand->index, FBK_POINT_SIGNALLED);
}

struct holder {
	struct guest guest;
	struct fbk_frame *frame;
	int acquire; /* fd of the frame's acquire point */
	int release;
};

static int native_next(void *arg, uint64_t value)
{
	struct holder *holder = arg;
	(void)value;
	return guest_next(&holder->guest, &holder->frame);
}

static int native_release(void *arg, uint64_t value)
{
	struct holder *holder = arg;
	(void)value;
	int r = fbk_frame_release(holder->frame, 0);
	fbk_frame_unref(holder->frame);
	return r < 0 ? ours_fail("giving back") : 0;
}

static int native_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct holder holder;
	struct half half = { .arg = &holder, .signal = native_release, .wait = native_next };
	int r = guest_join(&holder.guest, &ours->daemon, socket, FBK_FENCE_MEMORY64,
			   FBK_FENCE_MEMORY64);
	return r < 0 ? r : trip_follow(socket, ours->meeting, &half, ours->row->think_ns);
}

static int native_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = hand_open(row, native_partner, &ours);
	if (r == 0) {
		ours->half.signal = native_hand;
		ours->half.wait = hand_take;
		*ret_state = ours;
	}
	return r;
}

static int native_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return trip_lead(ours->partners[0].socket, ours->meeting, &ours->half, count,
			 ours->row->think_ns, true, samples);
}

const struct side ours_hand_native = { "hand, next, release, take", native_open, native_round,
				       ours_close };

/* -------------------------------------------------------------------------------- by eventfds --- */

static int turned_prepare(void *arg, uint64_t value)
{
	struct hand *hand = arg;
	struct fbk_point acquire = { hand->hall.drawn, value };
	return hall_hand(&hand->hall, hand->index, acquire);
}

static int turned_signal(void *arg, uint64_t value)
{
	struct hand *hand = arg;
	return fbk_timeline_signal(hand->hall.drawn, value) < 0 ? ours_fail("signalling") : 0;
}

static int holder_prepare(void *arg, uint64_t value)
{
	struct holder *holder = arg;
	(void)value;
	int r = guest_next(&holder->guest, &holder->frame);
	if (r < 0) {
		return r;
	}
	int acquire = fbk_frame_acquire_fd(holder->frame, FBK_DEADLINE_MAX);
	holder->acquire = acquire < 0 ? acquire : dup(acquire);
	holder->release = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int passed = holder->release < 0 ? -1 : dup(holder->release);
	if (holder->acquire < 0 || passed < 0) {
		return ours_fail("an eventfd that follows");
	}
	r = fbk_frame_release_on(holder->frame, passed);
	fbk_frame_unref(holder->frame);
	return r < 0 ? ours_fail("releasing on a fence") : 0;
}

static int holder_wait(void *arg, uint64_t value)
{
	struct holder *holder = arg;
	struct pollfd entry = { .fd = holder->acquire, .events = POLLIN };
	(void)value;
	return poll(&entry, 1, PATIENCE_MS) == 1 ? 0 : bench_fail("nothing became readable");
}

static int holder_signal(void *arg, uint64_t value)
{
	struct holder *holder = arg;
	uint64_t one = 1;
	(void)value;
	return write(holder->release, &one, sizeof(one)) == sizeof(one)
		       ? 0
		       : bench_fail("cannot write an eventfd");
}

static int holder_settle(void *arg, uint64_t value)
{
	struct holder *holder = arg;
	(void)value;
	close(holder->acquire);
	close(holder->release);
	return 0;
}

static int turned_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct holder holder;
	struct half half = { .arg = &holder,
			     .prepare = holder_prepare,
			     .wait = holder_wait,
			     .signal = holder_signal,
			     .settle = holder_settle };
	int r = guest_join(&holder.guest, &ours->daemon, socket, FBK_FENCE_EVENTFD,
			   FBK_FENCE_EVENTFD);
	return r < 0 ? r : turn_follow(socket, ours->meeting, &half, ours->row->think_ns);
}

static int turned_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = hand_open(row, turned_partner, &ours);
	if (r == 0) {
		ours->half.prepare = turned_prepare;
		ours->half.signal = turned_signal;
		ours->half.wait = hand_take;
		*ret_state = ours;
	}
	return r;
}

static int turned_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return turn_lead(ours->partners[0].socket, ours->meeting, &ours->half, count, samples);
}

const struct side ours_hand = { "memory to eventfd and back", turned_open, turned_round,
				ours_close };
