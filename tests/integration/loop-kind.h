// SPDX-License-Identifier: MIT
/*
 * The event loops into which the tests put a context's fd, behind one interface. Owned by the test
 * that opens the loop; used on its thread only.
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

/* A context in a loop, and its watches. */
struct stream {
	struct loop *loop;
	struct fbk_context *context;
	struct fbk_timeline *forth; /* the other process signals it */
	struct fbk_timeline *back;  /* how far it may go: those points are watched already */
	struct fbk_watch *doomed;   /* cancelled before it fires */
	struct peer peer;
	uint64_t told;
	uint64_t armed;
	uint64_t count;
	bool lost;
	void *source; /* of its kind of loop */
};

struct loop_kind {
	const char *name;
	bool edge; /* dispatched until nothing is left */
	void (*open)(struct loop *loop);
	void (*add)(struct loop *loop, struct stream *stream);
	void (*remove)(struct loop *loop, struct stream *stream);
	void (*turn)(struct loop *loop); /* waits for something, and handles it */
	void (*close)(struct loop *loop);
};

struct loop {
	const struct loop_kind *kind;
	pthread_t thread;
	int left; /* streams that are not finished */
	int epoll;
	struct event_base *base;
	sd_event *event;
	GMainContext *main;
};

extern const struct loop_kind kinds[LOOP_KINDS];

/* The context's fd is readable: dispatches in the way of this kind of loop. */
void stream_ready(struct stream *stream);
