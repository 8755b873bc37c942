// SPDX-License-Identifier: MIT
/* An exchange between the leader, the producer, and a partner, the consumer; for the rows about hand-overs. */
#pragma once

#include "ours.h"

#define HALL_PATIENCE_NS UINT64_C(20000000000)
#define HALL_BUFFERS_MAX 3

/* The producer's end. */
struct hall {
	struct party *party;
	struct fbk_link *link;
	struct fbk_exchange *exchange;
	struct fbk_timeline *drawn; /* its acquire points */
};

/* The consumer's end. */
struct guest {
	struct party party;
	struct fbk_device *device;
	struct fbk_link *link;
	struct fbk_timeline *read; /* its release points */
};

/* Both ends run these at the same time. `waits` and `signals` are the fence kinds of the consumer's device.
 * party_leave() frees the hall; the guest lives until its process ends. */
int hall_open(struct hall *hall, struct party *party, int socket, unsigned int buffers);
int guest_join(struct guest *guest, const struct daemon *daemon, int socket, uint32_t waits,
	       uint32_t signals);

int hall_take(struct hall *hall, uint32_t *ret_index);
int hall_hand(struct hall *hall, uint32_t index, struct fbk_point acquire);
int guest_next(struct guest *guest, struct fbk_frame **ret_frame);
