// SPDX-License-Identifier: MIT
#include "exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "link.h"
#include "proto/container.h"
#include "proto/fd.h"

void exchange_lock(struct fbk_exchange *exchange)
{
	pthread_mutex_lock(&exchange->lock);
	exchange->outer = scope_enter(&exchange->flushing);
}

void exchange_unlock(struct fbk_exchange *exchange)
{
	scope_enter(exchange->outer);
	pthread_mutex_unlock(&exchange->lock);
}

int exchange_find(struct fbk_exchange *exchange, uint32_t index, bool there,
		  struct exchange_buffer **ret_buffer)
{
	if (index >= FBK_BUFFERS_MAX) {
		return error_set(-EINVAL, "buffer %u: an exchange has at most %d, from 0", index,
				 FBK_BUFFERS_MAX);
	}
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if ((buffer->state != BUFFER_NONE) != there) {
		return error_set(there ? -ENOENT : -EEXIST,
				 there ? "there is no buffer %u" : "there is a buffer %u already",
				 index);
	}
	*ret_buffer = buffer;
	return 0;
}

void buffer_let_go(struct exchange_buffer *buffer)
{
	while (buffer->kept_count > 0) {
		struct kept *kept = &buffer->kept[--buffer->kept_count];
		lane_point_unref(kept->link->context, kept->point);
	}
}

void buffer_clear(struct exchange_buffer *buffer)
{
	for (uint32_t i = 0; buffer->state != BUFFER_NONE && i < FBK_PLANES_MAX; i++) {
		if (buffer->desc.fd[i] >= 0) {
			fd_close(buffer->desc.fd[i]);
		}
	}
	*buffer = (struct exchange_buffer){ .generation = buffer->generation,
					    .exchange = buffer->exchange };
}

struct fbk_exchange *exchange_new(struct fbk_context *context)
{
	struct fbk_exchange *exchange = calloc(1, sizeof(*exchange));
	if (exchange) {
		exchange->context = context;
		pthread_mutex_init(&exchange->lock, NULL);
		LIST_INIT(&exchange->consumers);
		for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
			exchange->buffers[i].exchange = exchange;
		}
	}
	return exchange;
}

static void exchange_drop(struct child *child)
{
	struct fbk_exchange *exchange = container_of(child, struct fbk_exchange, child);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		while (buffer->kept_count > 0) { /* at the end of the context; else they are gone */
			lane_point_unref(NULL, buffer->kept[--buffer->kept_count].point);
		}
		buffer_clear(buffer);
	}
	pthread_mutex_destroy(&exchange->lock);
	free(exchange);
}

static const struct child_ops exchange_child = { .drop = exchange_drop };

void exchange_enlist(struct fbk_exchange *exchange)
{
	pthread_mutex_lock(&exchange->context->mutex);
	child_add(&exchange->context->children, &exchange->child, &exchange_child);
	pthread_mutex_unlock(&exchange->context->mutex);
}

void exchange_free(struct fbk_exchange *exchange)
{
	pthread_mutex_lock(&exchange->context->mutex);
	child_remove(&exchange->child);
	pthread_mutex_unlock(&exchange->context->mutex);
	exchange_drop(&exchange->child);
}
