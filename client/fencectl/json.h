// SPDX-License-Identifier: MIT
/* From any message of the wire to JSON: keys are the names of the .proto, so that what fencectl
 * shows has one producer, the daemon. */
#pragma once

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

/* A new object, with all fields, set or not. NULL without memory. */
struct json_object *json_from_message(const ProtobufCMessage *message);

/* Print it to stdout and free it. Returns an exit status. */
int json_print(struct json_object *object);
