// SPDX-License-Identifier: MIT
/*
 * The ids that this context gives to what the daemon makes for it. So it can end what it made also when it has not heard of it:
 * the reply was lost, or its fds found no room here. Any thread, any lock.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/page.h"

struct ids {                                   /* in the context */
	pthread_mutex_t lock;                  /* a leaf */
	uint64_t handles[FBK_PAIR_CELLS / 64]; /* those in use */
	uint32_t last;                         /* of all other kinds */
};

void ids_init(struct ids *ids);
void ids_finish(struct ids *ids);

/* For a device, a set, a mirror, an export or a token: another than all before. */
uint32_t id_take(struct ids *ids);

/* The bus registered something by that id. */
void id_skip(struct ids *ids, uint32_t id);

/* For a timeline. -ENOSPC: all are in use. */
int handle_take(struct ids *ids, uint32_t *ret_handle);

/* The daemon has no timeline by it, or will have closed that before it reads the next request. */
void handle_free(struct ids *ids, uint32_t handle);

/* The request to make something failed so; the daemon may have made it all the same. */
bool id_uncertain(int error);
