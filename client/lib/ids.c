// SPDX-License-Identifier: MIT
#include "ids.h"

#include <errno.h>

#include "error.h"

void ids_init(struct ids *ids)
{
	pthread_mutex_init(&ids->lock, NULL);
	ids->handles[0] = 1; /* 0 is none */
}

void ids_finish(struct ids *ids)
{
	pthread_mutex_destroy(&ids->lock);
}

uint32_t id_take(struct ids *ids)
{
	pthread_mutex_lock(&ids->lock);
	ids->last = ids->last == UINT32_MAX ? 1 : ids->last + 1;
	uint32_t id = ids->last;
	pthread_mutex_unlock(&ids->lock);
	return id;
}

void id_skip(struct ids *ids, uint32_t id)
{
	pthread_mutex_lock(&ids->lock);
	if (id > ids->last) {
		ids->last = id;
	}
	pthread_mutex_unlock(&ids->lock);
}

int handle_take(struct ids *ids, uint32_t *ret_handle)
{
	int r = -ENOSPC;
	pthread_mutex_lock(&ids->lock);
	for (uint32_t word = 0; r < 0 && word < FBK_PAIR_CELLS / 64; word++) {
		if (ids->handles[word] != UINT64_MAX) {
			uint32_t bit = (uint32_t)__builtin_ctzll(~ids->handles[word]);
			ids->handles[word] |= UINT64_C(1) << bit;
			*ret_handle = word * 64 + bit;
			r = 0;
		}
	}
	pthread_mutex_unlock(&ids->lock);
	return r == 0 ? 0
		      : error_set(r, "this context has %d timelines open, the most",
				  FBK_PAIR_CELLS - 1);
}

void handle_free(struct ids *ids, uint32_t handle)
{
	pthread_mutex_lock(&ids->lock);
	ids->handles[handle / 64] &= ~(UINT64_C(1) << handle % 64);
	pthread_mutex_unlock(&ids->lock);
}

bool id_uncertain(int error)
{
	/* -EMFILE: the daemon's, or the reply's fds found no room here */
	return error == -ETIMEDOUT || error == -ECANCELED || error == -EMFILE || error == -EPROTO;
}
