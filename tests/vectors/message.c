// SPDX-License-Identifier: MIT
#include "message.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The storage of an element, by its type. */
union value {
	int32_t int32;
	uint32_t uint32;
	int64_t int64;
	uint64_t uint64;
	protobuf_c_boolean boolean;
	float single;
	double real;
	char *string;
	ProtobufCBinaryData bytes;
	ProtobufCMessage *message;
};

static size_t value_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return sizeof(uint32_t);
	}
}

static bool is_oneof(const ProtobufCFieldDescriptor *field)
{
	return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* How many elements of a field are there, and where the first one is. */
static size_t field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
			  const char **ret_first)
{
	const char *base = (const char *)message;
	union value value = { 0 };
	*ret_first = base + field->offset;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t count;
		memcpy(&count, base + field->quantifier_offset, sizeof(count));
		memcpy(ret_first, base + field->offset, sizeof(*ret_first));
		return count;
	}
	if (is_oneof(field)) {
		uint32_t chosen;
		memcpy(&chosen, base + field->quantifier_offset, sizeof(chosen));
		return chosen == field->id;
	}
	memcpy(&value, *ret_first, value_size(field->type));
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return value.string && value.string[0];
	case PROTOBUF_C_TYPE_BYTES:
		return value.bytes.len > 0;
	default:
		return value.uint64 != 0;
	}
}

/* ------------------------------------------------------------------------------------------ printing -- */

static void quoted_print(FILE *file, const uint8_t *bytes, size_t size)
{
	fputc('"', file);
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\') {
			fprintf(file, "\\%c", bytes[i]);
		} else if (bytes[i] >= ' ' && bytes[i] < 0x7f) {
			fputc(bytes[i], file);
		} else {
			fprintf(file, "\\%03o", bytes[i]);
		}
	}
	fputc('"', file);
}

static const char *enum_name(const ProtobufCEnumDescriptor *kind, int32_t number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(kind, number);
	return value ? value->name : NULL;
}

static void value_print(FILE *file, const ProtobufCFieldDescriptor *field, const union value *value)
{
	const char *name;
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		fprintf(file, "%" PRId32, value->int32);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		fprintf(file, "%" PRId64, value->int64);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		fprintf(file, "%" PRIu32, value->uint32);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		fprintf(file, "%" PRIu64, value->uint64);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(value->boolean ? "true" : "false", file);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		name = enum_name(field->descriptor, value->int32);
		if (name) {
			fputs(name, file);
		} else {
			fprintf(file, "%" PRId32, value->int32);
		}
		break;
	case PROTOBUF_C_TYPE_STRING:
		quoted_print(file, (const uint8_t *)value->string, strlen(value->string));
		break;
	case PROTOBUF_C_TYPE_BYTES:
		quoted_print(file, value->bytes.data, value->bytes.len);
		break;
	default:
		abort(); /* no field of ours has another type */
	}
}

void message_print(FILE *file, const ProtobufCMessage *message, int depth)
{
	const ProtobufCMessageDescriptor *kind = message->descriptor;
	for (unsigned int i = 0; i < kind->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];
		const char *first;
		size_t count = field_count(message, field, &first);
		for (size_t n = 0; n < count; n++) {
			union value value = { 0 };
			memcpy(&value, first + n * value_size(field->type),
			       value_size(field->type));
			fprintf(file, "%*s%s", 2 * depth, "", field->name);
			if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
				fputs(" {\n", file);
				message_print(file, value.message, depth + 1);
				fprintf(file, "%*s}\n", 2 * depth, "");
			} else {
				fputs(": ", file);
				value_print(file, field, &value);
				fputc('\n', file);
			}
		}
	}
}

void message_walk(const ProtobufCMessage *message, message_fn *fn, void *arg)
{
	const ProtobufCMessageDescriptor *kind = message->descriptor;
	for (unsigned int i = 0; i < kind->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];
		const char *first;
		size_t count = field_count(message, field, &first);
		for (size_t n = 0; n < count; n++) {
			fn(arg, kind, field);
			if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
				ProtobufCMessage *part;
				memcpy(&part, first + n * sizeof(part), sizeof(part));
				message_walk(part, fn, arg);
			}
		}
	}
}

/* ------------------------------------------------------------------------------------------- parsing -- */

struct parser {
	const char *at;
	char *error;
};

static bool fault(struct parser *parser, const char *what)
{
	snprintf(parser->error, 128, "%s at \"%.40s\"", what, parser->at);
	return false;
}

static bool quoted_parse(struct parser *parser, ProtobufCBinaryData *ret_bytes)
{
	const char *at = parser->at;
	uint8_t *bytes = calloc(1, strlen(at) + 1);
	size_t size = 0;
	ret_bytes->data = bytes;
	if (*at++ != '"') {
		return fault(parser, "no quote");
	}
	for (; *at && *at != '"'; at++) {
		if (*at == '\\' && isdigit((unsigned char)at[1])) {
			char digits[4] = { 0 };
			strncpy(digits, at + 1, 3);
			bytes[size++] = (uint8_t)strtoul(digits, NULL, 8);
			at += 3;
		} else {
			at += *at == '\\';
			bytes[size++] = (uint8_t)*at;
		}
	}
	ret_bytes->len = size;
	parser->at = at + 1;
	return *at == '"' ? true : fault(parser, "no end of the string");
}

static bool value_parse(struct parser *parser, const ProtobufCFieldDescriptor *field,
			union value *ret_value)
{
	char word[64] = "", *end = word;
	ProtobufCBinaryData bytes = { 0, NULL };
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES) {
		bool good = quoted_parse(parser, &bytes);
		if (field->type == PROTOBUF_C_TYPE_STRING) {
			ret_value->string = (char *)bytes.data;
		} else {
			ret_value->bytes = bytes;
		}
		return good;
	}
	sscanf(parser->at, "%63s", word);
	if (field->type == PROTOBUF_C_TYPE_BOOL) {
		ret_value->boolean = strcmp(word, "true") == 0;
		end += strlen(word);
	} else if (field->type == PROTOBUF_C_TYPE_ENUM && !isdigit((unsigned char)word[0])) {
		const ProtobufCEnumValue *value =
			protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, word);
		if (!value) {
			return fault(parser, "not a name of that enum");
		}
		ret_value->int32 = value->value;
		end += strlen(word);
	} else if (word[0] == '-') {
		ret_value->int64 = strtoll(word, &end, 0);
	} else {
		ret_value->uint64 = strtoull(word, &end, 0);
	}
	if (*end || end == word) {
		return fault(parser, "not a value");
	}
	parser->at += strlen(word);
	return true;
}

static void value_store(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
			const union value *value)
{
	char *base = (char *)message;
	size_t size = value_size(field->type);
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t count;
		char *elements;
		memcpy(&count, base + field->quantifier_offset, sizeof(count));
		memcpy(&elements, base + field->offset, sizeof(elements));
		elements = realloc(elements, (count + 1) * size);
		memcpy(elements + count * size, value, size);
		count++;
		memcpy(base + field->quantifier_offset, &count, sizeof(count));
		memcpy(base + field->offset, &elements, sizeof(elements));
		return;
	}
	if (is_oneof(field)) {
		memcpy(base + field->quantifier_offset, &field->id, sizeof(field->id));
	}
	memcpy(base + field->offset, value, size);
}

static const char *skip(const char *at)
{
	while (isspace((unsigned char)*at)) {
		at++;
	}
	return at;
}

/* Fields up to the end, or up to the brace of a message in another. */
static bool fields_parse(struct parser *parser, ProtobufCMessage *message, bool inner)
{
	for (;;) {
		char name[64] = "";
		int length = 0;
		parser->at = skip(parser->at);
		if (*parser->at == '\0' || *parser->at == '}') {
			bool good = inner == (*parser->at == '}');
			parser->at += good && inner;
			return good ? true : fault(parser, "braces do not match");
		}
		sscanf(parser->at, "%63[a-z0-9_]%n", name, &length);
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
		if (!field) {
			return fault(parser, "no such field");
		}
		union value value = { 0 };
		bool is_message = field->type == PROTOBUF_C_TYPE_MESSAGE;
		parser->at = skip(parser->at + length);
		if (*parser->at != (is_message ? '{' : ':')) {
			return fault(parser, "no value");
		}
		parser->at = skip(parser->at + 1);
		if (is_message) {
			const ProtobufCMessageDescriptor *kind = field->descriptor;
			value.message = calloc(1, kind->sizeof_message);
			kind->message_init(value.message);
		}
		bool good = is_message ? fields_parse(parser, value.message, true)
				       : value_parse(parser, field, &value);
		value_store(message, field, &value);
		if (!good) {
			return false;
		}
	}
}

ProtobufCMessage *message_parse(const ProtobufCMessageDescriptor *kind, const char *text,
				char ret_error[128])
{
	struct parser parser = { text, ret_error };
	ProtobufCMessage *message = calloc(1, kind->sizeof_message);
	kind->message_init(message);
	if (fields_parse(&parser, message, false)) {
		return message;
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return NULL;
}

/* ------------------------------------------------------------------------------------------ drafting -- */

static const struct {
	const char *part;
	const char *value;
} drafts[] = {
	{ "deadline_ns", "5000000000" },
	{ "error", "-5" },
	{ "name", "\"camera0\"" },
	{ "peer", "\"vcn0\"" },
	{ "reason", "\"the sensor is gone\"" },
	{ "detail", "\"there is no timeline 3: open it first\"" },
	{ "handle", "3" },
	{ "value", "42" },
	{ "point", "7" },
	{ "rights", "3" },
	{ "modifier", "72057594037927938" },
	{ "fourcc", "842094158" },
	{ "epoch", "2" },
	{ "width", "1920" },
	{ "height", "1080" },
	{ "pid", "4711" },
	{ "uid", "1000" },
};

static const char *draft_of(const ProtobufCFieldDescriptor *field)
{
	if (field->type == PROTOBUF_C_TYPE_BOOL) {
		return "true";
	}
	if (field->type == PROTOBUF_C_TYPE_ENUM) {
		const ProtobufCEnumDescriptor *kind = field->descriptor;
		return kind->values[kind->n_values > 1].name;
	}
	bool text = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES;
	for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
		if (strstr(field->name, drafts[i].part) && text == (drafts[i].value[0] == '"')) {
			return drafts[i].value;
		}
	}
	return text ? "\"text\"" : NULL;
}

void message_draft(FILE *file, const ProtobufCMessageDescriptor *kind, unsigned int choice,
		   int depth)
{
	unsigned int seen = 0;
	for (unsigned int i = 0; i < kind->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];
		if (is_oneof(field) && seen++ != choice) {
			continue;
		}
		const char *value = draft_of(field);
		for (int n = 0; n < 1 + (field->label == PROTOBUF_C_LABEL_REPEATED); n++) {
			fprintf(file, "%*s%s", 2 * depth, "", field->name);
			if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
				fputs(" {\n", file);
				message_draft(file, field->descriptor, 0, depth + 1);
				fprintf(file, "%*s}\n", 2 * depth, "");
			} else if (value) {
				fprintf(file, ": %s\n", value);
			} else {
				fprintf(file, ": %u\n", field->id + (unsigned int)n);
			}
		}
	}
}
