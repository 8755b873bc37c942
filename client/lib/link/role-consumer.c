// SPDX-License-Identifier: MIT
#include "role-consumer.h"

#include <errno.h>
#include <stdlib.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "frame.h"
#include "link-buffer.h"
#include "link-watch.h"
#include "link.h"
#include "proto/index-mask.h"
#include "release-line.h"

void role_consumer_want(struct fbk_link *link, const struct fbk_consumer_desc *desc)
{
	struct lane_wishes *wishes = &link->consumer->wishes;
	*wishes = (struct lane_wishes){ .delivery = desc->delivery, .hold = desc->hold };
	lane_wishes_write(&link->out.page, wishes);
}

static void consumer_set_pause(struct fbk_link *link, bool paused)
{
	struct lane_wishes *wishes = &link->consumer->wishes;
	if ((wishes->pauses & 1) != paused) {
		wishes->pauses++;
		lane_wishes_write(&link->out.page, wishes);
		lane_raise(&link->out);
	}
}

int fbk_link_pause(struct fbk_link *link, bool paused)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	if (link->role != FBK_ROLE_CONSUMER) {
		return error_set(-EPERM, "this end of the link is the producer's");
	}
	link_lock(link);
	bool stopped = link->stopped;
	if (!stopped) {
		consumer_set_pause(link, paused);
		frame_released(link); /* there may be one */
	}
	link_unlock(link);
	return stopped ? error_set(-EPIPE, "the link was stopped") : 0;
}

/* The highest number that an honest producer may come to. To an offer of ours it counts from what came back. */
static uint64_t frames_end(const struct fbk_link *link, uint64_t from)
{
	uint64_t first = link->offered ? 1 : from;
	for (uint32_t i = 0; link->offered && i < FBK_BUFFERS_MAX; i++) {
		uint64_t returned = lane_returned(&link->out.page, i);
		first = returned >= first ? returned + 1 : first;
	}
	return first < LANE_VALUE_MAX - LANE_FRAMES_MAX ? first + LANE_FRAMES_MAX : LANE_VALUE_MAX;
}

/* What the frames of each buffer will need of the daemon. What fails is asked for with a frame. Of those that the program
 * imports, it is done when it has. */
static void buffers_prepare(struct fbk_link *link)
{
	uint32_t index;
	FOREACH_INDEX(index, link->consumer->import_fn ? 0 : link->buffers) {
		struct link_buffer *buffer;
		if (link_buffer_look(link, index, link->generations[index], &buffer) == 0) {
			release_lines_prepare(link, index);
			link_buffer_unref(buffer);
		}
	}
}

static int consumer_met(struct fbk_link *link, uint64_t from)
{
	if (link->info.phase == FBK_PHASE_ESTABLISHED && link->next == 0) {
		link->next = from;
		link->consumer->last = frames_end(link, from);
	}
	if (link_open(link) && !link->stopped) {
		buffers_prepare(link);
	}
	return 0;
}

/* The producer is gone, and wants back nothing that it gave. Frames keep what the program may be looking at. */
static void producer_lost(struct fbk_link *link, int error)
{
	(void)error;
	frame_unwatch(link); /* its timeline goes; the change fires */
	frames_lose(link);
	link->consumer->shown = 0;
}

/* For the next frame to come. */
static int consumer_awaited(struct fbk_link *link, struct fbk_point *ret_point)
{
	*ret_point = (struct fbk_point){ peer_lane(&link->peer), link->next };
	return 0;
}

/* Its end of the link is what keeps the buffers whose releases are undecided from their producer. */
static bool consumer_busy(struct fbk_link *link)
{
	bool queued = releases_wait(&link->consumer->queue);
	return link->consumer->held > 0 || queued || release_lines_wait(link);
}

static int consumer_refresh(struct fbk_link *link)
{
	int r = link_refresh(link);
	link_wind_down(link);
	return r;
}

/* What is offered is retracted. */
static void consumer_stop(struct fbk_link *link)
{
	consumer_set_pause(link, true);
}

static void consumer_leave(struct fbk_link *link)
{
	link_lock(link);
	link->consumer->next_fn = NULL;
	frames_unwatch(link);
	link_unlock(link);
	if (releases_wait(&link->consumer->queue)) {
		requests_drain(link->context); /* else their producer gets them as not released */
	}
	link_lock(link);
	frames_lose(link); /* the daemon gives them back, after the fences of their buffers */
	link_unlock(link);
}

static void consumer_close(struct fbk_link *link)
{
	release_lines_close(link);
}

static void consumer_free(struct fbk_link *link)
{
	release_queue_finish(&link->consumer->queue);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		link_buffer_unref(link->consumer->buffers[i]);
	}
	for (uint32_t i = 0; i <= WATCHED_MAX; i++) {
		lane_point_unref(link->context, link->consumer->watches[i].point);
	}
	release_lines_free(link->consumer);
	pthread_mutex_destroy(&link->consumer->importing);
	free(link->consumer);
}

static const struct link_role role_consumer = {
	.met = consumer_met,
	.lost = producer_lost,
	.refresh = consumer_refresh,
	.awaited = consumer_awaited,
	.busy = consumer_busy,
	.stop = consumer_stop,
	.leave = consumer_leave,
	.close = consumer_close,
	.free = consumer_free,
};

int role_consumer_create(struct fbk_link *link)
{
	struct link_consumer *half = calloc(1, sizeof(*half));
	if (!half) {
		return error_plain(-ENOMEM);
	}
	for (uint32_t i = 0; i <= WATCHED_MAX; i++) {
		half->watches[i].link = link;
	}
	release_queue_init(&half->queue, link);
	pthread_mutex_init(&half->importing, NULL);
	link->consumer = half;
	link->ops = &role_consumer;
	return 0;
}
