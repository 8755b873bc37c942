// SPDX-License-Identifier: MIT
#include "frame-meta.h"

#include <errno.h>
#include <string.h>

#include "client/lib/error.h"

_Static_assert(sizeof(struct fbk_rectangle) == sizeof(struct lane_rectangle), "the same");
_Static_assert(FBK_PLANES_MAX == 4, "the lane's planes");

#define FLAGS_KNOWN \
	(FBK_FRAME_KEY | FBK_FRAME_CORRUPT | FBK_FRAME_DISCONT | FBK_FRAME_LAST | FBK_FRAME_HEADER)

int frame_meta_check(const struct fbk_frame_meta *meta)
{
	if (meta->damage_count > FBK_DAMAGE_MAX || meta->user_size > FBK_FRAME_USER_MAX) {
		return error_set(-EINVAL,
				 "a frame has at most %d damaged rectangles and %d bytes "
				 "of the application's own",
				 FBK_DAMAGE_MAX, FBK_FRAME_USER_MAX);
	}
	uint32_t unknown = meta->flags & ~(uint32_t)FLAGS_KNOWN;
	return unknown ? error_set(-EINVAL, "a frame has no flags 0x%x", unknown) : 0;
}

static bool meta_has_planes(const struct fbk_frame_meta *meta)
{
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		if (meta->data_offset[i] || meta->bytes_used[i]) {
			return true;
		}
	}
	return false;
}

static uint32_t meta_parts(const struct fbk_frame_meta *meta)
{
	uint32_t parts = 0;
	if (meta->pts_ns != FBK_TIME_NONE || meta->dts_ns != FBK_TIME_NONE ||
	    meta->duration_ns != FBK_TIME_NONE || meta->capture_ns != FBK_TIME_NONE) {
		parts |= FBK_PART_TIMES;
	}
	if (meta->crop.width > 0 || meta->transform) {
		parts |= FBK_PART_CROP;
	}
	if (meta_has_planes(meta)) {
		parts |= FBK_PART_PLANES;
	}
	if (meta->damage_count > 0) {
		parts |= FBK_PART_DAMAGE;
	}
	if (meta->user_size > 0) {
		parts |= FBK_PART_USER | meta->user_size << FBK_PART_USER_SHIFT;
	}
	return parts;
}

void frame_meta_write(const struct fbk_frame_meta *meta, struct lane_frame *frame)
{
	frame->flags = meta->flags;
	frame->field_order = meta->field_order;
	frame->parts = meta_parts(meta);
	frame->pts_ns = meta->pts_ns;
	frame->dts_ns = meta->dts_ns;
	frame->duration_ns = meta->duration_ns;
	frame->capture_ns = meta->capture_ns;
	frame->capture = meta->capture;
	frame->transform = meta->transform;
	frame->damage_count = meta->damage_count;
	memcpy(&frame->crop, &meta->crop, sizeof(frame->crop));
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		frame->planes[i] = (struct lane_plane){ meta->data_offset[i], meta->bytes_used[i] };
	}
	memcpy(frame->damage, meta->damage, meta->damage_count * sizeof(frame->damage[0]));
	memcpy(frame->user, meta->user, meta->user_size);
}

void frame_meta_read(struct fbk_frame_meta *ret_meta, const struct lane_frame *frame)
{
	struct fbk_frame_meta *meta = ret_meta;
	*meta = (struct fbk_frame_meta)FBK_FRAME_META_INIT;
	meta->flags = frame->flags;
	meta->field_order = frame->field_order;
	if (frame->parts & FBK_PART_TIMES) {
		meta->pts_ns = frame->pts_ns;
		meta->dts_ns = frame->dts_ns;
		meta->duration_ns = frame->duration_ns;
		meta->capture_ns = frame->capture_ns;
		meta->capture = frame->capture;
	}
	meta->transform = frame->transform; /* zeros where its part is not there; so are the rest */
	memcpy(&meta->crop, &frame->crop, sizeof(meta->crop));
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		meta->data_offset[i] = frame->planes[i].offset;
		meta->bytes_used[i] = frame->planes[i].used;
	}
	meta->damage_count = frame->damage_count;
	memcpy(meta->damage, frame->damage, frame->damage_count * sizeof(meta->damage[0]));
	if (frame->parts & FBK_PART_USER) {
		uint32_t size = frame->parts >> FBK_PART_USER_SHIFT & 0xff;
		meta->user_size = size < FBK_FRAME_USER_MAX ? size : FBK_FRAME_USER_MAX;
		memcpy(meta->user, frame->user, meta->user_size);
	}
}
