// SPDX-License-Identifier: MIT
/* What a frame says, between the program's struct and the lane's. */
#pragma once

#include "fencebroker.h"
#include "proto/lane.h"

/* -EINVAL: it says more than a frame can. */
int frame_meta_check(const struct fbk_frame_meta *meta);

void frame_meta_write(const struct fbk_frame_meta *meta, struct lane_frame *frame);
void frame_meta_read(struct fbk_frame_meta *ret_meta, const struct lane_frame *frame);
