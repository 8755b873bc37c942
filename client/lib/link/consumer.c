// SPDX-License-Identifier: MIT
#include "consumer.h"

#include <errno.h>

#include "awaited.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "client/lib/watch-arm.h"
#include "exchange-buffer.h"
#include "exchange.h"
#include "link-point.h"
#include "release-line.h"

/* ------------------------------------------------------------------------------------ what comes back -- */

static void sent_finish(struct link_producer *half, struct link_sent *sent)
{
	watch_end(half->link->context, &sent->watch);
	lane_point_unref(half->link->context, sent->release);
	sent->release = NULL;
	half->acked &= ~index_bit(sent->index);
	half->out &= ~index_bit(sent->index);
	half->held &= ~index_bit(sent->index);
}

void consumer_let_go(struct link_producer *half, uint32_t index)
{
	sent_finish(half, &half->sent[index]);
}

static int return_check(const struct lane_return *back)
{
	bool good = back->kind <= FBK_RELEASE_BROKERED && back->result <= 0 &&
		    back->result >= -4095 &&
		    (back->kind == FBK_RELEASE_REACHED ||
		     (back->value > 0 && back->value <= FBK_POINT_MAX));
	return good ? 0 : -EPROTO;
}

/* The consumer gave it back. */
static int consumer_ack(struct fbk_link *link, struct link_sent *sent)
{
	struct link_producer *half = link->producer;
	struct lane_return back;
	if (!lane_return_read(&link->peer.page, sent->index, sent->sequence, &back) ||
	    return_check(&back) < 0) {
		return error_set(-EPROTO, "its release of buffer %u, frame %llu, is invalid",
				 sent->index, (unsigned long long)sent->sequence);
	}
	if (back.kind != FBK_RELEASE_REACHED) {
		int r = link_point_of(link, release_number(sent->index, back.kind),
				      back.incarnation, &sent->release);
		if (r < 0) {
			return r;
		}
	}
	sent->release_value = back.value;
	sent->result = error_foreign(back.result);
	half->out &= ~index_bit(sent->index);
	half->acked |= index_bit(sent->index);
	if (sent->sequence > half->passed) {
		half->passed = sent->sequence;
	}
	buffer_acked(half->exchange, sent->index);
	return 0;
}

/* Its release point. */
static int sent_check(const struct link_sent *sent)
{
	return sent->release ? point_look((struct fbk_point){ sent->release->timeline,
							      sent->release_value })
			     : 0;
}

/* It is decided: whatever it came to frees this buffer alone. */
static void consumer_decide(struct link_producer *half, struct link_sent *sent)
{
	int r = sent->result ? sent->result : sent_check(sent);
	sent_finish(half, sent);
	buffer_returned(half->exchange, sent->index, r);
}

/* Of what is found back at one look, the oldest comes first. */
static uint32_t sent_oldest(const struct link_producer *half, uint64_t mask)
{
	uint32_t index, oldest = (uint32_t)__builtin_ctzll(mask);
	FOREACH_INDEX(index, mask & (mask - 1)) {
		if (half->sent[index].sequence < half->sent[oldest].sequence) {
			oldest = index;
		}
	}
	return oldest;
}

static int return_unknown(uint32_t index, uint64_t sequence)
{
	return error_set(-EPROTO, "it gave back buffer %u as frame %llu, which it does not have",
			 index, (unsigned long long)sequence);
}

/* Of buffers that are not out, what its table says is old. */
static int consumer_check_rest(const struct fbk_link *link)
{
	const struct link_producer *half = link->producer;
	uint32_t index;
	FOREACH_INDEX(index, ~half->out) {
		uint64_t returned = lane_returned(&link->peer.page, index);
		if (returned >= half->from && returned > half->sent[index].sequence) {
			return return_unknown(index, returned);
		}
	}
	return 0;
}

/* The consumer's table, of what it has. */
static int consumer_read(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	uint64_t back = 0;
	uint32_t index;
	int r = 0;
	FOREACH_INDEX(index, half->out) {
		/* read once: what it is compared with is ours */
		uint64_t returned = lane_returned(&link->peer.page, index);
		if (returned > half->sent[index].sequence) {
			return return_unknown(index, returned);
		}
		back |= returned == half->sent[index].sequence ? index_bit(index) : 0;
	}
	if (!back) { /* its lane was raised for something else */
		r = consumer_check_rest(link);
	}
	while (back) {
		index = sent_oldest(half, back);
		back &= ~index_bit(index);
		int one = consumer_ack(link, &half->sent[index]);
		r = r < 0 ? r : one;
	}
	return r;
}

static void consumer_decide_all(struct link_producer *half)
{
	uint64_t decided = 0;
	uint32_t index;
	FOREACH_INDEX(index, half->acked) {
		decided |= sent_check(&half->sent[index]) != -EAGAIN ? index_bit(index) : 0;
	}
	while (decided) {
		index = sent_oldest(half, decided);
		decided &= ~index_bit(index);
		consumer_decide(half, &half->sent[index]);
	}
}

/* It is over without a return: its own device may still draw it. */
static void sent_lose(struct link_producer *half, struct link_sent *sent)
{
	if (!(half->acked & index_bit(sent->index))) {
		buffer_acked(half->exchange, sent->index);
	}
	sent_finish(half, sent);
	half->exchange->buffers[sent->index].retracted = true;
	buffer_returned(half->exchange, sent->index, sent->result ? sent->result : sent->lost);
}

/* Of a consumer that is gone: what it does not use any more, by the daemon. */
static void consumer_settle_held(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	uint32_t index;
	FOREACH_INDEX(index, half->held & ~link->held) {
		sent_lose(half, &half->sent[index]);
	}
}

void consumer_lost(struct fbk_link *link, int error)
{
	struct link_producer *half = link->producer;
	uint32_t index;
	watch_end(link->context, &half->watch);
	if (!half->exchange) {
		return; /* it never had anything */
	}
	if (link->peer.self) {
		consumer_read(link);
	}
	consumer_decide_all(half);
	FOREACH_INDEX(index, (half->out | half->acked) & ~half->held) {
		half->sent[index].lost = error;
	}
	half->held |= half->out | half->acked;
	consumer_settle_held(link);
	half->out = 0;
	half->passed = 0;
	half->seen = 0;
	half->discont = false;
}

/* Take over what its table says. 0; -EPIPE: it is not its consumer any more; -ECANCELED: the rest at the next look. */
static int consumer_look(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	/* acquire, in it: the table as it was when that was said. Whoever waits does so for the next. */
	uint64_t value = fbk_timeline_value(peer_lane(&link->peer));
	int r = value != half->seen ? consumer_read(link) : 0;
	if (value > LANE_VALUE_MAX) {
		r = error_set(-EPROTO,
			      "its count of releases is %llu, further than a consumer comes",
			      (unsigned long long)value);
	}
	if (r == -ECANCELED) {
		return r;
	}
	half->seen = value;
	if (r == -EPROTO) {
		link_break(link, r, fbk_error_detail());
	} else if (r == -ENOENT || r == -ESTALE || r == -EBADF) {
		link_break(link, -EPROTO,
			   "it releases a buffer by a timeline that it does not show");
	} else if (r < 0 && r != -ENOTCONN) {
		/* Without its release point the buffer may never be free. */
		link_break(link, r, "the producer can't open its release point");
	}
	return r == 0 ? 0 : -EPIPE;
}

int consumer_collect(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	int looked = link->peer.self ? consumer_look(link) : -EPIPE;
	if (looked == 0) {
		struct fbk_point next = { peer_lane(&link->peer), half->seen + 1 };
		int r = point_look(next);
		if (r < 0 && r != -EAGAIN && r != -ENOTCONN) {
			/* The link changed before that, unless the lane alone was closed. */
			link_break(link, r, "its count of releases failed");
		}
	}
	consumer_decide_all(half);
	consumer_settle_held(link);
	return looked == -ECANCELED ? looked : 0;
}

void consumer_await(struct fbk_link *link, bool early, struct awaited *awaited)
{
	struct link_producer *half = link->producer;
	uint32_t index;
	if (link->peer.self) {
		awaited_add_lane(awaited, link, link->peer.self, half->seen + 1);
	}
	if (early) {
		return;
	}
	FOREACH_INDEX(index, half->acked) {
		struct link_sent *sent = &half->sent[index];
		awaited_add_lane(awaited, link, sent->release, sent->release_value);
	}
}

/* ---------------------------------------------------------------------------------------- what goes -- */

static bool sent_offered(const struct fbk_link *link, uint32_t index)
{
	return claim_of(peer_claims(&link->peer), index, link->producer->sent[index].sequence) ==
	       FBK_CLAIM_OFFERED;
}

/* It has as many frames that it did not take as it may. */
static bool consumer_at_depth(const struct fbk_link *link)
{
	const struct link_producer *half = link->producer;
	uint32_t index, offered = 0;
	if (half->depth == 0) {
		return false;
	}
	FOREACH_INDEX(index, half->out) {
		offered += sent_offered(link, index);
	}
	return offered >= half->depth;
}

bool consumer_is_full(struct fbk_link *link)
{
	return !link->producer->skips && link_open(link) && consumer_at_depth(link);
}

static uint32_t consumer_pauses(const struct fbk_link *link)
{
	return lane_wishes_read(&link->peer.page).pauses;
}

static void consumer_see_pauses(struct fbk_link *link, uint32_t pauses)
{
	struct link_producer *half = link->producer;
	half->discont |= pauses != half->pauses;
	half->pauses = pauses;
}

bool consumer_wants(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	uint32_t pauses = consumer_pauses(link);
	consumer_see_pauses(link, pauses);
	return !(pauses & 1) && !(half->skips && consumer_at_depth(link));
}

void consumer_skip(struct fbk_link *link, const struct lane_frame *frame)
{
	link->producer->discont = true;
	damage_add(&link->producer->missed, frame);
}

/* `taken`: the newest frame that the consumer took, with the damage of those before it. */
static void sent_retract(struct fbk_link *link, uint32_t index, uint64_t taken)
{
	struct link_producer *half = link->producer;
	struct link_sent *sent = &half->sent[index];
	if (claim_retract(peer_claims(&link->peer), index, sent->sequence)) {
		struct lane_frame frame;
		if (sent->sequence > taken &&
		    lane_frame_read(&link->out.page, index, sent->sequence, &frame)) {
			damage_add(&half->missed, &frame);
		}
		sent_finish(half, sent);
		buffer_acked(half->exchange, index);
		buffer_retracted(half->exchange, index);
	}
}

void consumer_abandon(struct fbk_link *link, uint32_t index)
{
	struct link_producer *half = link->producer;
	struct link_sent *sent = &half->sent[index];
	if (half->out & index_bit(index)) {
		claim_abandon(peer_claims(&link->peer), index, sent->sequence);
	}
	if ((half->out | half->acked | half->held) & index_bit(index)) {
		sent_finish(half, sent);
	}
	link->held &= ~index_bit(index); /* the daemon drops it with the buffer */
	link->info.held = (uint32_t)__builtin_popcountll(link->held);
}

/* The newest frame that the consumer took. */
static uint64_t consumer_taken(const struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	uint64_t taken = half->passed;
	uint32_t index;
	FOREACH_INDEX(index, half->out) {
		uint64_t sequence = half->sent[index].sequence;
		taken = sequence > taken && !sent_offered(link, index) ? sequence : taken;
	}
	return taken;
}

/* Of a mailbox: that, or a newer one that is reached, so that the older ones need not be taken. One that failed
 * displaces none. */
static uint64_t consumer_newest(const struct fbk_link *link, uint64_t taken)
{
	struct link_producer *half = link->producer;
	uint64_t newest = taken;
	uint32_t index;
	FOREACH_INDEX(index, half->out) {
		uint64_t sequence = half->sent[index].sequence;
		if (sequence > newest && buffer_drawn(half->exchange, index) == 0) {
			newest = sequence;
		}
	}
	return newest;
}

void consumer_retract(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	uint32_t index;
	if (!half->out || !link->peer.self) {
		return;
	}
	struct lane_wishes wishes = lane_wishes_read(&link->peer.page);
	bool paused = wishes.pauses & 1;
	if (!paused && wishes.delivery != FBK_DELIVERY_MAILBOX) {
		return;
	}
	uint64_t taken = consumer_taken(link);
	uint64_t below = paused ? UINT64_MAX : consumer_newest(link, taken);
	if (paused) {
		consumer_see_pauses(link, wishes.pauses);
	}
	FOREACH_INDEX(index, half->out) {
		if (half->sent[index].sequence < below) {
			sent_retract(link, index, taken);
		}
	}
}

/* ------------------------------------------------------------------------------------------- numbers -- */

static bool number_in_use(const struct link_producer *half, uint32_t number)
{
	uint32_t index;
	FOREACH_INDEX(index, half->out) {
		if (half->sent[index].number == number) {
			return true;
		}
	}
	return false;
}

/* 64 numbers and at most 63 other buffers that are out: there is always one. */
static uint32_t number_choose(const struct link_producer *half)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i <= FBK_LANE_ACQUIRES; i++) {
		if ((best == 0 || half->numbers[i].used < half->numbers[best].used) &&
		    !number_in_use(half, i)) {
			best = i;
		}
	}
	return best;
}

/* What the daemon would refuse, and nobody would hear. */
static int timeline_may_show(const struct fbk_link *link, const struct fbk_timeline *timeline)
{
	if (timeline->context != link->context) {
		return error_set(-EINVAL, "timeline %s belongs to another context than the link",
				 timeline->name);
	}
	if (!(timeline->rights & FBK_RIGHT_WAIT)) {
		return error_set(-EPERM, "this process has no right to wait for timeline %s",
				 timeline->name);
	}
	return 0;
}

/* The number of a timeline of ours for the peer; 0 of none. Negative: an error. */
static int number_of(struct fbk_link *link, const struct fbk_timeline *timeline)
{
	struct link_producer *half = link->producer;
	if (!timeline) {
		return 0;
	}
	for (uint32_t i = 1; i <= FBK_LANE_ACQUIRES; i++) {
		if (half->numbers[i].id == timeline->id) {
			return (int)i;
		}
	}
	int r = timeline_may_show(link, timeline);
	if (r < 0) {
		return r;
	}
	uint32_t number = number_choose(half);
	struct link_number *entry = &half->numbers[number];
	r = link_show(link, number, entry->incarnation + 1, timeline);
	if (r < 0) {
		return r;
	}
	*entry = (struct link_number){ timeline->id, entry->incarnation + 1, link->next };
	return (int)number;
}

int consumer_may_hand(struct fbk_link *link, struct fbk_point acquire)
{
	int number = number_of(link, acquire.timeline);
	return number < 0 ? number : 0;
}

int consumer_hand(struct fbk_link *link, struct lane_frame *frame, struct fbk_point acquire)
{
	struct link_producer *half = link->producer;
	int number = number_of(link, acquire.timeline);
	if (number < 0) {
		return number;
	}
	struct link_number *entry = &half->numbers[number];
	struct lane_frame own = *frame;
	entry->used = link->next;
	own.sequence = link->next;
	own.timeline = (uint32_t)number;
	own.value = number ? acquire.value : 0;
	own.incarnation = number ? entry->incarnation : 0;
	own.flags |= half->discont ? FBK_FRAME_DISCONT : 0;
	own.parts |= half->depth > 0 && !half->skips ? FBK_PART_NOTIFY : 0;
	if (half->missed.all || half->missed.count > 0) {
		damage_add(&half->missed, &own);
		damage_write(&half->missed, &own);
	}
	claim_offer(peer_claims(&link->peer), own.index, own.sequence);
	lane_frame_write(&link->out.page, &own);
	int r = fbk_timeline_signal(link->out.timeline, own.sequence);
	if (r < 0) {
		return r;
	}
	half->sent[own.index] = (struct link_sent){
		.half = half,
		.sequence = own.sequence,
		.number = own.timeline,
		.index = own.index,
	};
	half->out |= index_bit(own.index);
	half->discont = false;
	half->missed.all = false;
	half->missed.count = 0;
	link->next++;
	return 0;
}
