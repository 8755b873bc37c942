// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>

#include "fencectl.h"
#include "inspect.h"
#include "json.h"
#include "table.h"

static const struct table_column columns[] = {
	{ .name = "WAITER" },
	{ .name = "PID", .right = 1, .drop = 2 },
	{ .name = "BY", .drop = 3 },
	{ .name = "SINCE", .right = 1 },
	{ .name = "DEADLINE", .right = 1, .drop = 4 },
	{ .name = "POINT" },
	{ .name = "REACHED", .right = 1, .drop = 5 },
	{ .name = "OF", .drop = 1 },
	{ .name = "UNCHANGED", .right = 1, .drop = 6 },
	{ .name = "CAUSE" },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* The awaited points of a chain, each because of the next. */
static void chain_text(char *ret_text, size_t size, const Fbk__Wire__StuckEntry *entry)
{
	size_t used = 0;
	ret_text[0] = '\0';
	for (size_t i = 0; i < entry->n_chain && used < size; i++) {
		const Fbk__Wire__StuckStep *step = entry->chain[i];
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s %llu",
					 i > 0 ? ", for " : "", step->name,
					 (unsigned long long)step->point);
	}
}

static void add_row(struct table *table, const Fbk__Wire__StuckEntry *entry)
{
	char deadline[32] = "";
	char owner[128];
	char client[32] = "";
	char chain[512];
	if (entry->has_deadline && entry->deadline_ms < 0) {
		snprintf(deadline, sizeof(deadline), "-%s",
			 table_age(-(uint64_t)entry->deadline_ms));
	} else if (entry->has_deadline) {
		snprintf(deadline, sizeof(deadline), "%s", table_age((uint64_t)entry->deadline_ms));
	}
	if (entry->client_id > 0) {
		snprintf(client, sizeof(client), ", client %llu",
			 (unsigned long long)entry->client_id);
	}
	snprintf(owner, sizeof(owner), "%s (pid %d%s)", entry->device, entry->pid, client);
	chain_text(chain, sizeof(chain), entry);
	const char *cells[COLUMNS] = {
		entry->waiter_pid ? entry->waiter : "(gone)",
		table_number((uint64_t)entry->waiter_pid),
		entry->by,
		table_age(entry->waiting_ms),
		deadline,
		chain,
		table_number(entry->value),
		owner,
		table_age(entry->unchanged_ms),
		entry->cause,
	};
	table_row(table, cells, COLUMNS);
}

/* Prints all pages; returns the exit status. */
static int stuck_read(const struct options *options, struct fbk_context *context,
		      struct table *table, struct json_stream *stream)
{
	struct reply before = { 0 };
	const Fbk__Wire__StuckList *list = NULL;
	int result = EXIT_SUCCESS;
	do {
		struct reply reply;
		int r = inspect_stuck(context, options->older_ms, list, &reply);
		if (list) {
			reply_finish(&before);
		}
		if (r < 0) {
			return explain_failure("stuck");
		}
		before = reply;
		list = reply.message->stuck;
		for (size_t i = 0; i < list->n_stuck; i++) {
			result = EXIT_STUCK;
			if (stream) {
				json_stream_add(stream, json_from_message(&list->stuck[i]->base));
			} else {
				add_row(table, list->stuck[i]);
			}
		}
	} while (list->next > 0);
	reply_finish(&before);
	return result;
}

int verb_stuck(const struct options *options)
{
	struct fbk_context *context;
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	struct json_stream stream = { 0 };
	struct table *table = options->json ? NULL : table_create(columns, COLUMNS);
	int result = stuck_read(options, context, table, options->json ? &stream : NULL);
	fbk_disconnect(context);
	if (!options->json && result == EXIT_SUCCESS) {
		puts("nothing is stuck");
	}
	int printed = options->json ? json_stream_end(&stream) : table_print(table);
	return printed == EXIT_SUCCESS ? result : printed;
}
