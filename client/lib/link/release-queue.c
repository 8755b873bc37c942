// SPDX-License-Identifier: MIT
#include "release-queue.h"

#include <errno.h>
#include <unistd.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/watch-arm.h"
#include "link.h"
#include "proto/index-mask.h"

static struct queued_release *queue_at(struct release_queue *queue, uint32_t place)
{
	return &queue->entries[(queue->first + place) % RELEASES_MAX];
}

static void queue_put(struct release_queue *queue, const struct queued_release *release)
{
	*queue_at(queue, queue->count++) = *release;
	queue->indices |= index_bit(release->back.index);
}

/* The first; without its fence where that was closed. */
static void queue_pop(struct release_queue *queue)
{
	const struct queued_release *release = queue_at(queue, 0);
	if (release->fence >= 0) {
		close(release->fence);
	}
	queue->indices &= ~index_bit(release->back.index);
	queue->first = (queue->first + 1) % RELEASES_MAX;
	queue->count--;
}

/* The packet: -EAGAIN if there is no room. Refused, it fails the timeline, and with it the point: so the frame is never
 * lost, and nobody looks for the reply. */
static int release_put(const struct fbk_link *link, const struct queued_release *release)
{
	REQUEST(request, POINT_SIGNAL_ON, point_signal_on, .handle = release->handle,
		.value = release->back.value, .quiet = true);
	return request_try(link->context, &request, &release->fence, 1);
}

static int release_say(struct fbk_link *link, const struct queued_release *release)
{
	int r = lane_give_back(&link->out, &release->back);
	link_wind_down(link);
	return r;
}

static void room_found(void *arg, struct fbk_point point, int result)
{
	struct release_queue *queue = arg;
	struct fbk_link *link = queue->link;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	release_flush(queue);
	pthread_mutex_unlock(link->lock);
}

/* Programs that dispatch need no other call to go on; no memory: with the next call. */
static void release_watch(struct release_queue *queue)
{
	struct fbk_context *context = queue->link->context;
	if (queue->count > 0 && !watch_pending(context, queue->watch)) {
		watch_room(context, room_found, queue, &queue->watch);
	}
}

void release_flush(struct release_queue *queue)
{
	struct fbk_link *link = queue->link;
	int r = 0;
	if (queue->count == 0) {
		return;
	}
	while (queue->count > 0 && r == 0) {
		struct queued_release release = *queue_at(queue, 0);
		r = release_put(link, &release);
		if (r == 0) {
			queue_pop(queue);
			release_say(link, &release);
		}
	}
	release_watch(queue);
}

/* Without room it is put behind those that wait. */
static int release_send_or_queue(struct release_queue *queue, const struct queued_release *release)
{
	struct fbk_link *link = queue->link;
	release_flush(queue);
	int r = queue->count > 0 ? -EAGAIN : release_put(link, release);
	if (r == 0) {
		close(release->fence);
		return release_say(link, release);
	}
	if (r == -EAGAIN && queue->count < RELEASES_MAX) {
		queue_put(queue, release);
		release_watch(queue);
		return 0;
	}
	close(release->fence);
	return r == -EAGAIN
		       ? error_set(r, "%d release fences wait to be sent: the daemon takes none",
				   RELEASES_MAX)
		       : error_plain(r);
}

int release_send(struct release_queue *queue, uint32_t handle, const struct lane_return *back,
		 int fence)
{
	const struct fbk_link *link = queue->link;
	const struct queued_release release = { *back, handle, fence };
	int r = context_check(link->context);
	if (r == 0 && context_lost(link->context)) {
		r = error_set(-ENOTCONN, "the daemon is gone");
	}
	if (r < 0) {
		close(fence);
		return r;
	}
	return release_send_or_queue(queue, &release);
}

void release_flush_all(struct release_queue *queue)
{
	const struct fbk_link *link = queue->link;
	int r = 0;
	while (queue->count > 0 && r == 0) {
		struct queued_release release = *queue_at(queue, 0);
		REQUEST(request, POINT_SIGNAL_ON, point_signal_on, .handle = release.handle,
			.value = release.back.value);
		r = request_do_fds(link->context, &request, &release.fence, 1);
		if (r == 0) {
			queue_pop(queue);
			lane_give_back(&link->out, &release.back);
		}
	}
}

void release_drop_all(struct release_queue *queue)
{
	while (queue->count > 0) {
		queue_pop(queue);
	}
	if (queue->link->context) {
		watch_end(queue->link->context, &queue->watch);
	}
}

void release_drop(struct release_queue *queue, uint32_t index)
{
	for (uint32_t left = release_is_queued(queue, index) ? queue->count : 0; left > 0; left--) {
		struct queued_release release = *queue_at(queue, 0);
		queue_at(queue, 0)->fence = release.back.index == index ? release.fence : -1;
		queue_pop(queue);
		if (release.back.index != index) {
			queue_put(queue, &release);
		}
	}
}
