// SPDX-License-Identifier: MIT
#include "exchange-buffer.h"

#include <errno.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "exchange-refresh.h"
#include "link-producer.h"
#include "link.h"

int buffer_send(const struct fbk_link *link, uint32_t index, const struct exchange_buffer *buffer)
{
	const struct fbk_buffer_desc *desc = &buffer->desc;
	bool there = buffer->state != BUFFER_NONE;
	Fbk__Wire__Buffer wire = FBK__WIRE__BUFFER__INIT;
	wire.index = index;
	wire.generation = buffer->generation;
	wire.width = desc->width;
	wire.height = desc->height;
	wire.format = desc->format;
	wire.modifier = desc->modifier;
	wire.offset = (uint32_t *)(uintptr_t)desc->offset; /* only packed */
	wire.stride = (uint32_t *)(uintptr_t)desc->stride;
	wire.n_offset = wire.n_stride = desc->plane_count;
	REQUEST(request, LINK_BUFFER, link_buffer, .handle = link->state->handle, .buffer = &wire);
	return request_do_fds(link->context, &request, &desc->fd, there ? 1 : 0);
}

int fbk_exchange_add(struct fbk_exchange *exchange, uint32_t index,
		     const struct fbk_buffer_desc *desc)
{
	struct exchange_buffer *buffer = NULL;
	struct link_producer *half, *done;
	pthread_mutex_lock(&exchange->lock);
	int r = exchange_find(exchange, index, false, &buffer);
	if (r == 0 && (desc->plane_count == 0 || desc->plane_count > FBK_PLANES_MAX)) {
		r = error_set(-EINVAL, "buffer %u: a buffer has 1 to %d planes", index,
			      FBK_PLANES_MAX);
	}
	if (r < 0) {
		pthread_mutex_unlock(&exchange->lock);
		close(desc->fd);
		return r;
	}
	buffer->desc = *desc;
	buffer->generation++;
	buffer->state = BUFFER_FREE;
	buffer->freed = ++exchange->freed;
	LIST_FOREACH(half, &exchange->consumers, links) {
		r = buffer_send(half->link, index, buffer);
		if (r < 0) {
			break;
		}
	}
	if (r < 0) {
		buffer_clear(buffer);
		for (done = LIST_FIRST(&exchange->consumers); done != half;
		     done = LIST_NEXT(done, links)) {
			buffer_send(done->link, index, buffer);
		}
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

int fbk_exchange_remove(struct fbk_exchange *exchange, uint32_t index)
{
	struct exchange_buffer *buffer = NULL;
	struct link_producer *half;
	pthread_mutex_lock(&exchange->lock);
	exchange_refresh(exchange, now_ns());
	int r = exchange_find(exchange, index, true, &buffer);
	if (r == 0 && (buffer->state == BUFFER_HANDED || buffer->state == BUFFER_BACK)) {
		r = error_set(-EBUSY, "buffer %u is with a consumer", index);
	}
	if (r == 0) {
		buffer_let_go(buffer);
		buffer_clear(buffer);
		LIST_FOREACH(half, &exchange->consumers, links) {
			buffer_send(half->link, index, buffer); /* none: removes it */
		}
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}
