// SPDX-License-Identifier: MIT
/*
 * The bus side of the daemon as a whole: the connection to the bus, who calls, who subscribed, and what polkit is asked.
 * bus.c alone assembles it and takes it apart. Loop's thread only.
 */
#pragma once

#include "broker.h"
#include "bus-peer.h"
#include "bus-transport.h"
#include "proto/container.h"

#define BUS_NAME      "org.fencebroker1"
#define BUS_PATH      "/org/fencebroker1"
#define BUS_DEVICES   BUS_PATH "/device"
#define BUS_MANAGER   BUS_NAME ".Manager"
#define BUS_DEVICE    BUS_NAME ".Device"
#define BUS_PATH_SIZE 64

struct bus {
	struct broker *broker;
	struct bus_transport transport;
	struct bus_peers peers;
	LIST_HEAD(, bus_check) checks; /* what polkit is asked */
	unsigned int check_count;
	uint64_t next_check, next_stuck; /* the last number given */
	LIST_HEAD(, bus_reload) reloads; /* that callers wait for */
	LIST_HEAD(, bus_subscriber) subscribers;
	unsigned int subscriber_count;
};

static inline struct bus *bus_of(struct bus_transport *transport)
{
	return container_of(transport, struct bus, transport);
}
