// SPDX-License-Identifier: MIT
#include "bus-variant.h"

#include <errno.h>
#include <stdbool.h>

static const char *field_type(const ProtobufCFieldDescriptor *field)
{
	bool many = field->label == PROTOBUF_C_LABEL_REPEATED;
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return many ? "as" : "s";
	case PROTOBUF_C_TYPE_MESSAGE:
		return many ? "aa{sv}" : "a{sv}";
	case PROTOBUF_C_TYPE_BOOL:
		return many ? NULL : "b";
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
		return many ? NULL : "i";
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_UINT32:
		return many ? NULL : "u";
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
		return many ? NULL : "x";
	case PROTOBUF_C_TYPE_UINT64:
		return many ? NULL : "t";
	default:
		return NULL;
	}
}

static int strings_append(sd_bus_message *reply, char *const *strings, size_t count)
{
	int r = sd_bus_message_open_container(reply, 'a', "s");
	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = sd_bus_message_append_basic(reply, 's', strings[i]);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int value_append(sd_bus_message *reply, const ProtobufCFieldDescriptor *field,
			const char *type, const void *value, size_t count)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		const void *list = *(void *const *)value;
		return field->type == PROTOBUF_C_TYPE_STRING
			       ? strings_append(reply, list, count)
			       : bus_append_messages(reply, list, count);
	}
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		return sd_bus_message_append_basic(reply, 's', *(char *const *)value);
	}
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		return bus_append_message(reply, *(ProtobufCMessage *const *)value, BUS_ALL_FIELDS);
	}
	if (field->type == PROTOBUF_C_TYPE_BOOL) {
		int number = *(const protobuf_c_boolean *)value;
		return sd_bus_message_append_basic(reply, 'b', &number);
	}
	return sd_bus_message_append_basic(reply, type[0], value);
}

static int field_append_value(sd_bus_message *reply, const ProtobufCMessage *message,
			      const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	size_t count = field->label == PROTOBUF_C_LABEL_REPEATED
			       ? *(const size_t *)(const void *)(base + field->quantifier_offset)
			       : 1;
	return value_append(reply, field, field_type(field), base + field->offset, count);
}

static int field_append(sd_bus_message *reply, const ProtobufCMessage *message,
			const ProtobufCFieldDescriptor *field)
{
	const char *type = field_type(field);
	if (!type) {
		return 0;
	}
	int r = sd_bus_message_open_container(reply, 'e', "sv");
	if (r >= 0) {
		r = sd_bus_message_append_basic(reply, 's', field->name);
	}
	if (r >= 0) {
		r = sd_bus_message_open_container(reply, 'v', type);
	}
	if (r >= 0) {
		r = field_append_value(reply, message, field);
	}
	if (r >= 0) {
		r = sd_bus_message_close_container(reply);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_append_message(sd_bus_message *reply, const ProtobufCMessage *message, uint32_t last)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	int r = sd_bus_message_open_container(reply, 'a', "{sv}");
	for (unsigned int i = 0; r >= 0 && i < type->n_fields; i++) {
		if (type->fields[i].id <= last) {
			r = field_append(reply, message, &type->fields[i]);
		}
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_append_messages(sd_bus_message *reply, ProtobufCMessage *const *messages, size_t count)
{
	int r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = bus_append_message(reply, messages[i], BUS_ALL_FIELDS);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* PageAlign and page_align are the same name. */
static bool names_match(const char *property, const char *field)
{
	for (bool first = true; *property; property++, field++, first = false) {
		bool capital = *property >= 'A' && *property <= 'Z';
		if (capital && !first && *field++ != '_') {
			return false;
		}
		if ((capital ? *property - 'A' + 'a' : *property) != *field) {
			return false;
		}
	}
	return *field == '\0';
}

int bus_append_property(sd_bus_message *reply, const ProtobufCMessage *message,
			const char *property)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	for (unsigned int i = 0; i < type->n_fields; i++) {
		if (names_match(property, type->fields[i].name)) {
			return field_append_value(reply, message, &type->fields[i]);
		}
	}
	return -ENOENT;
}
