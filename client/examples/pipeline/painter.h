// SPDX-License-Identifier: MIT
/*
 * What draws the pictures, and signals the point of each: the CPU, or a Vulkan device, which does both
 * by its own commands. Each kind is a file of its own. One thread at a time.
 */
#pragma once

#include <fencebroker.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared.h"
#include "stage.h"

#define NOT_DRAWN 0xffffffff /* stamped while a picture is being drawn */

struct painter;

struct painter_kind {
	/* For these pictures, which outlive it, of options->width and height. `error` gets a sentence
	 * when there is no such painter here. */
	int (*open)(const struct options *options, const struct shared *pictures, size_t count,
		    struct painter **ret_painter, char *error, size_t error_size);
	void (*close)(struct painter *painter); /* waits until nothing is drawn; takes NULL */

	const char *(*name)(const struct painter *painter); /* of what draws */
	bool (*software)(const struct painter *painter);    /* threads of this process */
	void (*describe)(const struct painter *painter, struct fbk_device_desc *ret_desc);

	/* These return 0 or what stage_stop() has seen. Frame n goes into picture n % count. */
	int (*meet)(struct painter *painter, struct stage *stage, struct lane *drawn);
	int (*begin)(struct painter *painter, uint64_t frame); /* it is nobody's picture */
	int (*draw)(struct painter *painter, uint64_t frame, bool signal);
	int (*signal)(struct painter *painter, uint64_t frame);
};

extern const struct painter_kind painter_cpu;
extern const struct painter_kind painter_vulkan;

/* Of the kind that the options ask for, which goes to `ret_kind`. `said` gets a sentence: which one it
 * is, and why not another; or, on failure, why there is none. */
int painter_open(const struct options *options, const struct shared *pictures, size_t count,
		 const struct painter_kind **ret_kind, struct painter **ret_painter, char *said,
		 size_t said_size);
