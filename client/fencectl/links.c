// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fencectl.h"
#include "inspect.h"
#include "listing.h"

static const struct table_column columns[] = {
	{ "ID", 1 },   { "NAME", 0 },    { "PRODUCER", 0 },   { "PID", 1 },     { "CONSUMER", 0 },
	{ "PID", 1 },  { "PHASE", 0 },   { "ACQUIRE", 0 },    { "RELEASE", 0 }, { "FRAME", 1 },
	{ "BACK", 1 }, { "BUFFERS", 0 }, { "ENDED LAST", 0 },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* Adds to a text that may be too long: then it ends in dots. */
static void text_add(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void text_add(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list list;
	va_start(list, format);
	int length = vsnprintf(text + used, size - used, format, list);
	va_end(list);
	if (length >= 0 && used + (size_t)length >= size) {
		memcpy(text + size - 4, "...", 4);
	}
}

/* "1 #17 (20 ms late)": buffers in that state, each with its frame. */
static void describe_state(char *text, size_t size, const Fbk__Wire__LinkEntry *entry,
			   const char *state, const char *title)
{
	bool any = false;
	for (size_t i = 0; i < entry->n_buffers; i++) {
		const Fbk__Wire__LinkBufferState *buffer = entry->buffers[i];
		if (strcmp(buffer->state, state) != 0) {
			continue;
		}
		text_add(text, size, "%s %u", any ? "" : title, buffer->index);
		if (buffer->sequence) { /* none of one that is held: that lane is gone */
			text_add(text, size, " #%llu", (unsigned long long)buffer->sequence);
		}
		if (buffer->has_deadline && buffer->deadline_ms < 0) {
			text_add(text, size, " (%lld ms late)", -(long long)buffer->deadline_ms);
		}
		any = true;
	}
}

/* "3, offered 1 #17, consumer has 0 #16 (20 ms late)": the number of buffers, and those that are not at the producer. */
static void describe_buffers(char *ret, size_t size, const Fbk__Wire__LinkEntry *entry)
{
	snprintf(ret, size, "%zu", entry->n_buffers);
	describe_state(ret, size, entry, "offered", ", offered");
	describe_state(ret, size, entry, "consumer", ", consumer has");
	describe_state(ret, size, entry, "held", ", held");
}

static const char *number_or_none(int pid)
{
	return pid > 0 ? table_number((uint64_t)pid) : "";
}

static void add_row(struct libscols_table *table, const ProtobufCMessage *item)
{
	const Fbk__Wire__LinkEntry *entry = (const void *)item;
	char buffers[256];
	describe_buffers(buffers, sizeof(buffers), entry);
	const char *cells[COLUMNS] = {
		table_number(entry->id),
		entry->name,
		entry->producer,
		number_or_none(entry->producer_pid),
		entry->consumer,
		number_or_none(entry->consumer_pid),
		entry->phase,
		entry->acquire,
		entry->release,
		table_number(entry->handed),
		table_number(entry->returned),
		buffers,
		entry->cause,
	};
	table_row(table, cells, COLUMNS);
}

static struct listing_page page(const struct reply *reply)
{
	const Fbk__Wire__LinkList *list = reply->message->links;
	return (struct listing_page){
		.items = (ProtobufCMessage *const *)(void *)list->links,
		.count = list->n_links,
		.next = list->next,
	};
}

int verb_links(const struct options *options)
{
	static const struct listing listing = {
		.name = "links",
		.columns = columns,
		.column_count = COLUMNS,
		.ask = inspect_links,
		.page = page,
		.row = add_row,
	};
	return listing_show(&listing, options);
}
