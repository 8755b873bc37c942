// SPDX-License-Identifier: MIT
/*
 * What can be asked of a sync_file. Only of one that is ours or was confirmed: then none of these
 * can block. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Is `fd` a sync_file? The kernel says so by merging it with `own`, which is one. 0, -EBADF, or what
 * kept it from merging. */
int sync_file_confirm(int own, int fd);

/* Of a fence: not signalled yet. No errno, since a fence may carry any. */
#define FENCE_PENDING 1

/* 0 signalled, FENCE_PENDING, else the error it carries; of a merged one, that of any part that is still in it. */
int sync_file_state(int fd);

/* Tell the drivers behind it when it is wanted: a hint. -ENOTTY before Linux 6.8. */
int sync_file_set_deadline(int fd, uint64_t deadline_ns);
