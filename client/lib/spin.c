// SPDX-License-Identifier: MIT
#include "spin.h"

#define FUTILE_MAX   3     /* so often in a row: then sleep at once for a while, */
#define SKIP_FIRST   4     /* for so many waits, twice as many each time it is futile again, */
#define SKIP_LAST    256   /* up to these */
#define MARGIN       4     /* times the usual time are looked for, */
#define MARGIN_NS    1000  /* and a little */
#define PREEMPTED_NS 50000 /* so much later than planned: there are more threads than CPUs */
#define USUAL_WEIGHT 8     /* of the old average, with the new value as one */

/* All accesses are relaxed: each word is a guess on its own, and nothing else is told by them. */

uint64_t spin_budget(struct spin *spin, uint64_t max_ns)
{
	uint16_t skip = atomic_load_explicit(&spin->skip, memory_order_relaxed);
	if (max_ns == 0) {
		return 0;
	}
	if (skip > 0) {
		atomic_store_explicit(&spin->skip, (uint16_t)(skip - 1), memory_order_relaxed);
		return 0;
	}
	uint32_t usual_ns = atomic_load_explicit(&spin->usual_ns, memory_order_relaxed);
	uint64_t budget_ns = (uint64_t)usual_ns * MARGIN + MARGIN_NS;
	return usual_ns == 0 || budget_ns > max_ns ? max_ns : budget_ns;
}

static uint16_t skip_after(uint16_t futile)
{
	uint32_t skip = SKIP_FIRST;
	for (uint16_t i = FUTILE_MAX; i < futile && skip < SKIP_LAST; i++) {
		skip *= 2;
	}
	return (uint16_t)skip;
}

void spin_learn(struct spin *spin, uint64_t budget_ns, uint64_t took_ns, bool decided)
{
	if (took_ns > budget_ns + PREEMPTED_NS) {
		/* It was taken off its CPU: whoever is to signal may have to wait for one too. */
		atomic_store_explicit(&spin->futile, UINT16_MAX - 1, memory_order_relaxed);
		atomic_store_explicit(&spin->skip, SKIP_LAST, memory_order_relaxed);
		return;
	}
	if (decided) {
		uint64_t usual_ns = atomic_load_explicit(&spin->usual_ns, memory_order_relaxed);
		usual_ns = usual_ns == 0 ? took_ns
					 : (usual_ns * (USUAL_WEIGHT - 1) + took_ns) / USUAL_WEIGHT;
		atomic_store_explicit(&spin->usual_ns, (uint32_t)(usual_ns | 1),
				      memory_order_relaxed);
		atomic_store_explicit(&spin->futile, 0, memory_order_relaxed);
		return;
	}
	uint16_t futile = atomic_load_explicit(&spin->futile, memory_order_relaxed);
	futile = futile == UINT16_MAX ? futile : (uint16_t)(futile + 1);
	atomic_store_explicit(&spin->futile, futile, memory_order_relaxed);
	/* A try after a pause looks as long as policy allows: it may have changed. */
	atomic_store_explicit(&spin->usual_ns, 0, memory_order_relaxed);
	if (futile >= FUTILE_MAX) {
		atomic_store_explicit(&spin->skip, skip_after(futile), memory_order_relaxed);
	}
}
