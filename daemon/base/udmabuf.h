// SPDX-License-Identifier: MIT
/* udmabuf: pages of a memfd once more, as a dma-buf, for devices that import nothing else. */
#pragma once

#include <stdint.h>

/* The kernel's device, or a negative errno. */
int udmabuf_open(void);

/*
 * A dma-buf of all of the memfd, which must be sealed against shrinking and not yet against writing
 * (newer kernels refuse that). Who holds it can write, whatever the memfd's seals and mode say.
 */
int udmabuf_create(int device, int memfd, uint64_t size);
