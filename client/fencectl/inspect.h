// SPDX-License-Identifier: MIT
/* The daemon's replies to inspection requests, all pages of them. */
#pragma once

#include "client/lib/request.h"

/* Request the page after `after`; the caller finishes `ret_reply`. */
int inspect_status(struct fbk_context *context, struct reply *ret_reply);
int inspect_devices(struct fbk_context *context, uint64_t after, struct reply *ret_reply);
int inspect_timelines(struct fbk_context *context, uint64_t after, struct reply *ret_reply);
int inspect_links(struct fbk_context *context, uint64_t after, struct reply *ret_reply);

/* Both ways between two devices, by name or "#ID". */
int inspect_route(struct fbk_context *context, const char *from, const char *to,
		  struct reply *ret_reply);

/* `after` is the page before; NULL for the first page. */
int inspect_stuck(struct fbk_context *context, uint64_t older_ms, const Fbk__Wire__StuckList *after,
		  struct reply *ret_reply);
