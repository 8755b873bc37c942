// SPDX-License-Identifier: MIT
/*
 * The devices that kernel fences are made with come and go while the daemon serves. An inotify of /dev and /dev/dri reports
 * nodes that are made, removed, or given to others (a netlink socket hears nothing in a network namespace of its own). Then a
 * thread looks what is there, as opening a device may block, and the loop takes what it found: the translator's DRM devices,
 * and the registry's udmabuf. Embedded in the broker; loop's thread only.
 */
#pragma once

#include <stdbool.h>

struct event;
struct look;
struct translator;

struct hardware {
	struct translator *translator;
	void (*changed)(
		struct hardware *hardware); /* something was looked at, and may be another now */
	int watch;                          /* the inotify; -1: none */
	int devices, nodes;                 /* its watches, of /dev and /dev/dri; -1: none */
	struct event *event;
	struct look *look; /* under way; NULL: none */
	bool again;        /* and something may have changed since it began */
};

/* Look, and wait for that for a few seconds; what blocks for longer is taken when it has been opened. `changed` is not called
 * from here. */
void hardware_start(struct hardware *hardware);

/* Look again. */
void hardware_look(struct hardware *hardware);

/* Takes one that was not started: all zero but `watch`, -1. Does not wait for a device that hangs. */
void hardware_finish(struct hardware *hardware);
