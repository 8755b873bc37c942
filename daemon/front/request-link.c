// SPDX-License-Identifier: MIT
/* Requests about links: offer, accept, join, end and names; and the points and buffers that the ends exchange. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int request_link_offer(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkOffer *request = body;
	struct device *device = device_find(client, request->device);
	if (!device) {
		return answer_no_device(answer, request->device);
	}
	return link_offer(handle, device, request->role, client_handle(client, request->lane),
			  answer->detail);
}

static void answer_link(struct answer *answer, const struct link *link, int side)
{
	Fbk__Wire__LinkState *state = &answer->link;
	fbk__wire__link_state__init(state);
	state->phase = link_phase(link, side);
	state->epoch = link->epoch;
	state->role = side == (int)link->producer ? FBK_PRODUCER : FBK_CONSUMER;
	state->from = link->from;
	state->error = link->error;
	state->cause = text(link->cause);
	const struct link_side *peer = &link->sides[side == 0];
	if (side >= 0 && peer->client) {
		state->acquire = link->acquire.route;
		state->release = link->release.route;
		state->acquire_why = text(link->acquire.why[link->acquire.route]);
		state->release_why = text(link->release.why[link->release.route]);
		state->peer = peer->device->name;
		state->pid = peer->client->credentials.pid;
		state->uid = peer->client->subject.uid;
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINK;
	answer->message.link = state;
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
	int r = link_accept(link, client, device, client_handle(client, request->lane),
			    answer->detail);
	if (r == 0) {
		answer_link(answer, link, link_side_of(link, client));
	}
	return r;
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
	answer_link(answer, link, side);
	const struct link_side *peer = &link->sides[side == 0];
	return side >= 0 && peer->client ? answer_duplicate(answer, peer->tokens[0]) : 0;
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
	uint32_t number;
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
	r = link_add_point(link, side, shown, &number, answer->detail);
	return r < 0 ? r : answer_object(answer, number);
}

int request_link_point_get(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkPointGet *request = body;
	struct link *link;
	int side;
	int r = link_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	const struct link_side *peer = &link->sides[side == 0];
	if (request->number == 0 || request->number >= peer->token_count) {
		snprintf(answer->detail, FBK_REASON_SIZE, "the peer shows no timeline %u",
			 request->number);
		return -ENOENT;
	}
	return answer_duplicate(answer, peer->tokens[request->number]);
}

/* No planes, which link_set_buffer() refuses, where offsets and strides differ in number. */
static struct link_buffer buffer_read(const Fbk__Wire__Buffer *message, int fd)
{
	struct link_buffer buffer = {
		.fd = fd,
		.generation = message->generation,
		.width = message->width,
		.height = message->height,
		.format = message->format,
		.modifier = message->modifier,
	};
	/* none: the message has no arrays then, and memcpy() takes no NULL */
	if (message->n_offset == message->n_stride && message->n_offset > 0 &&
	    message->n_offset <= FBK_PLANES_MAX) {
		buffer.plane_count = (uint32_t)message->n_offset;
		memcpy(buffer.offset, message->offset,
		       message->n_offset * sizeof(buffer.offset[0]));
		memcpy(buffer.stride, message->stride,
		       message->n_stride * sizeof(buffer.stride[0]));
	}
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
	struct link_buffer buffer = buffer_read(request->buffer, fds[0]);
	r = link_set_buffer(link, client, request->buffer->index, &buffer, answer->detail);
	if (r == 0) {
		fds[0] = -1; /* kept */
	}
	return r;
}

int request_link_buffer_get(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkBufferGet *request = body;
	Fbk__Wire__Buffer *buffer = &answer->buffer;
	struct link *link;
	int side;
	int r = link_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	if (request->index >= FBK_BUFFERS_MAX || link->buffers[request->index].fd < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "there is no buffer %u", request->index);
		return -ENOENT;
	}
	struct link_buffer *found = &link->buffers[request->index];
	fbk__wire__buffer__init(buffer);
	buffer->index = request->index;
	buffer->generation = found->generation;
	buffer->width = found->width;
	buffer->height = found->height;
	buffer->format = found->format;
	buffer->modifier = found->modifier;
	buffer->n_offset = found->plane_count;
	buffer->n_stride = found->plane_count;
	buffer->offset = found->offset;
	buffer->stride = found->stride;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_BUFFER;
	answer->message.buffer = buffer;
	return answer_duplicate(answer, found->fd);
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
