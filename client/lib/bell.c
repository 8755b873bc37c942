// SPDX-License-Identifier: MIT
#include "bell.h"

#include "context.h"
#include "proto/fd.h"
#include "proto/mutant.h"

void bell_ring(struct fbk_context *context, uint32_t handle)
{
	struct fbk_pair_page *pair = context->pair;
	MUTANT_STRETCH();
	uint64_t bit = UINT64_C(1) << (handle % 64);
	/* seq_cst, in this order, then the write: the daemon takes the summary, then the word. A bit
	 * that is set too late for it is followed by a ring of its own. */
	atomic_fetch_or_explicit(&pair->bell[handle / 64], bit, memory_order_seq_cst);
	atomic_fetch_or_explicit(&pair->bell_summary, UINT64_C(1) << (handle / 64),
				 memory_order_seq_cst);
	/* Non-blocking; a full counter means that it was rung 2^64 times. */
	event_raise(context->doorbell);
}
