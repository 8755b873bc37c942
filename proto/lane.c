// SPDX-License-Identifier: MIT
#include "lane.h"

#include "page.h"

void lane_entry_write(void *page, const struct lane_entry *entry)
{
	struct fbk_ring_entry *place = fbk_ring_entry_at(page, entry->sequence);
	/* relaxed, all of them: the payload is raised after, and who reads them saw that. What lay here came
	 * back, so nobody reads it any more. */
	atomic_store_explicit(&place->sequence, entry->sequence, memory_order_relaxed);
	atomic_store_explicit(&place->value, entry->value, memory_order_relaxed);
	atomic_store_explicit(&place->timeline, entry->timeline, memory_order_relaxed);
	atomic_store_explicit(&place->index, entry->index, memory_order_relaxed);
	atomic_store_explicit(&place->generation, entry->generation, memory_order_relaxed);
	atomic_store_explicit(&place->result, entry->result, memory_order_relaxed);
	atomic_store_explicit(&place->deadline_ns, entry->deadline_ns, memory_order_relaxed);
}

bool lane_entry_read(void *page, uint64_t sequence, struct lane_entry *ret_entry)
{
	const struct fbk_ring_entry *place = fbk_ring_entry_at(page, sequence);
	/* acquire: the entry after its number; a lie costs who lies, and the rest is checked by the caller */
	if (atomic_load_explicit(&place->sequence, memory_order_acquire) != sequence) {
		return false;
	}
	*ret_entry = (struct lane_entry){
		.sequence = sequence,
		/* relaxed, all of them: as above. Each is read once: its owner may write here at any time. */
		.value = atomic_load_explicit(&place->value, memory_order_relaxed),
		.timeline = atomic_load_explicit(&place->timeline, memory_order_relaxed),
		.index = atomic_load_explicit(&place->index, memory_order_relaxed),
		.generation = atomic_load_explicit(&place->generation, memory_order_relaxed),
		.result = atomic_load_explicit(&place->result, memory_order_relaxed),
		.deadline_ns = atomic_load_explicit(&place->deadline_ns, memory_order_relaxed),
	};
	return true;
}
