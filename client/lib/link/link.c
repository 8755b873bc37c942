// SPDX-License-Identifier: MIT
/* What both ends of a link do: ask the daemon what changed, and take it over. */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "client/lib/request.h"
#include "client/lib/struct-size.h"
#include "client/lib/timeline.h"
#include "proto/wire.h"

int link_check(const struct fbk_link *link)
{
	return link->context ? context_check(link->context) : 0;
}

void link_lock(struct fbk_link *link)
{
	pthread_mutex_t *lock, *now;
	/* acquire: with the exchange whose it is */
	lock = atomic_load_explicit(&link->lock, memory_order_acquire);
	for (;;) {
		pthread_mutex_lock(lock);
		now = atomic_load_explicit(&link->lock, memory_order_acquire);
		if (now == lock) {
			break;
		}
		pthread_mutex_unlock(lock);
		lock = now;
	}
	link->outer = scope_enter(&link->flushing);
}

void link_unlock(struct fbk_link *link)
{
	scope_enter(link->outer);
	/* relaxed: it does not change while it is held */
	pthread_mutex_unlock(atomic_load_explicit(&link->lock, memory_order_relaxed));
}

static void link_take_buffers(struct fbk_link *link, const Fbk__Wire__LinkState *state)
{
	uint64_t rest = state->buffers;
	link->buffers = state->buffers;
	for (size_t i = 0; rest && i < state->n_buffer_generation; i++, rest &= rest - 1) {
		link->generations[__builtin_ctzll(rest)] = state->buffer_generation[i];
	}
}

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
	info->generation = state->generation;
	info->held = (uint32_t)__builtin_popcountll(state->held);
	link->held = state->held;
	info->accepted = state->accepted;
	info->refused = state->refused;
	link->format_generation = state->format_generation;
	wire_text_copy(info->acquire_why, sizeof(info->acquire_why), state->acquire_why);
	wire_text_copy(info->release_why, sizeof(info->release_why), state->release_why);
	wire_text_copy(info->peer, sizeof(info->peer), state->peer);
	wire_text_copy(info->cause, sizeof(info->cause), state->cause);
	wire_text_copy(info->unfit, sizeof(info->unfit), state->unfit);
	link_take_buffers(link, state);
}

/* What the frames that it has come back with. */
static int link_end_error(const struct fbk_link *link)
{
	int error = link->info.error < 0 ? link->info.error : -EPIPE;
	return link->lost ? -ENOTCONN : error_foreign(error);
}

static void link_lose_peer(struct fbk_link *link)
{
	if (link->peer.self) {
		link->ops->lost(link, link_end_error(link));
		/* A thread that waits for one of these ends its wait: they failed, or the next peer's take
		 * their place. */
		peer_drop(link->context, &link->past);
		link->past = link->peer;
		link->peer = (struct link_peer){ 0 };
	}
}

/* As the daemon tells it of the other end. */
static void link_tell_end(const struct fbk_timeline_info *info, char *ret_cause)
{
	const char *what = info->cause == FBK_CAUSE_OWNER_DIED   ? "it died or was disconnected"
			   : info->cause == FBK_CAUSE_OWNER_LEFT ? "it closed the link"
			   : info->cause == FBK_CAUSE_ADMIN      ? "the administrator ended it"
								 : NULL;
	if (what && info->device[0]) {
		snprintf(ret_cause, FBK_REASON_SIZE, "%s (pid %d, uid %u): %s", info->device,
			 info->pid, info->uid, what);
	} else if (info->cause == FBK_CAUSE_DAEMON_LOST) {
		snprintf(ret_cause, FBK_REASON_SIZE, "the daemon is gone");
	} else {
		memcpy(ret_cause, info->reason, FBK_REASON_SIZE);
	}
}

/* The state timeline failed: the process that offered the link is gone, or the daemon is. A link that ended before keeps
 * its cause. */
static void link_take_end(struct fbk_link *link)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_link_info *known = &link->info;
	bool ended = known->phase == FBK_PHASE_ENDED;
	known->phase = FBK_PHASE_ENDED;
	known->held = 0;
	link->held = 0;
	if (!ended && fbk_timeline_info(link->state, &info) == 0) {
		known->error = info.error;
		link->lost = info.cause == FBK_CAUSE_DAEMON_LOST;
		link_tell_end(&info, known->cause);
	}
}

static int peer_map_table(struct link_peer *peer, const Fbk__Wire__Lane *table)
{
	const struct page_map *map = peer->self->timeline->payload_map;
	if (!map || !table) {
		return error_set(-EPROTO, "the daemon describes no link of this version");
	}
	const struct lane_geometry geometry = { table->slots, table->first,        table->stride,
						table->order, table->order_length, table->head };
	int r = lane_page_init(&peer->page, map->memory, map->size, &geometry);
	return r == 0 && geometry.slots >= FBK_BUFFERS_MAX
		       ? 0
		       : error_set(-EPROTO, "the daemon describes no link of this version");
}

static int peer_map_claims(struct fbk_context *context, struct link_peer *peer,
			   const Fbk__Wire__Page *page, struct reply *reply)
{
	if (!page ||
	    page_slot_check(page, FBK_BUFFERS_MAX - 1, sizeof(struct fbk_claim_slot)) < 0) {
		return error_set(-EPROTO, "the daemon describes no link of this version");
	}
	pthread_mutex_lock(&context->mutex);
	int r = page_map_get(context, page->id, page->size, reply->fds[1], true, &peer->claims);
	pthread_mutex_unlock(&context->mutex);
	reply->fds[1] = -1;
	if (r == 0) {
		peer->words = (struct claim_page){ peer->claims->memory, page->header_size,
						   page->stride };
	}
	return r;
}

/* Open the peer's lane by its token, and map what comes with it. */
static int link_open_peer(struct fbk_link *link, const Fbk__Wire__LinkState *state,
			  struct reply *reply)
{
	struct fbk_timeline *timeline;
	struct link_peer peer = { 0 };
	int r = fbk_timeline_open(link->context, reply->fds[0], &timeline);
	if (r < 0) {
		/* The peer is leaving already, or has not mapped it yet: the next state tells. */
		return r == -EBADF || r == -ENOENT || r == -EAGAIN ? 0 : r;
	}
	r = lane_point_create(timeline, 0, &peer.self);
	if (r == 0) {
		r = peer_map_table(&peer, state->peer_table);
	}
	if (r == 0) {
		r = peer_map_claims(link->context, &peer, state->claims, reply);
	}
	if (r < 0) {
		peer_drop(link->context, &peer);
		return r;
	}
	link->peer = peer;
	return 0;
}

/* Another epoch is another peer; the token of its lane and the claim page come with the state. */
static int link_meet(struct fbk_link *link, const Fbk__Wire__LinkState *state, struct reply *reply)
{
	bool there = reply->fd_count == 2;
	bool same = state->epoch == link->epoch && there;
	link_take_state(link, state);
	if (!same) {
		link_lose_peer(link);
		link->next = 0;
	}
	link->epoch = state->epoch;
	int r = there && !link->peer.self ? link_open_peer(link, state, reply) : 0;
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
	const Fbk__Wire__LinkState *state = reply.message->link;
	if (reply.message->body_case != FBK__WIRE__MESSAGE__BODY_LINK) {
		r = error_set(-EPROTO, "the daemon describes no link");
	} else {
		r = reply_check_fds(
			&reply,
			state->claims ? 2 : 0); /* no peer is not one without room for its fds */
	}
	if (r == 0) {
		r = link_meet(link, state, &reply);
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
	int checked = context_check(link->context);
	if (checked < 0) {
		return checked;
	}
	/* Twice: what changed while it was asked about is asked about as well. */
	for (int i = 0; i < 2 && (link->info.phase != FBK_PHASE_ENDED || link->held); i++) {
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

int link_over(const struct fbk_link *link)
{
	if (link->lost) {
		return error_lost();
	}
	return error_set(-EPIPE, "%s",
			 link->info.cause[0] ? link->info.cause
					     : "no peer has accepted the link yet");
}

void link_give_up(struct fbk_link *link, int error, const char *reason)
{
	REQUEST(request, LINK_END, link_end, .handle = link->state->handle, .epoch = link->epoch,
		.error = error, .reason = request_text(reason));
	request_part(link->context, &request); /* it may have ended meanwhile, or the daemon */
	if (link->consumer) {
		lane_raise(&link->out); /* a producer that waits for frames to come back looks */
	}
}

void link_break(struct fbk_link *link, int error, const char *reason)
{
	uint64_t epoch = link->epoch;
	link_refresh(link);
	if (link->epoch != epoch || !link->peer.self) {
		return; /* it is gone already, and what it showed with it */
	}
	link_give_up(link, error, reason);
	link->ops->lost(link, error);
	link_refresh(link);
}

static void link_end_stopped(struct fbk_link *link)
{
	link_give_up(link, -EPIPE, "");
	link_refresh(link);
	if (link->offered) {
		/* or another peer could accept it */
		fbk_timeline_fail(link->state, -EPIPE, "the link was stopped");
	}
	link->info.phase = FBK_PHASE_ENDED;
	link_lose_peer(link);
	if (!link->info.cause[0]) {
		link->info.error = -EPIPE;
		wire_text_copy(link->info.cause, sizeof(link->info.cause), "it was stopped here");
	}
}

void link_wind_down(struct fbk_link *link)
{
	if (link->stopped && link->info.phase != FBK_PHASE_ENDED && !link->ops->busy(link)) {
		link_end_stopped(link);
	}
}

void link_wind_down_later(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	(void)point;
	(void)result;
	link_lock(link);
	if (!link->closing) {
		link_wind_down(link);
	}
	link_unlock(link);
}

int fbk_link_stop(struct fbk_link *link)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	link_lock(link);
	int r = link->ops->refresh(link);
	if (!link->stopped) {
		link->stopped = true;
		link->ops->stop(link);
	}
	link_wind_down(link);
	link_unlock(link);
	return r;
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
	link_lock(link);
	int r = link_look(link, ret_info, ret_change);
	link_unlock(link);
	return r;
}

static void info_fill_wishes(const struct fbk_link *link, struct fbk_link_info *info)
{
	const struct lane_page *page = link->role == FBK_ROLE_CONSUMER ? &link->out.page
				       : link->peer.self               ? &link->peer.page
								       : NULL;
	if (page) {
		struct lane_wishes wishes = lane_wishes_read(page);
		info->hold = wishes.hold;
		info->delivery = wishes.delivery == FBK_DELIVERY_MAILBOX ? FBK_DELIVERY_MAILBOX
									 : FBK_DELIVERY_FIFO;
		info->paused = wishes.pauses & 1;
	}
}

int fbk_link_info(struct fbk_link *link, struct fbk_link_info *ret_info)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	struct fbk_link_info info;
	struct fbk_point change;
	link_lock(link);
	int r = link_look(link, &info, &change);
	info_fill_wishes(link, &info);
	link_unlock(link);
	return r < 0 ? r : STRUCT_FILL(ret_info, &info);
}

const char *fbk_link_cause(struct fbk_link *link)
{
	static _Thread_local struct fbk_link_info info;
	struct fbk_point change;
	ERRORS_KEPT();
	if (link_check(link) < 0) {
		return "";
	}
	link_look_locked(link, &info, &change);
	return info.cause;
}

/* Who kept the link from being established until the deadline. */
static const char *link_absent(const struct fbk_link_info *info)
{
	if (info->phase == FBK_PHASE_OFFERED) {
		return "the other end of the link did not come before the deadline";
	}
	return info->role == FBK_ROLE_PRODUCER
		       ? "the consumer is there, and waits for fbk_exchange_create() at this end"
		       : "the producer made no exchange before the deadline";
}

int fbk_link_wait(struct fbk_link *link, uint64_t deadline_ns)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	for (;;) {
		struct fbk_link_info info;
		struct fbk_point change;
		int r = link_look_locked(link, &info, &change);
		if (r < 0 || info.phase == FBK_PHASE_ESTABLISHED) {
			return r;
		}
		if (info.phase == FBK_PHASE_ENDED) {
			link_lock(link);
			r = link_over(link);
			link_unlock(link);
			return r;
		}
		const struct flushing *before = scope_enter(&link->flushing);
		r = points_wait_any(&change, 1, deadline_ns);
		scope_enter(before);
		if (r == -ETIMEDOUT) {
			return error_fixed(r, link_absent(&info));
		}
		if (r == -ECANCELED) {
			return flushing_error();
		}
		if (r == -EBADF) {
			return error_child();
		}
	}
}
