// SPDX-License-Identifier: MIT
/* RegisterDevice of org.fencebroker1.Manager: a connection on one end of a socketpair, with a device; the caller gets
 * the other end. Loop's thread only. */
#pragma once

#include <systemd/sd-bus.h>

#include "bus-state.h"

int bus_method_register_device(sd_bus_message *message, void *bus, sd_bus_error *error);
