// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fencectl.h"
#include "inspect.h"
#include "listing.h"

static const struct table_column columns[] = {
	{ .name = "ID", .right = 1 },
	{ .name = "NAME", .drop = 6 },
	{ .name = "PRODUCER" },
	{ .name = "PID", .right = 1, .drop = 7 },
	{ .name = "UID", .right = 1, .drop = 1 },
	{ .name = "CLIENT", .right = 1, .drop = 1 },
	{ .name = "CONSUMER" },
	{ .name = "PID", .right = 1, .drop = 7 },
	{ .name = "UID", .right = 1, .drop = 1 },
	{ .name = "CLIENT", .right = 1, .drop = 1 },
	{ .name = "PHASE", .drop = 4 },
	{ .name = "ACQUIRE", .drop = 9 },
	{ .name = "RELEASE", .drop = 10 },
	{ .name = "FRAME", .right = 1, .zeros = 1 },
	{ .name = "BACK", .right = 1, .zeros = 1, .drop = 8 },
	{ .name = "AGE", .right = 1 },
	{ .name = "FPS", .right = 1 },
	{ .name = "DROPS", .right = 1, .zeros = 1, .drop = 1 },
	{ .name = "BUFFERS", .drop = 2 },
	{ .name = "ENDED LAST", .drop = 5 },
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

/* "": no client is there. */
static const char *number_if(uint64_t client, uint64_t number)
{
	return client > 0 ? table_number(number) : "";
}

static void describe_rate(char *ret, size_t size, uint64_t every_us)
{
	double rate = every_us > 0 ? 1e6 / (double)every_us : 0;
	ret[0] = '\0';
	if (every_us > 0) {
		snprintf(ret, size, rate < 9.95 ? "%.1f" : "%.0f", rate);
	}
}

static void add_row(struct table *table, const ProtobufCMessage *item)
{
	const Fbk__Wire__LinkEntry *entry = (const void *)item;
	char buffers[256], rate[32];
	uint64_t from = entry->producer_client_id, to = entry->consumer_client_id;
	describe_buffers(buffers, sizeof(buffers), entry);
	describe_rate(rate, sizeof(rate), entry->frame_every_us);
	const char *cells[COLUMNS] = {
		table_number(entry->id),
		entry->name,
		entry->producer,
		number_if(from, (uint64_t)entry->producer_pid),
		number_if(from, entry->producer_uid),
		number_if(from, from),
		entry->consumer,
		number_if(to, (uint64_t)entry->consumer_pid),
		number_if(to, entry->consumer_uid),
		number_if(to, to),
		entry->phase,
		entry->acquire,
		entry->release,
		table_number(entry->handed),
		table_number(entry->returned),
		entry->has_frame_age ? table_age(entry->frame_age_ms) : "",
		rate,
		table_number(entry->dropped),
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
