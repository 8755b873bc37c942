// SPDX-License-Identifier: MIT
#include "policy-list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "json.h"
#include "table.h"

#define COLUMNS 5

const char *policy_place(const Fbk__Wire__PolicyEntry *entry)
{
	static char text[4200];
	if (!entry->file[0]) {
		return strcmp(entry->kind, "answer") == 0 ? "no rule" : "default";
	}
	snprintf(text, sizeof(text), "%s:%u", entry->file, entry->line);
	return text;
}

static const struct table_column columns[COLUMNS] = {
	{ "WHO", 0, 1, 0 },    { "KEY", 0, 0, 0 },        { "OF", 0, 0, 0 },
	{ "ANSWER", 0, 0, 0 }, { "WRITTEN IN", 0, 0, 0 },
};

static const struct table_column value_columns[] = {
	{ "KEY", 0, 0, 0 },
	{ "VALUE", 1, 0, 0 },
	{ "WRITTEN IN", 0, 0, 0 },
};

static bool has_who(const Fbk__Wire__InspectPolicy *about)
{
	return about->part != FBK__WIRE__INSPECT_POLICY__PART__VALUES;
}

static void row(struct table *table, const Fbk__Wire__PolicyEntry *entry, bool who)
{
	const char *place = policy_place(entry);
	if (who) {
		const char *cells[COLUMNS] = { entry->who[0] ? entry->who : "-", entry->key,
					       entry->of[0] ? entry->of : "*", entry->answer,
					       place };
		table_row(table, cells, COLUMNS);
	} else {
		const char *cells[] = { entry->key, entry->answer, place };
		table_row(table, cells, 3);
	}
}

static int pages_read(struct fbk_context *context, const char *verb,
		      Fbk__Wire__InspectPolicy *about, struct table *table,
		      struct json_object *array)
{
	do {
		struct reply reply;
		if (inspect_policy(context, about, &reply) < 0) {
			return explain_failure(verb);
		}
		const Fbk__Wire__PolicyList *list = reply.message->policy;
		for (size_t i = 0; i < list->n_entries; i++) {
			if (array) {
				json_object_array_add(array,
						      json_from_message(&list->entries[i]->base));
			} else {
				row(table, list->entries[i], has_who(about));
			}
		}
		about->after = list->next;
		reply_finish(&reply);
	} while (about->after > 0);
	return EXIT_SUCCESS;
}

int policy_list_show(const struct options *options, const char *verb,
		     Fbk__Wire__InspectPolicy *about)
{
	struct fbk_context *context;
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	struct json_object *array = options->json ? json_object_new_array() : NULL;
	struct table *table = options->json    ? NULL
			      : has_who(about) ? table_create(columns, COLUMNS)
					       : table_create(value_columns, 3);
	int result = pages_read(context, verb, about, table, array);
	fbk_disconnect(context);
	int printed = options->json ? json_print(array) : table_print(table);
	return result == EXIT_SUCCESS ? printed : result;
}
