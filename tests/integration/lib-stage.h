// SPDX-License-Identifier: MIT
/*
 * A daemon, a producer, and consumers in the same process, each with a context of its own: for tests of what happens to
 * single frames. Globals of the running test. Every unexpected error fails it.
 */
#pragma once

#include "lib-exchange.h"

/* How frames go over, both ways: natively; or with an eventfd to wait for, and another to release by. */
enum way { WAY_NATIVE, WAY_EVENTFD, WAYS };

#define STAGE_BUFFERS_MAX FBK_BUFFERS_MAX

extern struct daemon server;
extern struct producer producer; /* of PRODUCER_BUFFERS */
extern int offer;

void stage_open(enum way way, const char *policy); /* `policy` as of daemon_serve() */
void stage_close(void);

/* More buffers, up to `count` in all. */
void stage_add(uint32_t count);
struct buffer *stage_buffer(uint32_t index);

/* ./test --soak: full counts; else that part of them. */
bool soak(void);
unsigned int count_of(unsigned int full, unsigned int part);

/* Reproducible randomness: 0 to below - 1. */
uint32_t draw(uint64_t *seed, uint32_t below);

struct local {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

void local_open_at(struct local *local, int fd, struct fbk_link *from, enum fbk_delivery delivery,
		   uint32_t hold);
void local_open(struct local *local, enum fbk_delivery delivery, uint32_t hold);
void local_close(struct local *local);

struct fbk_frame *local_next(struct local *local);
int local_try(struct local *local); /* does not wait; a frame that comes is given up */

/* Waits until a frame is drawn, in the way of this test; 0, or the error. */
int frame_arrive(struct fbk_frame *frame);

/* The next frame is that of this number in its content; it is drawn. */
struct fbk_frame *local_expect(struct local *local, uint64_t number);

/* A release that is not decided yet, in the way of this test: by a point, or by an eventfd. */
struct fate {
	struct fbk_point point;
	int fence; /* -1: the point */
};
void frame_release_to(struct fbk_frame *frame, bool by_fence, struct fate *ret_fate);
void frame_release_by_way(struct fbk_frame *frame, struct fate *ret_fate);
void fate_decide(struct fate *fate, int error); /* an eventfd can't fail */

uint32_t take(void);
int take_now(void); /* the index, or the error */
int hand_at(uint32_t index, struct fbk_point acquire);
int hand(uint32_t index);

/* Takes a buffer, hands it over, then writes the number of the frame to it, which it returns. */
uint64_t stage_frame(uint32_t *ret_index);
