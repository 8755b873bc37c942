// SPDX-License-Identifier: MIT
/*
 * The inside of the network device: libavformat puts H.264 access units into MPEG-TS and sends them to a
 * URL. It wraps the bitstream and copies nothing. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUXER_PADDING 64 /* readable bytes that have to follow a packet's data */

struct muxer;

struct muxer_packet {
	const uint8_t *data;
	size_t size;
	int64_t pts_ns, dts_ns, duration_ns;
	bool key;
};

int muxer_create(const char *url, unsigned int width, unsigned int height, unsigned int fps,
		 struct muxer **ret_muxer, char *error, size_t error_size);

/* Send a packet completely before returning.   -EIO */
int muxer_write(struct muxer *muxer, const struct muxer_packet *packet, char *error,
		size_t error_size);

/* Write the end of the stream. -EIO */
int muxer_end(struct muxer *muxer, char *error, size_t error_size);
void muxer_destroy(struct muxer *muxer); /* takes NULL; does not end the stream */
