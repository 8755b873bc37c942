// SPDX-License-Identifier: MIT
/* A bus that fencectl asks. The caller closes it. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

/* A bus, polkitd or a daemon that does not answer in this time does not work. */
#define BUS_PATIENCE_US UINT64_C(2000000)

#define BUS_NAME "org.fencebroker1"

/* The session's bus, or the system's, once it answers. Its calls have that patience unless they say otherwise. */
int bus_open(bool user, sd_bus **ret_bus);
