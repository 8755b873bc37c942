// SPDX-License-Identifier: MIT
/* What is recorded where a point failed, for fbk_error_detail(). Any thread, no lock. */
#pragma once

#include <stdbool.h>

#include "fencebroker.h"

struct point_story;

/* What its page says: did it fail? Then with cause and error. Fills in all but the point. */
bool story_of_timeline(const struct fbk_timeline *timeline, struct point_story *ret_story);

/* What a call found of a point: its error, or -ETIMEDOUT, -ENOTCONN, -ECANCELED or -EBADF. 0 and -EAGAIN are no failures. */
int error_of_point(const struct fbk_point *point, int error);

/* Of a timeline that takes no signal, since it failed with that error; -EAGAIN: it is failing. */
int error_of_signal(struct fbk_timeline *timeline, int error);
