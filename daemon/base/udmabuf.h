// SPDX-License-Identifier: MIT
/* udmabuf: the pages of a memfd as a dma-buf, for devices that import nothing else. */
#pragma once

#include <stdint.h>

/* An fd of /dev/udmabuf, or a negative errno. */
int udmabuf_open(void);

/*
 * A dma-buf of the whole memfd. The memfd must be sealed against shrinking, and not yet against writing
 * (newer kernels refuse that). Its holders can write, whatever the memfd's seals and mode say.
 */
int udmabuf_create(int device, int memfd, uint64_t size);
