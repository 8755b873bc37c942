// SPDX-License-Identifier: MIT
/* The payload word of a timeline, of 64 bits or 32 (narrow). A narrow one is extended from `seen`, its value at the
 * last look. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/page.h"

/* The value, read once, seq_cst. */
uint64_t payload_load(struct fbk_payload_slot *slot, bool narrow, uint64_t seen);

/* Poison the payload, seq_cst; returns its old value, UINT64_MAX where that is implausible for a narrow one. `ret_word`
 * is the new word of a narrow one. */
uint64_t payload_poison(struct fbk_payload_slot *slot, bool narrow, uint64_t seen,
			uint32_t *ret_word);
