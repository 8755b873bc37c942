// SPDX-License-Identifier: MIT
/* org.fencebroker1.Manager: register a device, look, and administer. Loop's thread only. */
#pragma once

#include "bus-state.h"

/* Add its object to a new connection. */
int bus_manager_setup(struct bus *bus);

/* The bus is gone: nobody waits for an answer any more. */
void bus_manager_lost(struct bus *bus);
