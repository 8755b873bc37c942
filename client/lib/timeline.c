// SPDX-License-Identifier: MIT
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "error.h"
#include "proto/cells.h"
#include "proto/container.h"
#include "proto/wire.h"
#include "request.h"

static void timeline_wake(struct child *child)
{
	struct fbk_timeline *timeline = container_of(child, struct fbk_timeline, child);
	cell_wake_all(timeline->cell);
	if (timeline->peer_map) {
		/* relaxed: set under the mutex */
		cell_wake_all(atomic_load_explicit(&timeline->peer, memory_order_relaxed));
	}
}

/* Its children go, and the answers that they wait for. Under the mutex. */
static void timeline_drop_children(struct fbk_timeline *timeline)
{
	requests_forget(timeline->context, timeline);
	children_drop(&timeline->children);
}

static void timeline_free(struct fbk_timeline *timeline)
{
	page_map_put(timeline->peer_map);
	page_map_put(timeline->payload_map);
	page_map_put(timeline->control_map);
	free(timeline->reason);
	free(timeline);
}

void timeline_ref(struct fbk_timeline *timeline)
{
	if (timeline) {
		timeline->refs++;
	}
}

void timeline_unref(struct fbk_timeline *timeline)
{
	if (timeline && --timeline->refs == 0) {
		timeline_free(timeline);
	}
}

static void timeline_drop(struct child *child)
{
	struct fbk_timeline *timeline = container_of(child, struct fbk_timeline, child);
	timeline_drop_children(timeline);
	timeline_unref(timeline);
}

static const struct child_ops timeline_child = { .wake = timeline_wake, .drop = timeline_drop };

/* The one that is open by that handle, or NULL. Under the mutex. */
static struct fbk_timeline *timeline_find(struct fbk_context *context, uint32_t handle)
{
	struct child *child;
	LIST_FOREACH(child, &context->children, links) {
		if (child->ops == &timeline_child) {
			struct fbk_timeline *timeline =
				container_of(child, struct fbk_timeline, child);
			if (timeline->handle == handle) {
				return timeline;
			}
		}
	}
	return NULL;
}

static int reply_check(const Fbk__Wire__Timeline *reply)
{
	if (!reply->control || !reply->payload || reply->handle == 0 ||
	    reply->handle >= FBK_PAIR_CELLS ||
	    page_slot_check(reply->control, reply->control->slot, sizeof(struct fbk_control_slot)) <
		    0 ||
	    page_slot_check(reply->payload, reply->payload->slot, sizeof(struct fbk_payload_slot)) <
		    0) {
		return error_set(-EPROTO, "the daemon describes no timeline");
	}
	return 0;
}

struct fbk_timeline *timeline_get(struct fbk_context *context, uint32_t handle, uint64_t id)
{
	pthread_mutex_lock(&context->mutex);
	struct fbk_timeline *timeline = timeline_find(context, handle);
	if (timeline && timeline->id == id) {
		timeline->opens++;
	} else {
		timeline = NULL;
	}
	pthread_mutex_unlock(&context->mutex);
	return timeline;
}

/* Under the mutex. Takes the fds of the reply that it maps. */
static int timeline_map(struct fbk_context *context, const Fbk__Wire__Timeline *body,
			struct reply *reply, struct fbk_timeline **ret_timeline)
{
	struct fbk_timeline *timeline = aligned_alloc(CACHE_LINE, sizeof(*timeline));
	if (!timeline) {
		return error_plain(-ENOMEM);
	}
	memset(timeline, 0, sizeof(*timeline));
	LIST_INIT(&timeline->children);
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
	timeline->opens = 1;
	timeline->refs = 1;
	timeline->handle = body->handle;
	timeline->id = body->id;
	timeline->rights = body->rights;
	timeline->flags = body->flags;
	timeline->visibility = body->visibility;
	wire_text_copy(timeline->name, sizeof(timeline->name), body->name);
	wire_text_copy(timeline->device, sizeof(timeline->device), body->device);
	timeline->pid = body->pid;
	timeline->control =
		page_slot(timeline->control_map->memory, body->control, body->control->slot);
	if (timeline->shadow) {
		timeline->payload = &timeline->control->shadow;
	} else {
		struct fbk_payload_slot *slot = page_slot(timeline->payload_map->memory,
							  body->payload, body->payload->slot);
		timeline->payload = &slot->payload;
	}
	timeline->cell = context_cell(context, body->handle);
	timeline->narrow = timeline->control->flags & FBK_CONTROL_SHADOWED && !timeline->shadow;
	timeline->writes = writes && !timeline->narrow;
	child_add(&context->children, &timeline->child, &timeline_child);
	*ret_timeline = timeline;
	return 0;
}

/* The daemon shows the page to no other process until it knows that it is mapped here, and what could show it comes
 * later. */
static int page_acknowledge(struct fbk_context *context, uint64_t page_id)
{
	REQUEST(request, PAGE_MAPPED, page_mapped, .page_id = page_id);
	return request_quiet(context, &request, NULL);
}

void timeline_forget(struct fbk_context *context, uint32_t handle)
{
	REQUEST(request, TIMELINE_CLOSE, timeline_close, .handle = handle);
	request_quiet_end(context, &request);
	handle_free(&context->ids, handle);
}

static void timeline_end(struct fbk_timeline *timeline)
{
	struct fbk_context *context = timeline->context;
	pthread_mutex_lock(&context->mutex);
	child_remove(&timeline->child);
	timeline_drop(&timeline->child);
	pthread_mutex_unlock(&context->mutex);
}

int timeline_adopt(struct fbk_context *context, const Fbk__Wire__Timeline *body,
		   struct reply *reply, struct fbk_timeline **ret_timeline)
{
	struct fbk_timeline *timeline = NULL;
	int r = 0;
	if (!body || reply_check(body) < 0 || reply->fd_count < (body->registered ? 1 : 2)) {
		return error_set(-EPROTO, "the daemon describes no timeline");
	}
	pthread_mutex_lock(&context->mutex);
	timeline = timeline_find(context, body->handle);
	if (timeline) {
		timeline->opens++;
		timeline->rights |= body->rights;
	} else {
		r = timeline_map(context, body, reply, &timeline);
	}
	pthread_mutex_unlock(&context->mutex);
	if (r < 0) {
		timeline_forget(context, body->handle);
	} else if (body->writable) {
		r = page_acknowledge(context, body->payload->id);
	}
	if (r == 0) {
		*ret_timeline = timeline;
	} else if (timeline) {
		timeline_forget(context, timeline->handle);
		timeline_end(timeline);
	}
	return r;
}

static int timeline_reply_check(const struct reply *reply)
{
	const Fbk__Wire__Timeline *body = reply->message->timeline;
	if (reply->message->body_case != FBK__WIRE__MESSAGE__BODY_TIMELINE ||
	    reply_check(body) < 0) {
		return error_set(-EPROTO, "the daemon describes no timeline");
	}
	return reply_check_fds(reply, body->registered ? 1 : 2);
}

/* With a handle that was taken: it is free again, unless the timeline has it. */
static int timeline_request_by(struct fbk_context *context, Fbk__Wire__Request *request,
			       uint32_t handle, const int *fd, struct fbk_timeline **ret_timeline)
{
	struct reply reply;
	int r = request_call(context, request, fd, fd ? 1 : 0, FDS_MAY_DIFFER, &reply);
	if (r == 0) {
		r = timeline_reply_check(&reply);
		if (r == 0 && reply.message->timeline->handle != handle) {
			handle_free(&context->ids, handle); /* it is open already, by another */
			handle = 0;
		}
		if (r == 0) {
			r = timeline_adopt(context, reply.message->timeline, &reply, ret_timeline);
			handle = 0; /* where it fails, that frees it */
		}
		reply_finish(&reply);
	}
	if (handle > 0 && id_uncertain(r)) {
		timeline_forget(context, handle);
	} else if (handle > 0 && r < 0 && r != -EEXIST) {
		handle_free(&context->ids, handle);
	}
	return r;
}

/* Create and open alike: the request's reply is a timeline. `handle` is the field for it. `opening` is held. */
static int timeline_request(struct fbk_context *context, Fbk__Wire__Request *request,
			    uint32_t *handle, const int *fd, struct fbk_timeline **ret_timeline)
{
	for (;;) {
		int r = handle_take(&context->ids, handle);
		if (r == 0) {
			r = timeline_request_by(context, request, *handle, fd, ret_timeline);
		}
		if (r != -EEXIST) {
			return r;
		}
		/* The bus has opened something by that one: the next. */
	}
}

int fbk_timeline_create(struct fbk_device *device, struct fbk_set *set, const char *name,
			uint32_t flags, struct fbk_timeline **ret_timeline)
{
	int mine = context_check(device->context);
	if (mine < 0) {
		return mine;
	}
	struct fbk_context *context = device->context;
	int r = error_of_name("a timeline", name);
	if (r < 0) {
		return r;
	}
	REQUEST(request, TIMELINE_CREATE, timeline_create, .device = device->number,
		.set = set ? set->number : 0, .name = request_text(name), .flags = flags);
	pthread_mutex_lock(&context->opening);
	r = timeline_request(context, &request, &request.timeline_create->handle, NULL,
			     ret_timeline);
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
	int mine = context_check(context);
	if (mine < 0) {
		return mine;
	}
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	if (fcntl(token_fd, F_GETFD) < 0) {
		return error_set(-EBADF, "%d is not an open file descriptor", token_fd);
	}
	pthread_mutex_lock(&context->opening);
	int r = timeline_request(context, &request, &request.timeline_open->handle, &token_fd,
				 ret_timeline);
	pthread_mutex_unlock(&context->opening);
	return r;
}

void fbk_timeline_close(struct fbk_timeline *timeline)
{
	if (!timeline || context_check(timeline->context) < 0) {
		return;
	}
	struct fbk_context *context = timeline->context;
	pthread_mutex_lock(&context->opening);
	pthread_mutex_lock(&context->mutex);
	bool last = --timeline->opens == 0;
	if (last) {
		timeline_drop_children(timeline);
	}
	pthread_mutex_unlock(&context->mutex);
	if (last) {
		ERRORS_KEPT();
		timeline_forget(context, timeline->handle);
		timeline_end(timeline);
	}
	pthread_mutex_unlock(&context->opening);
}

int fbk_timeline_share(struct fbk_timeline *timeline, uint32_t rights, int *ret_token_fd)
{
	struct fbk_context *context = timeline->context;
	uint32_t id = id_take(&context->ids);
	REQUEST(request, TIMELINE_SHARE, timeline_share, .handle = timeline->handle,
		.rights = rights, .token = id);
	int r = request_fd(context, &request, ret_token_fd);
	if (id_uncertain(r)) {
		REQUEST(cancel, TOKEN_CANCEL, token_cancel, .token = id);
		request_quiet_end(context, &cancel);
	}
	return r;
}

int fbk_timeline_fail(struct fbk_timeline *timeline, int error, const char *reason)
{
	char short_reason[FBK_REASON_SIZE];
	wire_text_copy(short_reason, sizeof(short_reason), reason);
	REQUEST(request, TIMELINE_FAIL, timeline_fail, .handle = timeline->handle, .error = error,
		.reason = short_reason);
	return request_do(timeline->context, &request);
}
