// SPDX-License-Identifier: MIT
/* Requests about links: offer, accept, join, end and names; and the points and buffers that the ends exchange. */
#include <errno.h>
#include <stdio.h>

#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/link.h"
#include "daemon/core/token.h"
#include "dispatch.h"

static int answer_no_link(struct answer *answer, const struct handle *handle)
{
	snprintf(answer->detail, FBK_REASON_SIZE, "timeline %s is not the state of a link",
		 handle->timeline->name);
	return -EBADF;
}

static int link_find(struct client *client, struct handle *handle, struct link **ret_link,
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

/* The offerer states the epoch of the peer that it means. The accepter has one peer only. */
static int link_find_peer(struct client *client, struct handle *handle, uint64_t epoch,
			  struct link **ret_link, int *ret_side, struct answer *answer)
{
	int r = link_find(client, handle, ret_link, ret_side, answer);
	if (r == 0 && *ret_side == 0 && (*ret_link)->epoch != epoch) {
		snprintf(answer->detail, FBK_REASON_SIZE, "stale epoch: that consumer has left");
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
}

static void answer_peer(struct answer *answer, const struct link *link,
			const struct link_side *peer)
{
	Fbk__Wire__LinkState *state = &answer->link;
	const struct timeline *lane = link_lane(link, peer);
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
	const struct link_side *peer = &link->sides[side == 0];
	if (side >= 0 && peer->client) {
		answer_peer(answer, link, peer);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINK;
	answer->message.link = state;
}

/* The lane that was made for this end: its pages come first. */
static int answer_lane(struct answer *answer, const struct link_side *side)
{
	int r = answer_timeline(answer, side->lane);
	if (r == 0) {
		table_describe(&answer->lane_table, side->lane->timeline);
		answer->link.lane = &answer->timeline;
		answer->link.lane_table = &answer->lane_table;
		answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINK;
		answer->message.link = &answer->link;
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
	int r = link_offer(handle, device, request->role, answer->detail);
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
	int r = link_accept(link, client, device, answer->detail);
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
	int r = answer_duplicate(answer, peer->lane_token);
	return r < 0 ? r : answer_claims(answer, link);
}

int request_link_join(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkJoin *request = body;
	struct link *link;
	int side;
	int r = link_find(client, handle, &link, &side, answer);
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
	int r = link_find_peer(client, handle, request->epoch, &link, &side, answer);
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
	int r = link_find(client, handle, &link, &side, answer);
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
	int side, token;
	int r = link_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r == 0) {
		r = link_point_token(link, side == 0, request->number, request->incarnation, &token,
				     answer->detail);
	}
	return r < 0 ? r : answer_duplicate(answer, token);
}

/* No planes, which link_set_buffer() refuses, where the arrays differ in length, or name an fd that is not there. */
static struct link_buffer buffer_read(const Fbk__Wire__Buffer *message, const int *fds)
{
	struct link_buffer buffer = {
		.generation = message->generation,
		.memory = message->memory,
		.format = message->format,
		.visibility = message->visibility,
		.width = message->width,
		.height = message->height,
		.fourcc = message->fourcc,
		.modifier = message->modifier,
	};
	size_t planes = message->n_offset;
	while (buffer.fd_count < FBK_PLANES_MAX && fds[buffer.fd_count] >= 0) {
		buffer.fds[buffer.fd_count] = fds[buffer.fd_count];
		buffer.fd_count++;
	}
	if (planes == 0 || planes > FBK_PLANES_MAX || message->n_stride != planes ||
	    message->n_fd != planes) {
		return buffer;
	}
	for (size_t i = 0; i < planes; i++) {
		if (message->fd[i] >= buffer.fd_count) {
			return buffer;
		}
		buffer.plane_fd[i] = message->fd[i];
		buffer.offset[i] = message->offset[i];
		buffer.stride[i] = message->stride[i];
	}
	buffer.plane_count = (uint32_t)planes;
	return buffer;
}

int request_link_buffer(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	const Fbk__Wire__LinkBuffer *request = body;
	struct link *link;
	int side;
	int r = link_find(client, handle, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	if (!request->buffer) {
		snprintf(answer->detail, FBK_REASON_SIZE, "the request names no buffer");
		return -EINVAL;
	}
	struct link_buffer buffer = buffer_read(request->buffer, fds);
	r = link_set_buffer(link, client, request->buffer->index, &buffer, answer->detail);
	for (uint32_t i = 0; r == 0 && i < buffer.fd_count; i++) {
		fds[i] = -1; /* kept */
	}
	return r;
}

static int answer_buffer(struct answer *answer, struct link_buffer *found, uint32_t index)
{
	Fbk__Wire__Buffer *buffer = &answer->buffer;
	fbk__wire__buffer__init(buffer);
	buffer->index = index;
	buffer->generation = found->generation;
	buffer->memory = found->memory;
	buffer->format = found->format;
	buffer->visibility = found->visibility;
	buffer->width = found->width;
	buffer->height = found->height;
	buffer->fourcc = found->fourcc;
	buffer->modifier = found->modifier;
	buffer->n_offset = buffer->n_stride = buffer->n_fd = found->plane_count;
	buffer->offset = found->offset;
	buffer->stride = found->stride;
	buffer->fd = found->plane_fd;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_BUFFER;
	answer->message.buffer = buffer;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < found->fd_count; i++) {
		r = answer_duplicate(answer, found->fds[i]);
	}
	return r;
}

int request_link_buffer_get(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkBufferGet *request = body;
	struct link *link;
	int side;
	int r = link_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	if (request->index >= FBK_BUFFERS_MAX || link->buffers[request->index].fd_count == 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "there is no buffer %u", request->index);
		return -ENOENT;
	}
	return answer_buffer(answer, &link->buffers[request->index], request->index);
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
	struct token *token;
	int r = link_lookup(client, request->name, &token, answer->detail);
	return r < 0 ? r : answer_duplicate(answer, token->fd);
}
