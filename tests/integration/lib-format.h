// SPDX-License-Identifier: MIT
/*
 * A producer with formats and consumers with theirs, all in the test's process: for tests of what both ends of a link
 * allow. Owned by the test; one thread at a time.
 */
#pragma once

#include "lib-exchange.h"

#define XR24 0x34325258
#define NV12 0x3231564e

/* The fixture: a daemon, and the producer's device. */
extern struct stage {
	struct daemon server;
	struct fbk_context *context;
	struct fbk_device *device;
} stage;

void stage_setup(void);
void stage_teardown(void);

/* That error, with these words in its detail. */
void expect_refused(int result, int error, const char *part);

/* In a memfd. */
struct fbk_format format_of(uint32_t fourcc, uint64_t modifier);

/* A producer with an exchange, and no buffers. */
struct source {
	struct fbk_link *link;
	struct fbk_exchange *exchange;
	int offer;
};

int source_try(struct source *source, const struct fbk_format *const *formats,
	       size_t count); /* without an exchange */
void source_open(struct source *source, const struct fbk_format *const *formats, size_t count);
void source_close(struct source *source);

/* Memfds as buffers. */
int source_add(const struct source *source, uint32_t index, uint32_t fourcc, uint64_t modifier);
void source_fill(const struct source *source, uint32_t count); /* XR24, linear */
int source_hand(const struct source *source, uint32_t index);

/* A consumer, with a context of its own; it holds one frame. */
struct sink {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

void sink_connect(struct sink *sink, const char *name);
int sink_accept(struct sink *sink, const struct source *source, uint32_t hold,
		const struct fbk_format *const *formats, size_t count);
void sink_open(struct sink *sink, const struct source *source,
	       const struct fbk_format *const *formats,
	       size_t count); /* waits until it is established */
void sink_close(struct sink *sink);

/* The next frame is released with that; its index. */
uint32_t sink_next(struct sink *sink, int result);
int sink_try(struct sink *sink); /* without waiting */

struct fbk_link_info info_of(struct fbk_link *link);

/* A joined format that is there. */
const struct fbk_format *joined_get(struct fbk_link *link, uint32_t number);
