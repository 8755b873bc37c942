// SPDX-License-Identifier: MIT
/* The daemon's replies to inspection requests, all pages of them. */
#pragma once

#include "client/lib/request.h"
#include "fencectl.h"

/* Request the page after `after`; the caller finishes `ret_reply`. */
int inspect_status(struct fbk_context *context, struct reply *ret_reply);

/* The same of a list: what the options filter, and up to `limit` entries (0: as many as fit). */
typedef int inspect_list(struct fbk_context *context, uint64_t after, const struct options *options,
			 uint32_t limit, struct reply *ret_reply);
inspect_list inspect_devices, inspect_timelines, inspect_links, inspect_clients;

/* Both ways between two devices, by name or "#ID". */
int inspect_route(struct fbk_context *context, const char *from, const char *to,
		  struct reply *ret_reply);

/* What of the policy is in force; the caller fills in what it is about. */
int inspect_policy(struct fbk_context *context, Fbk__Wire__InspectPolicy *about,
		   struct reply *ret_reply);

/* `after` is the page before; NULL for the first page. */
int inspect_stuck(struct fbk_context *context, uint64_t older_ms, const Fbk__Wire__StuckList *after,
		  struct reply *ret_reply);
