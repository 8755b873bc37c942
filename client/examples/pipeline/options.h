// SPDX-License-Identifier: MIT
/* The arguments of all stages, in one table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum renderer {
	RENDERER_AUTO, /* Vulkan if available */
	RENDERER_VULKAN,
	RENDERER_CPU,
};

#define OPTIONS_CONNECTS 4
#define OPTIONS_B_FRAMES 3

struct options {
	const char *name;                       /* of the process; its device has a 0 appended */
	const char *socket;                     /* the daemon's; NULL: the default one */
	const char *listen;                     /* socket for the producer */
	const char *connects[OPTIONS_CONNECTS]; /* sockets of the consumers */
	size_t connect_count;
	const char *device;  /* to capture from; NULL: generated pictures */
	const char *display; /* socket of the display; NULL: none */
	const char *card;    /* drives the display; NULL: the first that can */
	const char *stats;   /* file for the counters; NULL: none */
	const char *url;     /* destination of the stream */
	unsigned int width, height, fps, seconds;
	unsigned int delay_ms;    /* added to each drawing */
	unsigned int deadline_ms; /* of every wait */
	unsigned int b_frames;    /* of the encoder, between two others */
	unsigned int stop_at;     /* the renderer stops after this frame; 0: never */
	enum renderer renderer;
	bool sync_files; /* devices without memory fences use these, not eventfds */
	bool promise;    /* request promised sync_files */
	bool check;      /* parse the arguments only */
	bool early;      /* signal before drawing: the checks must fail */
};

/* Parses; `needed` lists the letters of required options. 0: go on. On an error, and for --check and
 * --help, it prints the result, returns -1 and puts the exit status into `ret_exit`. */
int options_parse(struct options *options, int argc, char **argv, const char *needed,
		  int *ret_exit);
