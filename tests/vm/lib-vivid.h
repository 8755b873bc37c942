// SPDX-License-Identifier: MIT
/*
 * vivid, the kernel's capture card without hardware. Nothing here knows the daemon or the library.
 * A refusal of the kernel fails the running test.
 */
#pragma once

#include <stdint.h>

#define VIVID_WIDTH  32
#define VIVID_HEIGHT 32
#define VIVID_SIZE   (VIVID_WIDTH * VIVID_HEIGHT * 2) /* of a picture in YUYV */

/* Its first capture device, or -ENODEV. Reads and DQBUF don't sleep. */
int vivid_open(void);

/* Small pictures, 60 a second, in that many buffers of `memory` (V4L2_MEMORY_MMAP, ...). From its HDMI input, which scales: from its
 * webcam they are 320x180 at least. */
void vivid_set_up(int fd, uint32_t memory, uint32_t buffers);

/* Gives its thread priority: otherwise it yields between two reads of the clock, and after a long
 * yield sleeps until a time that has passed, of which the kernel complains. */
void vivid_start(int fd);
