// SPDX-License-Identifier: MIT
#include "pattern.h"

#include <stddef.h>

/* Only the last star has to be tried again: what an earlier one takes more, the last may take as well. */
bool pattern_matches(const char *pattern, const char *name)
{
	const char *star = NULL;
	const char *taken = NULL; /* by the star, up to here */
	while (*name) {
		if (*pattern == '*') {
			star = pattern++;
			taken = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star + 1;
			name = ++taken;
		} else {
			return false;
		}
	}
	while (*pattern == '*') {
		pattern++;
	}
	return *pattern == '\0';
}
