// SPDX-License-Identifier: MIT
/*
 * Draws the pictures and signals the point of each: the CPU, or a Vulkan device, which does both by its
 * own commands. Each kind has its own file. One thread at a time.
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
	/* For these pictures of options->width and height, which outlive it. `error` gets a sentence if
	 * this machine has no such painter. */
	int (*open)(const struct options *options, const struct shared *pictures, size_t count,
		    struct painter **ret_painter, char *error, size_t error_size);
	void (*close)(struct painter *painter); /* waits for all drawing; takes NULL */

	const char *(*name)(const struct painter *painter); /* of the device that draws */
	bool (*software)(const struct painter *painter);    /* draws with threads of this process */
	void (*describe)(const struct painter *painter, struct fbk_device_desc *ret_desc);

	/* These return 0 or the error given to stage_stop(). Frame n goes into picture `index`. */
	int (*meet)(struct painter *painter, struct stage *stage, struct lane *drawn);
	int (*begin)(struct painter *painter, size_t index, uint64_t frame); /* erases its number */
	int (*draw)(struct painter *painter, size_t index, uint64_t frame, bool signal);
	int (*signal)(struct painter *painter, size_t index, uint64_t frame);
};

extern const struct painter_kind painter_cpu;
extern const struct painter_kind painter_vulkan;

/* Makes a painter of the kind that the options request, and sets `ret_kind`. `said` gets a sentence: which
 * painter it is, and why not another; or, on failure, why there is none. */
int painter_open(const struct options *options, const struct shared *pictures, size_t count,
		 const struct painter_kind **ret_kind, struct painter **ret_painter, char *said,
		 size_t said_size);
