// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "fencectl.h"
#include "inspect.h"
#include "listing.h"

static const struct table_column columns[] = {
	{ .name = "CLIENT ID", .right = 1 },
	{ .name = "PID", .right = 1 },
	{ .name = "UID", .right = 1 },
	{ .name = "PROGRAM" },
	{ .name = "UNIT", .drop = 3 },
	{ .name = "SINCE", .right = 1 },
	{ .name = "DEVICES", .right = 1 },
	{ .name = "TIMELINES", .right = 1 },
	{ .name = "LINKS", .right = 1, .drop = 2 },
	{ .name = "WAITS", .right = 1, .drop = 1 },
	{ .name = "NEAREST LIMIT" },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void add_row(struct table *table, const ProtobufCMessage *item)
{
	const Fbk__Wire__Client *client = (const void *)item;
	const Fbk__Wire__Usage *nearest = client->nearest;
	char limit[96] = "";
	if (client->reserve) {
		snprintf(limit, sizeof(limit), "of the reserve");
	} else if (nearest) {
		snprintf(limit, sizeof(limit), "%s %llu/%llu", nearest->resource,
			 (unsigned long long)nearest->used, (unsigned long long)nearest->limit);
	}
	const char *cells[COLUMNS] = {
		table_number(client->id),
		table_number((uint64_t)client->pid),
		table_number(client->uid),
		client->name,
		client->unit,
		table_age(client->connected_ms),
		table_number(client->devices),
		table_number(client->timelines),
		table_number(client->links),
		table_number(client->waits),
		limit,
	};
	table_row(table, cells, COLUMNS);
}

static struct listing_page page(const struct reply *reply)
{
	const Fbk__Wire__ClientList *list = reply->message->clients;
	return (struct listing_page){
		.items = (ProtobufCMessage *const *)(void *)list->clients,
		.count = list->n_clients,
		.next = list->next,
	};
}

int verb_clients(const struct options *options)
{
	static const struct listing listing = {
		.name = "clients",
		.columns = columns,
		.column_count = COLUMNS,
		.ask = inspect_clients,
		.page = page,
		.row = add_row,
	};
	return listing_show(&listing, options);
}
