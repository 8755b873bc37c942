// SPDX-License-Identifier: MIT
/* Rows on a bus: a private dbus-daemon, the service on it, and the leader's connection. */
#pragma once

#include <systemd/sd-bus.h>

#include "bench.h"
#include "daemon.h"
#include "member.h"

#define BUS_NAME    "org.fencebroker1"
#define BUS_PATH    "/org/fencebroker1"
#define BUS_MANAGER "org.fencebroker1.Manager"

struct bus_row {
	struct daemon bus;
	struct daemon broker;  /* our side, and both sides of a flood */
	struct member service; /* the raw side's */
	struct member flooder;
	sd_bus *client;
	uint64_t count;
	bool ping; /* what is timed under a flood */
};

int bus_row_create(struct bus_row **ret_row); /* with the bus alone */
void bus_row_close(void *row);                /* stops what runs, and frees it */

int bus_row_broker(struct bus_row *row); /* starts fencebrokerd on the bus */

int bus_connect(const struct daemon *bus, sd_bus **ret_bus);
int bus_row_connect(struct bus_row *row); /* the leader, once the service has its name */

/* A call without arguments, and its reply. */
int bus_ask(sd_bus *bus, const char *interface, const char *member);

/* A round of registrations: RegisterDevice until the socket is here, and its close. */
int bus_register_round(void *row, unsigned int count, struct samples *samples);
