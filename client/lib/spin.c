// SPDX-License-Identifier: MIT
#include "spin.h"

#define FUTILE_MAX   2      /* so often in a row: then sleep at once, */
#define SKIP_MIN     8      /* for that many waits and up to twice as many, */
#define FAR_MAX      3      /* doubled that often */
#define FAR_NS       100000 /* where waits take longer than this */
#define MARGIN       4      /* times the usual time are looked for, */
#define MARGIN_NS    1000   /* and a little */
#define USUAL_WEIGHT 8      /* of the old average, with the new value as one */

/* All accesses are relaxed: each word is a guess on its own, and publishes nothing else. */

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

static void spin_paid(struct spin *spin, uint64_t took_ns)
{
	uint64_t usual_ns = atomic_load_explicit(&spin->usual_ns, memory_order_relaxed);
	usual_ns =
		usual_ns == 0 ? took_ns : (usual_ns * (USUAL_WEIGHT - 1) + took_ns) / USUAL_WEIGHT;
	atomic_store_explicit(&spin->usual_ns, (uint32_t)(usual_ns | 1), memory_order_relaxed);
	atomic_store_explicit(&spin->futile, 0, memory_order_relaxed);
}

static void spin_pause(struct spin *spin, uint64_t took_ns)
{
	/* The clock's last digits are as random as is needed here. */
	uint32_t skip = SKIP_MIN + (uint32_t)(took_ns / 8 % SKIP_MIN);
	uint8_t far = atomic_load_explicit(&spin->far, memory_order_relaxed);
	atomic_store_explicit(&spin->skip, (uint16_t)(skip << far), memory_order_relaxed);
	atomic_store_explicit(&spin->futile, 0, memory_order_relaxed);
}

void spin_learn(struct spin *spin, uint64_t budget_ns, uint64_t took_ns, bool decided)
{
	/* Much longer than planned: it was taken off its CPU, which others need. */
	if (decided && took_ns <= 2 * budget_ns) {
		spin_paid(spin, took_ns);
		return;
	}
	uint8_t futile = atomic_load_explicit(&spin->futile, memory_order_relaxed);
	futile = (uint8_t)(futile + 1);
	/* The next try looks as long as policy allows: it may have changed. */
	atomic_store_explicit(&spin->usual_ns, 0, memory_order_relaxed);
	if (futile >= FUTILE_MAX) {
		spin_pause(spin, took_ns);
	} else {
		atomic_store_explicit(&spin->futile, futile, memory_order_relaxed);
	}
}

void spin_slept(struct spin *spin, uint64_t took_ns)
{
	uint8_t far = atomic_load_explicit(&spin->far, memory_order_relaxed);
	uint8_t now = took_ns <= FAR_NS ? 0 : far < FAR_MAX ? (uint8_t)(far + 1) : far;
	if (now != far) {
		atomic_store_explicit(&spin->far, now, memory_order_relaxed);
	}
}
