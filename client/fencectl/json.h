// SPDX-License-Identifier: MIT
/* Any wire message as JSON. The keys are the field names of the .proto, so the daemon stays the only
 * producer of what fencectl shows. */
#pragma once

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

/* A new object with all fields, set or not. NULL: no memory. */
struct json_object *json_from_message(const ProtobufCMessage *message);

/* Print it to stdout and free it. Returns an exit status. */
int json_print(struct json_object *object);
