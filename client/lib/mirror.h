// SPDX-License-Identifier: MIT
/* Mirrors of a timeline that signals look after (fbk_mirror_to_syncobj()). */
#pragma once

struct fbk_timeline;

/* After the payload was raised, where the timeline is `mirrored`: the syncobjs that this process signals. Any
 * thread; not under the mutex. */
void mirrors_signal(struct fbk_timeline *timeline);
