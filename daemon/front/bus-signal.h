// SPDX-License-Identifier: MIT
/*
 * Signals: to subscribers alone, each about what it may inspect. Each subscriber has an allowance of signals that
 * refills with time; what is above it is dropped and counted. Loop's thread only.
 */
#pragma once

#include "bus-state.h"
#include "daemon/core/wait.h"

#define BUS_SUBSCRIBERS_MAX          64
#define BUS_SUBSCRIBERS_PER_USER_MAX 4
#define BUS_SIGNALS_AT_ONCE          64
#define BUS_SIGNALS_PER_S            32

/* 0, also when it is subscribed already; or -EDQUOT with `detail`. */
int bus_subscribe(struct bus *bus, struct bus_peer *peer, const char **ret_detail);
void bus_unsubscribe(struct bus *bus, const struct bus_peer *peer); /* also one that has not */
void bus_subscribers_lost(struct bus *bus);                         /* the bus is gone */

void bus_signal_device(struct bus *bus, const struct device *device, const char *member);
void bus_signal_failed(struct bus *bus, struct timeline *timeline);
void bus_signal_stuck(struct bus *bus, const struct wait *wait);
void bus_signal_stopping(struct bus *bus, uint64_t within_ms);
