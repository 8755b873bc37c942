// SPDX-License-Identifier: MIT
/* What the handlers of inspection requests share. Loop's thread only. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proto/fencebroker.pb-c.h"

struct client;
struct timeline;

/* May this client be shown what belongs to that user? */
bool inspect_may_see(const struct client *client, uid_t uid);

/* What everybody may be told who has it open. It points into the timeline; `rights` are the caller's to add. */
void timeline_describe(Fbk__Wire__TimelineState *ret, const struct timeline *timeline);
