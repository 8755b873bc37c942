// SPDX-License-Identifier: MIT
/*
 * One consumer as its producer sees it: what it was handed, and what it gives back. Works on the producer's half of
 * the link, under the exchange's lock.
 */
#pragma once

#include <stdint.h>

#include "link-producer.h"
#include "link.h"

/* What it acknowledged before it went is back; the rest comes back in error. Called before its lane is dropped. */
void consumer_lost(struct fbk_link *link, int error);

/* Take back what is there. */
void consumer_collect(struct fbk_link *link);

/* End the pairing where the deadline of its oldest frame passed. */
void consumer_police(struct fbk_link *link, uint64_t now);

/* What to wait for until its oldest frame is back: that it is acknowledged, or that its release point is reached. */
struct fbk_point consumer_awaited(struct fbk_link *link);

/* 0, or why a buffer can't be handed over to it with a point of that timeline. */
int consumer_may_hand(struct fbk_link *link, struct fbk_point acquire);
int consumer_hand(struct fbk_link *link, uint32_t index, uint32_t generation,
		  struct fbk_point acquire, uint64_t deadline_ns);
