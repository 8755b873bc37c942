// SPDX-License-Identifier: MIT
/* Replaces painter-vulkan.c in builds without Vulkan. */
#include <errno.h>
#include <stdio.h>

#include "painter.h"

static int none_open(const struct options *options, const struct shared *pictures, size_t count,
		     struct painter **ret_painter, char *error, size_t error_size)
{
	(void)options;
	(void)pictures;
	(void)count;
	(void)ret_painter;
	snprintf(error, error_size, "this build has no Vulkan (FBK_VULKAN)");
	return -EOPNOTSUPP;
}

const struct painter_kind painter_vulkan = { .open = none_open };
