// SPDX-License-Identifier: MIT
/*
 * Where a link's buffers are, from the tables of its two lanes and the claim words: the one reader for blame, for the
 * graph and for inspection. All of it is written by clients and may be a lie; a lie tells wrong things of the link of who
 * lies, and nothing else. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "link.h"
#include "proto/lane.h"

enum link_place {
	LINK_AT_PRODUCER, /* never handed over, given back, or retracted */
	LINK_OFFERED,     /* handed over and not taken */
	LINK_AT_CONSUMER, /* taken */
};

struct link_place_of {
	enum link_place place;
	uint64_t sequence; /* of its last frame; 0: none */
	uint64_t deadline_ns;
};

/* False, with LINK_AT_PRODUCER, while the link is not established. */
bool link_place(const struct link *link, uint32_t index, struct link_place_of *ret_place);

/* The frame that its consumer has to give back first, by its deadline; NULL: there is none. Returns the consumer's
 * lane. */
struct timeline *link_frame(const struct link *link, uint64_t *ret_sequence,
			    uint64_t *ret_deadline_ns);

/* The last frame that was handed over in that buffer, and its return, if there is one yet: what the next one in that
 * buffer waits for. */
bool link_last_frame(const struct link *link, uint32_t index, struct lane_frame *ret_frame);
bool link_last_return(const struct link *link, uint32_t index, struct lane_return *ret_back);

/* The link of that lane; NULL: it is none. Looks at all links. */
const struct link *link_of_lane(const struct timeline *lane);

/* Will frames come, as far as both ends say? Not while the consumer pauses, or once the producer stops. */
bool link_wants_frames(const struct link *link);

/* Of the last frame in each buffer: how many went back unread. */
uint32_t link_dropped(const struct link *link);

/* How many there were. */
uint64_t link_handed(const struct link *link);
uint64_t link_returned(const struct link *link);
