// SPDX-License-Identifier: MIT
#include "pair-wait.h"

#include "bell.h"
#include "context.h"
#include "proto/mutant.h"
#include "request.h"
#include "timeline.h"

struct fbk_pair_cell *pair_cell(struct fbk_timeline *timeline, uint32_t *ret_sequence)
{
	/* acquire: the page is mapped before it is set */
	struct fbk_pair_cell *cell = atomic_load_explicit(&timeline->peer, memory_order_acquire);
	if (cell) {
		/* acquire: the sequence before `mapped`, minimum and payload; a bump after it ends
		 * the sleep (W1) */
		uint32_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
		/* seq_cst: see place_show in pair-signal.c (W2) */
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

static inline bool minimum_lower(struct fbk_pair_cell *cell, uint64_t *expected, uint64_t value)
{
	MUTANT_STRETCH();
	if (MUTANT(WAIT_FENCE)) {
		return mutant_exchange(&cell->minimum, expected, value);
	}
	/* seq_cst: after the sequence was loaded, before the payload is read again */
	return atomic_compare_exchange_weak_explicit(&cell->minimum, expected, value,
						     memory_order_seq_cst, memory_order_seq_cst);
}

/* For inspection, which shows waits and since when they are there. A wait that ends leaves the minimum low, since
 * other threads may wait for it too: so the cell says until when there is a wait. `lowered_from`: what the
 * minimum was; 0: it is low already. */
static void cell_note(struct fbk_pair_cell *cell, const struct span *span, uint64_t lowered_from)
{
	/* relaxed, all of them: a hint */
	uint64_t until = atomic_load_explicit(&cell->until_ns, memory_order_relaxed);
	bool over = lowered_from == FBK_MONITORED_NONE || until < span->now_ns;
	if (over || lowered_from > 0) {
		atomic_store_explicit(&cell->since_ns, span->now_ns, memory_order_relaxed);
	}
	if (over || until < span->deadline_ns) {
		atomic_store_explicit(&cell->until_ns, span->deadline_ns, memory_order_relaxed);
	}
}

/* Where the daemon looks at the cell, lowering it comes with a ring; one that is low already was rung for. */
void pair_cell_arm(struct fbk_timeline *timeline, struct fbk_pair_cell *cell, uint64_t value,
		   const struct span *span)
{
	/* seq_cst: as when it is lowered; it may be low already */
	uint64_t minimum = atomic_load_explicit(&cell->minimum, memory_order_seq_cst);
	while (minimum > value) {
		uint64_t before = minimum;
		if (!minimum_lower(cell, &minimum, value)) {
			continue;
		}
		cell_note(cell, span, before);
		if (cell == timeline->cell) {
			bell_ring(timeline->context, timeline->handle);
		}
		return;
	}
	cell_note(cell, span, 0);
}

/* Under the mutex. */
static void pair_joined(void *arg, struct reply *reply)
{
	struct fbk_timeline *timeline = arg;
	timeline->joining = false;
	if (reply->message->body_case != FBK__WIRE__MESSAGE__BODY_PAIR || reply->fd_count != 1 ||
	    !reply->message->pair->cell || timeline->peer_map) {
		return; /* refused; or the one that it has got its place back */
	}
	const Fbk__Wire__Page *page = reply->message->pair->cell;
	int r = page_map_get_peer(timeline->context, page, reply->fds[0], &timeline->peer_map);
	reply->fds[0] = -1;
	if (r == 0) {
		/* release: see pair_cell */
		atomic_store_explicit(&timeline->peer,
				      page_map_cell(timeline->peer_map, page->slot),
				      memory_order_release);
	}
}

static void pair_ask(struct fbk_timeline *timeline)
{
	REQUEST(request, PAIR_JOIN, pair_join, .handle = timeline->handle);
	timeline->joining = request_post(timeline->context, &request, pair_joined, timeline) == 0;
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
