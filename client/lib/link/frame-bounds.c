// SPDX-License-Identifier: MIT
#include "frame-bounds.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/error.h"

/* UINT64_MAX: not known. A memfd is not sought in: programs share its position. */
static uint64_t memory_size(enum fbk_memory_kind memory, int fd)
{
	struct stat status;
	int64_t size = -1;
	if (memory == FBK_MEMORY_DMABUF) {
		size = lseek(fd, 0, SEEK_END);
	} else if (fstat(fd, &status) == 0) {
		size = status.st_size;
	}
	return size > 0 ? (uint64_t)size : UINT64_MAX;
}

struct frame_bounds frame_bounds_of(const struct fbk_buffer_desc *desc)
{
	struct frame_bounds bounds = {
		.width = desc->width,
		.height = desc->height,
		.plane_count = desc->plane_count,
	};
	for (uint32_t i = 0; i < desc->plane_count; i++) {
		uint64_t size =
			memory_size(desc->memory, desc->fd[i] >= 0 ? desc->fd[i] : desc->fd[0]);
		bounds.room[i] = size == UINT64_MAX       ? size
				 : desc->offset[i] < size ? size - desc->offset[i]
							  : 0;
	}
	return bounds;
}

/* ------------------------------------------------------------------------------------ rectangles -- */

/* Of one axis: without a size, what the numbers can say. */
struct extent {
	int64_t first, end;
};

static struct extent extent_of(uint32_t size)
{
	bool known = size > 0 && size <= INT32_MAX;
	return (struct extent){ known ? 0 : INT32_MIN, known ? size : INT32_MAX };
}

static bool extent_has(struct extent extent, int32_t at, uint32_t length)
{
	return at >= extent.first && (int64_t)at + length <= extent.end;
}

static bool bounds_have(const struct frame_bounds *bounds, const struct fbk_rectangle *r)
{
	return extent_has(extent_of(bounds->width), r->x, r->width) &&
	       extent_has(extent_of(bounds->height), r->y, r->height);
}

static void extent_clip(struct extent extent, int32_t *at, uint32_t *length)
{
	int64_t first = *at > extent.first ? *at : extent.first;
	int64_t end = (int64_t)*at + *length;
	end = end < extent.end ? end : extent.end;
	*at = (int32_t)(first < extent.end ? first : extent.end);
	*length = end > first ? (uint32_t)(end - first) : 0;
}

/* One that lies outside altogether is none. Without any, all of the buffer may have changed: that is safe. */
static void damage_clip(const struct frame_bounds *bounds, struct fbk_frame_meta *meta)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < meta->damage_count; i++) {
		struct fbk_rectangle r = meta->damage[i];
		extent_clip(extent_of(bounds->width), &r.x, &r.width);
		extent_clip(extent_of(bounds->height), &r.y, &r.height);
		if (r.width > 0 && r.height > 0) {
			meta->damage[left++] = r;
		}
	}
	for (uint32_t i = left; i < meta->damage_count; i++) {
		meta->damage[i] = (struct fbk_rectangle){ 0 };
	}
	meta->damage_count = left;
}

static int rectangle_outside(int error, const struct frame_bounds *bounds, uint32_t index,
			     const char *what, const struct fbk_rectangle *r)
{
	return error_set(error, "buffer %u: %s %ux%u at %d,%d lies outside of %ux%u", index, what,
			 r->width, r->height, r->x, r->y, bounds->width, bounds->height);
}

static int rectangle_empty(int error, uint32_t index, const char *what,
			   const struct fbk_rectangle *r)
{
	return error_set(error, "buffer %u: %s %ux%u at %d,%d is empty", index, what, r->width,
			 r->height, r->x, r->y);
}

static int rectangle_check(int error, const struct frame_bounds *bounds, uint32_t index,
			   const char *what, const struct fbk_rectangle *r)
{
	if (r->width == 0 || r->height == 0) {
		return rectangle_empty(error, index, what, r);
	}
	return bounds_have(bounds, r) ? 0 : rectangle_outside(error, bounds, index, what, r);
}

static int crop_check(int error, const struct frame_bounds *bounds, uint32_t index,
		      const struct fbk_rectangle *crop)
{
	return crop->width > 0 ? rectangle_check(error, bounds, index, "the crop", crop) : 0;
}

/* ---------------------------------------------------------------------------------------- planes -- */

static int planes_check(int error, const struct frame_bounds *bounds, uint32_t index,
			const struct fbk_frame_meta *meta)
{
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		uint64_t end = (uint64_t)meta->data_offset[i] + meta->bytes_used[i];
		uint64_t room = i < bounds->plane_count ? bounds->room[i] : 0;
		if (end > room) {
			return error_set(error,
					 "buffer %u: %u bytes at %u of plane %u: it has %llu",
					 index, meta->bytes_used[i], meta->data_offset[i], i,
					 (unsigned long long)room);
		}
	}
	return 0;
}

int frame_bounds_check(const struct frame_bounds *bounds, uint32_t index,
		       const struct fbk_frame_meta *meta)
{
	int r = crop_check(-EINVAL, bounds, index, &meta->crop);
	for (uint32_t i = 0; r == 0 && i < meta->damage_count; i++) {
		r = rectangle_check(-EINVAL, bounds, index, "damage", &meta->damage[i]);
	}
	return r < 0 ? r : planes_check(-EINVAL, bounds, index, meta);
}

int frame_bounds_apply(const struct frame_bounds *bounds, uint32_t index,
		       struct fbk_frame_meta *meta)
{
	damage_clip(bounds, meta);
	int r = crop_check(-EPROTO, bounds, index, &meta->crop);
	return r < 0 ? r : planes_check(-EPROTO, bounds, index, meta);
}
