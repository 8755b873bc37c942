// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "pair.h"
#include "proto/wire.h"
#include "request.h"

struct fbk_timeline *timeline_find(struct fbk_context *context, uint32_t handle)
{
	struct fbk_timeline *timeline;
	LIST_FOREACH(timeline, &context->timelines, links) {
		if (timeline->handle == handle) {
			return timeline;
		}
	}
	return NULL;
}

void timeline_free(struct fbk_timeline *timeline)
{
	mirrors_free(timeline);
	pairs_free(timeline);
	page_map_put(timeline->payload_map);
	page_map_put(timeline->control_map);
	free(timeline);
}

static int reply_check(const Fbk__Wire__Timeline *reply)
{
	if (!reply->control || !reply->payload || reply->handle == 0 ||
	    reply->handle >= FBK_PAIR_CELLS ||
	    reply->control->slot >= fbk_page_slots(reply->control->size) ||
	    reply->payload->size < sizeof(struct fbk_page_header) ||
	    reply->payload->slot >= fbk_page_slots(reply->payload->size)) {
		return error_set(-EPROTO, "the daemon describes no timeline");
	}
	return 0;
}

/* Under the mutex. Takes the fds of the reply that it maps. */
static int timeline_map(struct fbk_context *context, struct reply *reply,
			struct fbk_timeline **ret_timeline)
{
	const Fbk__Wire__Timeline *body = reply->message->timeline;
	struct fbk_timeline *timeline = aligned_alloc(CACHE_LINE, sizeof(*timeline));
	if (!timeline) {
		return error_plain(-ENOMEM);
	}
	memset(timeline, 0, sizeof(*timeline));
	pthread_mutex_init(&timeline->mirror_lock, NULL);
	LIST_INIT(&timeline->mirrors);
	bool writes = body->rights & FBK_RIGHT_SIGNAL && !(body->flags & FBK_TIMELINE_BROKERED);
	int r = page_map_get(context, body->control->id, body->control->size, reply->fds[0], false,
			     &timeline->control_map);
	reply->fds[0] = -1;
	timeline->shadow = body->registered && !writes;
	if (r == 0 && !timeline->shadow) {
		/* Registered memory is mapped already. */
		r = page_map_get(context, body->payload->id, body->payload->size,
				 body->registered ? -1 : reply->fds[1], writes,
				 &timeline->payload_map);
		reply->fds[1] = -1;
	}
	if (r < 0) {
		timeline_free(timeline);
		return r;
	}
	timeline->context = context;
	timeline->ours = context->ours;
	timeline->refs = 1;
	timeline->handle = body->handle;
	timeline->id = body->id;
	timeline->rights = body->rights;
	timeline->flags = body->flags;
	timeline->visibility = body->visibility;
	wire_text_copy(timeline->name, sizeof(timeline->name), body->name);
	timeline->control = fbk_control_slot_at(timeline->control_map->memory, body->control->slot);
	if (timeline->shadow) {
		timeline->payload = &timeline->control->shadow;
	} else {
		timeline->payload =
			&fbk_payload_slot_at(timeline->payload_map->memory, body->payload->slot)
				 ->payload;
	}
	timeline->cell = &context->pair->cells[body->handle];
	timeline->narrow = timeline->control->flags & FBK_CONTROL_SHADOWED && !timeline->shadow;
	timeline->writes = writes && !timeline->narrow;
	LIST_INSERT_HEAD(&context->timelines, timeline, links);
	*ret_timeline = timeline;
	return 0;
}

static int page_acknowledge(struct fbk_context *context, uint64_t page_id)
{
	REQUEST(request, PAGE_MAPPED, page_mapped, .page_id = page_id);
	return request_do(context, &request);
}

static int timeline_request_close(struct fbk_context *context, uint32_t handle)
{
	REQUEST(request, TIMELINE_CLOSE, timeline_close, .handle = handle);
	return request_do(context, &request);
}

/* Create and open alike: the request's reply is a timeline. `opening` is held. */
static int timeline_request(struct fbk_context *context, Fbk__Wire__Request *request, const int *fd,
			    struct fbk_timeline **ret_timeline)
{
	struct fbk_timeline *timeline = NULL;
	struct reply reply;
	int r = request_call(context, request, fd, fd ? 1 : 0, FDS_MAY_DIFFER, &reply);
	if (r < 0) {
		return r;
	}
	const Fbk__Wire__Timeline *body = reply.message->timeline;
	if (reply.message->body_case != FBK__WIRE__MESSAGE__BODY_TIMELINE ||
	    reply_check(body) < 0) {
		reply_finish(&reply);
		return error_set(-EPROTO, "the daemon describes no timeline");
	}
	r = reply_check_fds(&reply, body->registered ? 1 : 2);
	if (r < 0) {
		reply_finish(&reply);
		return r;
	}
	pthread_mutex_lock(&context->mutex);
	timeline = timeline_find(context, body->handle);
	if (timeline) {
		timeline->refs++;
		timeline->rights |= body->rights;
	} else {
		r = timeline_map(context, &reply, &timeline);
	}
	pthread_mutex_unlock(&context->mutex);
	if (r < 0) {
		timeline_request_close(context, body->handle);
	} else if (body->writable) {
		/* Until it knows that the page is mapped here the daemon shows it to nobody. */
		r = page_acknowledge(context, body->payload->id);
	}
	reply_finish(&reply);
	if (r == 0) {
		*ret_timeline = timeline;
	} else if (timeline) {
		timeline_request_close(context, timeline->handle);
		pthread_mutex_lock(&context->mutex);
		LIST_REMOVE(timeline, links);
		timeline_free(timeline);
		pthread_mutex_unlock(&context->mutex);
	}
	return r;
}

int fbk_timeline_create(struct fbk_device *device, struct fbk_set *set, const char *name,
			uint32_t flags, struct fbk_timeline **ret_timeline)
{
	struct fbk_context *context = device->context;
	REQUEST(request, TIMELINE_CREATE, timeline_create, .device = device->number,
		.set = set ? set->number : 0, .name = request_text(name), .flags = flags);
	pthread_mutex_lock(&context->opening);
	int r = timeline_request(context, &request, NULL, ret_timeline);
	if (r == 0 && set && !(flags & FBK_TIMELINE_BROKERED)) {
		pthread_mutex_lock(&context->mutex);
		page_map_keep((*ret_timeline)->payload_map, set);
		pthread_mutex_unlock(&context->mutex);
	}
	pthread_mutex_unlock(&context->opening);
	return r;
}

int fbk_timeline_open(struct fbk_context *context, int token_fd, struct fbk_timeline **ret_timeline)
{
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	if (fcntl(token_fd, F_GETFD) < 0) {
		return error_set(-EBADF, "%d is not an open file descriptor", token_fd);
	}
	pthread_mutex_lock(&context->opening);
	int r = timeline_request(context, &request, &token_fd, ret_timeline);
	pthread_mutex_unlock(&context->opening);
	return r;
}

void timeline_ref(struct fbk_timeline *timeline)
{
	pthread_mutex_lock(&timeline->context->mutex);
	timeline->refs++;
	pthread_mutex_unlock(&timeline->context->mutex);
}

void fbk_timeline_close(struct fbk_timeline *timeline)
{
	if (!timeline) {
		return;
	}
	struct fbk_context *context = timeline->context;
	pthread_mutex_lock(&context->opening);
	pthread_mutex_lock(&context->mutex);
	bool last = --timeline->refs == 0;
	if (last) {
		watches_drop_timeline(timeline);
		exports_drop_timeline(timeline);
	}
	pthread_mutex_unlock(&context->mutex);
	if (last) {
		timeline_request_close(context, timeline->handle);
		pthread_mutex_lock(&context->mutex);
		LIST_REMOVE(timeline, links);
		timeline_free(timeline);
		pthread_mutex_unlock(&context->mutex);
	}
	pthread_mutex_unlock(&context->opening);
}

int fbk_timeline_share(struct fbk_timeline *timeline, uint32_t rights, int *ret_token_fd)
{
	REQUEST(request, TIMELINE_SHARE, timeline_share, .handle = timeline->handle,
		.rights = rights);
	return request_fd(timeline->context, &request, ret_token_fd);
}

int fbk_timeline_fail(struct fbk_timeline *timeline, int error, const char *reason)
{
	char short_reason[FBK_REASON_SIZE];
	wire_text_copy(short_reason, sizeof(short_reason), reason);
	REQUEST(request, TIMELINE_FAIL, timeline_fail, .handle = timeline->handle, .error = error,
		.reason = short_reason);
	return request_do(timeline->context, &request);
}

/* What is known without the daemon. */
static void info_from_pages(const struct fbk_timeline *timeline, struct fbk_timeline_info *info)
{
	const struct fbk_control_slot *control = timeline->control;
	info->id = timeline->id;
	info->rights = timeline->rights;
	info->flags = timeline->flags;
	info->value = fbk_timeline_value(timeline);
	info->failed_from = UINT64_MAX;
	info->cause = FBK_CAUSE_DAEMON_LOST;
	info->error = -ENOTCONN;
	memcpy(info->name, timeline->name, sizeof(info->name));
	/* acquire: with `failed` come the others */
	if (atomic_load_explicit(&control->status, memory_order_acquire) == FBK_STATUS_FAILED) {
		info->cause = atomic_load_explicit(&control->cause, memory_order_relaxed);
		info->error = atomic_load_explicit(&control->error, memory_order_relaxed);
		info->failed_from =
			atomic_load_explicit(&control->failed_from, memory_order_relaxed);
	}
	snprintf(info->reason, sizeof(info->reason),
		 "the daemon is gone; what signals timeline %s can't be told any more",
		 timeline->name);
}

static void info_from_state(const Fbk__Wire__TimelineState *state, struct fbk_timeline_info *info)
{
	info->id = state->id;
	info->rights = state->rights;
	info->flags = state->flags;
	info->value = state->value;
	info->cause = state->cause;
	info->error = state->error;
	info->failed_from = state->failed_from;
	info->class = state->class_;
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
	int r = request_call(timeline->context, &request, NULL, 0, 0, &reply);
	if (r == -ENOTCONN) {
		info_from_pages(timeline, &info);
	} else if (r < 0) {
		return r;
	} else if (reply.message->body_case != FBK__WIRE__MESSAGE__BODY_STATE) {
		reply_finish(&reply);
		return error_set(-EPROTO, "the daemon describes no timeline");
	} else {
		info_from_state(reply.message->state, &info);
		reply_finish(&reply);
	}
	*ret_info = info;
	return 0;
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
	int r = ret_dmabuf_fd ? timeline_dmabuf(timeline, ret_dmabuf_fd) : 0;
	if (r < 0) {
		return r;
	}
	_Atomic uint64_t *word = timeline->visibility == FBK_VISIBLE_IRQ
					 ? &fbk_payload_slot_of(timeline->payload)->raw
					 : timeline->payload;
	*ret_memory = (struct fbk_memory){
		.address = (void *)word,
		.size = timeline->narrow ? sizeof(uint32_t) : sizeof(uint64_t),
		.page_size = map->size,
		.offset = (size_t)((char *)word - (char *)map->memory),
		.alignment = map->size,
	};
	return 0;
}
