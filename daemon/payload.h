// SPDX-License-Identifier: MIT
/* What the loop does with the payload word of a timeline, of 64 bits or 32. Loop's thread only. */
#pragma once

#include <stdint.h>

struct timeline;

/* The payload, read once, seq_cst; a narrow one is extended from what was seen last. */
uint64_t payload_load(const struct timeline *timeline);

/* The largest rise from one look to the next that may be believed. */
uint64_t payload_max_jump(const struct timeline *timeline);

/* What was seen is what a narrow payload is extended from: tell the readers. */
void payload_publish_seen(const struct timeline *timeline);

/* Poison it, seq_cst; returns what it was, and has it kept where hardware may overwrite it. */
uint64_t payload_poison(struct timeline *timeline);
