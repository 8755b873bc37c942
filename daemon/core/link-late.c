// SPDX-License-Identifier: MIT
#include "link-late.h"

#include "daemon/base/clock.h"
#include "link-table.h"
#include "link-wait.h"

/* ----------------------------------------------------------------------------------- its pace -- */

/* A frame of this pairing, with a time that can be. */
static bool frame_of(const struct link *link, uint32_t index, uint64_t now_ns,
		     struct lane_frame *ret_frame)
{
	return link_last_frame(link, index, ret_frame) && ret_frame->sequence >= link->from &&
	       ret_frame->handed_ns >= link->registry->started_ns && ret_frame->handed_ns <= now_ns;
}

struct link_pace link_pace(const struct link *link)
{
	struct link_pace pace = { 0 };
	struct lane_frame frame, first = { 0 }, last = { 0 };
	uint64_t now_ns = clock_now_ns();
	for (uint32_t index = 0; index < FBK_BUFFERS_MAX; index++) {
		if (!frame_of(link, index, now_ns, &frame)) {
			continue;
		}
		first = first.sequence == 0 || frame.sequence < first.sequence ? frame : first;
		last = frame.sequence > last.sequence ? frame : last;
	}
	pace.last_ns = last.handed_ns;
	if (last.sequence > first.sequence && last.handed_ns > first.handed_ns) {
		pace.every_ns =
			(last.handed_ns - first.handed_ns) / (last.sequence - first.sequence);
	}
	return pace;
}

static bool link_is_late(const struct link *link)
{
	struct link_pace pace = link_pace(link);
	uint64_t silent_ns = clock_now_ns() - pace.last_ns;
	return pace.every_ns > 0 && silent_ns >= LINK_LATE_MIN_NS &&
	       silent_ns / LINK_LATE_FACTOR > pace.every_ns;
}

bool link_producer_late(const struct link *link)
{
	return link_is_late(link) && link_wants_frames(link);
}

bool link_consumer_late(const struct link *link)
{
	return link_is_late(link) && link_is_full(link);
}

/* ------------------------------------------------------------------- what its producer waits for -- */

bool link_is_full(const struct link *link)
{
	bool any = false;
	for (uint32_t index = 0; index < FBK_BUFFERS_MAX; index++) {
		struct link_place_of place;
		struct graph_point point;
		if (link->buffers[index].fd_count == 0) {
			continue;
		}
		if (!link_place(link, index, &place) ||
		    (place.place == LINK_AT_PRODUCER &&
		     !link_release_pending(link, index, &point))) {
			return false;
		}
		any = true;
	}
	return any;
}

/* For the consumer's next word, which may give a frame back. */
static struct wait wait_for_return(const struct link *link, const struct client *producer)
{
	struct wait wait = { .way = WAIT_FRAME, .waiter = producer, .uid = producer->subject.uid };
	uint64_t now = clock_now_ns(), sequence;
	wait.timeline = link_frame(link, &sequence, &wait.deadline_ns);
	if (wait.timeline) {
		wait.value = lane_value(wait.timeline) + 1;
		wait.since_ns = wait.deadline_ns < now ? wait.deadline_ns : now;
	}
	return wait;
}

/* For the first release point of a buffer that was given back. */
static struct wait wait_for_release(const struct link *link, const struct client *producer)
{
	struct wait wait = { .way = WAIT_FRAME, .waiter = producer, .uid = producer->subject.uid };
	struct graph_point point;
	for (uint32_t index = 0; index < FBK_BUFFERS_MAX; index++) {
		if (link->buffers[index].fd_count > 0 &&
		    link_release_pending(link, index, &point)) {
			wait.timeline = point.timeline;
			wait.value = point.value;
			break;
		}
	}
	return wait;
}

/* A frame has no arm. The wait counts from the frame's deadline; of a link that is full, from the last hand-over. */
struct wait link_wait(const struct handle *handle)
{
	const struct link *link = link_of(handle);
	if (!link || link->sides[link->producer].client != handle->client) {
		return (struct wait){ .way = WAIT_FRAME, .waiter = handle->client };
	}
	bool full = link_is_full(link);
	struct wait wait = wait_for_return(link, handle->client);
	if (!wait.timeline && full) {
		wait = wait_for_release(link, handle->client);
	}
	uint64_t last_ns = full ? link_pace(link).last_ns : 0;
	if (last_ns > 0 && (wait.since_ns == 0 || last_ns < wait.since_ns)) {
		wait.since_ns = last_ns;
	}
	return wait;
}
