// SPDX-License-Identifier: MIT
/* org.fencebroker1.Manager: the table of its members, and those that look. Loop's thread only. */
#pragma once

#include "bus-state.h"

/* Add its object to a new connection. */
int bus_manager_setup(struct bus *bus);
