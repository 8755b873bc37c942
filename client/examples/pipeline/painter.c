// SPDX-License-Identifier: MIT
#include "painter.h"

#include <stdio.h>

static int open_kind(const struct painter_kind *kind, const struct options *options,
		     const struct shared *pictures, size_t count,
		     const struct painter_kind **ret_kind, struct painter **ret_painter,
		     char *error, size_t error_size)
{
	int r = kind->open(options, pictures, count, ret_painter, error, error_size);
	if (r == 0) {
		*ret_kind = kind;
	}
	return r;
}

int painter_open(const struct options *options, const struct shared *pictures, size_t count,
		 const struct painter_kind **ret_kind, struct painter **ret_painter, char *said,
		 size_t said_size)
{
	char why[512] = "";
	int r = -1;
	if (options->renderer != RENDERER_CPU) {
		r = open_kind(&painter_vulkan, options, pictures, count, ret_kind, ret_painter, why,
			      sizeof(why));
	}
	if (r < 0 && options->renderer != RENDERER_VULKAN) {
		r = open_kind(&painter_cpu, options, pictures, count, ret_kind, ret_painter, said,
			      said_size);
	}
	if (r < 0) {
		snprintf(said, said_size, "%s", why[0] ? why : "out of memory");
		return r;
	}
	snprintf(said, said_size, "%s%s%s%s", (*ret_kind)->name(*ret_painter),
		 *ret_kind == &painter_vulkan && (*ret_kind)->software(*ret_painter)
			 ? ", a software rasteriser"
			 : "",
		 why[0] ? ": " : "", why);
	return 0;
}
