// SPDX-License-Identifier: MIT
/*
 * What both ends of a link allow for its buffers: the join of two lists of formats, and a reason where there is none.
 * Pure; the caller owns all memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_ALIGN_MAX (UINT32_C(1) << 24) /* the largest alignment, also a joined one */

struct format_range {
	uint64_t least, most; /* 0, 0: any */
};

enum format_align {
	FORMAT_ALIGN_STRIDE,
	FORMAT_ALIGN_OFFSET,
	FORMAT_ALIGN_SIZE,
	FORMAT_ALIGN_WIDTH,
	FORMAT_ALIGN_HEIGHT,
	FORMAT_ALIGNS,
};

/* Numbers of struct fbk_color; 0: not stated. */
enum format_color {
	FORMAT_PRIMARIES,
	FORMAT_TRANSFER,
	FORMAT_MATRIX,
	FORMAT_COLOR_RANGE,
	FORMAT_CHROMA,
	FORMAT_ALPHA,
	FORMAT_COLORS,
};

/* The rest of struct fbk_color, in its order: it describes the producer's picture, and keeps no formats apart. */
#define FORMAT_VOLUMES 12

struct format_ratio {
	uint32_t num, den; /* 0: not stated */
};

struct format {
	uint32_t memory;
	uint32_t fourcc;
	uint64_t modifier;
	uint64_t device; /* 0: any */
	struct format_range width, height, size;
	uint32_t align[FORMAT_ALIGNS]; /* 0: 1 */
	struct format_ratio rate, aspect;
	uint32_t volume[FORMAT_VOLUMES];
	uint8_t color[FORMAT_COLORS];
	uint8_t zero[2]; /* no padding: formats are compared as a whole */
	uint32_t data;   /* of the application: alike in a list where its bytes are; 0: none */
};

/* Is it one at all? 0, or -EINVAL with a sentence in `detail`, of FBK_REASON_SIZE bytes. */
int format_check(const struct format *format, char *detail);

/* What a buffer says of itself. */
struct format_buffer {
	uint32_t memory, fourcc;
	uint64_t modifier;
	uint32_t width, height; /* 0: not stated */
	uint32_t plane_count;
	const uint64_t *offset, *stride;
};

bool format_fits(const struct format *format, const struct format_buffer *buffer);

/* "XR24 (dma-buf, modifier 0x0)". */
void format_name(uint32_t memory, uint32_t fourcc, uint64_t modifier, char *ret_name, size_t size);

/* Both of them: 0 with `ret_joined`; -ENOENT where they exclude each other. It has the data of neither. */
int format_join(const struct format *producer, const struct format *consumer,
		struct format *ret_joined);

/* A format of the join, and which ones of the two lists it comes from. */
struct format_pair {
	struct format joined;
	uint32_t producer, consumer;
};

/*
 * All pairs that go together, in the producer's order and then the consumer's, `size` at most; one that says the same as
 * an earlier one, with the same data, is left out. An empty list allows everything. Returns how many; 0 with a reason in `detail`.
 */
size_t formats_join(const struct format *producer, size_t producer_count,
		    const struct format *consumer, size_t consumer_count,
		    struct format_pair *ret_pairs, size_t size, char *detail);
