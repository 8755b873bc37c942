// SPDX-License-Identifier: MIT
#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "proto/container.h"
#include "proto/fd.h"
#include "timeline.h"

#define ENTRIES   64 /* each is passed on at once; twice as many completions fit */
#define MOVES_MAX 8  /* from thread to thread; then no more */

/* IORING_OP_FUTEX_WAIT of linux/io_uring.h, FUTEX2_SIZE_U32 of linux/futex.h: newer than these headers may be. */
#define OP_FUTEX_WAIT 51
#define FUTEX_U32     2

struct nap {
	LIST_ENTRY(nap) links;
	struct child child;            /* of the timeline */
	struct fbk_timeline *timeline; /* NULL: its end is of no interest any more */
	woken_fn *woken;
	uint32_t sequence;
	bool cancelled;
};

LIST_HEAD(nap_list, nap);

struct uring {
	struct child child; /* of the context */
	struct io_uring ring;
	bool there; /* the ring is */
	bool never; /* the kernel has none, or none that waits for futexes; or it moved too often */
	bool broken; /* it takes no more from us; the next dispatch makes another one */
	pthread_t thread;
	unsigned int moves;
	struct nap_list naps;
	unsigned int forgotten; /* of these, to be cancelled */
};

/* ---------------------------------------------------------------------------------- the ring -- */

static bool ring_takes_futexes(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool takes = probe && io_uring_opcode_supported(probe, OP_FUTEX_WAIT);
	io_uring_free_probe(probe);
	return takes;
}

/* Completions are made when this thread asks for them: its system calls are not interrupted for that. */
static int ring_init(struct io_uring *ring)
{
	int r = io_uring_queue_init(ENTRIES, ring,
				    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (r == 0 && !ring_takes_futexes(ring)) {
		io_uring_queue_exit(ring);
		r = -EOPNOTSUPP;
	}
	return r;
}

int uring_probe(void)
{
	struct io_uring ring;
	int r = ring_init(&ring);
	if (r == 0) {
		io_uring_queue_exit(&ring);
	}
	return r;
}

static void ring_open(struct fbk_context *context)
{
	struct uring *uring = context->uring;
	if (ring_init(&uring->ring) < 0) {
		uring->never = true;
		return;
	}
	if (io_uring_register_eventfd(&uring->ring, context->local) < 0) {
		io_uring_queue_exit(&uring->ring);
		uring->never = true;
		return;
	}
	uring->there = true;
	uring->broken = false;
	uring->thread = pthread_self();
}

static void nap_free(struct nap *nap)
{
	LIST_REMOVE(nap, links);
	child_remove(&nap->child);
	free(nap);
}

static void nap_is_over(struct uring *uring, struct nap *nap, struct nap_list *over)
{
	uring->forgotten -= !nap->timeline && !nap->cancelled;
	LIST_REMOVE(nap, links);
	LIST_INSERT_HEAD(over, nap, links);
}

/* What waited for these is looked at, which may begin others. */
static void naps_end(struct nap_list *over)
{
	struct nap *nap;
	while ((nap = LIST_FIRST(over))) {
		struct fbk_timeline *timeline = nap->timeline;
		woken_fn *woken = nap->woken;
		nap_free(nap);
		if (timeline) {
			timeline->nap = NULL;
			woken(timeline);
		}
	}
}

static void ring_close(struct uring *uring)
{
	io_uring_queue_exit(&uring->ring); /* its naps end without a completion */
	uring->there = false;
}

/* To the thread that dispatches now, if this one is another. */
static void ring_move(struct fbk_context *context)
{
	struct uring *uring = context->uring;
	struct nap_list over = LIST_HEAD_INITIALIZER(over);
	struct nap *nap;
	ring_close(uring);
	uring->never = ++uring->moves >= MOVES_MAX;
	while ((nap = LIST_FIRST(&uring->naps))) {
		nap_is_over(uring, nap, &over);
	}
	if (!uring->never) {
		ring_open(context);
	}
	naps_end(&over);
}

static bool ring_submit(struct fbk_context *context)
{
	struct uring *uring = context->uring;
	if (io_uring_submit(&uring->ring) < 0) {
		uring->broken = true;
		context_rouse(context);
	}
	return !uring->broken;
}

/* ------------------------------------------------------------------------------------- naps --- */

static void uring_drop(struct child *child)
{
	struct uring *uring = container_of(child, struct uring, child);
	if (uring->there) {
		ring_close(uring);
	}
	while (!LIST_EMPTY(&uring->naps)) {
		nap_free(LIST_FIRST(&uring->naps));
	}
	free(uring);
}

static const struct child_ops uring_child = { .drop = uring_drop };

/* So that the next dispatch looks whether there can be some. Some sandboxes kill a process that asks for io_uring: in
 * these the environment forbids it. */
static void uring_want(struct fbk_context *context)
{
	const char *environment = secure_getenv("FENCEBROKER_IO_URING");
	if (!context->uring) {
		context->uring = calloc(1, sizeof(*context->uring)); /* without in the worst case */
		if (context->uring) {
			child_add(&context->children, &context->uring->child, &uring_child);
		}
	}
	if (context->uring && environment && strcmp(environment, "no") == 0) {
		context->uring->never = true;
	}
}

bool uring_possible(const struct fbk_context *context)
{
	return !context->uring || !context->uring->never;
}

static bool uring_is_here(const struct uring *uring)
{
	return uring && uring->there && !uring->broken &&
	       pthread_equal(uring->thread, pthread_self());
}

void uring_forget(struct nap *nap)
{
	struct fbk_context *context = nap->timeline->context;
	child_remove(&nap->child);
	nap->timeline = NULL;
	if (context->uring->forgotten++ == 0) {
		context_rouse(context); /* only the thread that dispatches can cancel it */
	}
}

static void nap_drop(struct child *child)
{
	uring_forget(container_of(child, struct nap, child));
}

static const struct child_ops nap_child = { .drop = nap_drop };

struct nap *uring_nap(struct fbk_timeline *timeline, const struct fbk_pair_cell *cell,
		      uint32_t sequence, woken_fn *woken)
{
	struct fbk_context *context = timeline->context;
	struct uring *uring = context->uring;
	if (!uring_is_here(uring)) {
		uring_want(context);
		return NULL;
	}
	struct nap *nap = calloc(1, sizeof(*nap));
	struct io_uring_sqe *entry = nap ? io_uring_get_sqe(&uring->ring) : NULL;
	if (!entry) {
		free(nap);
		return NULL;
	}
	io_uring_prep_rw(OP_FUTEX_WAIT, entry, FUTEX_U32, &cell->sequence, 0, sequence);
	entry->addr3 = FUTEX_BITSET_MATCH_ANY;
	io_uring_sqe_set_data(entry, nap);
	LIST_INSERT_HEAD(&uring->naps, nap, links);
	if (!ring_submit(context)) {
		nap->cancelled = true; /* it goes with the ring */
		return NULL;
	}
	nap->timeline = timeline;
	nap->sequence = sequence;
	nap->woken = woken;
	child_add(&timeline->children, &nap->child, &nap_child);
	return nap;
}

bool uring_nap_ended(const struct nap *nap, uint32_t sequence)
{
	return nap->sequence != sequence && uring_is_here(nap->timeline->context->uring);
}

static void nap_cancel(struct fbk_context *context, struct nap *nap)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&context->uring->ring);
	if (entry) {
		io_uring_prep_cancel(entry, nap, 0);
		io_uring_sqe_set_data(entry, NULL);
		nap->cancelled = ring_submit(context);
		context->uring->forgotten -= nap->cancelled;
	}
}

static void uring_cancel_forgotten(struct fbk_context *context)
{
	struct nap *nap;
	LIST_FOREACH(nap, &context->uring->naps, links) {
		if (!nap->timeline && !nap->cancelled) {
			nap_cancel(context, nap);
		}
	}
}

/* ---------------------------------------------------------------------------------- a dispatch -- */

/* Those that are over. Whatever the result: the sequence moved on, or has to be looked at. */
static bool ring_collect(struct uring *uring, struct nap_list *over)
{
	struct io_uring_cqe *completion;
	bool some = false;
	uring->broken |= io_uring_get_events(&uring->ring) < 0;
	while (io_uring_peek_cqe(&uring->ring, &completion) == 0) {
		struct nap *nap = io_uring_cqe_get_data(completion);
		io_uring_cqe_seen(&uring->ring, completion);
		some = true;
		if (nap) { /* else the end of a cancel */
			nap_is_over(uring, nap, over);
		}
	}
	return some;
}

static void ring_reap(struct fbk_context *context)
{
	struct uring *uring = context->uring;
	struct nap_list over = LIST_HEAD_INITIALIZER(over);
	/* The kernel raises the eventfd when a nap is over, and again when that is collected: so it is
	 * emptied after each of these, and then it is looked whether another one was over by then. Without
	 * a daemon it stays as it is. */
	while (ring_collect(uring, &over) && !context_closed(context)) {
		event_clear(context->local);
	}
	naps_end(&over);
	if (uring->forgotten > 0) {
		uring_cancel_forgotten(context);
	}
}

void uring_dispatch(struct fbk_context *context)
{
	struct uring *uring = context->uring;
	if (!uring || uring->never) {
		return;
	}
	if (!uring->there) {
		ring_open(context);
	}
	if (uring_is_here(uring)) {
		ring_reap(context);
	}
	if (uring->there && !uring_is_here(uring)) { /* never was, or is not any more */
		ring_move(context);
	}
}
