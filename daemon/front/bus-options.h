// SPDX-License-Identifier: MIT
/* What a program says of its device on the bus, in names, as a request to register it. Pure. */
#pragma once

#include <systemd/sd-bus.h>

#include "proto/fencebroker.pb-c.h"

/* Read the arguments of RegisterDevice, "ssa{sv}". The strings stay the message's. 0; -EINVAL with a sentence in
 * `detail`, of FBK_REASON_SIZE bytes; or sd-bus's error. */
int bus_options_read(sd_bus_message *call, Fbk__Wire__DeviceRegister *ret_request, char *detail);
