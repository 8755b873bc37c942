// SPDX-License-Identifier: MIT
/*
 * vivid, the kernel's capture card without hardware. Nothing here knows of the daemon or the library. What the kernel
 * refuses fails the running test.
 */
#pragma once

#include <stdint.h>

#define VIVID_WIDTH  320
#define VIVID_HEIGHT 180
#define VIVID_SIZE   (VIVID_WIDTH * VIVID_HEIGHT * 2) /* of a picture in YUYV */

/* Its first capture device, or -ENODEV. Reads and DQBUF don't sleep. */
int vivid_open(void);

/* Small pictures, as many a second as it gives (60), in that many buffers of `memory` (V4L2_MEMORY_MMAP, ...). */
void vivid_set_up(int fd, uint32_t memory, uint32_t buffers);
void vivid_start(int fd);
