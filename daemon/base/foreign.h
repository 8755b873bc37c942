// SPDX-License-Identifier: MIT
/*
 * Mappings of dma-bufs whose memory their driver may take away. An access to such memory then raises SIGBUS.
 * The handler replaces the whole mapping by zeroed memory of the daemon and marks it as lost: the timelines in
 * it fail, and the daemon lives on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FOREIGN_MAX 1024 /* mapped at once */

struct foreign;

/* Catch SIGBUS from now on. Called once, before any thread starts. */
void foreign_init(void);

/*
 * Map `size` bytes from `offset` of a dma-buf, for reading and writing. The fd was classified as a dma-buf
 * (rule R5), so a driver maps it.
 *   -ENFILE  FOREIGN_MAX are mapped already; the account's ceiling prevents that   else mmap's error
 */
int foreign_map(int dmabuf, uint64_t offset, uint64_t size, struct foreign **ret_foreign);
void foreign_unmap(struct foreign *foreign); /* takes NULL */

void *foreign_memory(const struct foreign *foreign);

/* Ask after each access whose result counts. Any thread. */
bool foreign_lost(const struct foreign *foreign);
