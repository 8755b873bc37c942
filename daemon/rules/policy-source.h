// SPDX-License-Identifier: MIT
/* Where the daemon's policy comes from: a file and drop-ins, the last good one, or the built-in one. Any thread may load
 * it, one at a time: users and groups are looked up. */
#pragma once

#include <stddef.h>

#include "policy-paths.h"

struct policy;

/* What is written in the files now. On success it is kept as the last good one: policy_keep_error(). Errors as from
 * policy_load_file(). */
int policy_source_load(const struct policy_source *source, struct policy **ret_policy,
		       char *ret_error, size_t error_size);

/*
 * The same for a start, which a fault in the files does not stop: then it is the last good policy, or else the built-in one,
 * and `ret_error` says what is wrong; it is "" where nothing is. Only of a source that is `alone` the fault is an error.
 */
int policy_source_start(const struct policy_source *source, struct policy **ret_policy,
			char *ret_error, size_t error_size);

/* Are the files as they should be? As policy_source_load(), and nothing is kept. */
int policy_source_check(const struct policy_source *source, struct policy **ret_policy,
			char *ret_error, size_t error_size);
