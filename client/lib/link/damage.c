// SPDX-License-Identifier: MIT
#include "damage.h"

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* All of them in one; a peer may have said sums that are no rectangle. */
static void damage_join(struct damage *damage)
{
	int64_t left = INT64_MAX, top = INT64_MAX, right = INT64_MIN, bottom = INT64_MIN;
	for (uint32_t i = 0; i < damage->count; i++) {
		const struct lane_rectangle *r = &damage->rectangles[i];
		left = least(left, r->x);
		top = least(top, r->y);
		right = most(right, (int64_t)r->x + r->width);
		bottom = most(bottom, (int64_t)r->y + r->height);
	}
	damage->all |= right - left > UINT32_MAX || bottom - top > UINT32_MAX;
	damage->count = 1;
	damage->rectangles[0] = (struct lane_rectangle){
		.x = (int32_t)left,
		.y = (int32_t)top,
		.width = (uint32_t)(right - left),
		.height = (uint32_t)(bottom - top),
	};
}

static bool damage_has(const struct damage *damage, const struct lane_rectangle *other)
{
	for (uint32_t i = 0; i < damage->count; i++) {
		const struct lane_rectangle *r = &damage->rectangles[i];
		if (r->x <= other->x && r->y <= other->y &&
		    (int64_t)r->x + r->width >= (int64_t)other->x + other->width &&
		    (int64_t)r->y + r->height >= (int64_t)other->y + other->height) {
			return true;
		}
	}
	return false;
}

void damage_add(struct damage *damage, const struct lane_frame *frame)
{
	damage->all |= frame->damage_count == 0;
	for (uint32_t i = 0; !damage->all && i < frame->damage_count; i++) {
		if (damage_has(damage, &frame->damage[i])) {
			continue;
		}
		if (damage->count == FBK_DAMAGE_MAX) {
			damage_join(damage);
		}
		damage->rectangles[damage->count++] = frame->damage[i];
	}
}

void damage_write(const struct damage *damage, struct lane_frame *frame)
{
	frame->damage_count = damage->all ? 0 : damage->count;
	frame->parts &= ~(uint32_t)FBK_PART_DAMAGE;
	frame->parts |= frame->damage_count > 0 ? FBK_PART_DAMAGE : 0;
	for (uint32_t i = 0; i < frame->damage_count; i++) {
		frame->damage[i] = damage->rectangles[i];
	}
}

/*
 * Of a frame that was passed over. If its buffer has had a later frame meanwhile, then its producer took it back first,
 * and added its damage to the next frame that it handed over: one up to `last` if the buffer's frame is.
 */
static void damage_add_passed(struct damage *damage, const struct lane_page *page,
			      uint64_t sequence, uint64_t last)
{
	struct lane_frame passed;
	uint32_t index;
	if (lane_order_read(page, sequence, &index) < 0) {
		damage->all = true;
	} else if (lane_frame_read(page, index, sequence, &passed)) {
		damage_add(damage, &passed);
	} else {
		uint64_t now = lane_frame_sequence(page, index);
		damage->all |= now < sequence || now > last;
	}
}

void damage_gather(const struct lane_page *page, uint64_t shown, struct lane_frame *frame)
{
	if (shown > 0 && shown + 1 == frame->sequence) {
		return;
	}
	struct damage damage = { .all = shown == 0 ||
					frame->sequence - shown > page->geometry.order_length };
	for (uint64_t i = shown + 1; !damage.all && i < frame->sequence; i++) {
		damage_add_passed(&damage, page, i, frame->sequence);
	}
	damage_add(&damage, frame);
	damage_write(&damage, frame);
}
