// SPDX-License-Identifier: MIT
/* A link from its first to its last: offering, accepting, closing. */
#include <errno.h>
#include <stdlib.h>

#include "client/lib/context.h"
#include "client/lib/device.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "link.h"
#include "proto/container.h"
#include "role-consumer.h"
#include "role-producer.h"

static struct fbk_link *link_new(struct fbk_device *device)
{
	struct fbk_link *link = calloc(1, sizeof(*link));
	if (!link) {
		return NULL;
	}
	link->context = device->context;
	link->device = device;
	link->info.phase = FBK_LINK_OFFERED;
	pthread_mutex_init(&link->own_lock, NULL);
	link->lock = &link->own_lock;
	return link;
}

static int link_take_role(struct fbk_link *link, enum fbk_role role)
{
	link->role = role;
	link->info.role = role;
	return role == FBK_PRODUCER ? role_producer_create(link) : role_consumer_create(link);
}

static void link_free(struct fbk_link *link)
{
	if (link->ops) {
		link->ops->free(link);
	}
	pthread_mutex_destroy(&link->own_lock);
	free(link);
}

static void link_drop(struct child *child)
{
	struct fbk_link *link = container_of(child, struct fbk_link, child);
	lane_close_syncobjs(&link->in);
	lane_close_syncobjs(&link->past);
	link_free(link);
}

static const struct child_ops link_child = { .drop = link_drop };

static void link_enlist(struct fbk_link *link)
{
	pthread_mutex_lock(&link->context->mutex);
	child_add(&link->context->children, &link->child, &link_child);
	pthread_mutex_unlock(&link->context->mutex);
}

static void link_undo(struct fbk_link *link)
{
	fbk_timeline_close(link->state);
	fbk_timeline_close(link->out.timeline);
	link_free(link);
}

static int lane_create(struct fbk_link *link, enum fbk_role role)
{
	const char *name = role == FBK_PRODUCER ? "handed" : "returned";
	return fbk_timeline_create(link->device, NULL, name, FBK_TIMELINE_RING,
				   &link->out.timeline);
}

int fbk_link_offer(struct fbk_device *device, enum fbk_role role, int *ret_offer_fd,
		   struct fbk_link **ret_link)
{
	struct fbk_link *link = link_new(device);
	if (!link) {
		return error_plain(-ENOMEM);
	}
	link->offered = true;
	int r = link_take_role(link, role);
	if (r == 0) {
		r = fbk_timeline_create(device, NULL, "link", FBK_TIMELINE_BROKERED, &link->state);
	}
	if (r == 0) {
		r = lane_create(link, role);
	}
	if (r == 0) {
		REQUEST(request, LINK_OFFER, link_offer, .handle = link->state->handle,
			.device = device->number, .role = role, .lane = link->out.timeline->handle);
		r = request_do(link->context, &request);
	}
	if (r == 0) {
		r = fbk_timeline_share(link->state, FBK_RIGHT_WAIT, ret_offer_fd);
	}
	if (r < 0) {
		link_undo(link);
		return r;
	}
	link_enlist(link);
	*ret_link = link;
	return 0;
}

/* The reply says which end this is. */
static int link_accepted(struct fbk_link *link, const Fbk__Wire__LinkState *state)
{
	int r = link_take_role(link, state->role);
	if (r < 0) {
		link_give_up(link, r, "");
		return r;
	}
	link_take_state(link, state);
	return 0;
}

static int link_request_accept(struct fbk_link *link)
{
	struct reply reply;
	REQUEST(request, LINK_ACCEPT, link_accept, .handle = link->state->handle,
		.device = link->device->number, .lane = link->out.timeline->handle);
	int r = request_call(link->context, &request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_LINK) {
		r = link_accepted(link, reply.message->link);
	} else {
		r = error_set(-EPROTO, "the daemon describes no link");
	}
	reply_finish(&reply);
	return r;
}

int fbk_link_accept(struct fbk_device *device, int offer_fd, struct fbk_link **ret_link)
{
	struct fbk_link *link = link_new(device);
	if (!link) {
		return error_plain(-ENOMEM);
	}
	int r = fbk_timeline_open(device->context, offer_fd, &link->state);
	if (r == 0) {
		r = lane_create(link, FBK_CONSUMER);
	}
	if (r == 0) {
		r = link_request_accept(link);
	}
	if (r < 0) {
		link_undo(link);
		return r;
	}
	link_enlist(link);
	*ret_link = link;
	return 0;
}

void fbk_link_close(struct fbk_link *link)
{
	if (!link) {
		return;
	}
	fbk_watch_cancel(link->listener);
	link->ops->leave(link);
	if (!link->offered && link->info.phase != FBK_LINK_ENDED) {
		link_give_up(link, -EPIPE, "");
	}
	pthread_mutex_lock(&link->context->mutex);
	child_remove(&link->child);
	pthread_mutex_unlock(&link->context->mutex);
	if (link->ops->close) {
		link->ops->close(link);
	}
	lane_drop(&link->in);
	lane_drop(&link->past);
	fbk_timeline_close(link->state);
	fbk_timeline_close(link->out.timeline);
	link_free(link);
}
