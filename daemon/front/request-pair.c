// SPDX-License-Identifier: MIT
/* Requests of the pair path: a waiter asks for a cell, a signaler for the list of cells. */
#include <errno.h>
#include <stdio.h>

#include "daemon/core/handle.h"
#include "daemon/core/pair.h"
#include "dispatch.h"

static void cell_describe(Fbk__Wire__Page *ret, const struct pair *pair)
{
	page_describe(ret, pair->peer->page, pair->cell);
}

int request_pair_join(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	(void)client;
	(void)body;
	(void)fds;
	int r = pair_join(handle, answer->detail);
	if (r == 0) {
		r = answer_duplicate(answer, handle->pair->peer->page->fd);
	}
	if (r < 0) {
		return r;
	}
	cell_describe(&answer->cells[0], handle->pair);
	fbk__wire__pair__init(&answer->pair);
	answer->pair.cell = &answer->cells[0];
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_PAIR;
	answer->message.pair = &answer->pair;
	return 0;
}

static bool page_known(const Fbk__Wire__PairList *request, uint64_t id)
{
	for (size_t i = 0; i < request->n_have; i++) {
		if (request->have[i] == id) {
			return true;
		}
	}
	return false;
}

/* Cells on pages that the signaler does not have come first, each with its page's fd, as many as one
 * reply carries. The signaler asks again for the others, and then has those pages. */
int request_pair_list(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__PairList *request = body;
	struct timeline *timeline = handle->timeline;
	Fbk__Wire__PairCells *list = &answer->pair_cells;
	const struct pair *pair;
	size_t unknown = 0;

	if (timeline_signaler(timeline) != client || timeline->brokered) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "this client does not signal %s in memory", timeline->name);
		return -EPERM;
	}
	fbk__wire__pair_cells__init(list);
	list->cells = answer->cell_list;
	LIST_FOREACH(pair, &timeline->pairs, links) {
		if (page_known(request, pair->peer->page->id)) {
			continue;
		}
		unknown++;
		if (list->fresh < ANSWER_FDS_MAX) {
			int r = answer_duplicate(answer, pair->peer->page->fd);
			if (r < 0) {
				return r;
			}
			cell_describe(&answer->cells[list->n_cells++], pair);
			list->fresh++;
		}
	}
	LIST_FOREACH(pair, &timeline->pairs, links) {
		if (page_known(request, pair->peer->page->id)) {
			cell_describe(&answer->cells[list->n_cells++], pair);
		}
	}
	for (size_t i = 0; i < list->n_cells; i++) {
		answer->cell_list[i] = &answer->cells[i];
	}
	/* relaxed: only this thread writes it */
	list->generation = unknown == list->fresh
				   ? atomic_load_explicit(&timeline_control(timeline)->generation,
							  memory_order_relaxed)
				   : 0;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_PAIR_CELLS;
	answer->message.pair_cells = list;
	return 0;
}
