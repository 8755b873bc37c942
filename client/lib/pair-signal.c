// SPDX-License-Identifier: MIT
#include "pair-signal.h"

#include <stdlib.h>

#include "clock.h"
#include "context.h"
#include "proto/cells.h"
#include "proto/container.h"
#include "proto/mutant.h"
#include "request.h"
#include "timeline.h"

#define SILENT_MAX   16 /* wakes in a row that woke no thread: then a cell is dropped, */
#define DROP_TIME_NS UINT64_C(1000000000) /* for so long */

struct signal_pairs {
	struct child child;                 /* of the timeline */
	_Atomic uint32_t silent[PAIRS_MAX]; /* signals running that woke no thread */
	struct {
		struct page_map *map; /* NULL: free */
		uint32_t slot;
		uint64_t back_ns; /* dropped: until then; 0: looked at */
	} places[PAIRS_MAX];
	uint64_t generation; /* of the list that these are */
	bool asked;          /* for a newer one */
};

/* --------------------------------------------------------------------------------- signalling -- */

/* R1, R2. Under the mutex. */
static void place_show(struct fbk_timeline *timeline, uint32_t index)
{
	struct signal_pairs *pairs = timeline->pairs;
	struct fbk_pair_cell *cell =
		page_map_cell(pairs->places[index].map, pairs->places[index].slot);
	pairs->places[index].back_ns = 0;
	/* relaxed: a guess at what it costs */
	atomic_store_explicit(&pairs->silent[index], 0, memory_order_relaxed);
	if (MUTANT(MAPPED_EARLY)) {
		/* seq_cst: as below, but for the place */
		atomic_store_explicit(&cell->mapped, 1, memory_order_seq_cst);
		MUTANT_STRETCH();
	}
	/* seq_cst, this one first: a waiter that sees `mapped` re-reads the payload after it, and a thread
	 * that signals without having seen this cell had raised the payload before. */
	atomic_store_explicit(&timeline->cells[index], cell, memory_order_seq_cst);
	atomic_store_explicit(&cell->mapped, 1, memory_order_seq_cst);
}

/* X1 to X5. Under the mutex, so that it can't fall between R1 and R2. */
static void place_hide(struct fbk_timeline *timeline, uint32_t index)
{
	const struct signal_pairs *pairs = timeline->pairs;
	struct fbk_pair_cell *cell =
		page_map_cell(pairs->places[index].map, pairs->places[index].slot);
	/* seq_cst, in this order: a waiter that saw `mapped` before it is cleared loaded the sequence before
	 * that, and does not sleep through the bump; one that comes later arms at the daemon. */
	atomic_store_explicit(&timeline->cells[index], NULL, memory_order_seq_cst);
	atomic_store_explicit(&cell->mapped, 0, memory_order_seq_cst);
	if (MUTANT(DROP_SILENT)) {
		return;
	}
	cell_bump(cell);
}

static void pair_drop(struct fbk_timeline *timeline, uint32_t index)
{
	MUTANT_STRETCH();
	pthread_mutex_lock(&timeline->context->mutex);
	/* relaxed: changes under the mutex only */
	if (atomic_load_explicit(&timeline->cells[index], memory_order_relaxed)) {
		place_hide(timeline, index);
		timeline->pairs->places[index].back_ns = now_ns() + DROP_TIME_NS;
	}
	pthread_mutex_unlock(&timeline->context->mutex);
}

static void pair_woken(struct fbk_timeline *timeline, uint32_t index, long woken)
{
	_Atomic uint32_t *silent = &timeline->pairs->silent[index];
	/* relaxed, both: a guess, as in place_show */
	if (woken > 0) {
		atomic_store_explicit(silent, 0, memory_order_relaxed);
	} else if (atomic_fetch_add_explicit(silent, 1, memory_order_relaxed) + 1 >= SILENT_MAX) {
		pair_drop(timeline, index);
	}
}

void pairs_signal(struct fbk_timeline *timeline, uint64_t value)
{
	/* seq_cst, all of them: after the exchange of the payload (see place_show). Loads that need
	 * nothing more than a plain one does. */
	uint32_t count = atomic_load_explicit(&timeline->cell_count, memory_order_seq_cst);
	for (uint32_t i = 0; i < count; i++) {
		struct fbk_pair_cell *cell =
			atomic_load_explicit(&timeline->cells[i], memory_order_seq_cst); /* S3 */
		/* seq_cst: the waiter lowers it, then reads the payload again */
		if (!cell || atomic_load_explicit(&cell->minimum, memory_order_seq_cst) > value) {
			continue;
		}
		pair_woken(timeline, i, cell_bump(cell));
	}
}

/* ----------------------------------------------------------------------- the list of cells -- */

static void place_free(struct fbk_timeline *timeline, uint32_t index)
{
	struct signal_pairs *pairs = timeline->pairs;
	if (pairs->places[index].back_ns == 0) {
		place_hide(timeline, index);
	}
	page_map_put(pairs->places[index].map);
	pairs->places[index].map = NULL;
}

static bool place_is(const struct signal_pairs *pairs, uint32_t index, const Fbk__Wire__Page *page)
{
	return pairs->places[index].map && pairs->places[index].map->id == page->id &&
	       pairs->places[index].slot == page->slot;
}

static bool listed(const struct signal_pairs *pairs, uint32_t index,
		   const Fbk__Wire__PairCells *list)
{
	for (size_t i = 0; i < list->n_cells; i++) {
		if (place_is(pairs, index, list->cells[i])) {
			return true;
		}
	}
	return false;
}

static void place_take(struct fbk_timeline *timeline, const Fbk__Wire__Page *page, int *fd)
{
	struct signal_pairs *pairs = timeline->pairs;
	uint32_t free_one = PAIRS_MAX;
	for (uint32_t i = PAIRS_MAX; i-- > 0;) {
		if (place_is(pairs, i, page)) {
			return; /* there, or dropped for a while */
		}
		free_one = pairs->places[i].map ? free_one : i;
	}
	if (free_one == PAIRS_MAX) {
		return;
	}
	int r = page_map_get_peer(timeline->context, page, *fd, &pairs->places[free_one].map);
	*fd = -1;
	if (r < 0) {
		return; /* it is woken by the daemon, as before */
	}
	pairs->places[free_one].slot = page->slot;
	/* relaxed: changes under the mutex only */
	if (free_one >= atomic_load_explicit(&timeline->cell_count, memory_order_relaxed)) {
		/* seq_cst: before the cell is shown */
		atomic_store_explicit(&timeline->cell_count, free_one + 1, memory_order_seq_cst);
	}
	place_show(timeline, free_one);
}

static void pairs_ask(struct fbk_timeline *timeline);

/* Under the mutex. */
static void pairs_listed(void *arg, struct reply *reply)
{
	struct fbk_timeline *timeline = arg;
	struct signal_pairs *pairs = timeline->pairs;
	const Fbk__Wire__PairCells *list = reply->message->pair_cells;
	pairs->asked = false;
	if (reply->message->body_case != FBK__WIRE__MESSAGE__BODY_PAIR_CELLS) {
		return; /* refused: it failed meanwhile */
	}
	for (uint32_t i = 0; i < PAIRS_MAX; i++) {
		if (pairs->places[i].map && list->generation != 0 && !listed(pairs, i, list)) {
			place_free(timeline, i);
		}
	}
	int none = -1;
	for (size_t i = 0; i < list->n_cells; i++) {
		bool fresh = i < list->fresh && i < reply->fd_count;
		place_take(timeline, list->cells[i], fresh ? &reply->fds[i] : &none);
	}
	pairs->generation = list->generation;
	if (list->generation == 0 && list->fresh > 0) {
		pairs_ask(timeline); /* the others, now that it has these */
	}
}

/* Under the mutex. */
static void pairs_ask(struct fbk_timeline *timeline)
{
	struct signal_pairs *pairs = timeline->pairs;
	uint64_t have[PAIRS_MAX];
	size_t count = 0;
	for (uint32_t i = 0; i < PAIRS_MAX; i++) {
		if (pairs->places[i].map) {
			have[count++] = pairs->places[i].map->id;
		}
	}
	REQUEST(request, PAIR_LIST, pair_list, .handle = timeline->handle, .n_have = count,
		.have = have);
	pairs->asked = request_post(timeline->context, &request, pairs_listed, timeline) == 0;
}

static void pairs_drop(struct child *child)
{
	struct signal_pairs *pairs = container_of(child, struct signal_pairs, child);
	for (uint32_t i = 0; i < PAIRS_MAX; i++) {
		page_map_put(pairs->places[i].map);
	}
	free(pairs);
}

static const struct child_ops pairs_child = { .drop = pairs_drop };

/* Made when it is first needed; NULL where there is no memory: then the daemon wakes, as before. */
static struct signal_pairs *pairs_of(struct fbk_timeline *timeline)
{
	if (!timeline->pairs) {
		timeline->pairs = calloc(1, sizeof(*timeline->pairs));
		if (timeline->pairs) {
			child_add(&timeline->children, &timeline->pairs->child, &pairs_child);
		}
	}
	return timeline->pairs;
}

void pairs_refresh(struct fbk_timeline *timeline)
{
	struct fbk_context *context = timeline->context;
	/* acquire: a hint that there is a list to ask for */
	uint64_t generation =
		atomic_load_explicit(&timeline->control->generation, memory_order_acquire);
	if (generation == 0) {
		return;
	}
	pthread_mutex_lock(&context->mutex);
	struct signal_pairs *pairs = pairs_of(timeline);
	if (pairs && pairs->asked && !context->reading) {
		request_read(context); /* maybe it is there */
	}
	if (pairs && !pairs->asked && pairs->generation != generation) {
		pairs_ask(timeline);
	}
	for (uint32_t i = 0; pairs && i < PAIRS_MAX; i++) {
		uint64_t back_ns = pairs->places[i].back_ns;
		if (pairs->places[i].map && back_ns != 0 && back_ns <= now_ns()) {
			place_show(timeline, i);
		}
	}
	pthread_mutex_unlock(&context->mutex);
}
