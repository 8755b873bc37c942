// SPDX-License-Identifier: MIT
#include "struct-size.h"

#include <assert.h>

#include "error.h"
#include "struct-copy.h"

/* ---------------------------------------------------------------- those that begin with their size -- */

#define GROWS(name)                                                                        \
	static_assert(offsetof(struct name, struct_size) == 0, "it begins with its size"); \
	static_assert(sizeof(struct name) >= STRUCT_FIRST((struct name){ 0 }), "it only grows")

GROWS(fbk_device_desc);
GROWS(fbk_timeline_info);
GROWS(fbk_memory);
GROWS(fbk_format);
GROWS(fbk_consumer_desc);
GROWS(fbk_link_desc);
GROWS(fbk_link_info);
GROWS(fbk_buffer_desc);
GROWS(fbk_frame_meta);

/* ------------------------------------ those passed by value, and elements of arrays: they never change -- */

#define SIZE(name, bytes) static_assert(sizeof(struct name) == (bytes), "its size never changes")
#define AT(name, member, bytes) \
	static_assert(offsetof(struct name, member) == (bytes), "its place never changes")

SIZE(fbk_point, 16);
AT(fbk_point, timeline, 0);
AT(fbk_point, value, 8);

SIZE(fbk_release, 24);
AT(fbk_release, link, 0);
AT(fbk_release, point, 8);

SIZE(fbk_rectangle, 16);
AT(fbk_rectangle, x, 0);
AT(fbk_rectangle, y, 4);
AT(fbk_rectangle, width, 8);
AT(fbk_rectangle, height, 12);

SIZE(fbk_color, 36);
AT(fbk_color, primaries, 0);
AT(fbk_color, transfer, 1);
AT(fbk_color, matrix, 2);
AT(fbk_color, range, 3);
AT(fbk_color, chroma_location, 4);
AT(fbk_color, alpha, 5);
AT(fbk_color, max_cll, 6);
AT(fbk_color, max_fall, 8);
AT(fbk_color, primary_x, 10);
AT(fbk_color, primary_y, 16);
AT(fbk_color, white_x, 22);
AT(fbk_color, white_y, 24);
AT(fbk_color, luminance_max, 28);
AT(fbk_color, luminance_min, 32);

/* Arrays in structs have these lengths, and callers have room for as many. */
static_assert(FBK_NAME_SIZE == 32 && FBK_REASON_SIZE == 160 && FBK_PLANES_MAX == 4 &&
		      FBK_DAMAGE_MAX == 16 && FBK_FRAME_USER_MAX == 64 && FBK_CONSUMERS_MAX == 16,
	      "these lengths never change");

/* ---------------------------------------------------------------------------------------------------- */

static int size_wrong(int error, size_t size, size_t first)
{
	return error == -E2BIG && size >= first && size <= STRUCT_SIZE_MAX
		       ? error_set(error, "the struct says more than this library knows")
		       : error_set(error, "struct_size is %zu: set it to sizeof(struct)", size);
}

int struct_read(void *ret_struct, size_t size, size_t first, const void *given)
{
	size_t theirs;
	int r = struct_copy_in(ret_struct, size, first, given, &theirs);
	return r < 0 ? size_wrong(r, theirs, first) : 0;
}

int struct_fill(void *ret_struct, const void *ours, size_t size, size_t first)
{
	size_t theirs;
	int r = struct_copy_out(ret_struct, ours, size, first, &theirs);
	return r < 0 ? size_wrong(r, theirs, first) : 0;
}
