// SPDX-License-Identifier: MIT
/*
 * Which objects an inspection lists, newest first, and from where to where: the part that all lists share. A request with a
 * filter looks at a bounded number of objects; then its reply says where the next one goes on. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/fencebroker.pb-c.h"

struct client;

/* One request with a filter looks at this many objects at most. */
#define FILTER_LOOKS_MAX   2048
#define FILTER_PATTERN_MAX 64

struct filter {
	const Fbk__Wire__Filter *wanted; /* NULL: all */
	uint64_t device_id;              /* of `#ID`; 0: it is a name */
	uint64_t after_id;
	size_t most;        /* entries of this reply */
	unsigned int looks; /* at objects of this list */
	uint64_t last;      /* of these */
};

/* What a list knows of an object, or of one end of a link. */
struct filter_view {
	uid_t uid;
	uint64_t client;    /* 0: it is gone */
	const char *device; /* NULL: it has none, or several */
	uint64_t device_id;
};

/* Of a request: where its page begins, its filter and the entries that it wants (0: all), of at most `room`. -EINVAL: a pattern
 * that is too long, with a detail. */
int filter_init(struct filter *filter, uint64_t after_id, const Fbk__Wire__Filter *wanted,
		uint32_t limit, size_t room, char *detail);

/* The list is at this object now. Before the page: to be passed over. At its end: the bound is reached, the reply goes on after
 * filter->last. */
enum filter_place { FILTER_BEFORE, FILTER_IN, FILTER_END };
enum filter_place filter_at(struct filter *filter, uint64_t id);

/* Is it one that is wanted? */
bool filter_takes(const struct filter *filter, const struct filter_view *view);
bool filter_takes_name(const struct filter *filter, const char *name);
