// SPDX-License-Identifier: MIT
/* Where the files of a policy are. */
#pragma once

#include <stdbool.h>

/* In place of a path, as policy_name(). */
#define POLICY_BUILT_IN  "built-in"
#define POLICY_LAST_GOOD "last good"

/* Strings are borrowed, and live as long as the process. All zero: there is no source. */
struct policy_source {
	const char *
		path; /* the main file; where it does not exist, the built-in policy stands in for it */
	bool alone;           /* it must exist, and there are no drop-ins */
	const char *built_in; /* the text of that policy */
	/* Of drop-ins, to NULL: the first directory that has a name counts. NULL: there are none. */
	const char *const *directories;
	const char *state; /* the directory in which the last good policy is kept; NULL: nowhere */
};
