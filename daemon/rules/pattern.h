// SPDX-License-Identifier: MIT
/*
 * A pattern of names that a client gave: `*` stands for any text, `?` for any character. fnmatch(3), by which the policy's own
 * patterns match, takes a time that grows exponentially with the stars; this takes at most length times length. Pure.
 */
#pragma once

#include <stdbool.h>

bool pattern_matches(const char *pattern, const char *name);
