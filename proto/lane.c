// SPDX-License-Identifier: MIT
#include "lane.h"

#include <errno.h>

/*
 * Slots are read while their writer may write them: by a consumer that looks ahead, by the daemon. Each word is read
 * once, relaxed; the number before and after them tells whether they belong together:
 *   writer: number := 0 (relaxed), release fence, words (relaxed), number := n (release)
 *   reader: number (acquire) is n, words (relaxed), acquire fence, number (relaxed) is still n
 * If the reader has seen one word of a later writing, the fences order the later 0 before its second look.
 */
#define GET(word)          atomic_load_explicit(&(word), memory_order_relaxed)
#define SET(word, content) atomic_store_explicit(&(word), content, memory_order_relaxed)

/* ----------------------------------------------------------------------------------- geometry -- */

struct lane_geometry lane_geometry_of(bool producer, uint32_t slots)
{
	struct lane_geometry geometry = { .slots = slots, .first = 512, .head = FBK_LANE_HEAD };
	geometry.stride = producer ? sizeof(struct fbk_frame_slot) : sizeof(struct fbk_return_slot);
	if (producer) {
		geometry.order = geometry.first + slots * geometry.stride;
		geometry.order_length = 2;
		while (geometry.order_length < 2 * slots) {
			geometry.order_length *= 2;
		}
	}
	return geometry;
}

uint64_t lane_page_size(const struct lane_geometry *geometry)
{
	uint64_t end = geometry->first + (uint64_t)geometry->slots * geometry->stride;
	uint64_t order_end = geometry->order + (uint64_t)geometry->order_length * sizeof(uint32_t);
	uint64_t size = FBK_PAGE_SIZE_MIN;
	while (size < end || size < order_end) {
		size *= 2;
	}
	return size;
}

int lane_page_init(struct lane_page *page, void *memory, uint64_t size,
		   const struct lane_geometry *geometry)
{
	uint32_t slot = geometry->order_length ? sizeof(struct fbk_frame_slot)
					       : sizeof(struct fbk_return_slot);
	bool order_good =
		(geometry->order_length & (geometry->order_length - 1)) == 0 &&
		geometry->order % sizeof(uint32_t) == 0 &&
		(geometry->order_length == 0 ||
		 (geometry->order >= FBK_LANE_FIRST && geometry->order_length >= geometry->slots));
	bool head_good = geometry->head >= sizeof(struct fbk_page_header) &&
			 geometry->head % 64 == 0 &&
			 (uint64_t)geometry->head + sizeof(struct fbk_frame_head) <= size;
	if (!head_good || geometry->slots == 0 || geometry->slots > FBK_LANE_SLOTS_MAX ||
	    geometry->first < FBK_LANE_FIRST || geometry->first % 64 != 0 ||
	    geometry->stride < slot || geometry->stride % 64 != 0 ||
	    geometry->stride > FBK_PAGE_SIZE_MIN || !order_good ||
	    lane_page_size(geometry) > size) {
		return -EPROTO;
	}
	*page = (struct lane_page){ .memory = memory, .geometry = *geometry };
	return 0;
}

static struct fbk_frame_slot *frame_slot(const struct lane_page *page, uint32_t index)
{
	return (struct fbk_frame_slot *)(void *)(page->memory + page->geometry.first +
						 (size_t)index * page->geometry.stride);
}

static struct fbk_return_slot *return_slot(const struct lane_page *page, uint32_t index)
{
	return (struct fbk_return_slot *)(void *)(page->memory + page->geometry.first +
						  (size_t)index * page->geometry.stride);
}

static _Atomic uint32_t *order_place(const struct lane_page *page, uint64_t sequence)
{
	return (_Atomic uint32_t *)(void *)(page->memory + page->geometry.order) +
	       (sequence & (page->geometry.order_length - 1));
}

/* --------------------------------------------------------------------------------- -> writing -- */

static void rectangle_write(struct fbk_lane_rectangle *place, const struct lane_rectangle *from)
{
	SET(place->x, from->x);
	SET(place->y, from->y);
	SET(place->width, from->width);
	SET(place->height, from->height);
}

static void parts_write(struct fbk_frame_slot *slot, const struct lane_frame *frame)
{
	if (frame->parts & FBK_PART_TIMES) {
		SET(slot->pts_ns, frame->pts_ns);
		SET(slot->dts_ns, frame->dts_ns);
		SET(slot->duration_ns, frame->duration_ns);
		SET(slot->capture_ns, frame->capture_ns);
		SET(slot->capture, frame->capture);
	}
	if (frame->parts & FBK_PART_CROP) {
		SET(slot->transform, frame->transform);
		rectangle_write(&slot->crop, &frame->crop);
	}
	for (size_t i = 0; frame->parts & FBK_PART_PLANES && i < 4; i++) {
		SET(slot->planes[i].offset, frame->planes[i].offset);
		SET(slot->planes[i].used, frame->planes[i].used);
	}
	for (size_t i = 0; frame->parts & FBK_PART_USER && i < FBK_FRAME_USER_MAX / 8; i++) {
		SET(slot->user[i], frame->user[i]);
	}
	if (frame->parts & FBK_PART_DAMAGE) {
		for (uint32_t i = 0; i < frame->damage_count; i++) {
			rectangle_write(&slot->damage[i], &frame->damage[i]);
		}
		if (frame->damage_count < FBK_DAMAGE_MAX) {
			SET(slot->damage[frame->damage_count].width, 0);
		}
	}
}

void lane_frame_write(const struct lane_page *page, const struct lane_frame *frame)
{
	struct fbk_frame_slot *slot = frame_slot(page, frame->index);
	SET(slot->sequence, 0);
	/* release: see above */
	atomic_thread_fence(memory_order_release);
	SET(slot->value, frame->value);
	SET(slot->timeline, frame->timeline);
	SET(slot->incarnation, frame->incarnation);
	SET(slot->generation, frame->generation);
	SET(slot->flags, frame->flags);
	SET(slot->deadline_ns, frame->deadline_ns);
	SET(slot->parts, frame->parts);
	SET(slot->field_order, frame->field_order);
	SET(slot->handed_ns, frame->handed_ns);
	parts_write(slot, frame);
	/* release: see above */
	atomic_store_explicit(&slot->sequence, frame->sequence, memory_order_release);
	/* relaxed: the payload is raised after this, and who reads it saw that */
	SET(*order_place(page, frame->sequence), frame->index);
}

/* --------------------------------------------------------------------------------- -> reading -- */

int lane_order_read(const struct lane_page *page, uint64_t sequence, uint32_t *ret_index)
{
	uint32_t index = GET(*order_place(page, sequence));
	if (index >= page->geometry.slots) {
		return -ENOENT;
	}
	*ret_index = index;
	return 0;
}

uint64_t lane_frame_sequence(const struct lane_page *page, uint32_t index)
{
	/* acquire: what its writer did before is visible */
	return atomic_load_explicit(&frame_slot(page, index)->sequence, memory_order_acquire);
}

static struct lane_rectangle rectangle_read(struct fbk_lane_rectangle *place)
{
	return (struct lane_rectangle){ GET(place->x), GET(place->y), GET(place->width),
					GET(place->height) };
}

static void damage_read(struct fbk_frame_slot *slot, struct lane_frame *frame)
{
	struct lane_rectangle next = rectangle_read(&slot->damage[0]);
	while (next.width > 0) {
		frame->damage[frame->damage_count++] = next;
		if (frame->damage_count == FBK_DAMAGE_MAX) {
			return;
		}
		next = rectangle_read(&slot->damage[frame->damage_count]);
	}
}

static void parts_read(struct fbk_frame_slot *slot, struct lane_frame *frame)
{
	if (frame->parts & FBK_PART_TIMES) {
		frame->pts_ns = GET(slot->pts_ns);
		frame->dts_ns = GET(slot->dts_ns);
		frame->duration_ns = GET(slot->duration_ns);
		frame->capture_ns = GET(slot->capture_ns);
		frame->capture = GET(slot->capture);
	}
	if (frame->parts & FBK_PART_CROP) {
		frame->transform = GET(slot->transform);
		frame->crop = rectangle_read(&slot->crop);
	}
	for (size_t i = 0; frame->parts & FBK_PART_PLANES && i < 4; i++) {
		frame->planes[i].offset = GET(slot->planes[i].offset);
		frame->planes[i].used = GET(slot->planes[i].used);
	}
	for (size_t i = 0; frame->parts & FBK_PART_USER && i < FBK_FRAME_USER_MAX / 8; i++) {
		frame->user[i] = GET(slot->user[i]);
	}
	if (frame->parts & FBK_PART_DAMAGE) {
		damage_read(slot, frame);
	}
}

bool lane_frame_read(const struct lane_page *page, uint32_t index, uint64_t sequence,
		     struct lane_frame *ret_frame)
{
	struct fbk_frame_slot *slot = frame_slot(page, index);
	struct lane_frame frame = { .sequence = sequence, .index = index };
	if (sequence == 0 || lane_frame_sequence(page, index) != sequence) {
		return false;
	}
	frame.value = GET(slot->value);
	frame.timeline = GET(slot->timeline);
	frame.incarnation = GET(slot->incarnation);
	frame.generation = GET(slot->generation);
	frame.flags = GET(slot->flags);
	frame.deadline_ns = GET(slot->deadline_ns);
	frame.parts = GET(slot->parts);
	frame.field_order = GET(slot->field_order);
	frame.handed_ns = GET(slot->handed_ns);
	parts_read(slot, &frame);
	/* acquire: see above */
	atomic_thread_fence(memory_order_acquire);
	if (GET(slot->sequence) != sequence) {
		return false;
	}
	*ret_frame = frame;
	return true;
}

/* ----------------------------------------------------------------------------------- <- returns -- */

static struct fbk_frame_head *frame_head(const struct lane_page *page)
{
	return (struct fbk_frame_head *)(void *)(page->memory + page->geometry.head);
}

/* relaxed, both: the payload is raised after this, and who reads it saw that */
void lane_stopped_write(const struct lane_page *page)
{
	SET(frame_head(page)->stopped, 1);
}

bool lane_stopped(const struct lane_page *page)
{
	return GET(frame_head(page)->stopped) != 0;
}

static struct fbk_return_head *return_head(const struct lane_page *page)
{
	return (struct fbk_return_head *)(void *)(page->memory + page->geometry.head);
}

/* relaxed, all three: each stands for itself. The payload is raised after a change, so its reader looks again. */
void lane_wishes_write(const struct lane_page *page, const struct lane_wishes *wishes)
{
	struct fbk_return_head *head = return_head(page);
	SET(head->delivery, wishes->delivery);
	SET(head->hold, wishes->hold);
	SET(head->pauses, wishes->pauses);
}

struct lane_wishes lane_wishes_read(const struct lane_page *page)
{
	struct fbk_return_head *head = return_head(page);
	return (struct lane_wishes){
		.pauses = GET(head->pauses),
		.delivery = GET(head->delivery),
		.hold = GET(head->hold),
	};
}

void lane_taken_write(const struct lane_page *page, uint32_t index, uint64_t sequence)
{
	/* relaxed: for people who ask; the claim word decides */
	SET(return_slot(page, index)->taken, sequence);
}

void lane_return_write(const struct lane_page *page, const struct lane_return *back)
{
	struct fbk_return_slot *slot = return_slot(page, back->index);
	/* Nobody reads the words of an index that is not out, so they are not guarded while they are written; its last
	 * number stays, since the daemon compares it. */
	SET(slot->value, back->value);
	SET(slot->incarnation, back->incarnation);
	SET(slot->kind, back->kind);
	SET(slot->result, back->result);
	/* release: who sees the number sees the words, and what was done to the buffer before */
	atomic_store_explicit(&slot->returned, back->sequence, memory_order_release);
}

uint64_t lane_taken(const struct lane_page *page, uint32_t index)
{
	return GET(return_slot(page, index)->taken);
}

uint64_t lane_returned(const struct lane_page *page, uint32_t index)
{
	/* acquire: pairs with lane_return_write() */
	return atomic_load_explicit(&return_slot(page, index)->returned, memory_order_acquire);
}

bool lane_return_read(const struct lane_page *page, uint32_t index, uint64_t sequence,
		      struct lane_return *ret_back)
{
	struct fbk_return_slot *slot = return_slot(page, index);
	if (lane_returned(page, index) != sequence) {
		return false;
	}
	*ret_back = (struct lane_return){
		.sequence = sequence,
		.index = index,
		.kind = GET(slot->kind),
		.value = GET(slot->value),
		.incarnation = GET(slot->incarnation),
		.result = GET(slot->result),
	};
	return true;
}

/* -------------------------------------------------------------------------------------- claims -- */

static uint64_t claim_word(uint64_t sequence, enum fbk_claim claim)
{
	return sequence << 2 | claim;
}

_Atomic uint64_t *claim_at(const struct claim_page *claims, uint32_t index)
{
	char *slot = claims->memory + claims->first + (size_t)index * claims->stride;
	return &((struct fbk_claim_slot *)(void *)slot)->word;
}

void claim_offer(const struct claim_page *claims, uint32_t index, uint64_t sequence)
{
	/* C1. relaxed: the frame's payload is raised after this, and who takes it saw that. The frame before was decided:
	 * no exchange for it succeeds any more. */
	atomic_store_explicit(claim_at(claims, index), claim_word(sequence, FBK_CLAIM_OFFERED),
			      memory_order_relaxed);
}

/* C2, C3. acq_rel: who wins does what follows after the other end has done what came before. */
static bool claim_exchange(const struct claim_page *claims, uint32_t index, uint64_t sequence,
			   enum fbk_claim from, enum fbk_claim to)
{
	uint64_t word = claim_word(sequence, from);
	return atomic_compare_exchange_strong_explicit(claim_at(claims, index), &word,
						       claim_word(sequence, to),
						       memory_order_acq_rel, memory_order_acquire);
}

bool claim_take(const struct claim_page *claims, uint32_t index, uint64_t sequence)
{
	return claim_exchange(claims, index, sequence, FBK_CLAIM_OFFERED, FBK_CLAIM_TAKEN);
}

bool claim_retract(const struct claim_page *claims, uint32_t index, uint64_t sequence)
{
	return claim_exchange(claims, index, sequence, FBK_CLAIM_OFFERED, FBK_CLAIM_RETRACTED);
}

void claim_abandon(const struct claim_page *claims, uint32_t index, uint64_t sequence)
{
	if (!claim_retract(claims, index, sequence)) {
		claim_exchange(claims, index, sequence, FBK_CLAIM_TAKEN, FBK_CLAIM_RETRACTED);
	}
}

enum fbk_claim claim_of(const struct claim_page *claims, uint32_t index, uint64_t sequence)
{
	/* acquire: as above. The other end may scribble here: what it says of another frame says nothing. */
	uint64_t word = atomic_load_explicit(claim_at(claims, index), memory_order_acquire);
	return word >> 2 == sequence ? (enum fbk_claim)(word & 3) : FBK_CLAIM_NONE;
}
