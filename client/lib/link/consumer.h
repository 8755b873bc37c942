// SPDX-License-Identifier: MIT
/*
 * One consumer as its producer sees it: what it was handed, and what it gives back. Works on the producer's half of
 * the link, under the exchange's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "link-producer.h"
#include "link.h"

struct awaited;
struct exchange_buffer;

/* What it gave back before it went is back; what it never took comes back in error, and what it held once the daemon
 * says that nobody uses it (link->held). Called before its lane is dropped. */
void consumer_lost(struct fbk_link *link, int error);

/* Take back what is there, each by its own release point, in any order. */
int consumer_collect(struct fbk_link *link);

/* Retract what it need not take: all while it is paused; of a mailbox what is older than a frame that is reached. */
void consumer_retract(struct fbk_link *link);

/* What could bring something back: with `early`, what it gives back; else the release points too. */
void consumer_await(struct fbk_link *link, bool early, struct awaited *awaited);

/* The producer gives it up: whoever has it keeps its memory. */
void consumer_abandon(struct fbk_link *link, uint32_t index);

/* It was taken early: its release point is waited for by the program. */
void consumer_let_go(struct link_producer *half, uint32_t index);

/* A link that waits at its depth, and is there. */
bool consumer_is_full(struct fbk_link *link);

/* Does it get the next frame? */
bool consumer_wants(struct fbk_link *link);
/* It gets none: something is missing before its next one. */
void consumer_skip(struct fbk_link *link, const struct lane_frame *frame);

/* 0, or why a buffer can't be handed over to it with a point of that timeline; makes it known. */
int consumer_may_hand(struct fbk_link *link, struct fbk_point acquire);

/* `frame` has all but what differs by link. */
int consumer_hand(struct fbk_link *link, struct lane_frame *frame, struct fbk_point acquire);
