// SPDX-License-Identifier: MIT
/* An exchange between the leader, who produces, and a partner, who consumes; for the rows about hand-overs. */
#pragma once

#include "ours.h"

#define HALL_PATIENCE_NS UINT64_C(20000000000)
#define HALL_BUFFERS_MAX 3

/* The leader's end. */
struct hall {
	struct party *party;
	struct fbk_link *link;
	struct fbk_exchange *exchange;
	struct fbk_timeline *drawn; /* its acquire points */
};

/* The partner's. */
struct guest {
	struct party party;
	struct fbk_device *device;
	struct fbk_link *link;
	struct fbk_timeline *read; /* its release points */
};

/* Both ends at once. With so many buffers; of a consumer that waits on and signals these masks. The hall
 * goes with its party, the guest with its process. */
int hall_open(struct hall *hall, struct party *party, int socket, unsigned int buffers);
int guest_join(struct guest *guest, const struct daemon *daemon, int socket, uint32_t waits,
	       uint32_t signals);

int hall_take(struct hall *hall, uint32_t *ret_index);
int hall_hand(struct hall *hall, uint32_t index, struct fbk_point acquire);
int guest_next(struct guest *guest, struct fbk_frame **ret_frame);
