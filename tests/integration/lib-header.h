// SPDX-License-Identifier: MIT
/* The public functions, from the headers in the source tree: for tests that have to try them all. */
#pragma once

#include <stdbool.h>

/* Calls `fn` for each function that this header declares. */
void header_functions(const char *header, void (*fn)(const char *function, bool returns_int));
