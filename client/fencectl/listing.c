// SPDX-License-Identifier: MIT
#include "listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "json.h"

static int listing_read(const struct listing *listing, struct fbk_context *context,
			struct libscols_table *table, struct json_object *array)
{
	uint64_t after = 0;
	do {
		struct reply reply;
		if (listing->ask(context, after, &reply) < 0) {
			return explain_failure(listing->name);
		}
		struct listing_page page = listing->page(&reply);
		if (!array && after == 0 && page.count == 0) {
			printf("no %s\n", listing->name);
		}
		for (size_t i = 0; i < page.count; i++) {
			if (array) {
				json_object_array_add(array, json_from_message(page.items[i]));
			} else {
				listing->row(table, page.items[i]);
			}
		}
		after = page.next;
		reply_finish(&reply);
	} while (after > 0);
	return EXIT_SUCCESS;
}

int listing_show(const struct listing *listing, const struct options *options)
{
	struct fbk_context *context;
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	struct json_object *array = options->json ? json_object_new_array() : NULL;
	struct libscols_table *table =
		options->json ? NULL : table_create(listing->columns, listing->column_count);
	int result = listing_read(listing, context, table, array);
	fbk_disconnect(context);
	int printed = options->json ? json_print(array) : table_print(table);
	return result == EXIT_SUCCESS ? printed : result;
}
