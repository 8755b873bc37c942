// SPDX-License-Identifier: MIT
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fencectl.h"
#include "inspect.h"
#include "listing.h"

static const struct table_column columns[] = {
	{ .name = "ID", .right = 1 },
	{ .name = "NAME" },
	{ .name = "DEVICE" },
	{ .name = "PID", .right = 1 },
	{ .name = "UID", .right = 1, .drop = 3 },
	{ .name = "CLIENT ID", .right = 1, .zeros = 1, .drop = 2 },
	{ .name = "KIND" },
	{ .name = "VALUE", .right = 1 },
	{ .name = "ARMED", .right = 1, .zeros = 1, .drop = 1 },
	{ .name = "OPENERS", .right = 1, .drop = 4 },
	{ .name = "EXPORTS", .right = 1, .zeros = 1, .drop = 6 },
	{ .name = "IMPORTS", .right = 1, .zeros = 1, .drop = 7 },
	{ .name = "WATCHES", .right = 1, .zeros = 1, .drop = 8 },
	{ .name = "WAITS", .right = 1, .zeros = 1, .drop = 5 },
	{ .name = "STATUS" },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* Memory that lacks a guarantee, and which. Printed once below the table. */
static struct caveat {
	const char *backing;
	const char *text;
	bool seen;
} caveats[] = {
	{ "dma-buf", "holders of the dma-buf (owner and daemon) can write the page", false },
	{ "registered",
	  "memory of a driver, which may change it or take it away; other processes read a copy of "
	  "the value, as of the daemon's last look",
	  false },
	{ "lost", "its driver took the memory away: the timeline failed", false },
};

#define CAVEATS (sizeof(caveats) / sizeof(caveats[0]))

static bool caveat_see(const char *backing)
{
	for (size_t i = 0; i < CAVEATS; i++) {
		if (strcmp(backing, caveats[i].backing) == 0) {
			caveats[i].seen = true;
			return true;
		}
	}
	return false;
}

static void caveats_show(void)
{
	for (size_t i = 0; i < CAVEATS; i++) {
		if (caveats[i].seen) {
			printf("(%s): ", caveats[i].backing);
			text_wrap(caveats[i].text, strlen(caveats[i].backing) + 4);
		}
	}
}

static void add_row(struct table *table, const ProtobufCMessage *item)
{
	const Fbk__Wire__TimelineState *entry = (const void *)item;
	char status[256];
	char kind[64];
	if (caveat_see(entry->backing)) {
		snprintf(kind, sizeof(kind), "%s (%s)", entry->kind, entry->backing);
	} else {
		snprintf(kind, sizeof(kind), "%s", entry->kind);
	}
	if (entry->failed_from > 0) {
		snprintf(status, sizeof(status), "failed from %llu: %s",
			 (unsigned long long)entry->failed_from, entry->reason);
	} else {
		snprintf(status, sizeof(status), "%s", entry->status);
	}
	const char *cells[COLUMNS] = {
		table_number(entry->id),
		entry->name,
		entry->device,
		table_number((uint64_t)entry->pid),
		table_number(entry->uid),
		table_number(entry->client_id),
		kind,
		table_number(entry->value),
		table_number(entry->armed),
		table_number(entry->openers),
		table_number(entry->exports),
		table_number(entry->imports),
		table_number(entry->watches),
		table_number(entry->waits),
		status,
	};
	table_row(table, cells, COLUMNS);
}

static struct listing_page page(const struct reply *reply)
{
	const Fbk__Wire__TimelineList *list = reply->message->timelines;
	return (struct listing_page){
		.items = (ProtobufCMessage *const *)(void *)list->timelines,
		.count = list->n_timelines,
		.next = list->next,
	};
}

int verb_timelines(const struct options *options)
{
	static const struct listing listing = {
		.name = "timelines",
		.columns = columns,
		.column_count = COLUMNS,
		.ask = inspect_timelines,
		.page = page,
		.row = add_row,
	};
	int result = listing_show(&listing, options);
	caveats_show();
	return result;
}
