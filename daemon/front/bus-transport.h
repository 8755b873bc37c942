// SPDX-License-Identifier: MIT
/*
 * The daemon's connection to a message bus: the socket, the gate, sd-bus behind it, and the return after a loss.
 * Nothing here blocks: sd-bus writes to the bus's socket, reads what the gate passes on, and its timeouts are in the
 * loop's wheel. While the bus is away its place is watched, so that an idle daemon has no wake-ups. Embedded in struct
 * bus; loop's thread only.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "bus-address.h"
#include "bus-gate.h"
#include "daemon/base/clock.h"
#include "daemon/core/registry.h"

#define BUS_MESSAGES_PER_TURN 32
#define BUS_TURN_NS           (500 * NS_PER_US) /* after that the loop looks for other events */
#define BUS_UNSENT_MAX        1024 /* messages: above that the daemon sends no signals */

struct bus_transport;

struct bus_transport_ops {
	/* A new connection: add the objects. */
	int (*setup)(struct bus_transport *transport);
	/* The bus has said Hello. */
	void (*connected)(struct bus_transport *transport);
	/* sd-bus is gone; slots and kept messages must go. */
	void (*lost)(struct bus_transport *transport);
	/* A call: pass it on to sd-bus? False: it was copied, and its fds taken, to be delivered later. */
	bool (*admit)(struct bus_transport *transport, const struct bus_message *message);
	/* After sd-bus has handled all there is: deliver what was kept. */
	void (*turned)(struct bus_transport *transport);
};

struct bus_transport {
	const struct bus_transport_ops *ops;
	struct registry *registry;
	const char *text; /* the address, for people */
	struct bus_address address;
	sd_bus *bus; /* NULL: not connected */
	int socket;  /* the bus's; sd-bus writes to a duplicate */
	int feed;    /* what is written here, sd-bus reads */
	struct bus_gate gate;
	struct event *readable, *writable, *again;
	struct wheel_timer timeout; /* of sd-bus */
	struct wheel_timer retry;   /* the next try to connect */
	unsigned int tries;         /* since it was connected */
	int watch;                  /* an inotify; -1: none */
	struct event *appeared;
	bool connected, broken;
};

/* `text`: an address, which stays the caller's. -EINVAL. */
int bus_transport_init(struct bus_transport *transport, struct registry *registry,
		       const struct bus_transport_ops *ops, const char *text);
void bus_transport_finish(struct bus_transport *transport);

/* Connect, now or as soon as there is a bus. */
void bus_transport_start(struct bus_transport *transport);

/* Hand a message to sd-bus; its fds, but those that a handler has taken, are closed. Not from a callback of sd-bus. */
void bus_transport_deliver(struct bus_transport *transport, const struct bus_message *message);

/* Something was sent outside of a callback of sd-bus: look at its events and timeout once more, in this turn. */
void bus_transport_sent(struct bus_transport *transport);

/* False while so much is unsent that no signals may be added. */
bool bus_transport_has_room(const struct bus_transport *transport);
