// SPDX-License-Identifier: MIT
/* The arguments of all stages: one table for all of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum renderer {
	RENDERER_AUTO, /* Vulkan where it can be had */
	RENDERER_VULKAN,
	RENDERER_CPU,
};

#define OPTIONS_CONNECTS 4

struct options {
	const char *name;   /* of the process, and of its device, but for a 0 behind it */
	const char *socket; /* the daemon's; NULL: the default one */
	const char *listen; /* where the neighbour before it connects */
	const char *connects[OPTIONS_CONNECTS]; /* where the neighbours after it listen */
	size_t connect_count;
	const char *device;  /* to capture from; NULL: what is captured is made up */
	const char *display; /* where the display listens; NULL: there is none */
	const char *card;    /* that drives the display; NULL: the first that can */
	const char *stats;   /* file for the counts; NULL: none */
	const char *url;     /* where the stream goes */
	unsigned int width, height, fps, seconds;
	unsigned int delay_ms;    /* drawing takes that much longer */
	unsigned int deadline_ms; /* how long any wait may take */
	unsigned int stop_at;     /* frame after whose submission the renderer stops; 0: none */
	enum renderer renderer;
	bool sync_files; /* devices without memory fences have these, not eventfds */
	bool promise;    /* ask for them before they are due */
	bool check;      /* parse the arguments, and no more */
	bool early;      /* signal before drawing: the checks must notice */
};

/* Parses; `needed` is a string of the letters of options that must be there. 0: go on. Otherwise, and
 * for --check and --help, it has printed what is right and returns -1; the exit status is in
 * `ret_exit` then. */
int options_parse(struct options *options, int argc, char **argv, const char *needed,
		  int *ret_exit);
