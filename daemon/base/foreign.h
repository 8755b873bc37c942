// SPDX-License-Identifier: MIT
/*
 * Memory that others allocated and may take away: dma-bufs of drivers, mapped here. An access to what
 * was taken away raises SIGBUS; then all of that mapping is replaced by zeroed memory of our own and
 * marked as lost, so that it costs the timelines in it and not the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FOREIGN_MAX 1024 /* mapped at once */

struct foreign;

/* Catch SIGBUS from now on: once, before there are threads. */
void foreign_init(void);

/*
 * Map `size` bytes from `offset` of a dma-buf, for reading and writing. It was classified as one
 * (rule R5): what maps it is a driver.
 *   -ENFILE  FOREIGN_MAX are mapped already, which the account keeps from happening   else mmap's error
 */
int foreign_map(int dmabuf, uint64_t offset, uint64_t size, struct foreign **ret_foreign);
void foreign_unmap(struct foreign *foreign); /* takes NULL */

void *foreign_memory(const struct foreign *foreign);

/* To be asked after each access whose result counts. Any thread. */
bool foreign_lost(const struct foreign *foreign);
