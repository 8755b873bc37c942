// SPDX-License-Identifier: MIT
/*
 * The life page: all clients map it, read-only, and see there whether this daemon lives, without a system call. Its word
 * is a robust futex of the loop's thread. Owned by the registry; loop's thread only.
 */
#pragma once

struct registry;

/* On the loop's thread, before it serves. */
int life_begin(struct registry *registry);

/* What is not decided by now never will be. All clients see it. */
void life_end(struct registry *registry);

void life_finish(struct registry *registry);
