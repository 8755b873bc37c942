// SPDX-License-Identifier: MIT
#include "pair.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/cells.h"

struct fbk_pair_cell *pair_cell(const struct pair *pair)
{
	struct fbk_peer_page *page = pair->peer->page->memory;
	return &page->cells[pair->cell];
}

/* ----------------------------------------------------------------------------------- the page -- */

static int peer_get(struct client *waiter, const struct client *signaler, struct peer **ret_peer)
{
	struct peer *peer;
	LIST_FOREACH(peer, &waiter->peers, links) {
		if (peer->signaler_id == signaler->id && peer->page->used < peer->page->slots) {
			*ret_peer = peer;
			return 0;
		}
	}
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		return -ENOMEM;
	}
	int r = page_create(FBK_PAGE_PEER, registry_new_id(waiter->registry), 0, FBK_PEER_SIZE,
			    waiter->user, &peer->page);
	if (r < 0) {
		free(peer);
		return r;
	}
	peer->signaler_id = signaler->id;
	LIST_INSERT_HEAD(&waiter->peers, peer, links);
	*ret_peer = peer;
	return 0;
}

static void peer_put(struct peer *peer)
{
	if (--peer->cells > 0) {
		return;
	}
	/* The two clients may keep it mapped; no other pair ever gets this memory. */
	LIST_REMOVE(peer, links);
	page_unref(peer->page);
	free(peer);
}

/* ----------------------------------------------------------------------------------- the list -- */

static void list_changed(struct timeline *timeline)
{
	if (timeline->set) {
		/* release: only a hint; the list itself comes by the wire */
		atomic_fetch_add_explicit(&timeline_control(timeline)->generation, 1,
					  memory_order_release);
	}
}

static void pair_unlist(struct pair *pair)
{
	struct timeline *timeline = pair->handle->timeline;
	if (pair->listed) {
		LIST_REMOVE(pair, links);
		pair->listed = false;
		list_changed(timeline);
	}
}

static uint32_t list_count(const struct timeline *timeline, const struct user *user)
{
	const struct pair *pair;
	uint32_t count = 0;
	LIST_FOREACH(pair, &timeline->pairs, links) {
		count += pair->handle->client->user == user;
	}
	return count;
}

/* Room for one more: a free place, or one of the user that has most places and at least two more than
 * this user, so that two users never take a place back and forth. Until it has the new list the signaler
 * still wakes the waiter that lost its place; later that waiter waits through the daemon. */
static int list_make_room(struct timeline *timeline, const struct user *user)
{
	struct pair *pair;
	struct pair *victim = NULL;
	uint32_t length = 0;
	uint32_t most = list_count(timeline, user) + 1;
	LIST_FOREACH(pair, &timeline->pairs, links) {
		uint32_t count = list_count(timeline, pair->handle->client->user);
		if (count > most || (victim && count == most)) {
			victim = pair; /* the last of that user on the list, its oldest */
			most = count;
		}
		length++;
	}
	if (length < TIMELINE_PAIRS_MAX) {
		return 0;
	}
	if (!victim) {
		return -ENOSPC;
	}
	pair_unlist(victim);
	return 0;
}

static int pair_create(struct handle *handle)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	if (!pair) {
		return -ENOMEM;
	}
	int r = peer_get(handle->client, timeline_signaler(handle->timeline), &pair->peer);
	if (r < 0) {
		free(pair);
		return r;
	}
	pair->handle = handle;
	pair->cell = pair->peer->page->used++;
	pair->peer->cells++;
	cell_init(pair_cell(pair)); /* both clients learn of it later, by the wire */
	handle->pair = pair;
	return 0;
}

int pair_join(struct handle *handle, char *detail)
{
	struct timeline *timeline = handle->timeline;
	if (timeline->brokered) {
		snprintf(detail, FBK_REASON_SIZE, "the daemon signals %s and wakes its waiters",
			 timeline->name);
		return -EINVAL;
	}
	if (timeline->cause != FBK_CAUSE_NONE) {
		snprintf(detail, FBK_REASON_SIZE, "%s", timeline_reason(timeline));
		return timeline_error(timeline);
	}
	if (!timeline_signaler(timeline)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the signaler of %s is gone: the daemon wakes its waiters",
			 timeline->name);
		return -EINVAL;
	}
	if (timeline_shadowed(timeline)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s lies in registered memory: the daemon publishes its value and wakes "
			 "its waiters",
			 timeline->name);
		return -EINVAL;
	}
	if (timeline->watched) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s signals %s silently: the daemon polls it and wakes its waiters",
			 timeline->device->name, timeline->name);
		return -EINVAL;
	}
	if (handle->pair && handle->pair->listed) {
		return 0;
	}
	int r = list_make_room(timeline, handle->client->user);
	if (r < 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the signaler of %s already wakes %d processes directly, the maximum; the "
			 "daemon wakes the others",
			 timeline->name, TIMELINE_PAIRS_MAX);
		return r;
	}
	r = handle->pair ? 0 : pair_create(handle);
	if (r < 0) {
		return r;
	}
	handle->pair->listed = true;
	LIST_INSERT_HEAD(&timeline->pairs, handle->pair, links);
	list_changed(timeline);
	return 0;
}

static void pair_handle_closed(struct handle *handle, enum fbk_cause cause)
{
	(void)cause;
	struct pair *pair = handle->pair;
	if (!pair) {
		return;
	}
	pair_unlist(pair);
	peer_put(pair->peer);
	handle->pair = NULL;
	free(pair);
}

/* Wake the waiters that sleep on pair cells: the signaler won't. */
static void pair_timeline_failed(struct timeline *timeline)
{
	struct handle *handle;
	LIST_FOREACH(handle, &timeline->handles, links) {
		if (handle->pair) { /* listed or not: the signaler may look at it still */
			cell_bump(pair_cell(handle->pair));
		}
	}
}

const struct observer pair_observer = {
	.handle_closed = pair_handle_closed,
	.timeline_failed = pair_timeline_failed,
};

struct wait pair_wait(const struct handle *handle)
{
	struct wait wait = { .way = WAIT_PAIR, .waiter = handle->client };
	if (!handle->pair) {
		return wait;
	}
	const struct fbk_pair_cell *cell = pair_cell(handle->pair);
	/* relaxed: for reports */
	wait.value = atomic_load_explicit(&cell->minimum, memory_order_relaxed);
	wait.uid = handle->client->subject.uid;
	if (wait.value > 0 && wait.value <= FBK_POINT_MAX && wait.value > handle->timeline->seen &&
	    handle->timeline->cause == FBK_CAUSE_NONE) {
		wait.timeline = handle->timeline;
		wait_take_times(&wait, cell, handle->client->registry->started_ns);
	}
	return wait;
}
