// SPDX-License-Identifier: MIT
/* What administrators may call of org.fencebroker1.Manager. Loop's thread only. */
#pragma once

#include <systemd/sd-bus.h>

#include "bus-state.h"

int bus_method_fail_timeline(sd_bus_message *message, void *bus, sd_bus_error *error);
int bus_method_evict_client(sd_bus_message *message, void *bus, sd_bus_error *error);
int bus_method_reload(sd_bus_message *message, void *bus, sd_bus_error *error);

/* The bus is gone: nobody waits for an answer any more. */
void bus_admin_lost(struct bus *bus);
