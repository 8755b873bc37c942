// SPDX-License-Identifier: MIT
/* What is known of a timeline, and what its memory is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "page-map.h"
#include "point-error.h"
#include "proto/fd.h"
#include "proto/wire.h"
#include "request.h"
#include "struct-size.h"
#include "timeline.h"

/* The reason as the daemon last gave it; else from the page. */
static void info_tell_reason(struct fbk_timeline *timeline, const struct point_story *story,
			     struct fbk_timeline_info *info)
{
	pthread_mutex_lock(&timeline->context->mutex);
	if (timeline->reason) {
		wire_text_copy(info->reason, sizeof(info->reason), timeline->reason);
	} else {
		story_tell(story, info->reason, sizeof(info->reason));
	}
	pthread_mutex_unlock(&timeline->context->mutex);
}

/* The daemon's words for a failure, which never change: they are kept for when it is gone. */
static void timeline_keep_reason(struct fbk_timeline *timeline,
				 const struct fbk_timeline_info *info)
{
	if (info->cause == FBK_CAUSE_NONE) {
		return;
	}
	pthread_mutex_lock(&timeline->context->mutex);
	if (!timeline->reason) {
		timeline->reason = strdup(info->reason); /* no memory: the page's */
	}
	pthread_mutex_unlock(&timeline->context->mutex);
}

/* What is known without the daemon. A timeline that failed before keeps its cause. */
static void info_from_pages(struct fbk_timeline *timeline, struct fbk_timeline_info *info)
{
	const struct fbk_control_slot *control = timeline->control;
	struct point_story story;
	info->id = timeline->id;
	info->rights = timeline->rights;
	info->flags = timeline->flags;
	info->value = fbk_timeline_value(timeline);
	info->failed_from = UINT64_MAX;
	info->cause = FBK_CAUSE_DAEMON_LOST;
	info->error = -ENOTCONN;
	memcpy(info->name, timeline->name, sizeof(info->name));
	memcpy(info->device, timeline->device, sizeof(info->device));
	info->pid = timeline->pid;
	if (story_of_timeline(timeline, &story)) {
		info->cause = story.cause;
		info->error = story.error;
		/* relaxed: after an acquire load of the status that was `failed` */
		info->failed_from =
			atomic_load_explicit(&control->failed_from, memory_order_relaxed);
		info_tell_reason(timeline, &story, info);
		return;
	}
	snprintf(info->reason, sizeof(info->reason),
		 "the daemon is gone; nobody knows whether %s (pid %d) lives to signal timeline %s",
		 timeline->device, timeline->pid, timeline->name);
}

static void info_from_state(const Fbk__Wire__TimelineState *state, struct fbk_timeline_info *info)
{
	info->id = state->id;
	info->rights = state->rights;
	info->flags = state->flags;
	info->value = state->value;
	info->cause = state->cause;
	info->error = state->error;
	info->failed_from = state->failed_from ? state->failed_from : FBK_FAILED_FROM_NONE;
	info->device_class = state->class_;
	info->pid = state->pid;
	info->uid = state->uid;
	wire_text_copy(info->name, sizeof(info->name), state->name);
	wire_text_copy(info->reason, sizeof(info->reason), state->reason);
	wire_text_copy(info->device, sizeof(info->device), state->device);
}

int fbk_timeline_info(struct fbk_timeline *timeline, struct fbk_timeline_info *ret_info)
{
	struct fbk_timeline_info info = { 0 };
	struct reply reply;
	REQUEST(request, TIMELINE_INFO, timeline_info, .handle = timeline->handle);
	const struct failure before = error_last();
	int r = request_call(timeline->context, &request, NULL, 0, 0, &reply);
	if (r == -ENOTCONN) {
		error_restore(&before); /* that request's failure is none of this call */
		info_from_pages(timeline, &info);
	} else if (r < 0) {
		return r;
	} else if (reply.message->body_case != FBK__WIRE__MESSAGE__BODY_STATE) {
		reply_finish(&reply);
		return error_set(-EPROTO, "the daemon describes no timeline");
	} else {
		info_from_state(reply.message->state, &info);
		timeline_keep_reason(timeline, &info);
		reply_finish(&reply);
	}
	return STRUCT_FILL(ret_info, &info);
}

static int timeline_dmabuf(struct fbk_timeline *timeline, int *ret_fd)
{
	REQUEST(request, TIMELINE_MEMORY, timeline_memory, .handle = timeline->handle);
	return request_fd(timeline->context, &request, ret_fd);
}

int fbk_timeline_memory(struct fbk_timeline *timeline, struct fbk_memory *ret_memory,
			int *ret_dmabuf_fd)
{
	struct page_map *map = timeline->payload_map;
	if (!map || !map->writable || !(timeline->rights & FBK_RIGHT_SIGNAL) ||
	    timeline->flags & FBK_TIMELINE_BROKERED) {
		return error_set(-EPERM, "this process does not signal timeline %s in memory",
				 timeline->name);
	}
	_Atomic uint64_t *word = timeline->visibility == FBK_VISIBILITY_IRQ
					 ? &fbk_payload_slot_of(timeline->payload)->raw
					 : timeline->payload;
	const struct fbk_memory memory = {
		.address = (void *)word,
		.size = timeline->narrow ? sizeof(uint32_t) : sizeof(uint64_t),
		.page_size = map->size,
		.offset = (size_t)((char *)word - (char *)map->memory),
		.alignment = map->size,
	};
	int fd = -1;
	int r = ret_dmabuf_fd ? timeline_dmabuf(timeline, &fd) : 0;
	if (r == 0) {
		r = STRUCT_FILL(ret_memory, &memory);
	}
	if (r == 0 && ret_dmabuf_fd) {
		*ret_dmabuf_fd = fd;
	} else if (fd >= 0) {
		fd_close(fd);
	}
	return r;
}
