// SPDX-License-Identifier: MIT
#include "listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "json.h"

#define ROWS_MAX 1000 /* of a part of a table */

struct output {
	const struct listing *listing;
	struct table *table;
	struct json_stream *stream; /* NULL: a table */
	uint64_t count;
	int result;
};

static void output_item(struct output *output, const ProtobufCMessage *item)
{
	const struct listing *listing = output->listing;
	if (output->stream) {
		json_stream_add(output->stream, json_from_message(item));
	} else {
		if (output->count % ROWS_MAX == 0 && output->count > 0) {
			output->result |= table_print(output->table);
			output->table = table_create(listing->columns, listing->column_count);
		}
		listing->row(output->table, item);
	}
	output->count++;
}

static bool options_filter(const struct options *options)
{
	return options->has_uid || options->client || options->device || options->name;
}

/* How many are still wanted: 0 for all, as the wire has it. */
static uint32_t limit_left(const struct options *options, uint64_t count)
{
	uint64_t left = options->limit - count;
	return options->limit == 0 ? 0 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static int listing_read(struct output *output, struct fbk_context *context,
			const struct options *options)
{
	const struct listing *listing = output->listing;
	uint64_t after = 0;
	do {
		struct reply reply;
		uint32_t limit = limit_left(options, output->count);
		if (listing->ask(context, after, options, limit, &reply) < 0) {
			return explain_failure(listing->name);
		}
		struct listing_page page = listing->page(&reply);
		for (size_t i = 0; i < page.count; i++) {
			output_item(output, page.items[i]);
		}
		after = page.next;
		reply_finish(&reply);
	} while (after > 0 && (options->limit == 0 || output->count < options->limit));
	if (!output->stream && output->count == 0) {
		printf("no %s%s\n", listing->name, options_filter(options) ? " that match" : "");
	}
	return EXIT_SUCCESS;
}

int listing_show(const struct listing *listing, const struct options *options)
{
	struct fbk_context *context;
	struct json_stream stream = { 0 };
	struct output output = {
		.listing = listing,
		.stream = options->json ? &stream : NULL,
	};
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	if (!options->json) {
		output.table = table_create(listing->columns, listing->column_count);
	}
	int result = listing_read(&output, context, options);
	fbk_disconnect(context);
	if (options->json) { /* an array without its end says that it is not all */
		return result == EXIT_SUCCESS ? json_stream_end(&stream) : result;
	}
	int printed = table_print(output.table) | output.result;
	return result == EXIT_SUCCESS ? printed : result;
}
