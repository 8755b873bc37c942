// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fencectl.h"
#include "inspect.h"
#include "json.h"
#include "table.h"

#define WAYS 2

static const struct table_column columns[] = {
	{ .name = "WAY" },
	{ .name = "ROUTE" },
	{ .name = "TAKEN" },
	{ .name = "WHY" },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int print_table(const Fbk__Wire__RouteList *list)
{
	char text[4 * FBK_NAME_SIZE + 64];
	snprintf(text, sizeof(text), "acquire, %s -> %s: %s waits for %s", list->from, list->to,
		 list->to, list->from);
	text_wrap(text, 2);
	snprintf(text, sizeof(text), "release, %s <- %s: %s waits for %s", list->from, list->to,
		 list->from, list->to);
	text_wrap(text, 2);
	putchar('\n');
	struct table *table = table_create(columns, COLUMNS);
	for (size_t i = 0; i < list->n_routes; i++) {
		const Fbk__Wire__RouteEntry *entry = list->routes[i];
		const char *cells[COLUMNS] = { entry->way, entry->route,
					       entry->taken ? "yes" : "no", entry->why };
		table_row(table, cells, COLUMNS);
	}
	return table_print(table);
}

/* Both ways have a route. */
static bool there_and_back(const Fbk__Wire__RouteList *list)
{
	size_t taken = 0;
	for (size_t i = 0; i < list->n_routes; i++) {
		const Fbk__Wire__RouteEntry *entry = list->routes[i];
		taken += entry->taken && strcmp(entry->route, "none") != 0;
	}
	return taken == WAYS;
}

int verb_explain(const struct options *options)
{
	struct fbk_context *context;
	struct reply reply;
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	int result;
	if (inspect_route(context, options->operands[0], options->operands[1], &reply) < 0) {
		result = explain_failure("explain");
	} else {
		const Fbk__Wire__RouteList *list = reply.message->routes;
		result = options->json ? json_print(json_from_message(&list->base))
				       : print_table(list);
		if (!there_and_back(list)) {
			result = EXIT_FAILURE;
		}
		reply_finish(&reply);
	}
	fbk_disconnect(context);
	return result;
}
