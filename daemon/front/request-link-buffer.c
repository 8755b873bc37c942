// SPDX-License-Identifier: MIT
/* Requests about the buffers of a link: the producer's, and what the consumer says of them. */
#include <errno.h>
#include <stdio.h>

#include "daemon/core/device.h"
#include "daemon/core/link.h"
#include "dispatch.h"
#include "request-link.h"

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
	int r = request_find_link(client, handle, &link, &side, answer);
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

static int answer_buffer(struct answer *answer, struct link_buffer *found, uint32_t index,
			 enum fbk_visibility visibility)
{
	Fbk__Wire__Buffer *buffer = &answer->buffer;
	fbk__wire__buffer__init(buffer);
	buffer->index = index;
	buffer->generation = found->generation;
	buffer->memory = found->memory;
	buffer->format = found->number;
	buffer->visibility = visibility;
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
	int r = request_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r < 0) {
		return r;
	}
	if (request->index >= FBK_BUFFERS_MAX || link->buffers[request->index].fd_count == 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "there is no buffer %u", request->index);
		return -ENOENT;
	}
	struct link_buffer *found = &link->buffers[request->index];
	const struct device *producer = link->sides[link->producer].device;
	return answer_buffer(answer, found, request->index,
			     found->visibility ? found->visibility : producer->visibility);
}

int request_link_buffer_accept(struct client *client, struct handle *handle, const void *body,
			       int *fds, struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkBufferAccept *request = body;
	struct link *link;
	int side;
	int r = request_find_link(client, handle, &link, &side, answer);
	return r < 0 ? r
		     : link_accept_buffer(link, client, request->index, request->generation,
					  request->error, answer->detail);
}

int request_link_depth(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkDepth *request = body;
	struct link *link;
	int side;
	int r = request_find_link(client, handle, &link, &side, answer);
	return r < 0 ? r : link_set_depth(link, client, request->depth, answer->detail);
}
