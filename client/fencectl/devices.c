// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "fencectl.h"
#include "inspect.h"
#include "listing.h"

static const struct table_column columns[] = {
	{ .name = "ID", .right = 1 },
	{ .name = "NAME" },
	{ .name = "CLASS" },
	{ .name = "WAITS ON", .drop = 1 },
	{ .name = "SIGNALS", .drop = 2 },
	{ .name = "VISIBILITY", .drop = 6 },
	{ .name = "MEMORY", .drop = 5 },
	{ .name = "TIMELINES", .right = 1, .drop = 3 },
	{ .name = "PID", .right = 1 },
	{ .name = "UID", .right = 1 },
	{ .name = "CLIENT ID", .right = 1 },
	{ .name = "CLIENT", .drop = 4 },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void join(char *ret_text, size_t size, char *const *words, size_t count)
{
	size_t used = 0;
	ret_text[0] = '\0';
	for (size_t i = 0; i < count && used < size; i++) {
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s", i > 0 ? "," : "",
					 words[i]);
	}
	if (count == 0) {
		snprintf(ret_text, size, "none");
	}
}

static void add_row(struct table *table, const ProtobufCMessage *item)
{
	const Fbk__Wire__Device *device = (const void *)item;
	char waits[128];
	char signals[128];
	join(waits, sizeof(waits), device->waits, device->n_waits);
	join(signals, sizeof(signals), device->signals, device->n_signals);
	const char *cells[COLUMNS] = {
		table_number(device->id),
		device->name,
		device->class_,
		waits,
		signals,
		device->visibility,
		device->backing,
		table_number(device->timelines),
		table_number((uint64_t)device->pid),
		table_number(device->uid),
		table_number(device->client_id),
		device->client,
	};
	table_row(table, cells, COLUMNS);
}

static struct listing_page page(const struct reply *reply)
{
	const Fbk__Wire__DeviceList *list = reply->message->devices;
	return (struct listing_page){
		.items = (ProtobufCMessage *const *)(void *)list->devices,
		.count = list->n_devices,
		.next = list->next,
	};
}

int verb_devices(const struct options *options)
{
	static const struct listing listing = {
		.name = "devices",
		.columns = columns,
		.column_count = COLUMNS,
		.ask = inspect_devices,
		.page = page,
		.row = add_row,
	};
	return listing_show(&listing, options);
}
