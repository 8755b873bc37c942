// SPDX-License-Identifier: MIT
/*
 * The tables of a link's two lanes, and its claim words (proto/page.h). A lane is written by the process whose lane it
 * is, and read by its peer, and by the daemon when somebody asks. What is read may be a lie: who reads checks what it
 * needs. Any thread; one writer for each lane, under its own lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page.h"

/* Where things are, as the wire says. */
struct lane_geometry {
	uint32_t slots;        /* buffer indices: 0 to slots - 1 */
	uint32_t first;        /* offset of slot 0 */
	uint32_t stride;       /* of the slots; a later version may have longer ones */
	uint32_t order;        /* offset of the order ring, of 32-bit indices */
	uint32_t order_length; /* a power of two; 0: the consumer's lane has none */
	uint32_t head;         /* offset of fbk_frame_head or fbk_return_head */
};

/* A lane's page, with a geometry that fits it. */
struct lane_page {
	char *memory;
	struct lane_geometry geometry;
};

/* What the daemon gives a lane of that many slots, and the size of the page that it takes. */
struct lane_geometry lane_geometry_of(bool producer, uint32_t slots);
uint64_t lane_page_size(const struct lane_geometry *geometry);

/* -EPROTO: that geometry is not one of this version, or not within the page. */
int lane_page_init(struct lane_page *page, void *memory, uint64_t size,
		   const struct lane_geometry *geometry);

/* ------------------------------------------------------------------------------------ -> frames -- */

struct lane_rectangle {
	int32_t x, y;
	uint32_t width, height;
};

struct lane_plane {
	uint32_t offset, used;
};

/* What a producer says of one frame. What a part that is not in `parts` has, is zero. */
struct lane_frame {
	uint64_t sequence;
	uint32_t index;
	uint32_t generation;
	uint64_t value; /* of the acquire point, on timeline number `timeline`; 0: reached */
	uint32_t timeline, incarnation;
	uint64_t deadline_ns, handed_ns;
	uint32_t flags, field_order;
	uint32_t parts; /* enum fbk_frame_part */
	uint32_t damage_count;
	int64_t pts_ns, dts_ns, duration_ns, capture_ns;
	uint32_t capture, transform;
	struct lane_rectangle crop;
	struct lane_plane planes[4];
	uint64_t user[FBK_FRAME_USER_MAX / 8];
	struct lane_rectangle damage[FBK_DAMAGE_MAX];
};

/* Write its slot and its place in the order. The lane's payload is raised to its number after that. */
void lane_frame_write(const struct lane_page *page, const struct lane_frame *frame);

/* The index that frame `sequence` went out in; -ENOENT: another frame has its place, or that is no index. It may be
 * wrong when the ring has gone round since: lane_frame_read() finds that. */
int lane_order_read(const struct lane_page *page, uint64_t sequence, uint32_t *ret_index);

/* The number of the frame that the slot has now; 0: none. */
uint64_t lane_frame_sequence(const struct lane_page *page, uint32_t index);

/* The frame of that number in that slot. False: it has another by now. */
bool lane_frame_read(const struct lane_page *page, uint32_t index, uint64_t sequence,
		     struct lane_frame *ret_frame);

/* No frames come any more. The lane's payload is raised to the next number after that, which has no frame. */
void lane_stopped_write(const struct lane_page *page);
bool lane_stopped(const struct lane_page *page);

/* ----------------------------------------------------------------------------------- <- returns -- */

/* What a consumer says of a frame that it gives back. */
struct lane_return {
	uint64_t sequence;
	uint32_t index;
	uint32_t kind; /* enum fbk_release_kind */
	uint64_t value;
	uint32_t incarnation;
	int32_t result; /* 0 or a negative errno */
};

/* What it says of itself. `pauses` is raised with each change; odd: it wants no frames. */
struct lane_wishes {
	uint32_t pauses, delivery, hold;
};
void lane_wishes_write(const struct lane_page *page, const struct lane_wishes *wishes);
struct lane_wishes lane_wishes_read(const struct lane_page *page);

void lane_taken_write(const struct lane_page *page, uint32_t index, uint64_t sequence);
void lane_return_write(const struct lane_page *page, const struct lane_return *back);

uint64_t lane_taken(const struct lane_page *page, uint32_t index);
uint64_t lane_returned(const struct lane_page *page, uint32_t index);

/* The return of that frame. False: the slot has another. */
bool lane_return_read(const struct lane_page *page, uint32_t index, uint64_t sequence,
		      struct lane_return *ret_back);

/* -------------------------------------------------------------------------------------- claims -- */

/* The claim page of a pairing; its words lie where the wire says. */
struct claim_page {
	char *memory;
	uint32_t first, stride;
};

_Atomic uint64_t *claim_at(const struct claim_page *claims, uint32_t index);

/* By the producer, before the frame is said. */
void claim_offer(const struct claim_page *claims, uint32_t index, uint64_t sequence);

/* By the consumer, and by the producer: true for the one that has it. */
bool claim_take(const struct claim_page *claims, uint32_t index, uint64_t sequence);
bool claim_retract(const struct claim_page *claims, uint32_t index, uint64_t sequence);

/* By the producer, of a frame that it gives up: taken or not, the consumer has it no more. */
void claim_abandon(const struct claim_page *claims, uint32_t index, uint64_t sequence);

/* What the word says of that frame; FBK_CLAIM_NONE: it is about another. */
enum fbk_claim claim_of(const struct claim_page *claims, uint32_t index, uint64_t sequence);
