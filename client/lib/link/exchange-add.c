// SPDX-License-Identifier: MIT
#include "exchange-add.h"

#include <errno.h>
#include <unistd.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "consumer.h"
#include "exchange-buffer.h"
#include "exchange-refresh.h"
#include "link-producer.h"
#include "link.h"
#include "client/lib/struct-size.h"
#include "proto/fd.h"

int buffer_send(const struct fbk_link *link, uint32_t index, const struct exchange_buffer *buffer)
{
	const struct fbk_buffer_desc *desc = &buffer->desc;
	uint32_t plane_fds[FBK_PLANES_MAX] = { 0 };
	int fds[FBK_PLANES_MAX];
	size_t fd_count = 0;
	Fbk__Wire__Buffer wire = FBK__WIRE__BUFFER__INIT;
	for (uint32_t i = 0; buffer->state != BUFFER_NONE && i < desc->plane_count; i++) {
		if (desc->fd[i] >= 0) {
			plane_fds[i] = (uint32_t)fd_count;
			fds[fd_count++] = desc->fd[i];
		}
	}
	wire.index = index;
	wire.generation = buffer->generation;
	wire.memory = desc->memory;
	wire.format = desc->format;
	wire.visibility = desc->visibility;
	wire.width = desc->width;
	wire.height = desc->height;
	wire.fourcc = desc->fourcc;
	wire.modifier = desc->modifier;
	wire.offset = (uint64_t *)(uintptr_t)desc->offset; /* only packed */
	wire.stride = (uint64_t *)(uintptr_t)desc->stride;
	wire.fd = plane_fds;
	wire.n_offset = wire.n_stride = wire.n_fd = desc->plane_count;
	REQUEST(request, LINK_BUFFER, link_buffer, .handle = link->state->handle, .buffer = &wire);
	return request_do_fds(link->context, &request, fds, fd_count);
}

static int desc_check(uint32_t index, const struct fbk_buffer_desc *desc)
{
	if (desc->plane_count == 0 || desc->plane_count > FBK_PLANES_MAX) {
		return error_set(-EINVAL, "buffer %u: a buffer has 1 to %d planes", index,
				 FBK_PLANES_MAX);
	}
	return desc->fd[0] >= 0 ? 0 : error_set(-EBADF, "buffer %u: plane 0 has no fd", index);
}

/* The fds are taken, whatever comes of it; those behind the planes are none. */
static int desc_read(uint32_t index, const struct fbk_buffer_desc *given,
		     struct fbk_buffer_desc *desc)
{
	int r = STRUCT_READ(desc, given);
	if (r == 0) {
		r = desc_check(index, desc);
	}
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		if (r < 0 && given->fd[i] >= 0 && i < given->plane_count) {
			fd_close(given->fd[i]);
		}
		if (r == 0 && i >= desc->plane_count) {
			desc->fd[i] = -1;
		}
	}
	return r;
}

/* Others go on without it. */
static bool link_has_ended(struct fbk_link *link)
{
	return link_refresh(link) == 0 && link->info.phase == FBK_PHASE_ENDED;
}

static int exchange_add(struct fbk_exchange *exchange, struct exchange_buffer *buffer)
{
	uint32_t index = (uint32_t)(buffer - exchange->buffers);
	struct link_producer *half, *done;
	int r = 0;
	buffer->generation++;
	buffer->state = BUFFER_FREE;
	buffer->freed = ++exchange->freed;
	exchange->there |= index_bit(index);
	LIST_FOREACH(half, &exchange->consumers, links) {
		r = buffer_send(half->link, index, buffer);
		if (r < 0 && !link_has_ended(half->link)) {
			break;
		}
		r = 0;
	}
	if (r < 0) {
		buffer_clear(buffer);
		exchange->there &= ~index_bit(index);
		for (done = LIST_FIRST(&exchange->consumers); done != half;
		     done = LIST_NEXT(done, links)) {
			buffer_send(done->link, index, buffer);
		}
	}
	return r;
}

int fbk_exchange_add(struct fbk_exchange *exchange, uint32_t index,
		     const struct fbk_buffer_desc *desc)
{
	struct exchange_buffer *buffer = NULL;
	struct fbk_buffer_desc taken;
	int r = desc_read(index, desc, &taken);
	if (r < 0) {
		return r;
	}
	r = context_check(exchange->context);
	if (r < 0) {
		buffer_clear(&(struct exchange_buffer){ .state = BUFFER_FREE, .desc = taken });
		return r;
	}
	exchange_lock(exchange);
	r = exchange_find(exchange, index, false, &buffer);
	if (r == 0) {
		buffer->desc = taken;
		buffer->bounds = frame_bounds_of(&taken);
		r = exchange_add(exchange, buffer);
	} else {
		buffer_clear(&(struct exchange_buffer){ .state = BUFFER_FREE, .desc = taken });
	}
	exchange_unlock(exchange);
	return r;
}

static void exchange_remove(struct fbk_exchange *exchange, struct exchange_buffer *buffer)
{
	struct link_producer *half;
	uint32_t index = (uint32_t)(buffer - exchange->buffers);
	buffer_let_go(buffer);
	buffer_unwatch(buffer);
	buffer_clear(buffer);
	exchange->there &= ~index_bit(index);
	LIST_FOREACH(half, &exchange->consumers, links) {
		buffer_send(half->link, index, buffer); /* none: removes it */
	}
}

int fbk_exchange_remove(struct fbk_exchange *exchange, uint32_t index)
{
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	struct exchange_buffer *buffer = NULL;
	exchange_lock(exchange);
	exchange_refresh(exchange);
	int r = exchange_find(exchange, index, true, &buffer);
	if (r == 0 && (buffer->state == BUFFER_HANDED || buffer->state == BUFFER_BACK)) {
		r = error_set(-EBUSY, "buffer %u is with a consumer", index);
	}
	if (r == 0) {
		exchange_remove(exchange, buffer);
	}
	exchange_unlock(exchange);
	return r;
}

int fbk_exchange_abandon(struct fbk_exchange *exchange, uint32_t index)
{
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	struct exchange_buffer *buffer = NULL;
	struct link_producer *half;
	exchange_lock(exchange);
	exchange_refresh(exchange);
	int r = exchange_find(exchange, index, true, &buffer);
	if (r == 0 && (buffer->state != BUFFER_HANDED || buffer_is_drawing(buffer))) {
		r = error_set(-EINVAL, "buffer %u is not out", index);
	}
	if (r == 0) {
		LIST_FOREACH(half, &exchange->consumers, links) {
			consumer_abandon(half->link, index);
		}
		exchange_remove(exchange, buffer);
	}
	exchange_unlock(exchange);
	return r;
}
