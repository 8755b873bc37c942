// SPDX-License-Identifier: MIT
#include "ids.h"

#include <errno.h>

#include "context.h"
#include "error.h"

uint32_t id_take(struct fbk_context *context)
{
	struct ids *ids = &context->ids;
	pthread_mutex_lock(&context->mutex);
	ids->last = ids->last == UINT32_MAX ? 1 : ids->last + 1;
	uint32_t id = ids->last;
	pthread_mutex_unlock(&context->mutex);
	return id;
}

void id_skip(struct fbk_context *context, uint32_t id)
{
	pthread_mutex_lock(&context->mutex);
	if (id > context->ids.last) {
		context->ids.last = id;
	}
	pthread_mutex_unlock(&context->mutex);
}

int handle_take(struct fbk_context *context, uint32_t *ret_handle)
{
	struct ids *ids = &context->ids;
	int r = -ENOSPC;
	pthread_mutex_lock(&context->mutex);
	ids->handles[0] |= 1; /* 0 is none */
	for (uint32_t word = 0; r < 0 && word < FBK_PAIR_CELLS / 64; word++) {
		if (ids->handles[word] != UINT64_MAX) {
			uint32_t bit = (uint32_t)__builtin_ctzll(~ids->handles[word]);
			ids->handles[word] |= UINT64_C(1) << bit;
			*ret_handle = word * 64 + bit;
			r = 0;
		}
	}
	pthread_mutex_unlock(&context->mutex);
	return r == 0 ? 0
		      : error_set(r, "this context has %d timelines open, the most",
				  FBK_PAIR_CELLS - 1);
}

void handle_free(struct fbk_context *context, uint32_t handle)
{
	pthread_mutex_lock(&context->mutex);
	context->ids.handles[handle / 64] &= ~(UINT64_C(1) << handle % 64);
	pthread_mutex_unlock(&context->mutex);
}

bool id_uncertain(int error)
{
	/* -EMFILE: the daemon's, or the reply's fds found no room here */
	return error == -ETIMEDOUT || error == -ECANCELED || error == -EMFILE || error == -EPROTO;
}
