// SPDX-License-Identifier: MIT
/* fbk_link_watch(): a callback when the next frame is there. */
#pragma once

struct fbk_link;

void frame_unwatch(struct fbk_link *link);  /* of its next frame */
void frames_unwatch(struct fbk_link *link); /* and of its next change */

/* One more can be taken: who watches looks again. Under the link's lock. */
void frame_released(struct fbk_link *link);
