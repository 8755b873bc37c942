// SPDX-License-Identifier: MIT
/* What the handlers of inspection requests share. Loop's thread only. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proto/fencebroker.pb-c.h"

struct client;
struct device;
struct timeline;
struct wait;

/* May this client see the objects of that user? */
bool inspect_may_see(const struct client *client, uid_t uid);

/* The part that every client with the timeline open may see: the fields up to that number. It points into the
 * timeline; the caller adds `rights`. */
#define TIMELINE_FIELDS_OPEN 13
void timeline_describe(Fbk__Wire__TimelineState *ret, const struct timeline *timeline);

/* A device. Valid until the next call. */
const Fbk__Wire__Device *device_describe(const struct device *device);

/* A wait and its likely cause. Valid until the next call. */
const Fbk__Wire__StuckEntry *stuck_describe(const struct wait *wait);
