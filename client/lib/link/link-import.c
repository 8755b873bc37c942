// SPDX-License-Identifier: MIT
#include "link-import.h"

#include <errno.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "link-buffer.h"
#include "link-producer.h"
#include "link.h"
#include "proto/fd.h"
#include "release-line.h"

/* The program has what it made of one that is gone. */
static bool buffer_is_gone(const struct fbk_link *link, uint32_t index)
{
	const struct link_buffer *buffer = link->consumer->buffers[index];
	return buffer && buffer->imported && buffer->error == 0 &&
	       !(link->buffers & index_bit(index));
}

static bool buffer_is_new(const struct fbk_link *link, uint32_t index)
{
	const struct link_buffer *buffer = link->consumer->buffers[index];
	return link->buffers & index_bit(index) &&
	       (!buffer || !buffer->imported || buffer->epoch != link->epoch ||
		buffer->generation != link->generations[index]);
}

static bool import_find(const struct fbk_link *link, uint32_t *ret_index)
{
	const struct link_consumer *half = link->consumer;
	for (uint32_t i = 0; half->import_fn && link->peer.self && i < FBK_BUFFERS_MAX; i++) {
		if (buffer_is_gone(link, i) || buffer_is_new(link, i)) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

bool link_import_due(const struct fbk_link *link)
{
	uint32_t index;
	return import_find(link, &index);
}

/* What the program said. The daemon is told, unless another buffer is there by now. */
static void import_decide(struct fbk_link *link, struct link_buffer *buffer, uint32_t index,
			  int error)
{
	buffer->imported = true;
	buffer->error = error < 0 ? error : 0;
	if (!link->peer.self || buffer->epoch != link->epoch) {
		return;
	}
	REQUEST(request, LINK_BUFFER_ACCEPT, link_buffer_accept, .handle = link->state->handle,
		.index = index, .generation = buffer->generation, .error = buffer->error);
	request_quiet_end(link->context,
			  &request); /* refused: it was replaced, which is a change */
}

/* What is to be imported next. 0: nothing. 1: `ret_index`, with a buffer, counted, or none: it is gone. */
static int import_next(struct fbk_link *link, uint32_t *ret_index, struct link_buffer **ret_buffer)
{
	struct link_consumer *half = link->consumer;
	for (;;) {
		int r = link_refresh(link);
		if (r < 0 || !import_find(link, ret_index)) {
			return r;
		}
		*ret_buffer = NULL;
		if (buffer_is_gone(link, *ret_index)) {
			link_buffer_unref(half->buffers[*ret_index]);
			half->buffers[*ret_index] = NULL;
			return 1;
		}
		r = link_buffer_look(link, *ret_index, link->generations[*ret_index], ret_buffer);
		if (r != -ENOENT && r != -ESTALE && r != -EPIPE) {
			return r < 0 ? r : 1;
		}
		link->buffers &= ~index_bit(*ret_index); /* until the next change, which is there */
	}
}

int link_import(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	struct link_buffer *buffer = NULL;
	uint32_t index = 0;
	pthread_mutex_lock(&half->importing);
	link_lock(link);
	int r;
	while ((r = import_next(link, &index, &buffer)) > 0) {
		fbk_buffer_fn *fn = half->import_fn;
		void *arg = half->import_arg;
		link_unlock(link);
		int before = cancelling_hold();
		int error = fn(arg, link, index, buffer ? &buffer->desc : NULL);
		cancelling_resume(before);
		link_lock(link);
		if (buffer) {
			import_decide(link, buffer, index, error);
		}
		if (half->buffers[index] && half->buffers[index]->imported) {
			release_lines_prepare(link, index);
		}
		link_buffer_unref(buffer);
	}
	link_unlock(link);
	pthread_mutex_unlock(&half->importing);
	return r;
}

int fbk_link_import(struct fbk_link *link, fbk_buffer_fn *fn, void *arg)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	if (link->role != FBK_ROLE_CONSUMER) {
		return error_set(-EPERM, "this end of the link is the producer's");
	}
	pthread_mutex_lock(&link->consumer->importing);
	link_lock(link);
	link->consumer->import_fn = fn;
	link->consumer->import_arg = arg;
	link_unlock(link);
	pthread_mutex_unlock(&link->consumer->importing);
	return link_import(link);
}
