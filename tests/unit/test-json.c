// SPDX-License-Identifier: MIT
#include "client/fencectl/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/fencebroker.pb-c.h"
#include "tests/suite.h"

static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	ck_assert_msg(json_object_object_get_ex(object, key, &value), "no key %s", key);
	return value;
}

static void expect_number(struct json_object *object, const char *key, uint64_t number)
{
	ck_assert_uint_eq(json_object_get_uint64(member(object, key)), number);
}

static void expect_text(struct json_object *object, const char *key, const char *string)
{
	ck_assert_str_eq(json_object_get_string(member(object, key)), string);
}

/* -------------------------------------------------------------------------- names and types --- */

static const ProtobufCMessageDescriptor *const descriptors[] = {
	&fbk__wire__status__descriptor,         &fbk__wire__user__descriptor,
	&fbk__wire__usage__descriptor,          &fbk__wire__counter__descriptor,
	&fbk__wire__kernel_feature__descriptor, &fbk__wire__device__descriptor,
	&fbk__wire__device_list__descriptor,    &fbk__wire__timeline_state__descriptor,
	&fbk__wire__timeline_list__descriptor,  &fbk__wire__timeline_state__descriptor,
	&fbk__wire__timeline__descriptor,       &fbk__wire__welcome__descriptor,
	&fbk__wire__route_list__descriptor,     &fbk__wire__route_entry__descriptor,
};

static json_type json_type_of(const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		return json_type_array;
	}
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return json_type_string;
	case PROTOBUF_C_TYPE_BOOL:
		return json_type_boolean;
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return json_type_null; /* not shown; not set */
	default:
		return json_type_int;
	}
}

/* Every field, by its name in the .proto, also unset ones. */
START_TEST(all_fields)
{
	_Alignas(16) static uint8_t memory[1024];
	const ProtobufCMessageDescriptor *descriptor = descriptors[_i];
	ck_assert_uint_le(descriptor->sizeof_message, sizeof(memory));
	protobuf_c_message_init(descriptor, memory);
	struct json_object *object = json_from_message((ProtobufCMessage *)(void *)memory);
	ck_assert_ptr_nonnull(object);
	ck_assert_int_eq(json_object_object_length(object), (int)descriptor->n_fields);
	for (unsigned int i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		struct json_object *value = member(object, field->name);
		ck_assert_msg(json_object_get_type(value) == json_type_of(field),
			      "%s.%s is of type %s", descriptor->short_name, field->name,
			      json_type_to_name(json_object_get_type(value)));
	}
	json_object_put(object);
}
END_TEST

/* ----------------------------------------------------------------------------------- values --- */

START_TEST(numbers)
{
	Fbk__Wire__TimelineState entry = FBK__WIRE__TIMELINE_STATE__INIT;
	entry.id = UINT64_MAX;
	entry.failed_from = (UINT64_C(1) << 62) - 1;
	entry.pid = INT32_MIN;
	entry.uid = UINT32_MAX;
	entry.armed = INT32_MAX;
	struct json_object *object = json_from_message(&entry.base);
	expect_number(object, "id", UINT64_MAX); /* not a double: those lose the last bits */
	expect_number(object, "failed_from", (UINT64_C(1) << 62) - 1);
	expect_number(object, "uid", UINT32_MAX); /* not -1 */
	expect_number(object, "armed", INT32_MAX);
	ck_assert_int_eq(json_object_get_int64(member(object, "pid")), INT32_MIN);
	const char *line = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	ck_assert_ptr_nonnull(strstr(line, "\"id\":18446744073709551615"));
	ck_assert_ptr_nonnull(strstr(line, "\"uid\":4294967295"));
	json_object_put(object);
}
END_TEST

START_TEST(texts)
{
	Fbk__Wire__Device device = FBK__WIRE__DEVICE__INIT;
	char *waits[] = { text("memory64"), text("eventfd") };
	device.name = text("q\"uo\\te\n");
	device.n_waits = 2;
	device.waits = waits;
	device.silent = 1;
	struct json_object *object = json_from_message(&device.base);
	expect_text(object, "name", "q\"uo\\te\n");
	expect_text(object, "client", "");
	ck_assert(json_object_get_boolean(member(object, "silent")));
	struct json_object *list = member(object, "waits");
	ck_assert_uint_eq(json_object_array_length(list), 2);
	ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(list, 1)), "eventfd");
	ck_assert_uint_eq(json_object_array_length(member(object, "signals")), 0);

	/* a reader gets what was printed */
	const char *line = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	struct json_object *again = json_tokener_parse(line);
	ck_assert_ptr_nonnull(again);
	ck_assert(json_object_equal(object, again));
	json_object_put(again);
	json_object_put(object);
}
END_TEST

START_TEST(nested)
{
	Fbk__Wire__Usage usages[2] = { FBK__WIRE__USAGE__INIT, FBK__WIRE__USAGE__INIT };
	Fbk__Wire__Usage *usage_list[] = { &usages[0], &usages[1] };
	Fbk__Wire__User user = FBK__WIRE__USER__INIT;
	Fbk__Wire__User *users[] = { &user };
	Fbk__Wire__Status status = FBK__WIRE__STATUS__INIT;
	usages[1].resource = text("fds");
	usages[1].used = 3;
	user.uid = 1000;
	user.n_usage = 2;
	user.usage = usage_list;
	status.n_users = 1;
	status.users = users;
	struct json_object *object = json_from_message(&status.base);
	struct json_object *entry = json_object_array_get_idx(member(object, "users"), 0);
	expect_number(entry, "uid", 1000);
	struct json_object *usage = json_object_array_get_idx(member(entry, "usage"), 1);
	expect_text(usage, "resource", "fds");
	expect_number(usage, "used", 3);
	expect_number(usage, "limit", 0);
	json_object_put(object);
}
END_TEST

/* Lists of numbers of any width. */
START_TEST(lists_of_numbers)
{
	uint64_t watches[] = { 1, UINT64_MAX, 3 };
	int32_t results[] = { 0, -110, INT32_MIN };
	Fbk__Wire__WatchesFired fired = FBK__WIRE__WATCHES_FIRED__INIT;
	fired.n_watch = 3;
	fired.watch = watches;
	fired.n_result = 3;
	fired.result = results;
	struct json_object *object = json_from_message(&fired.base);
	for (size_t i = 0; i < 3; i++) {
		struct json_object *watch = json_object_array_get_idx(member(object, "watch"), i);
		struct json_object *result = json_object_array_get_idx(member(object, "result"), i);
		ck_assert_uint_eq(json_object_get_uint64(watch), watches[i]);
		ck_assert_int_eq(json_object_get_int(result), results[i]);
	}
	json_object_put(object);
}
END_TEST

/* --------------------------------------------------------------------------------- printing --- */

START_TEST(printed)
{
	char printed_text[256];
	FILE *file = tmpfile();
	int out = dup(STDOUT_FILENO);
	Fbk__Wire__Counter counter = FBK__WIRE__COUNTER__INIT;
	counter.name = text("a/b");
	counter.value = 7;
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	int status = json_print(json_from_message(&counter.base));
	dup2(out, STDOUT_FILENO);
	close(out);
	ck_assert_int_eq(status, EXIT_SUCCESS);
	rewind(file);
	size_t size = fread(printed_text, 1, sizeof(printed_text) - 1, file);
	printed_text[size] = '\0';
	fclose(file);
	ck_assert_str_eq(printed_text, "{\n  \"name\": \"a/b\",\n  \"value\": 7\n}\n");
}
END_TEST

/* A full disk is no success. */
START_TEST(not_printed)
{
	int out = dup(STDOUT_FILENO);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	Fbk__Wire__Counter counter = FBK__WIRE__COUNTER__INIT;
	ck_assert_int_ge(full, 0);
	fflush(stdout);
	dup2(full, STDOUT_FILENO);
	int status = json_print(json_from_message(&counter.base));
	dup2(out, STDOUT_FILENO);
	close(out);
	close(full);
	ck_assert_int_eq(status, EXIT_FAILURE);
}
END_TEST

static void add(TCase *tcase)
{
	ADD_LOOP(tcase, all_fields, descriptors);
	tcase_add_test(tcase, numbers);
	tcase_add_test(tcase, texts);
	tcase_add_test(tcase, nested);
	tcase_add_test(tcase, lists_of_numbers);
	tcase_add_test(tcase, printed);
	tcase_add_test(tcase, not_printed);
}

int main(void)
{
	return suite_main("json", add);
}
