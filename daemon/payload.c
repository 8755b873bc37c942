// SPDX-License-Identifier: MIT
#include "payload.h"

#include "broker.h"
#include "device.h"
#include "proto/narrow.h"
#include "timeline.h"
#include "watcher.h"

uint64_t payload_load(const struct timeline *timeline)
{
	/* seq_cst: see timeline_publish. It also acquires what the signaler wrote before. */
	if (timeline->narrow) {
		return fbk_narrow_extend(
			timeline->seen,
			atomic_load_explicit(fbk_narrow_word(&timeline_payload(timeline)->payload),
					     memory_order_seq_cst));
	}
	return atomic_load_explicit(&timeline_payload(timeline)->payload, memory_order_seq_cst);
}

uint64_t payload_max_jump(const struct timeline *timeline)
{
	uint64_t max_jump = policy_settings(timeline_broker(timeline)->policy)->max_jump;
	return timeline->narrow && max_jump >= FBK_NARROW_REACH ? FBK_NARROW_REACH - 1 : max_jump;
}

void payload_publish_seen(const struct timeline *timeline)
{
	if (timeline->narrow || timeline_shadowed(timeline)) {
		/* release: who extends from this one loads a word that is not older */
		atomic_store_explicit(&timeline_control(timeline)->shadow, timeline->seen,
				      memory_order_release);
	}
}

/* A page that only processes write has no hardware to overwrite poison. */
static bool payload_by_hardware(const struct timeline *timeline)
{
	return !timeline->brokered && (timeline->watched || timeline->device->class != FBK_CPU);
}

uint64_t payload_poison(struct timeline *timeline)
{
	uint64_t old;
	uint32_t word = 0;
	/* seq_cst: after the status `failing` for readers, who load in the other order */
	if (timeline->narrow) {
		word = atomic_fetch_add_explicit(
			fbk_narrow_word(&timeline_payload(timeline)->payload), FBK_NARROW_POISON,
			memory_order_seq_cst);
		old = fbk_narrow_extend(timeline->seen, word);
		word += FBK_NARROW_POISON;
		if (old - timeline->seen >= FBK_NARROW_REACH) {
			old = UINT64_MAX; /* nonsense, whatever policy says of jumps */
		}
	} else {
		old = atomic_fetch_or_explicit(&timeline_payload(timeline)->payload, FBK_POISON,
					       memory_order_seq_cst);
	}
	if (timeline_broker(timeline)->watcher && !timeline_broker(timeline)->ending &&
	    payload_by_hardware(timeline)) {
		watcher_guard(timeline_broker(timeline)->watcher, timeline->set,
			      timeline_payload(timeline), timeline->narrow, word);
	}
	return old;
}
