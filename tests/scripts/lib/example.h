// SPDX-License-Identifier: MIT
/* What the examples of the documents leave out: the variables that a program has, and what is its own. */
#include <err.h>
#include <errno.h>
#include <fencebroker.h>
#include <stdio.h>

struct surface {
	struct fbk_watch *watch;
};

struct captured {
	uint32_t index;
};

extern struct fbk_context *context;
extern struct fbk_device *device;
extern struct fbk_timeline *timeline;
extern struct fbk_link *link;
extern struct fbk_exchange *exchange;
extern struct fbk_frame *frame;
extern struct fbk_point acquire, release;
extern struct fbk_link_desc wanted;
extern struct fbk_buffer_desc buffer;
extern struct fbk_frame_meta meta;
extern struct surface *surface;
extern struct captured *buf;
extern uint64_t n, deadline_ns;
extern uint32_t i, age;
extern int r, fd, token_fd, offer_fd, out_fence_fd;

struct fbk_point draw(uint32_t index); /* the device signals this point */
int encode(const struct fbk_buffer_desc *picture, int acquire_fd); /* gives a fence */
fbk_released_fn on_released;
fbk_point_fn commit;
