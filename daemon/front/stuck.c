// SPDX-License-Identifier: MIT
#include "stuck.h"

#include "blame.h"
#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/core/link-late.h"
#include "daemon/core/link-table.h"
#include "daemon/core/pair.h"
#include "daemon/core/watch.h"
#include "daemon/translate/export.h"
#include "daemon/translate/import.h"
#include "inspect.h"

#define WORK_LINK 16 /* a look at the tables of a link, in objects */

struct search {
	const struct client *asker;
	uint64_t before_ns, now_ns;
	struct wait *waits;
	size_t count, size;
	unsigned int work;
};

static bool search_full(const struct search *search)
{
	return search->work >= STUCK_WORK_MAX || search->count + STUCK_FOUND_MIN > search->size;
}

/* A wait for the next frame counts from the last one, however often its thread wakes meanwhile. */
static void search_age(struct search *search, struct wait *wait)
{
	const struct link *link = blame_is_for_frame(wait) ? link_of_lane(wait->timeline) : NULL;
	uint64_t last_ns = link ? link_pace(link).last_ns : 0;
	search->work += link ? WORK_LINK : 0;
	if (last_ns > 0) {
		wait->since_ns = last_ns;
	}
}

/* Whether the next frame is owed is judged later. A link's next change never is. */
static void search_take(struct search *search, struct wait wait)
{
	if (!wait.timeline || !inspect_may_see(search->asker, wait.uid) ||
	    (wait.timeline->idle && !blame_is_for_frame(&wait))) {
		return;
	}
	search_age(search, &wait);
	bool late = wait.deadline_ns != 0 && wait.deadline_ns < search->now_ns;
	if (late || wait.since_ns <= search->before_ns) {
		search->waits[search->count++] = wait;
	}
}

/* Each of these goes on at `*at`, and returns true at the end of its part. */

static bool search_handles(struct search *search, const struct client *client, uint64_t *at)
{
	for (; *at < client->handles_size; ++*at) {
		if (search_full(search)) {
			return false;
		}
		const struct handle *handle = client->handles[*at];
		search->work += handle && link_of(handle) ? WORK_LINK : 1;
		if (handle) {
			search_take(search, handle_wait(handle));
			search_take(search, pair_wait(handle));
			search_take(search, import_wait(handle));
			search_take(search, link_wait(handle));
		}
	}
	return true;
}

static bool search_watches(struct search *search, const struct client *client, uint64_t *at)
{
	const struct watch *watch;
	while ((watch = watch_from(client, *at))) {
		if (search_full(search)) {
			return false;
		}
		search->work++;
		search_take(search, watch_wait(watch));
		if (watch->number == UINT64_MAX) {
			break;
		}
		*at = watch->number + 1;
	}
	return true;
}

/* The lists begin with the newest. Skipping the part that is done costs little, and policy bounds it. */
static bool search_export(struct search *search, const struct export *export, uint64_t *at)
{
	if (*at != 0 && export->arm.since_ns >= *at) {
		return true;
	}
	if (search_full(search)) {
		return false;
	}
	search->work++;
	search_take(search, export_wait(export));
	*at = export->arm.since_ns;
	return true;
}

static bool search_exports(struct search *search, const struct client *client, uint64_t *at)
{
	const struct export *export;
	LIST_FOREACH(export, &client->exports, links) {
		if (!search_export(search, export, at)) {
			return false;
		}
	}
	return true;
}

static bool search_promises(struct search *search, const struct client *client, uint64_t *at)
{
	const struct export *export;
	LIST_FOREACH(export, &client->promises, asked_links) {
		if (!search_export(search, export, at)) {
			return false;
		}
	}
	return true;
}

static bool search_orphans(struct search *search, uint64_t *at)
{
	const struct export *export;
	LIST_FOREACH(export, &broker_of(search->asker)->translator.promises, links) {
		if (!export->asker && !search_export(search, export, at)) {
			return false;
		}
	}
	return true;
}

static bool (*const parts[STUCK_PARTS])(struct search *search, const struct client *client,
					uint64_t *at) = {
	[STUCK_HANDLES] = search_handles,
	[STUCK_WATCHES] = search_watches,
	[STUCK_EXPORTS] = search_exports,
	[STUCK_PROMISES] = search_promises,
};

static bool search_client(struct search *search, const struct client *client,
			  struct stuck_place *place)
{
	if (place->client != client->id) {
		*place = (struct stuck_place){ .client = client->id };
	}
	for (; place->part < STUCK_PARTS; place->part++, place->wait = 0) {
		if (!parts[place->part](search, client, &place->wait)) {
			return false;
		}
	}
	return true;
}

bool stuck_find(const struct client *client, struct stuck_place *place, uint64_t before_ns,
		struct wait *ret_waits, size_t size, size_t *ret_count)
{
	struct search search = {
		.asker = client,
		.before_ns = before_ns,
		.now_ns = clock_now_ns(),
		.waits = ret_waits,
		.size = size,
	};
	bool whole = true;
	const struct client *other;
	uint64_t from = place->client;
	if (from != STUCK_ORPHANS) {
		LIST_FOREACH(other, &client->registry->clients, links) { /* by falling id */
			if (from != 0 && other->id > from) {
				continue;
			}
			whole = inspect_may_see(client, other->subject.uid)
					? search_client(&search, other, place)
					: true;
			if (!whole) {
				break;
			}
		}
	}
	if (whole) {
		if (place->client != STUCK_ORPHANS) {
			*place = (struct stuck_place){ .client = STUCK_ORPHANS };
		}
		whole = search_orphans(&search, &place->wait);
	}
	*ret_count = search.count;
	return !whole;
}
