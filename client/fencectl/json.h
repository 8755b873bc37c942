// SPDX-License-Identifier: MIT
/* Any wire message as JSON. The keys are the field names of the .proto, so the daemon stays the only
 * producer of what fencectl shows. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <protobuf-c/protobuf-c.h>

/* A new object with all fields, set or not. NULL: no memory. */
struct json_object *json_from_message(const ProtobufCMessage *message);

/* An array that is written to stdout one entry after the other. All zero: nothing is written yet. */
struct json_stream {
	bool begun, failed;
};
void json_stream_add(struct json_stream *stream, struct json_object *object); /* frees it */
int json_stream_end(struct json_stream *stream);                              /* an exit status */

/* Print it to stdout and free it. Returns an exit status. */
int json_print(struct json_object *object);
