// SPDX-License-Identifier: MIT
#include "json.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static struct json_object *json_from_value(const ProtobufCFieldDescriptor *field, const void *value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return json_object_new_int(*(const int32_t *)value);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_object_new_uint64(*(const uint32_t *)value);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_object_new_int64(*(const int64_t *)value);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_object_new_uint64(*(const uint64_t *)value);
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(*(const protobuf_c_boolean *)value);
	case PROTOBUF_C_TYPE_STRING:
		return json_object_new_string(*(char *const *)value);
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *message = *(const ProtobufCMessage *const *)value;
		return message ? json_from_message(message) : NULL;
	}
	default:
		return NULL; /* no message that is shown has bytes or floating point */
	}
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 8; /* 64-bit numbers and pointers */
	}
}

static struct json_object *json_from_list(const ProtobufCFieldDescriptor *field, const char *member,
					  size_t count)
{
	struct json_object *array = json_object_new_array();
	const char *values = *(const char *const *)(const void *)member;
	for (size_t i = 0; array && i < count; i++) {
		json_object_array_add(array,
				      json_from_value(field, values + i * value_size(field)));
	}
	return array;
}

struct json_object *json_from_message(const ProtobufCMessage *message)
{
	struct json_object *object = json_object_new_object();
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;
	for (unsigned int i = 0; object && i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		const char *member = (const char *)message + field->offset;
		const char *quantifier = (const char *)message + field->quantifier_offset;
		struct json_object *value;
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
		    *(const uint32_t *)(const void *)quantifier != field->id) {
			continue; /* another member of the union is set */
		}
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			value = json_from_list(field, member,
					       *(const size_t *)(const void *)quantifier);
		} else {
			value = json_from_value(field, member);
		}
		json_object_object_add(object, field->name, value);
	}
	return object;
}

#define PRINTED (JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

void json_stream_add(struct json_stream *stream, struct json_object *object)
{
	const char *text = object ? json_object_to_json_string_ext(object, PRINTED) : NULL;
	stream->failed =
		stream->failed || !text || printf("%s%s", stream->begun ? ",\n" : "[\n", text) < 0;
	stream->begun = true;
	json_object_put(object);
}

int json_stream_end(struct json_stream *stream)
{
	bool printed = puts(stream->begun ? "\n]" : "[]") >= 0 && fflush(stdout) == 0;
	return printed && !stream->failed ? EXIT_SUCCESS : EXIT_FAILURE;
}

int json_print(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, PRINTED);
	bool printed = text && puts(text) >= 0 && fflush(stdout) == 0;
	json_object_put(object);
	return printed ? EXIT_SUCCESS : EXIT_FAILURE;
}
