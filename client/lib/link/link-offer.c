// SPDX-License-Identifier: MIT
/* A link from its first to its last: offering, accepting, closing. */
#include <errno.h>
#include <stdlib.h>

#include "client/lib/call.h"
#include "client/lib/context.h"
#include "client/lib/device.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "frame.h"
#include "link-format.h"
#include "link.h"
#include "proto/container.h"
#include "role-consumer.h"
#include "role-producer.h"
#include "client/lib/struct-size.h"

static struct fbk_link *link_new(struct fbk_device *device)
{
	struct fbk_link *link = calloc(1, sizeof(*link));
	if (!link) {
		return NULL;
	}
	atomic_init(&link->refs, 1);
	link->context = device->context;
	link->device = device;
	link->info.phase = FBK_PHASE_OFFERED;
	pthread_mutex_init(&link->own_lock, NULL);
	atomic_init(&link->lock, &link->own_lock);
	return link;
}

static int link_take_role(struct fbk_link *link, enum fbk_role role)
{
	link->role = role;
	link->info.role = role;
	return role == FBK_ROLE_PRODUCER ? role_producer_create(link) : role_consumer_create(link);
}

static void link_free(struct fbk_link *link)
{
	if (link->ops) {
		link->ops->free(link);
	}
	link_formats_free(&link->formats);
	pthread_mutex_destroy(&link->own_lock);
	free(link);
}

void link_ref(struct fbk_link *link)
{
	/* relaxed: whoever adds one has one */
	atomic_fetch_add_explicit(&link->refs, 1, memory_order_relaxed);
}

void link_unref(struct fbk_link *link)
{
	/* acq_rel: the last one frees what the others used */
	if (atomic_fetch_sub_explicit(&link->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	if (link->context) {
		pthread_mutex_lock(&link->context->mutex);
		child_remove(&link->child);
		pthread_mutex_unlock(&link->context->mutex);
	}
	link_free(link);
}

/* The context ends. Frames may be left: then the link's memory stays for them. */
static void link_drop(struct child *child)
{
	struct fbk_link *link = container_of(child, struct fbk_link, child);
	link->context = NULL;
	peer_drop(link->context, &link->peer);
	peer_drop(link->context, &link->past);
	if (link->consumer) {
		frames_lose(link);
	}
	if (!link->closed) {
		link_unref(link);
	}
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

/* ------------------------------------------------------------------------------------ what is wanted -- */

struct wanted {
	struct fbk_link_desc link;
	struct fbk_consumer_desc consumer;
};

static int wanted_read(struct wanted *wanted, const struct fbk_link_desc *desc)
{
	int r = STRUCT_READ(&wanted->link, desc);
	if (r == 0) {
		r = STRUCT_READ(&wanted->consumer, wanted->link.consumer);
	}
	if (r == 0 && wanted->consumer.delivery != FBK_DELIVERY_FIFO &&
	    wanted->consumer.delivery != FBK_DELIVERY_MAILBOX) {
		r = error_set(-EINVAL, "%d is not a delivery", (int)wanted->consumer.delivery);
	}
	if (r == 0 && wanted->consumer.hold > FBK_BUFFERS_MAX) {
		r = error_set(-EINVAL, "a consumer that holds %u frames: at most %d",
			      wanted->consumer.hold, FBK_BUFFERS_MAX);
	}
	if (wanted->consumer.hold == 0) {
		wanted->consumer.hold = 1;
	}
	return r;
}

/* --------------------------------------------------------------------------------------- our lane -- */

/* The reply to an offer or an accept: which end this is, and its lane. `opening` is held. */
static int link_adopt(struct fbk_link *link, struct reply *reply)
{
	const Fbk__Wire__LinkState *state = reply->message->link;
	int r = timeline_adopt(link->context, state->lane, reply, &link->out.timeline);
	if (r < 0) {
		return r;
	}
	const struct page_map *map = link->out.timeline->payload_map;
	const struct lane_geometry geometry = {
		state->lane_table->slots,        state->lane_table->first,
		state->lane_table->stride,       state->lane_table->order,
		state->lane_table->order_length, state->lane_table->head
	};
	if (!map || !map->writable ||
	    lane_page_init(&link->out.page, map->memory, map->size, &geometry) < 0 ||
	    geometry.slots < FBK_BUFFERS_MAX ||
	    (geometry.order_length > 0) != ((uint32_t)state->role == FBK_ROLE_PRODUCER)) {
		return error_set(-EPROTO, "the daemon describes no link of this version");
	}
	return link_take_role(link, state->role);
}

/* Nothing of it is here; maybe the daemon has the end of the link, and its lane. */
static void link_forget(struct fbk_link *link, uint32_t lane, int error)
{
	if (id_uncertain(error)) {
		REQUEST(request, LINK_END, link_end, .handle = link->state->handle, .error = error);
		request_quiet_end(link->context, &request);
		timeline_forget(link->context, lane);
	} else if (error != -EEXIST) { /* that handle is the bus's */
		handle_free(&link->context->ids, lane);
	}
}

/* `lane` is the field for the handle of our lane. `opening` is held. */
static int link_begin(struct fbk_link *link, Fbk__Wire__Request *request, uint32_t *lane,
		      size_t fds_wanted, struct reply *ret_reply)
{
	int r = handle_take(&link->context->ids, lane);
	if (r < 0) {
		return r;
	}
	r = request_call(link->context, request, NULL, 0, fds_wanted, ret_reply);
	if (r < 0) {
		link_forget(link, *lane, r);
		return r;
	}
	const Fbk__Wire__LinkState *state = ret_reply->message->link;
	if (ret_reply->message->body_case != FBK__WIRE__MESSAGE__BODY_LINK || !state->lane_table ||
	    !state->lane || state->lane->handle != *lane) {
		link_forget(link, *lane, -EPROTO);
		reply_finish(ret_reply);
		return error_set(-EPROTO, "the daemon describes no link");
	}
	return 0;
}

static int link_request(struct fbk_link *link, Fbk__Wire__Request *request, uint32_t *lane,
			size_t fds_wanted, const struct wanted *wanted)
{
	struct reply reply;
	pthread_mutex_lock(&link->context->opening);
	int r = link_begin(link, request, lane, fds_wanted, &reply);
	if (r < 0) {
		pthread_mutex_unlock(&link->context->opening);
		return r;
	}
	r = link_adopt(link, &reply);
	pthread_mutex_unlock(&link->context->opening);
	if (r == 0 && link->consumer) {
		role_consumer_want(link, &wanted->consumer);
	}
	if (r == 0) {
		link_take_state(link, reply.message->link);
	} else {
		link_give_up(link, r, "");
	}
	reply_finish(&reply);
	return r;
}

int fbk_link_offer(struct fbk_device *device, const struct fbk_link_desc *desc, int *ret_offer_fd,
		   struct fbk_link **ret_link)
{
	struct wanted wanted;
	int r = wanted_read(&wanted, desc);
	if (r < 0) {
		return r;
	}
	struct fbk_link *link = link_new(device);
	if (!link) {
		return error_plain(-ENOMEM);
	}
	link->offered = true;
	r = fbk_timeline_create(device, NULL, "link", FBK_TIMELINE_BROKERED, &link->state);
	if (r == 0) {
		REQUEST(request, LINK_OFFER, link_offer, .handle = link->state->handle,
			.device = device->number, .role = wanted.link.role,
			.hold = wanted.consumer.hold);
		r = link_request(link, &request, &request.link_offer->lane, 2, &wanted);
	}
	if (r == 0) { /* nobody can accept it yet */
		r = link_formats_send(link, &wanted.link);
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

int fbk_link_accept(struct fbk_device *device, int offer_fd, const struct fbk_link_desc *desc,
		    struct fbk_link **ret_link)
{
	struct wanted wanted;
	int r = wanted_read(&wanted, desc);
	if (r < 0) {
		return r;
	}
	struct fbk_link *link = link_new(device);
	if (!link) {
		return error_plain(-ENOMEM);
	}
	r = fbk_timeline_open(device->context, offer_fd, &link->state);
	if (r == 0) {
		r = link_formats_send(link, &wanted.link);
	}
	if (r == 0) {
		REQUEST(request, LINK_ACCEPT, link_accept, .handle = link->state->handle,
			.device = device->number, .hold = wanted.consumer.hold);
		r = link_request(link, &request, &request.link_accept->lane, 3, &wanted);
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
	if (!link || link_check(link) < 0) {
		return;
	}
	ERRORS_KEPT();
	link_lock(link);
	link->closing = true;
	listener_end(link);
	link_unlock(link);
	calls_wait_owner(&link->context->calls, link); /* callbacks that use it still */
	link->ops->leave(link);
	/* Before the release timelines close. An offering producer's link ends with its state. */
	if ((!link->offered || link->consumer) && link->info.phase != FBK_PHASE_ENDED) {
		link_give_up(link, -EPIPE, "");
	}
	if (link->ops->close) {
		link->ops->close(link);
	}
	peer_drop(link->context, &link->peer);
	peer_drop(link->context, &link->past);
	fbk_timeline_close(link->state);
	fbk_timeline_close(link->out.timeline);
	calls_wait_owner(&link->context->calls, link); /* those that found it closing */
	link->closed = true;
	link_unref(link);
}

int fbk_link_set_flushing(struct fbk_link *link, bool flushing)
{
	int r = context_check(link->context);
	if (r == 0) {
		context_set_flushing(link->context, &link->flushing, flushing);
	}
	return r;
}
