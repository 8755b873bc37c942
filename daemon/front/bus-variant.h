// SPDX-License-Identifier: MIT
/* Messages of the wire as a{sv}: a field's name is its key, as in fencectl's JSON. Pure. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* Append one message as a{sv}, up to the field with that number; or `count` whole messages as aa{sv}. 0 or a negative
 * errno. */
#define BUS_ALL_FIELDS UINT32_MAX
int bus_append_message(sd_bus_message *reply, const ProtobufCMessage *message, uint32_t last);
int bus_append_messages(sd_bus_message *reply, ProtobufCMessage *const *messages, size_t count);

/* Append the value of the field that has the property's name in its own way: PageAlign is `page_align`. -ENOENT. */
int bus_append_property(sd_bus_message *reply, const ProtobufCMessage *message,
			const char *property);
