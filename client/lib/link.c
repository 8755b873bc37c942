// SPDX-License-Identifier: MIT
/* Meeting: offers, who accepted, what changed since; and ending. */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "device.h"
#include "error.h"
#include "point.h"
#include "proto/container.h"
#include "proto/wire.h"
#include "request.h"
#include "timeline.h"
#include "clock.h"

/* ------------------------------------------------------------------------------------- requests -- */

static int lane_create(struct fbk_link *link)
{
	const char *name = link->role == FBK_PRODUCER ? "handed" : "returned";
	return fbk_timeline_create(link->device, NULL, name, FBK_TIMELINE_RING,
				   &link->out.timeline);
}

static int link_request(const struct fbk_link *link, Fbk__Wire__Request *request)
{
	return request_do(link->context, request);
}

static int link_join(struct fbk_link *link)
{
	/* Above what either lane carried before: each outlives a peer. */
	uint64_t handed = fbk_timeline_value(link->out.timeline);
	uint64_t returned = fbk_timeline_value(link->in.timeline);
	uint64_t from = (handed > returned ? handed : returned) + 1;
	REQUEST(request, LINK_JOIN, link_join, .handle = link->state->handle, .from = from,
		.epoch = link->epoch);
	int r = link_request(link, &request);
	if (r == 0) {
		link->next = from;
		link->said = from;
		link->returned = from;
		link->info.phase = FBK_LINK_ESTABLISHED;
	}
	return r == -EALREADY ? 0
			      : r; /* who is meant left meanwhile: that is a change to ask about */
}

static void link_take_state(struct fbk_link *link, const Fbk__Wire__LinkState *state)
{
	struct fbk_link_info *info = &link->info;
	info->phase = state->phase;
	info->role = link->role;
	info->acquire = state->acquire;
	info->release = state->release;
	info->pid = state->pid;
	info->uid = state->uid;
	info->error = state->error;
	wire_text_copy(info->acquire_why, sizeof(info->acquire_why), state->acquire_why);
	wire_text_copy(info->release_why, sizeof(info->release_why), state->release_why);
	wire_text_copy(info->peer, sizeof(info->peer), state->peer);
	wire_text_copy(info->cause, sizeof(info->cause), state->cause);
}

static void link_lose_peer(struct fbk_link *link, void (*lost)(struct fbk_link *link, int error))
{
	if (link->in.timeline) {
		if (lost) {
			lost(link, link->info.error < 0 ? link->info.error : -EPIPE);
		}
		/* Whoever waits for one of these, in another thread, ends his wait: they failed, or the next
		 * peer's take their place. */
		lane_drop(&link->past);
		link->past = link->in;
		link->in = (struct lane){ 0 };
	}
}

/* The state timeline failed: who offered is gone, or the daemon is. */
static void link_take_end(struct fbk_link *link)
{
	struct fbk_timeline_info info;
	struct fbk_link_info *known = &link->info;
	known->phase = FBK_LINK_ENDED;
	if (fbk_timeline_info(link->state, &info) == 0) {
		known->error = info.error;
		memcpy(known->cause, info.reason, sizeof(known->cause));
	}
}

/* What the daemon says of it; with a peer there comes a token of its lane. */
static int link_meet(struct fbk_link *link, const Fbk__Wire__LinkState *state, int token_fd,
		     void (*lost)(struct fbk_link *link, int error))
{
	int r = 0;
	bool same = state->epoch == link->epoch && token_fd >= 0;
	link_take_state(link, state);
	if (!same) {
		link_lose_peer(link, lost);
		link->next = 0;
	}
	link->epoch = state->epoch;
	if (token_fd >= 0 && !link->in.timeline) {
		r = fbk_timeline_open(link->context, token_fd, &link->in.timeline);
		if (r == -EBADF || r == -ENOENT) {
			r = 0; /* it is leaving already: the state says so soon */
		}
	}
	if (link->role == FBK_CONSUMER && state->phase == FBK_LINK_ESTABLISHED && link->next == 0) {
		link->next = state->from;
		link->oldest = state->from;
	}
	if (r == 0 && link->exchange && link->in.timeline && state->phase == FBK_LINK_ACCEPTED) {
		r = link_join(link);
	}
	return r;
}

static int link_ask(struct fbk_link *link, void (*lost)(struct fbk_link *link, int error))
{
	struct reply reply;
	REQUEST(request, LINK_INFO, link_info, .handle = link->state->handle);
	int r = request_call(link->context, &request, NULL, 0, FDS_MAY_DIFFER, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_LINK) {
		r = link_meet(link, reply.message->link, reply.fd_count > 0 ? reply.fds[0] : -1,
			      lost);
	} else {
		r = error_set(-EPROTO, "the daemon describes no link");
	}
	reply_finish(&reply);
	return r;
}

/* The daemon took it away, or is gone itself, which no page says. */
static bool link_is_over(const struct fbk_link *link)
{
	return context_lost(link->context) || timeline_check(link->state, FBK_POINT_MAX) != -EAGAIN;
}

int link_refresh(struct fbk_link *link, void (*lost)(struct fbk_link *link, int error))
{
	/* Twice: what changed while it was asked about is asked about as well. */
	for (int i = 0; i < 2 && link->info.phase != FBK_LINK_ENDED; i++) {
		uint64_t value = fbk_timeline_value(link->state);
		bool over = link_is_over(link);
		if (!over && value == link->seen) {
			return 0;
		}
		int r = over ? 0 : link_ask(link, lost);
		if (r < 0) { /* maybe since it ends just now */
			over = link_is_over(link);
		}
		if (over) {
			link_take_end(link);
			link_lose_peer(link, lost);
			return 0;
		}
		if (r < 0) {
			return r;
		}
		link->seen = value;
	}
	return 0;
}

static int info_over(const struct fbk_link_info *info)
{
	return error_set(-EPIPE, "%s",
			 info->cause[0] ? info->cause : "nobody accepted the link yet");
}

int link_over(const struct fbk_link *link)
{
	return info_over(&link->info);
}

void link_give_up(struct fbk_link *link, int error, const char *reason)
{
	REQUEST(request, LINK_END, link_end, .handle = link->state->handle, .epoch = link->epoch,
		.error = error, .reason = request_text(reason));
	link_request(link, &request); /* it may have ended meanwhile, or the daemon */
}

/* ------------------------------------------------------------------------------- offer, accept -- */

static struct fbk_link *link_new(struct fbk_device *device, enum fbk_role role)
{
	struct fbk_link *link = calloc(1, sizeof(*link));
	if (!link) {
		return NULL;
	}
	link->context = device->context;
	link->device = device;
	link->role = role;
	link->info.role = role;
	link->info.phase = FBK_LINK_OFFERED;
	pthread_mutex_init(&link->own_lock, NULL);
	link->lock = &link->own_lock;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		link->buffers[i].desc.fd = -1;
	}
	return link;
}

static void link_free(struct fbk_link *link)
{
	pthread_mutex_destroy(&link->own_lock);
	free(link);
}

static void link_drop(struct child *child)
{
	struct fbk_link *link = container_of(child, struct fbk_link, child);
	lane_close_syncobjs(&link->in);
	lane_close_syncobjs(&link->past);
	frames_drop(link);
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

int fbk_link_offer(struct fbk_device *device, enum fbk_role role, int *ret_offer_fd,
		   struct fbk_link **ret_link)
{
	struct fbk_link *link = link_new(device, role);
	if (!link) {
		return error_plain(-ENOMEM);
	}
	link->offered = true;
	int r = fbk_timeline_create(device, NULL, "link", FBK_TIMELINE_BROKERED, &link->state);
	if (r == 0) {
		r = lane_create(link);
	}
	if (r == 0) {
		REQUEST(request, LINK_OFFER, link_offer, .handle = link->state->handle,
			.device = device->number, .role = role, .lane = link->out.timeline->handle);
		r = link_request(link, &request);
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
		link->role = reply.message->link->role;
		link_take_state(link, reply.message->link);
	} else {
		r = error_set(-EPROTO, "the daemon describes no link");
	}
	reply_finish(&reply);
	return r;
}

int fbk_link_accept(struct fbk_device *device, int offer_fd, struct fbk_link **ret_link)
{
	struct fbk_link *link = link_new(device, FBK_CONSUMER);
	if (!link) {
		return error_plain(-ENOMEM);
	}
	int r = fbk_timeline_open(device->context, offer_fd, &link->state);
	if (r == 0) {
		r = lane_create(link);
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
	frames_unwatch(link);
	exchange_remove_link(link);
	if (!link->offered && link->info.phase != FBK_LINK_ENDED) {
		link_give_up(link, -EPIPE, "");
	}
	frames_drop(link);
	pthread_mutex_lock(&link->context->mutex);
	child_remove(&link->child);
	pthread_mutex_unlock(&link->context->mutex);
	fbk_timeline_close(link->fences);
	lane_drop(&link->in);
	lane_drop(&link->past);
	fbk_timeline_close(link->state);
	fbk_timeline_close(link->out.timeline);
	link_free(link);
}

/* --------------------------------------------------------------------------------------- asked -- */

int link_renew(struct fbk_link *link)
{
	return link->exchange ? exchange_refresh(link->exchange, now_ns()) : frames_refresh(link);
}

/* What is so now; where the daemon can't be asked, what was known. And the next change after that. Under the
 * lock. */
static int link_look(struct fbk_link *link, struct fbk_link_info *ret_info,
		     struct fbk_point *ret_change)
{
	int r = link_renew(link);
	*ret_info = link->info;
	*ret_change = link_change(link);
	return r;
}

static int link_look_locked(struct fbk_link *link, struct fbk_link_info *ret_info,
			    struct fbk_point *ret_change)
{
	pthread_mutex_lock(link->lock);
	int r = link_look(link, ret_info, ret_change);
	pthread_mutex_unlock(link->lock);
	return r;
}

int fbk_link_info(struct fbk_link *link, struct fbk_link_info *ret_info)
{
	struct fbk_link_info info;
	struct fbk_point change;
	int r = link_look_locked(link, &info, &change);
	if (r == 0) {
		*ret_info = info;
	}
	return r;
}

const char *fbk_link_cause(struct fbk_link *link)
{
	static _Thread_local struct fbk_link_info info;
	struct fbk_point change;
	link_look_locked(link, &info, &change);
	return info.cause;
}

int fbk_link_wait(struct fbk_link *link, uint64_t deadline_ns)
{
	for (;;) {
		struct fbk_link_info info;
		struct fbk_point change;
		int r = link_look_locked(link, &info, &change);
		if (r < 0 || info.phase == FBK_LINK_ESTABLISHED) {
			return r;
		}
		if (info.phase == FBK_LINK_ENDED) {
			return info_over(&info);
		}
		r = fbk_point_wait(change, deadline_ns);
		if (r == -ETIMEDOUT || r == -EBADF) {
			return r;
		}
	}
}

static void link_heard(void *arg, struct fbk_point point, int result);

/* Under the lock. What was never told is told at once. */
static int link_listen(struct fbk_link *link, struct fbk_point change)
{
	if (!link->told && change.value > 1) {
		change.value--;
	}
	return fbk_point_watch(change, FBK_DEADLINE_MAX, link_heard, link, &link->listener);
}

static void link_heard(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct fbk_link_info info;
	struct fbk_point change;
	(void)point;
	pthread_mutex_lock(link->lock);
	link->listener = NULL;
	link_look(link, &info, &change);
	bool news = info.phase != link->told;
	link->told = info.phase;
	if (info.phase != FBK_LINK_ENDED && result != -ENOTCONN) {
		link_listen(link, change); /* first: `fn` may close it */
	}
	fbk_link_fn *fn = link->fn;
	void *fn_arg = link->arg;
	pthread_mutex_unlock(link->lock);
	if (news) {
		fn(fn_arg, link, info.phase);
	}
}

int fbk_link_listen(struct fbk_link *link, fbk_link_fn *fn, void *arg)
{
	struct fbk_link_info info;
	struct fbk_point change;
	pthread_mutex_lock(link->lock);
	fbk_watch_cancel(link->listener);
	link->listener = NULL;
	link->fn = fn;
	link->arg = arg;
	link->told = 0; /* what is, is news */
	int r = link_look(link, &info, &change);
	if (r == 0) {
		r = link_listen(link, change);
	}
	pthread_mutex_unlock(link->lock);
	return r;
}
