// SPDX-License-Identifier: MIT
/* Requests about links: offer, accept, join, end and names; and the points that the ends exchange. */
#include <errno.h>
#include <stdio.h>

#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/link.h"
#include "daemon/core/token.h"
#include "dispatch.h"
#include "request-link.h"

int answer_no_link(struct answer *answer, const struct handle *handle)
{
	snprintf(answer->detail, FBK_REASON_SIZE, "timeline %s is no offer of a link",
		 handle->timeline->name);
	return -EBADF;
}

int request_find_link(struct client *client, struct handle *handle, struct link **ret_link,
		      int *ret_side, struct answer *answer)
{
	struct link *link = link_of(handle);
	if (!link) {
		return answer_no_link(answer, handle);
	}
	int side = link_side_of(link, client);
	if (side < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s",
			 link->cause[0] ? link->cause : "this client has not accepted that link");
		return -EPIPE;
	}
	*ret_link = link;
	*ret_side = side;
	return 0;
}

int request_find_peer(struct client *client, struct handle *handle, uint64_t epoch,
		      struct link **ret_link, int *ret_side, struct answer *answer)
{
	int r = request_find_link(client, handle, ret_link, ret_side, answer);
	if (r == 0 && *ret_side == 0 && (*ret_link)->epoch != epoch) {
		snprintf(answer->detail, FBK_REASON_SIZE, "that consumer has left");
		return -ESTALE;
	}
	return r;
}

static void table_describe(Fbk__Wire__Lane *ret, const struct timeline *lane)
{
	struct lane_geometry geometry = timeline_geometry(lane);
	fbk__wire__lane__init(ret);
	ret->slots = geometry.slots;
	ret->first = geometry.first;
	ret->stride = geometry.stride;
	ret->order = geometry.order;
	ret->order_length = geometry.order_length;
	ret->head = geometry.head;
}

static void answer_peer(struct answer *answer, const struct link *link,
			const struct link_side *peer)
{
	Fbk__Wire__LinkState *state = &answer->link;
	const struct timeline *lane = link_lane(peer);
	state->acquire = link->acquire.route;
	state->release = link->release.route;
	state->acquire_why = text(link->acquire.why[link->acquire.route]);
	state->release_why = text(link->release.why[link->release.route]);
	state->peer = peer->device->name;
	state->pid = peer->client->credentials.pid;
	state->uid = peer->client->subject.uid;
	if (lane) {
		table_describe(&answer->peer_table, lane);
		state->peer_table = &answer->peer_table;
	}
}

/* Which buffers there are, and what the consumer said of them. */
static void answer_buffers(struct answer *answer, const struct link *link)
{
	Fbk__Wire__LinkState *state = &answer->link;
	state->buffers = link_buffers(link);
	state->accepted = link_buffers_imported(link, LINK_BUFFER_ACCEPTED);
	state->refused = link_buffers_imported(link, LINK_BUFFER_REFUSED);
	state->buffer_generation = answer->generations;
	for (uint64_t rest = state->buffers; rest; rest &= rest - 1) {
		answer->generations[state->n_buffer_generation++] =
			link->buffers[__builtin_ctzll(rest)].generation;
	}
}

static void answer_link(struct answer *answer, const struct link *link, const struct client *client,
			int side)
{
	Fbk__Wire__LinkState *state = &answer->link;
	fbk__wire__link_state__init(state);
	state->phase = link_phase(link, side);
	state->epoch = link->epoch;
	state->role = side == (int)link->producer ? FBK_ROLE_PRODUCER : FBK_ROLE_CONSUMER;
	state->from = link->from;
	state->error = link->error;
	state->cause = text(link->cause);
	state->generation = link->generation;
	state->held = link_held(link, client);
	state->format_generation = link->joined.generation;
	state->unfit = text(link->unfit);
	const struct link_side *peer = &link->sides[side == 0];
	if (side >= 0 && peer->client) {
		answer_peer(answer, link, peer);
		answer_buffers(answer, link);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINK;
	answer->message.link = state;
}

/* The lane that was made for this end: its pages come first. */
static int answer_lane(struct answer *answer, const struct link_side *side)
{
	const struct handle *lane = link_line_handle(side, &side->lane);
	int r = answer_timeline(answer, lane);
	if (r == 0) {
		table_describe(&answer->lane_table, lane->timeline);
		answer->link.lane = &answer->timeline;
		answer->link.lane_table = &answer->lane_table;
		answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINK;
		answer->message.link = &answer->link;
	}
	return r;
}

/* A token of another client's handle, at the cost of the one that asks. */
static int answer_token(struct answer *answer, struct client *asker, struct handle *handle,
			uint32_t rights)
{
	int fd;
	int r = token_ask(handle, asker, rights, &fd);
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

static int answer_claims(struct answer *answer, const struct link *link)
{
	page_describe(&answer->claims, link->claims, 0);
	answer->link.claims = &answer->claims;
	return answer_duplicate(answer, link->claims->fd);
}

int request_link_offer(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkOffer *request = body;
	struct device *device = device_find(client, request->device);
	if (!device) {
		return answer_no_device(answer, request->device);
	}
	const struct link_wish wish = { device, request->role, request->hold, request->lane };
	int r = link_offer(handle, &wish, answer->detail);
	if (r < 0) {
		return r;
	}
	const struct link *link = link_of(handle);
	int side = link_side_of(link, client);
	answer_link(answer, link, client, side);
	return answer_lane(answer, &link->sides[side]);
}

int request_link_accept(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkAccept *request = body;
	struct device *device = device_find(client, request->device);
	struct link *link = link_of(handle);
	if (!device) {
		return answer_no_device(answer, request->device);
	}
	if (!link) {
		return answer_no_link(answer, handle);
	}
	const struct link_wish wish = { device, 0, request->hold, request->lane };
	int r = link_accept(link, client, &wish, answer->detail);
	if (r < 0) {
		return r;
	}
	int side = link_side_of(link, client);
	answer_link(answer, link, client, side);
	r = answer_lane(answer, &link->sides[side]);
	return r < 0 ? r : answer_claims(answer, link);
}

int request_link_info(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	(void)body;
	(void)fds;
	const struct link *link = link_of(handle);
	if (!link) {
		return answer_no_link(answer, handle);
	}
	int side = link_side_of(link, client);
	answer_link(answer, link, client, side);
	const struct link_side *peer = &link->sides[side == 0];
	if (side < 0 || !peer->client) {
		return 0;
	}
	struct handle *lane = link_line_handle(peer, &peer->lane);
	if (!lane) {
		return 0; /* it leaves */
	}
	int r = answer_token(answer, client, lane, FBK_RIGHT_WAIT);
	return r < 0 ? r : answer_claims(answer, link);
}

int request_link_join(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkJoin *request = body;
	struct link *link;
	int side;
	int r = request_find_link(client, handle, &link, &side, answer);
	return r < 0 ? r : link_join(link, client, request->from, request->epoch, answer->detail);
}

int request_link_end(struct client *client, struct handle *handle, const void *body, int *fds,
		     struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkEnd *request = body;
	struct link *link;
	char reason[FBK_REASON_SIZE / 2];
	int side;
	int r = request_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	if (request->error >= 0 || request->error < -4095) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%d is not a negative errno",
			 request->error);
		return -EINVAL;
	}
	wire_text_copy(reason, sizeof(reason), request->reason);
	link_end(link, client, request->error, reason);
	return 0;
}

int request_link_point(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkPoint *request = body;
	struct handle *shown = client_handle(client, request->timeline);
	struct link *link;
	int side;
	int r = request_find_link(client, handle, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	if (!shown || !(shown->rights & FBK_RIGHT_WAIT)) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "this client has no timeline %u that it may wait for", request->timeline);
		return -ENOENT;
	}
	return link_set_point(link, side, shown, request->number, request->incarnation,
			      answer->detail);
}

int request_link_point_get(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkPointGet *request = body;
	struct link *link;
	struct handle *shown;
	int side;
	int r = request_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r == 0) {
		r = link_point_find(link, side == 0, request->number, request->incarnation, &shown,
				    answer->detail);
		link->points_awaited |= r == -EAGAIN;
	}
	return r < 0 ? r
		     : answer_token(answer, client, shown,
				    shown->rights & (FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE));
}

int request_link_publish(struct client *client, struct handle *handle, const void *body, int *fds,
			 struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkPublish *request = body;
	struct link *link = link_of(handle);
	if (!link) {
		return answer_no_link(answer, handle);
	}
	return link_publish(link, client, request->name, answer->detail);
}

int request_link_find(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__LinkFind *request = body;
	struct handle *state;
	int r = link_lookup(client, request->name, &state, answer->detail);
	return r < 0 ? r : answer_token(answer, client, state, FBK_RIGHT_WAIT);
}
