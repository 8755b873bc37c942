// SPDX-License-Identifier: MIT
/* What the rectangles and planes of a frame lie within: its buffer. Checked at both ends, since no peer is trusted. */
#pragma once

#include <stdint.h>

#include "fencebroker.h"

struct frame_bounds {
	uint32_t width, height; /* 0: not known */
	uint32_t plane_count;
	uint64_t room
		[FBK_PLANES_MAX]; /* bytes of a plane, from its offset on; UINT64_MAX: not known */
};

struct frame_bounds frame_bounds_of(const struct fbk_buffer_desc *desc);

/* Of what a producer is about to say of buffer `index`. -EINVAL: the detail names what lies outside. */
int frame_bounds_check(const struct frame_bounds *bounds, uint32_t index,
		       const struct fbk_frame_meta *meta);

/* Of what it said: damage is clipped, since it may be that of frames in larger buffers. -EPROTO: something else lies
 * outside. */
int frame_bounds_apply(const struct frame_bounds *bounds, uint32_t index,
		       struct fbk_frame_meta *meta);
