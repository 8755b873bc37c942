// SPDX-License-Identifier: MIT
/*
 * The network device's inside: H.264 access units into MPEG-TS and out through a URL, by
 * libavformat. The bitstream is wrapped, not copied. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct muxer;

int muxer_create(const char *url, unsigned int width, unsigned int height, unsigned int fps,
		 struct muxer **ret_muxer, char *error, size_t error_size);

/* Put frame `frame` (from 1) out, all of it, before returning. `data` is followed by
 * AV_INPUT_BUFFER_PADDING_SIZE bytes that may be read.   -EIO */
int muxer_write(struct muxer *muxer, const uint8_t *data, size_t size, uint64_t frame, bool key,
		char *error, size_t error_size);

/* Write what ends the stream. -EIO */
int muxer_end(struct muxer *muxer, char *error, size_t error_size);
void muxer_destroy(struct muxer *muxer); /* takes NULL; ends nothing */
