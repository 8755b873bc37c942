// SPDX-License-Identifier: MIT
#include "handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cell-arm.h"
#include "proto/cells.h"
#include "proto/container.h"

_Static_assert(FBK_PAIR_CELLS <= UINT16_MAX, "a handle's number fits");

static struct fbk_pair_cell *handle_cell(const struct handle *handle)
{
	return &bell_page(&handle->client->bell)->cells[handle->number];
}

/* --------------------------------------------------------------------------- birth and death --- */

static void handle_rung(struct bell *bell, uint32_t number);

int client_open_bell(struct client *client)
{
	if (client->bell.pair) {
		return 0;
	}
	int r = bell_open(&client->bell, client->user, handle_rung);
	if (r < 0) {
		bell_close(&client->bell);
	}
	return r;
}

int handle_number_check(const struct client *client, uint32_t number, char *detail)
{
	if (number == 0 || number >= FBK_PAIR_CELLS) {
		snprintf(detail, FBK_REASON_SIZE, "%u is no handle: they are 1 to %d", number,
			 FBK_PAIR_CELLS - 1);
		return -EINVAL;
	}
	const struct handle *handle = client_handle(client, number);
	if (handle) {
		snprintf(detail, FBK_REASON_SIZE, "this client has timeline %s open by handle %u",
			 handle->timeline->name, number);
		return -EEXIST;
	}
	return 0;
}

int handle_create(struct client *client, struct timeline *timeline, uint32_t rights,
		  uint32_t number, struct handle **ret_handle)
{
	int r = client_open_bell(client);
	if (r < 0) {
		return r;
	}
	struct handle *handle = calloc(1, sizeof(*handle));
	if (!handle) {
		return -ENOMEM;
	}
	handle->client = client;
	handle->timeline = timeline;
	handle->rights = (uint16_t)rights;

	r = client_add_handle(client, handle, number);
	if (r < 0) {
		free(handle);
		return r;
	}
	handle->number = (uint16_t)number; /* below FBK_PAIR_CELLS */
	cell_init(handle_cell(handle));    /* the client uses it once it has the reply */
	LIST_INSERT_HEAD(&timeline->handles, handle, links);
	timeline->handle_count++;
	*ret_handle = handle;
	return 0;
}

void handle_destroy(struct handle *handle, enum fbk_cause cause)
{
	struct timeline *timeline = handle->timeline;
	struct client *client = handle->client;

	cell_arm_destroy(handle->cell_arm);
	handle->cell_arm = NULL;
	if (timeline_signaler(timeline) == client) {
		timeline_orphan(timeline, cause);
	}
	registry_handle_closed(client->registry, handle, cause);
	client_remove_handle(client, handle->number);
	LIST_REMOVE(handle, links);
	timeline->handle_count--;
	free(handle);
	if (LIST_EMPTY(&timeline->handles) && timeline->kept == 0) {
		timeline_destroy(timeline);
	}
}

struct handle *handle_of(const struct client *client, const struct timeline *timeline)
{
	struct handle *handle;
	LIST_FOREACH(handle, &timeline->handles, links) {
		if (handle->client == client) {
			return handle;
		}
	}
	return NULL;
}

/* ------------------------------------------------------------------------------- the doorbell -- */

static void handle_look(struct handle *handle)
{
	struct timeline *timeline = handle->timeline;
	struct bell *bell = &handle->client->bell;
	/* seq_cst: after the bell was taken, before the payload is read; the client lowers the
	 * minimum before it rings. Read once: the client may scribble here at any time. */
	uint64_t minimum =
		atomic_load_explicit(&handle_cell(handle)->minimum, memory_order_seq_cst);

	if (minimum == 0 || minimum > FBK_POINT_MAX) {
		timeline_refresh(timeline);
		return;
	}
	if (!handle->cell_arm && cell_arm_create(bell, handle->number, &handle->cell_arm) < 0) {
		/* There is no request that could fail. Woken, it looks for itself and rings again:
		 * until there is memory, or its deadline comes. */
		cell_arm_wake(bell, handle->number);
		return;
	}
	struct arm *arm = handle->cell_arm;
	if (arm->timeline && arm_point(arm) == minimum) {
		timeline_look(timeline);
		return;
	}
	arm_remove(arm);
	timeline_count(timeline)->waits++;
	handle->client->registry->counters.waits++;
	arm_add(arm, timeline, minimum);
}

static void handle_rung(struct bell *bell, uint32_t number)
{
	/* The client rang for this handle: arm the point that its cell asks for, and look. */
	const struct client *client = container_of(bell, struct client, bell);
	struct handle *handle = client_handle(client, number);
	if (handle) {
		handle_look(handle);
	}
}

struct wait handle_wait(const struct handle *handle)
{
	struct wait wait = { 0 };
	if (handle->cell_arm) {
		wait = wait_of_arm(handle->cell_arm, WAIT_CELL, handle->client);
	}
	if (wait.timeline) {
		wait_take_times(&wait, handle_cell(handle), wait.since_ns);
	}
	return wait;
}

/* -------------------------------------------------------------------- all handles of a client -- */

void handles_orphan(struct client *client, const struct device *device, enum fbk_cause cause)
{
	for (uint32_t number = 1; number < client->handles_size; number++) {
		const struct handle *handle = client->handles[number];
		if (handle && handle->timeline->device == device) {
			timeline_orphan(handle->timeline, cause);
		}
	}
}

static void handle_client_ended(struct client *client, enum fbk_cause cause)
{
	for (uint32_t number = 1; number < client->handles_size; number++) {
		if (client->handles[number]) {
			handle_destroy(client->handles[number], cause);
		}
	}
}

const struct observer handle_observer = {
	.client_ended = handle_client_ended,
};
