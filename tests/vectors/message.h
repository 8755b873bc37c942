// SPDX-License-Identifier: MIT
/*
 * A protobuf-c message of any kind as protobuf's text format, one field a line, and back: by its descriptor, so that no
 * message is named here. Owned by the test; one thread.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

/* Print the fields that are there, by rising number; those of a message in it are indented by `depth` levels. */
void message_print(FILE *file, const ProtobufCMessage *message, int depth);

/* Make one from `text`; NULL if it is none, and then `ret_error` has a sentence. Free it with
 * protobuf_c_message_free_unpacked(). */
ProtobufCMessage *message_parse(const ProtobufCMessageDescriptor *kind, const char *text,
				char ret_error[128]);

/* Print one with a value in every field, the `choice`th of each oneof, by what its name says: to begin a vector with. */
void message_draft(FILE *file, const ProtobufCMessageDescriptor *kind, unsigned int choice,
		   int depth);

/* Call `fn` for each field that is there, in the messages within too. */
typedef void message_fn(void *arg, const ProtobufCMessageDescriptor *kind,
			const ProtobufCFieldDescriptor *field);
void message_walk(const ProtobufCMessage *message, message_fn *fn, void *arg);
