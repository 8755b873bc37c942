// SPDX-License-Identifier: MIT
/*
 * The daemon on a message bus, as proto/org.fencebroker1.xml describes it: another way to the same requests as the
 * socket's. Without a bus nothing else changes. Loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "daemon/core/registry.h"
#include "daemon/core/wait.h"

struct broker;

#define BUS_FDS_RESERVED 96 /* its own, and those of calls whose callers are not known yet */

/* Go to the bus at that address, which stays the caller's, now or as soon as it is there. -EINVAL: not the address
 * of a unix socket. */
int bus_create(struct broker *broker, const char *address);
void bus_destroy(struct broker *broker); /* if there is one */

/* These tell the subscribers, if there are any. */
extern const struct observer bus_observer;
void bus_wait_expired(const struct wait *wait);
void bus_property_changed(struct broker *broker, const char *name);
void bus_stopping(struct broker *broker, uint64_t within_ms);
