// SPDX-License-Identifier: MIT
/* What both ends of a link do: ask the daemon what changed, and take it over. */
#include "link.h"

#include <errno.h>
#include <string.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "proto/wire.h"

void link_take_state(struct fbk_link *link, const Fbk__Wire__LinkState *state)
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

static void link_lose_peer(struct fbk_link *link)
{
	if (link->in.timeline) {
		link->ops->lost(link, link->info.error < 0 ? link->info.error : -EPIPE);
		/* A thread that waits for one of these ends its wait: they failed, or the next peer's take
		 * their place. */
		lane_drop(&link->past);
		link->past = link->in;
		link->in = (struct lane){ 0 };
	}
}

/* The state timeline failed: the process that offered the link is gone, or the daemon is. */
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

/* Open the peer's lane by its token; -1: there is no peer. */
static int link_open_lane(struct fbk_link *link, int token_fd)
{
	if (token_fd < 0 || link->in.timeline) {
		return 0;
	}
	int r = fbk_timeline_open(link->context, token_fd, &link->in.timeline);
	/* The peer is leaving already: the next state tells. */
	return r == -EBADF || r == -ENOENT ? 0 : r;
}

/* Another epoch is another peer; the token of its lane comes with the state. */
static int link_meet(struct fbk_link *link, const Fbk__Wire__LinkState *state, int token_fd)
{
	bool same = state->epoch == link->epoch && token_fd >= 0;
	link_take_state(link, state);
	if (!same) {
		link_lose_peer(link);
		link->next = 0;
	}
	link->epoch = state->epoch;
	int r = link_open_lane(link, token_fd);
	return r == 0 ? link->ops->met(link, state->from) : r;
}

static int link_ask(struct fbk_link *link)
{
	struct reply reply;
	REQUEST(request, LINK_INFO, link_info, .handle = link->state->handle);
	int r = request_call(link->context, &request, NULL, 0, FDS_MAY_DIFFER, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_LINK) {
		r = link_meet(link, reply.message->link, reply.fd_count > 0 ? reply.fds[0] : -1);
	} else {
		r = error_set(-EPROTO, "the daemon describes no link");
	}
	reply_finish(&reply);
	return r;
}

/* The daemon ended it, or is gone itself, which no page says. */
static bool link_is_over(const struct fbk_link *link)
{
	return context_lost(link->context) || timeline_check(link->state, FBK_POINT_MAX) != -EAGAIN;
}

int link_refresh(struct fbk_link *link)
{
	/* Twice: what changed while it was asked about is asked about as well. */
	for (int i = 0; i < 2 && link->info.phase != FBK_LINK_ENDED; i++) {
		uint64_t value = fbk_timeline_value(link->state);
		bool over = link_is_over(link);
		if (!over && value == link->seen) {
			return 0;
		}
		int r = over ? 0 : link_ask(link);
		if (r < 0) { /* maybe since it ends just now */
			over = link_is_over(link);
		}
		if (over) {
			link_take_end(link);
			link_lose_peer(link);
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
			 info->cause[0] ? info->cause : "no peer has accepted the link yet");
}

int link_over(const struct fbk_link *link)
{
	return info_over(&link->info);
}

void link_give_up(struct fbk_link *link, int error, const char *reason)
{
	REQUEST(request, LINK_END, link_end, .handle = link->state->handle, .epoch = link->epoch,
		.error = error, .reason = request_text(reason));
	request_do(link->context, &request); /* it may have ended meanwhile, or the daemon */
}

int link_look(struct fbk_link *link, struct fbk_link_info *ret_info, struct fbk_point *ret_change)
{
	int r = link->ops->refresh(link);
	*ret_info = link->info;
	*ret_change = link_change(link);
	return r;
}

/* ------------------------------------------------------------------------------ asked by the program -- */

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
