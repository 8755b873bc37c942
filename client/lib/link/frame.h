// SPDX-License-Identifier: MIT
/* Frames in the consumer's hands, and giving them back in order. Under the link's lock. */
#pragma once

#include "link-consumer.h"

void frame_clear(struct fbk_frame *frame);
void link_buffer_clear(struct link_buffer *buffer);
void frames_drop(struct link_consumer *half); /* all of them, and the buffers */

/* It is not held any more; goes with frames_return(): what is done goes back, up to the first that is held. */
void frame_give_back(struct fbk_frame *frame, int result);
int frames_return(struct fbk_link *link);
