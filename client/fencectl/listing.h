// SPDX-License-Identifier: MIT
/*
 * Verbs that show a long list of the daemon, newest first: page by page, as a table or a JSON array. Neither is in memory as a
 * whole: the array is written as the pages come, and a long table in parts, each with its header.
 */
#pragma once

#include "client/lib/request.h"
#include "fencectl.h"
#include "table.h"

struct listing_page {
	ProtobufCMessage *const *items;
	size_t count;
	uint64_t next; /* 0: the last page */
};

struct listing {
	const char *name;
	const struct table_column *columns;
	size_t column_count;
	int (*ask)(struct fbk_context *context, uint64_t after, const struct options *options,
		   uint32_t limit, struct reply *ret_reply);
	struct listing_page (*page)(const struct reply *reply);
	void (*row)(struct table *table, const ProtobufCMessage *item);
};

/* Returns an exit status. */
int listing_show(const struct listing *listing, const struct options *options);
