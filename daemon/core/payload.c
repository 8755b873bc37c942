// SPDX-License-Identifier: MIT
#include "payload.h"

#include "proto/narrow.h"

uint64_t payload_load(struct fbk_payload_slot *slot, bool narrow, uint64_t seen)
{
	/* seq_cst: see timeline_publish. It also acquires what the signaler wrote before. */
	if (narrow) {
		return fbk_narrow_extend(seen, atomic_load_explicit(fbk_narrow_word(&slot->payload),
								    memory_order_seq_cst));
	}
	/* seq_cst: as above */
	return atomic_load_explicit(&slot->payload, memory_order_seq_cst);
}

uint64_t payload_poison(struct fbk_payload_slot *slot, bool narrow, uint64_t seen,
			uint32_t *ret_word)
{
	/* seq_cst: after the status `failing` for readers, who load in the other order */
	if (!narrow) {
		*ret_word = 0;
		return atomic_fetch_or_explicit(&slot->payload, FBK_POISON, memory_order_seq_cst);
	}
	/* seq_cst: as above */
	uint32_t word = atomic_fetch_add_explicit(fbk_narrow_word(&slot->payload),
						  FBK_NARROW_POISON, memory_order_seq_cst);
	uint64_t old = fbk_narrow_extend(seen, word);
	*ret_word = word + FBK_NARROW_POISON;
	return old - seen >= FBK_NARROW_REACH ? UINT64_MAX : old;
}
