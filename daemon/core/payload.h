// SPDX-License-Identifier: MIT
/* The payload word of a timeline, of 64 bits or 32 (narrow). `seen` is what a narrow one is extended from: its value
 * at the last look. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/page.h"

/* The value, read once, seq_cst. */
uint64_t payload_load(struct fbk_payload_slot *slot, bool narrow, uint64_t seen);

/* Poison it, seq_cst; returns what it was, UINT64_MAX where a narrow one can't have been that. `ret_word` is what
 * a narrow one was set to. */
uint64_t payload_poison(struct fbk_payload_slot *slot, bool narrow, uint64_t seen,
			uint32_t *ret_word);
