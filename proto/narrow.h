// SPDX-License-Identifier: MIT
/*
 * 32-bit payloads: the arithmetic that both sides share. The word is the lower half of the payload;
 * its 64-bit value is extended from the shadow in the control page, the last value that the daemon
 * saw. The word is ahead of that, by less than 2^31: what looks further away stepped back. Any
 * thread; docs/memory-fence-abi.md is the specification.
 */
#pragma once

#include <stdint.h>

#include "page.h"

#define FBK_NARROW_REACH  (UINT64_C(1) << 31) /* the word is less than this ahead of the shadow */
#define FBK_NARROW_STEP   (UINT64_C(1) << 30) /* the most by which one signal of a CPU raises it */
#define FBK_NARROW_POISON (UINT32_C(1) << 30) /* what failing adds to it */
#define FBK_NARROW_STALE  (UINT64_C(1) << 29) /* so far ahead, the daemon is asked to look */

static inline _Atomic uint32_t *fbk_narrow_word(_Atomic uint64_t *payload)
{
	return (_Atomic uint32_t *)(void *)payload; /* little-endian: the lower half */
}

/* Below the shadow: the word stepped back. FBK_NARROW_REACH or more above it: it would have stepped
 * back below 0, so it jumped instead. Both are nonsense. */
static inline uint64_t fbk_narrow_extend(uint64_t shadow, uint32_t word)
{
	uint32_t ahead = word - (uint32_t)shadow;
	uint32_t behind = (uint32_t)shadow - word;
	return ahead < FBK_NARROW_REACH || behind > shadow ? shadow + ahead : shadow - behind;
}
