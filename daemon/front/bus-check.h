// SPDX-License-Identifier: MIT
/*
 * May this caller administer? Root may, and in the user's own daemon that user; all others are what polkit says, which
 * is asked without blocking, by the caller's name on the bus. Bounded for each user and in all; a check ends with its
 * caller. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "bus-state.h"

#define BUS_CHECKS_MAX          32
#define BUS_CHECKS_PER_USER_MAX 4

/* Serves the call of an administrator, and answers it. It finds what the call names itself, as that may have changed
 * while polkit was asked. */
typedef int bus_admin_fn(struct bus *bus, struct bus_peer *peer, sd_bus_message *call);

/* Run `fn` if the caller may do `action`, at once or once polkit agrees; else answer why not. */
int bus_check(struct bus *bus, struct bus_peer *peer, sd_bus_message *call, const char *action,
	      bus_admin_fn *fn);

/* The caller left the bus: its checks end. */
void bus_checks_drop(struct bus *bus, const struct bus_peer *peer);

/* The bus is gone. */
void bus_checks_lost(struct bus *bus);
