// SPDX-License-Identifier: MIT
#include "pair.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/cells.h"
#include "proto/mutant.h"
#include "request.h"

#define SILENT_MAX   16                   /* wakes in a row for nobody: then a cell is dropped, */
#define DROP_TIME_NS UINT64_C(1000000000) /* for so long */

static struct fbk_pair_cell *cell_at(const struct page_map *map, uint32_t slot)
{
	struct fbk_peer_page *page = map->memory;
	return &page->cells[slot];
}

/* --------------------------------------------------------------------------------- signalling -- */

/* R1, R2. Under the mutex. */
static void place_show(struct fbk_timeline *timeline, uint32_t index)
{
	struct signal_pairs *pairs = timeline->pairs;
	struct fbk_pair_cell *cell = cell_at(pairs->places[index].map, pairs->places[index].slot);
	pairs->places[index].back_ns = 0;
	/* relaxed: a guess at whom it costs what */
	atomic_store_explicit(&pairs->silent[index], 0, memory_order_relaxed);
	if (MUTANT(MAPPED_EARLY)) {
		/* seq_cst: as below, but for the place */
		atomic_store_explicit(&cell->mapped, 1, memory_order_seq_cst);
		MUTANT_STRETCH();
	}
	/* seq_cst, this one first: whoever sees `mapped` re-reads the payload after it, and a thread
	 * that signals without having seen this cell had raised the payload before. */
	atomic_store_explicit(&timeline->cells[index], cell, memory_order_seq_cst);
	atomic_store_explicit(&cell->mapped, 1, memory_order_seq_cst);
}

/* X1 to X5. Under the mutex, so that it can't fall between R1 and R2. */
static void place_hide(struct fbk_timeline *timeline, uint32_t index)
{
	const struct signal_pairs *pairs = timeline->pairs;
	struct fbk_pair_cell *cell = cell_at(pairs->places[index].map, pairs->places[index].slot);
	/* seq_cst, in this order: who saw `mapped` before it is cleared loaded the sequence before
	 * that, and does not sleep through the bump; who comes later arms at the daemon. */
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

/* ------------------------------------------------------------------------------- the list's end -- */

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
	if (free_one == PAIRS_MAX || page->slot >= FBK_PEER_CELLS || page->size != FBK_PEER_SIZE) {
		return;
	}
	int r = page_map_get_peer(timeline->context, page->id, *fd, &pairs->places[free_one].map);
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

/* The answer: under the mutex. */
static void pairs_listed(struct fbk_timeline *timeline, struct reply *reply)
{
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
	pairs->asked = request_post(timeline, &request, pairs_listed) == 0;
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
	if (!timeline->pairs) {
		timeline->pairs =
			calloc(1, sizeof(*timeline->pairs)); /* without in the worst case */
	}
	struct signal_pairs *pairs = timeline->pairs;
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

/* ------------------------------------------------------------------------------------ waiting -- */

struct fbk_pair_cell *pair_cell(struct fbk_timeline *timeline, uint32_t *ret_sequence)
{
	/* acquire: the page is mapped before it is set */
	struct fbk_pair_cell *cell = atomic_load_explicit(&timeline->peer, memory_order_acquire);
	if (cell) {
		/* acquire: the sequence before `mapped`, minimum and payload; a bump after it ends
		 * the sleep (W1) */
		uint32_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
		/* seq_cst: see place_show (W2) */
		if (atomic_load_explicit(&cell->mapped, memory_order_seq_cst) ||
		    MUTANT(UNMAPPED_UNARMED)) {
			*ret_sequence = sequence;
			return cell;
		}
	}
	/* acquire: as above */
	*ret_sequence = atomic_load_explicit(&timeline->cell->sequence, memory_order_acquire);
	return timeline->cell;
}

/* The answer: under the mutex. */
static void pair_joined(struct fbk_timeline *timeline, struct reply *reply)
{
	timeline->joining = false;
	if (reply->message->body_case != FBK__WIRE__MESSAGE__BODY_PAIR || reply->fd_count != 1 ||
	    !reply->message->pair->cell || timeline->peer_map) {
		return; /* refused; or the one that it has got its place back */
	}
	const Fbk__Wire__Page *page = reply->message->pair->cell;
	if (page->slot >= FBK_PEER_CELLS || page->size != FBK_PEER_SIZE) {
		return;
	}
	int r = page_map_get_peer(timeline->context, page->id, reply->fds[0], &timeline->peer_map);
	reply->fds[0] = -1;
	if (r == 0) {
		/* release: see pair_cell */
		atomic_store_explicit(&timeline->peer, cell_at(timeline->peer_map, page->slot),
				      memory_order_release);
	}
}

static void pair_ask(struct fbk_timeline *timeline)
{
	REQUEST(request, PAIR_JOIN, pair_join, .handle = timeline->handle);
	timeline->joining = request_post(timeline, &request, pair_joined) == 0;
}

void pair_join(struct fbk_timeline *timeline)
{
	struct fbk_context *context = timeline->context;
	/* relaxed: counts, no more */
	uint32_t sleeps =
		atomic_fetch_add_explicit(&timeline->daemon_sleeps, 1, memory_order_relaxed) + 1;
	/* Not for a point that is waited for once; then less and less often, since it may be refused. */
	bool ask = sleeps >= 2 && (sleeps & (sleeps - 1)) == 0;
	if (timeline->flags & FBK_TIMELINE_BROKERED || sleeps < 2) {
		return;
	}
	pthread_mutex_lock(&context->mutex);
	if (timeline->joining && !context->reading) {
		request_read(context); /* maybe the answer is there */
	}
	if (ask && !timeline->joining && !context_lost(context)) {
		pair_ask(timeline);
	}
	pthread_mutex_unlock(&context->mutex);
}

void pairs_free(struct fbk_timeline *timeline)
{
	struct signal_pairs *pairs = timeline->pairs;
	for (uint32_t i = 0; pairs && i < PAIRS_MAX; i++) {
		page_map_put(pairs->places[i].map);
	}
	free(pairs);
	page_map_put(timeline->peer_map);
}
