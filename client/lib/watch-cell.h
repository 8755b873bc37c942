// SPDX-License-Identifier: MIT
/* Watches on cells: woken by the signaler without the daemon. Under the context's mutex. */
#pragma once

#include <stdbool.h>

struct fbk_context;
struct watch;

/* Will it be woken by the signaler, by a cell? Then `ret_state` is what its point is since. */
bool watch_on_cell(struct watch *watch, int *ret_state);

/* In a dispatch: decide those whose deadline passed. */
void watches_expire(struct fbk_context *context);
