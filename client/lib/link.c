// SPDX-License-Identifier: MIT
/* Meeting: offers, who accepted, what changed since; and the two lanes that frames go over. */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/wire.h"
#include "request.h"

/* ---------------------------------------------------------------------------------------- lanes -- */

static int lane_create(struct fbk_link *link)
{
	const char *name = link->role == FBK_PRODUCER ? "handed" : "returned";
	return fbk_timeline_create(link->device, NULL, name, FBK_TIMELINE_RING,
				   &link->out.timeline);
}

static struct fbk_ring_entry *lane_at(const struct lane *lane, uint64_t sequence)
{
	return fbk_ring_entry_at(lane->timeline->payload_map->memory, sequence);
}

int lane_send(const struct lane *lane, const struct lane_entry *entry)
{
	struct fbk_ring_entry *place = lane_at(lane, entry->sequence);
	/* relaxed, all of them: the payload is raised after, and who reads them saw that. What lay here came
	 * back, so nobody reads it any more. */
	atomic_store_explicit(&place->sequence, entry->sequence, memory_order_relaxed);
	atomic_store_explicit(&place->value, entry->value, memory_order_relaxed);
	atomic_store_explicit(&place->timeline, entry->timeline, memory_order_relaxed);
	atomic_store_explicit(&place->index, entry->index, memory_order_relaxed);
	atomic_store_explicit(&place->generation, entry->generation, memory_order_relaxed);
	atomic_store_explicit(&place->result, entry->result, memory_order_relaxed);
	return fbk_timeline_signal(lane->timeline, entry->sequence);
}

int lane_receive(const struct lane *lane, uint64_t sequence, struct lane_entry *ret_entry)
{
	const struct fbk_ring_entry *place = lane_at(lane, sequence);
	/* relaxed: after the payload was seen. Each is read once: the peer may write here at any time. */
	struct lane_entry entry = {
		.sequence = atomic_load_explicit(&place->sequence, memory_order_relaxed),
		.value = atomic_load_explicit(&place->value, memory_order_relaxed),
		.timeline = atomic_load_explicit(&place->timeline, memory_order_relaxed),
		.index = atomic_load_explicit(&place->index, memory_order_relaxed),
		.generation = atomic_load_explicit(&place->generation, memory_order_relaxed),
		.result = atomic_load_explicit(&place->result, memory_order_relaxed),
	};
	if (entry.sequence != sequence || entry.index >= FBK_BUFFERS_MAX ||
	    entry.timeline > FBK_LANE_POINTS || entry.result > 0 || entry.result < -4095 ||
	    (entry.timeline > 0 && (entry.value == 0 || entry.value > FBK_POINT_MAX))) {
		return error_set(-EPROTO, "the peer's frame %llu is nonsense",
				 (unsigned long long)sequence);
	}
	*ret_entry = entry;
	return 0;
}

static void lane_close_syncobjs(struct lane *lane)
{
	for (uint32_t i = 1; i <= FBK_LANE_POINTS; i++) {
		if (lane->syncobjs[i] > 0) {
			close(lane->syncobjs[i]);
		}
	}
}

static void lane_drop_points(struct lane *lane)
{
	lane_close_syncobjs(lane);
	for (uint32_t i = 1; i <= FBK_LANE_POINTS; i++) {
		fbk_timeline_close(lane->points[i]);
	}
	fbk_timeline_close(lane->timeline);
	*lane = (struct lane){ 0 };
}

/* --------------------------------------------------------------------------------------- requests -- */

static int link_request(const struct fbk_link *link, Fbk__Wire__Request *request)
{
	return request_do(link->context, request);
}

int link_number_of(struct fbk_link *link, const struct fbk_timeline *timeline)
{
	Fbk__Wire__LinkPoint body = FBK__WIRE__LINK_POINT__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct lane *lane = &link->out;
	struct reply reply;
	if (!timeline) {
		return 0;
	}
	for (uint32_t i = 1; i <= lane->count; i++) {
		if (lane->ids[i] == timeline->id) {
			return (int)i;
		}
	}
	body.handle = link->state->handle;
	body.timeline = timeline->handle;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_POINT;
	request.link_point = &body;
	int r = request_call(link->context, &request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	uint32_t number = reply.message->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT
				  ? reply.message->object->id
				  : 0;
	reply_finish(&reply);
	if (number != lane->count + 1 || number > FBK_LANE_POINTS) {
		return error_set(-EPROTO, "the daemon's number for timeline %s is %u",
				 timeline->name, number);
	}
	lane->ids[number] = timeline->id;
	lane->count = number;
	return (int)number;
}

static int point_open(struct fbk_link *link, uint32_t number)
{
	Fbk__Wire__LinkPointGet body = FBK__WIRE__LINK_POINT_GET__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	body.handle = link->state->handle;
	body.number = number;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_POINT_GET;
	request.link_point_get = &body;
	int r = request_call(link->context, &request, NULL, 0, 1, &reply);
	if (r == 0) {
		r = fbk_timeline_open(link->context, reply.fds[0], &link->in.points[number]);
		reply_finish(&reply);
	}
	return r;
}

int link_point_of(struct fbk_link *link, const struct lane_entry *entry,
		  struct fbk_point *ret_point)
{
	int r = 0;
	if (entry->timeline == 0) { /* that it is said is all there is to wait for */
		*ret_point = (struct fbk_point){ link->in.timeline, entry->sequence };
		return 0;
	}
	if (!link->in.points[entry->timeline]) {
		r = point_open(link, entry->timeline);
	}
	if (r == 0) {
		*ret_point = (struct fbk_point){ link->in.points[entry->timeline], entry->value };
	}
	return r;
}

/* It may meet somebody else than whose lane is open, who came meanwhile: what became of it is asked for. */
static int link_join(struct fbk_link *link)
{
	Fbk__Wire__LinkJoin body = FBK__WIRE__LINK_JOIN__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	/* Above what either lane carried before: each outlives a peer. */
	uint64_t handed = fbk_timeline_value(link->out.timeline);
	uint64_t returned = fbk_timeline_value(link->in.timeline);
	body.handle = link->state->handle;
	body.from = (handed > returned ? handed : returned) + 1;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_JOIN;
	request.link_join = &body;
	int r = link_request(link, &request);
	return r == -EALREADY ? 0 : r; /* nobody is there any more */
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
		lane_drop_points(&link->past);
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

static int link_ask(struct fbk_link *link, void (*lost)(struct fbk_link *link, int error))
{
	Fbk__Wire__LinkInfo body = FBK__WIRE__LINK_INFO__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	body.handle = link->state->handle;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_INFO;
	request.link_info = &body;
	int r = request_call(link->context, &request, NULL, 0, FDS_MAY_DIFFER, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case != FBK__WIRE__MESSAGE__BODY_LINK) {
		reply_finish(&reply);
		return error_set(-EPROTO, "the daemon describes no link");
	}
	const Fbk__Wire__LinkState *state = reply.message->link;
	bool same = state->epoch == link->epoch && reply.fd_count > 0;
	link_take_state(link, state);
	if (!same) {
		link_lose_peer(link, lost);
		link->next = 0;
	}
	link->epoch = state->epoch;
	if (reply.fd_count > 0 && !link->in.timeline) {
		r = fbk_timeline_open(link->context, reply.fds[0], &link->in.timeline);
		if (r == -EBADF || r == -ENOENT) {
			r = 0; /* it is leaving already: the state says so soon */
		}
	}
	if (state->phase == FBK_LINK_ESTABLISHED && link->next == 0) {
		link->next = state->from;
		link->oldest = state->from;
		link->returned = state->from;
	}
	reply_finish(&reply);
	if (r == 0 && link->exchange && link->in.timeline &&
	    link->info.phase == FBK_LINK_ACCEPTED) {
		r = link_join(link);
	}
	return r;
}

int link_refresh(struct fbk_link *link, void (*lost)(struct fbk_link *link, int error))
{
	/* Twice: who joined asks what became of that. */
	for (int i = 0; i < 2 && link->info.phase != FBK_LINK_ENDED; i++) {
		uint64_t value = fbk_timeline_value(link->state);
		bool over = timeline_check(link->state, FBK_POINT_MAX) != -EAGAIN;
		if (!over && value == link->seen) {
			return 0;
		}
		int r = over ? 0 : link_ask(link, lost);
		if (r < 0) { /* maybe since it ends just now */
			over = timeline_check(link->state, FBK_POINT_MAX) != -EAGAIN;
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

int link_over(const struct fbk_link *link)
{
	return error_set(-EPIPE, "%s",
			 link->info.cause[0] ? link->info.cause : "nobody accepted the link yet");
}

void link_give_up(struct fbk_link *link, int error, const char *reason)
{
	Fbk__Wire__LinkEnd body = FBK__WIRE__LINK_END__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.handle = link->state->handle;
	body.error = error;
	body.reason = (char *)(uintptr_t)reason;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_END;
	request.link_end = &body;
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

static void link_enlist(struct fbk_link *link)
{
	pthread_mutex_lock(&link->context->mutex);
	LIST_INSERT_HEAD(&link->context->link_list, link, links);
	pthread_mutex_unlock(&link->context->mutex);
}

static void link_free(struct fbk_link *link)
{
	pthread_mutex_destroy(&link->own_lock);
	free(link);
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
	Fbk__Wire__LinkOffer body = FBK__WIRE__LINK_OFFER__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
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
		body.handle = link->state->handle;
		body.device = device->number;
		body.role = role;
		body.lane = link->out.timeline->handle;
		request.body_case = FBK__WIRE__REQUEST__BODY_LINK_OFFER;
		request.link_offer = &body;
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
	Fbk__Wire__LinkAccept body = FBK__WIRE__LINK_ACCEPT__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	body.handle = link->state->handle;
	body.device = link->device->number;
	body.lane = link->out.timeline->handle;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_ACCEPT;
	request.link_accept = &body;
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
	exchange_remove_link(link);
	if (!link->offered && link->info.phase != FBK_LINK_ENDED) {
		link_give_up(link, -EPIPE, "");
	}
	frames_drop(link);
	pthread_mutex_lock(&link->context->mutex);
	LIST_REMOVE(link, links);
	pthread_mutex_unlock(&link->context->mutex);
	fbk_timeline_close(link->fences);
	lane_drop_points(&link->in);
	lane_drop_points(&link->past);
	fbk_timeline_close(link->state);
	fbk_timeline_close(link->out.timeline);
	link_free(link);
}

void links_free(struct fbk_context *context)
{
	while (!LIST_EMPTY(&context->link_list)) {
		struct fbk_link *link = LIST_FIRST(&context->link_list);
		LIST_REMOVE(link, links);
		lane_close_syncobjs(&link->in);
		lane_close_syncobjs(&link->past);
		frames_drop(link);
		link_free(link);
	}
}

/* --------------------------------------------------------------------------------------- asked -- */

/* What is so now; where the daemon can't be asked, what was known. */
static int link_look(struct fbk_link *link, struct fbk_link_info *ret_info)
{
	pthread_mutex_lock(link->lock);
	int r = link->exchange ? exchange_refresh(link->exchange) : frames_refresh(link);
	*ret_info = link->info;
	pthread_mutex_unlock(link->lock);
	return r;
}

int fbk_link_info(struct fbk_link *link, struct fbk_link_info *ret_info)
{
	struct fbk_link_info info;
	int r = link_look(link, &info);
	if (r == 0) {
		*ret_info = info;
	}
	return r;
}

const char *fbk_link_cause(struct fbk_link *link)
{
	struct fbk_link_info info;
	link_look(link, &info);
	return link->info.cause;
}

int fbk_link_wait(struct fbk_link *link, uint64_t deadline_ns)
{
	for (;;) {
		struct fbk_link_info info;
		int r = link_look(link, &info);
		if (r < 0 || info.phase == FBK_LINK_ESTABLISHED) {
			return r;
		}
		if (info.phase == FBK_LINK_ENDED) {
			return link_over(link);
		}
		r = fbk_point_wait(link_change(link), deadline_ns);
		if (r == -ETIMEDOUT || r == -EBADF) {
			return r;
		}
	}
}

static int link_listen(struct fbk_link *link);

static void link_heard(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	(void)point;
	struct fbk_link_info info;
	link->listener = NULL;
	link_look(link, &info);
	enum fbk_link_phase phase = info.phase;
	bool news = phase != link->told;
	link->told = phase;
	if (phase != FBK_LINK_ENDED && result != -ENOTCONN) {
		link_listen(link); /* first: `fn` may close it */
	}
	if (news) {
		link->fn(link->arg, link, phase);
	}
}

static int link_listen(struct fbk_link *link)
{
	/* What was never told is told at once. */
	struct fbk_point point = { link->state,
				   link->told || !link->seen ? link->seen + 1 : link->seen };
	return fbk_point_watch(point, FBK_DEADLINE_MAX, link_heard, link, &link->listener);
}

int fbk_link_listen(struct fbk_link *link, fbk_link_fn *fn, void *arg)
{
	fbk_watch_cancel(link->listener);
	link->listener = NULL;
	link->fn = fn;
	link->arg = arg;
	link->told = 0; /* what is, is news */
	struct fbk_link_info info;
	int r = link_look(link, &info);
	return r < 0 ? r : link_listen(link);
}
