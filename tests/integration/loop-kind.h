// SPDX-License-Identifier: MIT
/*
 * The event loops that a context's fd is tried in, behind one interface. Owned by the test that opens
 * the loop; on its thread, all of it.
 */
#pragma once

#include <event2/event.h>
#include <glib.h>
#include <pthread.h>
#include <systemd/sd-event.h>

#include "lib-peer.h"

#define STREAMS    3 /* at most, in a loop */
#define LOOP_KINDS 6

struct loop;

/* A context in a loop, and what of its is watched. */
struct stream {
	struct loop *loop;
	struct fbk_context *context;
	struct fbk_timeline *forth; /* the other process signals it */
	struct fbk_timeline *back;  /* how far it may go: what is watched already */
	struct fbk_watch *doomed;   /* cancelled before it is told */
	struct peer peer;
	uint64_t told;
	uint64_t armed;
	uint64_t count;
	bool lost;
	void *source; /* of its kind of loop */
};

struct loop_kind {
	const char *name;
	bool edge; /* dispatched until there is nothing left */
	void (*open)(struct loop *loop);
	void (*add)(struct loop *loop, struct stream *stream);
	void (*remove)(struct loop *loop, struct stream *stream);
	void (*turn)(struct loop *loop); /* waits for something, and handles it */
	void (*close)(struct loop *loop);
};

struct loop {
	const struct loop_kind *kind;
	pthread_t thread;
	int left; /* streams that are not through */
	int epoll;
	struct event_base *base;
	sd_event *event;
	GMainContext *main;
};

extern const struct loop_kind kinds[LOOP_KINDS];

/* The context's fd is readable: dispatches as this kind of loop has to. */
void stream_ready(struct stream *stream);
