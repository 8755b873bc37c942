// SPDX-License-Identifier: MIT
#include "link-buffer.h"

#include <errno.h>
#include <stdlib.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "link.h"

static int wire_check(const Fbk__Wire__Buffer *wire, const struct reply *reply)
{
	bool good = wire->n_offset > 0 && wire->n_offset <= FBK_PLANES_MAX &&
		    wire->n_stride == wire->n_offset && wire->n_fd == wire->n_offset;
	for (size_t i = 0; good && i < wire->n_fd; i++) {
		good = wire->fd[i] < reply->fd_count;
	}
	return good ? 0 : error_set(-EPROTO, "the daemon describes no buffer");
}

/* Planes of one fd share it: -1 says that of plane 0. */
static void buffer_take_planes(struct fbk_buffer_desc *desc, const Fbk__Wire__Buffer *wire,
			       struct reply *reply)
{
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		desc->fd[i] = -1;
	}
	for (uint32_t i = 0; i < desc->plane_count; i++) {
		desc->offset[i] = wire->offset[i];
		desc->stride[i] = wire->stride[i];
		desc->fd[i] = reply->fds[wire->fd[i]]; /* -1 once it was taken */
		reply->fds[wire->fd[i]] = -1;
	}
}

static int buffer_create(const Fbk__Wire__Buffer *wire, uint64_t epoch, struct reply *reply,
			 struct link_buffer **ret_buffer)
{
	int r = wire_check(wire, reply);
	if (r < 0) {
		return r;
	}
	struct link_buffer *buffer = calloc(1, sizeof(*buffer));
	if (!buffer) {
		return error_plain(-ENOMEM);
	}
	atomic_init(&buffer->refs, 1);
	buffer->generation = wire->generation;
	buffer->epoch = epoch;
	buffer->desc = (struct fbk_buffer_desc){
		.struct_size = sizeof(buffer->desc),
		.memory = wire->memory,
		.format = wire->format,
		.width = wire->width,
		.height = wire->height,
		.plane_count = (uint32_t)wire->n_offset,
		.fourcc = wire->fourcc,
		.modifier = wire->modifier,
		.visibility = wire->visibility,
	};
	buffer_take_planes(&buffer->desc, wire, reply);
	buffer->bounds = frame_bounds_of(&buffer->desc);
	*ret_buffer = buffer;
	return 0;
}

static int buffer_ask(struct fbk_link *link, uint32_t index, struct link_buffer **ret_buffer)
{
	struct reply reply;
	REQUEST(request, LINK_BUFFER_GET, link_buffer_get, .handle = link->state->handle,
		.index = index, .epoch = link->epoch);
	int r = request_call(link->context, &request, NULL, 0, FDS_MAY_DIFFER, &reply);
	if (r < 0) {
		return r;
	}
	r = reply.message->body_case == FBK__WIRE__MESSAGE__BODY_BUFFER
		    ? buffer_create(reply.message->buffer, link->epoch, &reply, ret_buffer)
		    : error_set(-EPROTO, "the daemon describes no buffer");
	reply_finish(&reply);
	return r;
}

int link_buffer_look(struct fbk_link *link, uint32_t index, uint32_t generation,
		     struct link_buffer **ret_buffer)
{
	struct link_buffer **place = &link->consumer->buffers[index], *buffer = NULL;
	int r = 0;
	if (!*place || (*place)->generation != generation || (*place)->epoch != link->epoch) {
		r = buffer_ask(link, index, &buffer);
		if (r == 0) {
			link_buffer_unref(*place);
			*place = buffer;
		}
	}
	if (r == 0) {
		/* relaxed: the link has one */
		atomic_fetch_add_explicit(&(*place)->refs, 1, memory_order_relaxed);
		*ret_buffer = *place;
	}
	return r;
}

int link_buffer_get(struct fbk_link *link, uint32_t index, uint32_t generation,
		    struct link_buffer **ret_buffer)
{
	struct link_buffer *buffer = NULL;
	int r = link_buffer_look(link, index, generation, &buffer);
	if (r == 0 && buffer->generation != generation) {
		link_buffer_unref(buffer);
		return error_set(-ESTALE, "buffer %u is not the one that was handed over", index);
	}
	if (r == 0) {
		*ret_buffer = buffer;
	}
	return r;
}
