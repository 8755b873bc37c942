// SPDX-License-Identifier: MIT
/* org.fencebroker1.Device: a device's properties, and brokered timelines for the program that registered it over the bus.
 * Loop's thread only. */
#pragma once

#include "bus-state.h"

/* Add the objects of all devices to a new connection. */
int bus_device_setup(struct bus *bus);

/* The path of the device with that id; its id, or 0 for a path of no device. */
void bus_device_path(uint64_t id, char ret_path[BUS_PATH_SIZE]);
uint64_t bus_device_id(const char *path);
