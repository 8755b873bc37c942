// SPDX-License-Identifier: MIT
/* Short forms for links and frames: a first-in-first-out consumer that may hold all buffers; a frame's first fd. */
#pragma once

#include "client/include/fencebroker.h"

int link_offer(struct fbk_device *device, enum fbk_role role, int *ret_offer_fd,
	       struct fbk_link **ret_link);
int link_accept(struct fbk_device *device, int offer_fd, struct fbk_link **ret_link);

/* The same as a mailbox, or with another `hold`. */
int link_accept_as(struct fbk_device *device, int offer_fd, enum fbk_delivery delivery,
		   uint32_t hold, struct fbk_link **ret_link);

int frame_fd(const struct fbk_frame *frame);

/* Released, and not used any more. */
int frame_release(struct fbk_frame *frame, int result);

/* The point that it is released at, once the caller has reached it. */
int frame_release_later(struct fbk_frame *frame, struct fbk_point *ret_point);

/* Callbacks that do nothing. */
void ignore_point(void *arg, struct fbk_point point, int result);
void ignore_frame(void *arg, struct fbk_link *link);
void ignore_phase(void *arg, struct fbk_link *link, enum fbk_link_phase phase);
int ignore_buffer(void *arg, struct fbk_link *link, uint32_t index,
		  const struct fbk_buffer_desc *buffer);
