// SPDX-License-Identifier: MIT
#include "narrow.h"

#include "bell.h"
#include "proto/narrow.h"
#include "timeline.h"

uint64_t narrow_load(const struct fbk_timeline *timeline)
{
	const struct fbk_control_slot *control = timeline->control;
	/* acquire: the word loaded below is not older than this */
	uint64_t shadow = atomic_load_explicit(&control->shadow, memory_order_acquire);
	uint32_t word;
	for (;;) {
		/* seq_cst: as the payload of 64 bits in timeline_check */
		word = atomic_load_explicit(fbk_narrow_word(timeline->payload),
					    memory_order_seq_cst);
		/* acquire: before the status; after the word, by the acquire in that. A shadow that
		 * moved meanwhile, possibly far, does not belong to the word. */
		uint64_t again = atomic_load_explicit(&control->shadow, memory_order_acquire);
		if (again == shadow) {
			break;
		}
		shadow = again; /* the daemon looked; it does that seldom */
	}
	/* acquire: after the word, see timeline_check. A poisoned word is no value. */
	if (atomic_load_explicit(&control->status, memory_order_acquire) != FBK_STATUS_OK) {
		return shadow;
	}
	uint64_t value = fbk_narrow_extend(shadow, word);
	if (value - shadow >= FBK_NARROW_STALE) {
		/* Nonsense, or so far ahead that the daemon should look before the word is further
		 * than 32 bits can tell. */
		bell_ring(timeline->context, timeline->handle);
	}
	return value - shadow < FBK_NARROW_REACH ? value : shadow;
}
