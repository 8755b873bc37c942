// SPDX-License-Identifier: MIT
#include "release-queue.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/error.h"
#include "client/lib/translate.h"
#include "client/lib/watch-arm.h"
#include "link.h"
#include "proto/fd.h"

/* Of the outbox, with a reference to the link. */
struct queued_release {
	struct release_queue *queue;
	struct lane_return back;
	bool dropped;
};

void release_queue_init(struct release_queue *queue, struct fbk_link *link)
{
	queue->link = link;
	pthread_mutex_init(&queue->lock, NULL);
}

void release_queue_finish(struct release_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

/* Under the queue's lock. */
static bool queue_is_empty(const struct release_queue *queue)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (queue->queued[i]) {
			return false;
		}
	}
	return true;
}

/* Its fence was sent, or never will be: then the link is over. On any thread, without a lock. */
static void release_sent(void *arg, int result)
{
	struct queued_release *release = arg;
	struct release_queue *queue = release->queue;
	struct fbk_link *link = queue->link;
	bool wake = false;
	pthread_mutex_lock(&queue->lock);
	if (!release->dropped) {
		queue->queued[release->back.index] = NULL;
		if (result == 0) {
			lane_give_back(&link->out, &release->back);
		}
		wake = queue->wanted && queue_is_empty(queue);
	}
	if (wake && result == 0) {
		queue->wanted = false;
		watch_soon(link->context, &(struct callback){ link, link_wind_down_later, link },
			   &queue->watch);
	}
	pthread_mutex_unlock(&queue->lock);
	free(release);
	link_unref(link);
}

/* It is known before it is sent, which another thread may do at once. */
static void release_put(struct release_queue *queue, struct queued_release *release)
{
	pthread_mutex_lock(&queue->lock);
	queue->queued[release->back.index] = release;
	pthread_mutex_unlock(&queue->lock);
}

static void release_take(struct release_queue *queue, const struct queued_release *release)
{
	pthread_mutex_lock(&queue->lock);
	queue->queued[release->back.index] = NULL;
	pthread_mutex_unlock(&queue->lock);
}

int release_send(struct release_queue *queue, struct fbk_timeline *timeline,
		 const struct lane_return *back, int fence)
{
	struct fbk_link *link = queue->link;
	struct queued_release *release = malloc(sizeof(*release));
	if (!release) {
		fd_close(fence);
		return error_plain(-ENOMEM);
	}
	*release = (struct queued_release){ .queue = queue, .back = *back };
	release_put(queue, release);
	link_ref(link);
	int r = signal_on(
		(struct fbk_point){ timeline, back->value },
		&(struct packet){
			.fds = &fence, .fd_count = 1, .sent = release_sent, .arg = release });
	fd_close(fence);
	if (r == 1) {
		return 0;
	}
	release_take(queue, release);
	free(release);
	link_unref(link); /* the program has one */
	return r < 0 ? r : lane_give_back(&link->out, back);
}

/* Under the queue's lock. */
static void queue_drop(struct release_queue *queue, uint32_t index)
{
	if (queue->queued[index]) {
		queue->queued[index]->dropped = true;
		queue->queued[index] = NULL;
	}
}

void release_drop(struct release_queue *queue, uint32_t index)
{
	pthread_mutex_lock(&queue->lock);
	queue_drop(queue, index);
	pthread_mutex_unlock(&queue->lock);
}

void release_drop_all(struct release_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		queue_drop(queue, i);
	}
	if (queue->link->context) {
		watch_end(queue->link->context, &queue->watch);
	}
	pthread_mutex_unlock(&queue->lock);
}

bool release_is_queued(struct release_queue *queue, uint32_t index)
{
	pthread_mutex_lock(&queue->lock);
	bool queued = queue->queued[index] != NULL;
	pthread_mutex_unlock(&queue->lock);
	return queued;
}

bool releases_wait(struct release_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->wanted = !queue_is_empty(queue);
	bool wait = queue->wanted;
	pthread_mutex_unlock(&queue->lock);
	return wait;
}
