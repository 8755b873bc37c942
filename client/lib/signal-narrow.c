// SPDX-License-Identifier: MIT
#include "signal-narrow.h"

#include <errno.h>

#include "context.h"
#include "error.h"
#include "narrow.h"
#include "point-error.h"
#include "point.h"
#include "proto/narrow.h"
#include "timeline.h"

/* Wait until the shadow is near: too far from it, the word does not say which value it stands for. */
static int narrow_follow(struct fbk_timeline *timeline, uint64_t value)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	for (int asked = 0;; asked++) {
		/* acquire: as in narrow_load */
		uint64_t shadow =
			atomic_load_explicit(&timeline->control->shadow, memory_order_acquire);
		if (value - shadow < FBK_NARROW_REACH) {
			return 0;
		}
		if (asked) {
			return context_lost(timeline->context)
				       ? error_lost()
				       : error_set(-EPROTO, "the daemon did not look at %s",
						   timeline->name);
		}
		int r = fbk_timeline_info(timeline, &info); /* the daemon looks before it answers */
		if (r < 0) {
			return r;
		}
	}
}

int narrow_raise(struct fbk_timeline *timeline, uint64_t value, uint64_t *ret_reached)
{
	for (;;) {
		uint64_t reached = narrow_load(timeline);
		/* acquire: with `failed` come bound and error, in timeline_check */
		if (atomic_load_explicit(&timeline->control->status, memory_order_acquire) !=
		    FBK_STATUS_OK) {
			return error_of_signal(timeline, timeline_check(timeline, FBK_POINT_MAX));
		}
		if (value <= reached) {
			*ret_reached = reached;
			return error_set(-EALREADY, "%llu is not above %llu, the payload of %s",
					 (unsigned long long)value, (unsigned long long)reached,
					 timeline->name);
		}
		if (value - reached > FBK_NARROW_STEP) {
			return error_set(-ERANGE,
					 "%llu is more than 2^30 above %llu, the payload of %s, "
					 "which has 32 bits",
					 (unsigned long long)value, (unsigned long long)reached,
					 timeline->name);
		}
		int r = narrow_follow(timeline, value);
		if (r < 0) {
			return r;
		}
		uint32_t word = (uint32_t)reached;
		/* seq_cst, relaxed on failure: as the payload of 64 bits in signal_in_memory. A word
		 * that is poisoned is another one. */
		if (atomic_compare_exchange_strong_explicit(
			    fbk_narrow_word(timeline->payload), &word, (uint32_t)value,
			    memory_order_seq_cst, memory_order_relaxed)) {
			*ret_reached = value;
			return 0;
		}
	}
}
