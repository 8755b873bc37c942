// SPDX-License-Identifier: MIT
/* What the daemon says of its policy, for the verbs policy and config. */
#pragma once

#include "fencectl.h"
#include "proto/fencebroker.pb-c.h"

/* All pages of the answer, as an array or as a table. Returns an exit status. */
int policy_list_show(const struct options *options, const char *verb,
		     Fbk__Wire__InspectPolicy *about);

/* "FILE:LINE", or "default" (a value) or "no rule" (an answer); in one of a few buffers used in turn. */
const char *policy_place(const Fbk__Wire__PolicyEntry *entry);
