// SPDX-License-Identifier: MIT
#include "picture.h"

#include <errno.h>

#define STRIDE_ALIGN 64 /* a cache line */
#define PAGE_ALIGN   4096

static size_t align_up(size_t value, size_t alignment)
{
	return (value + alignment - 1) / alignment * alignment;
}

int picture_check_size(unsigned int width, unsigned int height, const char **ret_why)
{
	if (width % 2 != 0 || height % 2 != 0) {
		*ret_why = "width and height have to be even";
		return -EINVAL;
	}
	if (width < PICTURE_MIN_WIDTH || height < PICTURE_MIN_HEIGHT) {
		*ret_why = "the smallest picture is 160x128: the frame number has to fit in";
		return -EINVAL;
	}
	if (width > PICTURE_MAX || height > PICTURE_MAX) {
		*ret_why = "the largest picture is 4096x4096";
		return -EINVAL;
	}
	return 0;
}

size_t picture_bytes(unsigned int width, unsigned int height)
{
	size_t luma = align_up(width, STRIDE_ALIGN) * height;
	size_t chroma = align_up(width / 2, STRIDE_ALIGN) * (height / 2);
	return align_up(luma + 2 * chroma, PAGE_ALIGN);
}

struct picture picture_at(void *memory, unsigned int width, unsigned int height)
{
	struct picture picture = { .width = width, .height = height };
	uint8_t *next = memory;
	for (size_t i = 0; i < PICTURE_PLANES; i++) {
		unsigned int half = i > 0 ? 2 : 1;
		picture.strides[i] = align_up(width / half, STRIDE_ALIGN);
		picture.planes[i] = next;
		next += picture.strides[i] * (height / half);
	}
	return picture;
}
