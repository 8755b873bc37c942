// SPDX-License-Identifier: MIT
/*
 * fencectl explain with a real daemon: the routes from one device to another and back, and which
 * devices a name means. Nothing here depends on the kernel. The last part needs root, to act as two
 * users.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-fencectl.h"
#include "lib-peer.h"
#include "lib-wire.h"

#define NOBODY 65534
#define ROUTES 8 /* enum fbk_route, without none */

static struct daemon server;
static struct fbk_context *context;

static void setup(void)
{
	daemon_serve(&server, NULL);
	context = peer_connect(&server);
}

static void teardown(void)
{
	fbk_disconnect(context);
	daemon_stop(&server);
}

static void device_add(const char *name, uint32_t waits, uint32_t signals, uint32_t routes)
{
	struct fbk_device *device;
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = name,
					.device_class = FBK_CLASS_CPU,
					.waits = waits,
					.signals = signals,
					.routes = routes };
	int r = fbk_device_register(context, &desc, &device);
	ck_assert_msg(r == 0, "%s: %s", name, fbk_error_detail());
}

/* Its exit status. */
static int fencectl(const char *arguments)
{
	char all[1024];
	snprintf(all, sizeof(all), "--socket %s %s", server.socket, arguments);
	return fencectl_say(all);
}

/* ------------------------------------------------------------------------------------- the JSON -- */

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	ck_assert_msg(json_object_object_get_ex(object, key, &value), "no key %s in: %s", key,
		      said);
	return value;
}

static const char *string_of(struct json_object *object, const char *key)
{
	return json_object_get_string(member(object, key));
}

/* The answer to `explain FROM TO`, checked for what all answers have in common; exit status
 * `status`. */
static struct json_object *explained(const char *from, const char *to, int status)
{
	char arguments[256];
	snprintf(arguments, sizeof(arguments), "--json explain '%s' '%s'", from, to);
	ck_assert_msg(fencectl(arguments) == status, "%s", said);
	struct json_object *object = json_tokener_parse(said);
	ck_assert_msg(object, "no JSON: %s", said);
	struct json_object *routes = member(object, "routes");
	for (size_t i = 0; i < json_object_array_length(routes); i++) {
		const char *why = string_of(json_object_array_get_idx(routes, i), "why");
		ck_assert_msg(why[0], "a route without a sentence: %s", said);
	}
	return object;
}

/* That route of that direction; fails the test if it is missing. */
static struct json_object *entry(struct json_object *object, const char *way, const char *route)
{
	struct json_object *routes = member(object, "routes");
	for (size_t i = 0; i < json_object_array_length(routes); i++) {
		struct json_object *each = json_object_array_get_idx(routes, i);
		if (strcmp(string_of(each, "way"), way) == 0 &&
		    strcmp(string_of(each, "route"), route) == 0) {
			return each;
		}
	}
	ck_abort_msg("no %s of %s in: %s", route, way, said);
	return NULL;
}

/* The chosen route: there is exactly one in each direction. */
static const char *taken(struct json_object *object, const char *way)
{
	struct json_object *routes = member(object, "routes");
	const char *found = NULL;
	for (size_t i = 0; i < json_object_array_length(routes); i++) {
		struct json_object *each = json_object_array_get_idx(routes, i);
		if (strcmp(string_of(each, "way"), way) == 0 &&
		    json_object_get_boolean(member(each, "taken"))) {
			ck_assert_msg(!found, "two are taken: %s", said);
			found = string_of(each, "route");
		}
	}
	ck_assert_msg(found, "none is taken: %s", said);
	return found;
}

/* --------------------------------------------------------------------------------- both ways --- */

START_TEST(there_and_back)
{
	static const char *const names[ROUTES] = {
		"native",           "syncobj-mirror", "eventfd",           "gate",
		"dma-buf-implicit", "sync_file-late", "sync_file-promise", "cpu-wait",
	};
	device_add("gpu0", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("cam0", 0, 0, 0);
	struct json_object *object = explained("gpu0", "cam0", 0);
	struct json_object *routes = member(object, "routes");
	ck_assert_str_eq(string_of(object, "from"), "gpu0");
	ck_assert_str_eq(string_of(object, "to"), "cam0");
	ck_assert_uint_eq(json_object_array_length(routes), 2 * ROUTES);
	for (size_t i = 0; i < 2 * ROUTES; i++) { /* cheapest first, one way after the other */
		struct json_object *each = json_object_array_get_idx(routes, i);
		ck_assert_str_eq(string_of(each, "route"), names[i % ROUTES]);
		ck_assert_str_eq(string_of(each, "way"), i < ROUTES ? "acquire" : "release");
	}
	ck_assert_str_eq(taken(object, "acquire"), "gate");
	ck_assert_str_eq(string_of(entry(object, "acquire", "gate"), "why"),
			 "cam0 waits on nothing: its system call is made at the point");
	ck_assert_str_eq(string_of(entry(object, "acquire", "native"), "why"),
			 "cam0 does not wait on memory64, which gpu0 has");
	ck_assert_str_eq(taken(object, "release"), "native");
	ck_assert_str_eq(string_of(entry(object, "release", "native"), "why"),
			 "gpu0 looks at the memory itself");
	json_object_put(object);
}
END_TEST

/* fencectl names what the daemon's kernel lacks; the routes use what it has. */
START_TEST(as_the_kernel_allows)
{
	device_add("gpu0", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("vcn0", FBK_FENCE_SYNC_FILE | FBK_FENCE_EVENTFD, FBK_FENCE_EVENTFD, 0);
	device_add("wl0", FBK_FENCE_SYNCOBJ_TIMELINE, FBK_FENCE_EVENTFD, 0);
	bool eventfds = fbk_feature(context, FBK_FEATURE_EXPORT_EVENTFD, NULL);
	bool sync_files = fbk_feature(context, FBK_FEATURE_EXPORT_SYNC_FILE, NULL);
	bool mirrors = fbk_feature(context, FBK_FEATURE_MIRRORS, NULL);
	struct json_object *object = explained("gpu0", "vcn0", 0);
	ck_assert_str_eq(taken(object, "acquire"), eventfds     ? "eventfd"
						   : sync_files ? "sync_file-late"
								: "cpu-wait");
	ck_assert_str_eq(taken(object, "release"), "cpu-wait");
	ck_assert_str_eq(string_of(entry(object, "release", "sync_file-promise"), "why"),
			 "gpu0 does not wait on sync_file");
	json_object_put(object);
	object = explained("gpu0", "wl0", 0);
	ck_assert_str_eq(taken(object, "acquire"), mirrors ? "syncobj-mirror" : "cpu-wait");
	json_object_put(object);
}
END_TEST

/* Status 1 if either direction has no route; the output says which, and what to do. */
START_TEST(no_route)
{
	const char *way_out = "loud does not wait on memory64, which pure has; or let pure "
			      "accept cpu-wait";
	device_add("pure", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 1 << FBK_ROUTE_NATIVE);
	device_add("loud", FBK_FENCE_EVENTFD, FBK_FENCE_MEMORY64, 0);
	struct json_object *object = explained("pure", "loud", 1);
	struct json_object *none = json_object_array_get_idx(member(object, "routes"), 0);
	ck_assert_uint_eq(json_object_array_length(member(object, "routes")), 2 * ROUTES + 1);
	ck_assert_str_eq(string_of(none, "route"), "none");
	ck_assert_str_eq(string_of(none, "why"), way_out);
	ck_assert_str_eq(taken(object, "acquire"), "none");
	ck_assert_str_eq(taken(object, "release"), "native");
	json_object_put(object);
	object = explained("loud", "pure", 1);
	ck_assert_str_eq(taken(object, "acquire"), "native");
	ck_assert_str_eq(taken(object, "release"), "none");
	json_object_put(object);
	object = explained("pure", "pure", 0); /* to itself: refused, with the reason */
	ck_assert_str_eq(taken(object, "acquire"), "native");
	json_object_put(object);
}
END_TEST

START_TEST(as_a_table)
{
	device_add("gpu0", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("loud", FBK_FENCE_EVENTFD, 0, 1 << FBK_ROUTE_NATIVE);
	ck_assert_int_eq(fencectl("explain gpu0 gpu0"), 0);
	expect_said("acquire, gpu0 -> gpu0: gpu0 waits for gpu0\n"
		    "release, gpu0 <- gpu0: gpu0 waits for gpu0\n");
	expect_said("WAY     ROUTE             TAKEN WHY\n");
	expect_said("acquire native            yes   gpu0 looks at the memory itself\n");
	expect_said("release cpu-wait          no    it works too, and native is cheaper\n");
	ck_assert_int_eq(fencectl("explain loud loud"), 1);
	expect_said(
		"acquire none              yes   loud does not wait on memory64, which loud has; "
		"or let both accept cpu-wait\n");
}
END_TEST

START_TEST(usage)
{
	ck_assert_int_eq(fencectl("explain gpu0"), 2);
	expect_said("Usage: fencectl [OPTION]... explain A B\n");
	ck_assert_int_eq(fencectl("explain gpu0 vcn0 cam0"), 2);
	ck_assert_int_eq(fencectl("devices gpu0"), 2);
	expect_said("Usage: fencectl [OPTION]... devices\n");
	ck_assert_int_eq(fencectl("explained gpu0 vcn0"), 2);
	expect_said("unknown verb explained");
	ck_assert_int_eq(fencectl("--help"), 0);
	expect_said("  explain A B        the routes A -> B");
	expect_said("  devices            registered");
}
END_TEST

/* ----------------------------------------------------------------------------- who is meant -- */

START_TEST(unknown_names)
{
	ck_assert_int_eq(fencectl("explain gpu9 gpu0"), 1);
	ck_assert_str_eq(said, "fencectl: explain: no device gpu9; no devices are registered\n");
	device_add("gpu0", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("vcn0", FBK_FENCE_EVENTFD, FBK_FENCE_EVENTFD, 0);
	ck_assert_int_eq(fencectl("explain gpu0 gpu9"), 1);
	ck_assert_str_eq(said, "fencectl: explain: no device gpu9; there are: vcn0, gpu0\n");
	ck_assert_int_eq(fencectl("explain '#99999' gpu0"), 1);
	expect_said("no device #99999; there are: vcn0, gpu0\n");
	ck_assert_int_eq(fencectl("explain 18446744073709551616 gpu0"), 1); /* not taken for 0 */
	expect_said("no device 18446744073709551616; ");
	ck_assert_int_eq(fencectl("explain '#' gpu0"), 1);
	expect_said("no device #; ");
	ck_assert_int_eq(fencectl("--json explain gpu0 gpu9"), 1);
	ck_assert_str_eq(said, "fencectl: explain: no device gpu9; there are: vcn0, gpu0\n");
}
END_TEST

/* As many devices as have room, and no more. */
START_TEST(many_candidates)
{
	char name[FBK_NAME_SIZE];
	for (unsigned int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "device-with-31-bytes-of-name-0%u", i % 10);
		device_add(name, 0, 0, 0);
	}
	ck_assert_int_eq(fencectl("explain device-with-31-bytes-of-name-xx 1"), 1);
	expect_said("no device device-with-31-bytes-of-name-xx; there are: "
		    "device-with-31-bytes-of-name-09, device-with-31-bytes-of-name-08, "
		    "device-with-31-bytes-of-name-07, ...\n");
}
END_TEST

static uint64_t id_of(const char *name, size_t index)
{
	ck_assert_int_eq(fencectl("--json devices"), 0);
	struct json_object *devices = json_tokener_parse(said);
	for (size_t i = 0; i < json_object_array_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		if (strcmp(string_of(device, "name"), name) == 0 && index-- == 0) {
			uint64_t id = json_object_get_uint64(member(device, "id"));
			json_object_put(devices);
			return id;
		}
	}
	ck_abort_msg("no device %s in: %s", name, said);
	return 0;
}

START_TEST(one_name_for_two)
{
	struct fbk_context *mine = context;
	char expected[256], id[32];
	struct json_object *object;
	device_add("gpu0", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("cam0", 0, 0, 0);
	context = peer_connect(&server);
	device_add("gpu0", 0, 0, 0);
	unsigned long long newer = id_of("gpu0", 0), older = id_of("gpu0", 1);
	ck_assert_int_eq(fencectl("explain gpu0 cam0"), 1);
	snprintf(expected, sizeof(expected),
		 "fencectl: explain: 2 devices are called gpu0: take one by '#ID': #%llu (pid %d), "
		 "#%llu (pid %d)\n",
		 newer, getpid(), older, getpid());
	ck_assert_str_eq(said, expected);
	ck_assert_int_eq(fencectl("explain cam0 gpu0"), 1);
	ck_assert_str_eq(said, expected);
	for (int quoted = 0; quoted < 2; quoted++) {
		snprintf(id, sizeof(id), "%s%llu", quoted ? "#" : "", older);
		object = explained("cam0", id, 0);
		ck_assert_str_eq(taken(object, "acquire"), "native");
		ck_assert_uint_eq(json_object_get_uint64(member(object, "to_id")), older);
		json_object_put(object);
		snprintf(id, sizeof(id), "%s%llu", quoted ? "#" : "", newer);
		object = explained("cam0", id, 0);
		ck_assert_str_eq(taken(object, "acquire"), "gate");
		ck_assert_uint_eq(json_object_get_uint64(member(object, "to_id")), newer);
		json_object_put(object);
	}
	fbk_disconnect(context);
	context = mine;
	object = explained("gpu0", "cam0", 0); /* one again */
	json_object_put(object);
}
END_TEST

/* A device whose name is the id of another one does not replace that one. */
START_TEST(named_like_an_id)
{
	char name[FBK_NAME_SIZE];
	device_add("gpu0", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	unsigned long long id = id_of("gpu0", 0);
	snprintf(name, sizeof(name), "#%llu", id);
	device_add(name, 0, 0, 0);
	struct json_object *object = explained(name, "gpu0", 0);
	ck_assert_str_eq(string_of(object, "from"), "gpu0");
	json_object_put(object);
	device_add("#none", 0, 0, 0); /* a name like any other */
	object = explained("#none", "gpu0", 0);
	ck_assert_str_eq(string_of(object, "from"), "#none");
	json_object_put(object);
	snprintf(name, sizeof(name), "%llu", id); /* without the # it is a name first */
	device_add(name, 0, 0, 0);
	object = explained(name, "gpu0", 0);
	ck_assert_uint_ne(json_object_get_uint64(member(object, "from_id")), id);
	json_object_put(object);
}
END_TEST

/* Requests that fencectl would not send. */
static int inspect(struct client *client, const char *from, const char *to)
{
	REQUEST(request, INSPECT_ROUTE, inspect_route);
	request.inspect_route->from = (char *)(uintptr_t)from;
	request.inspect_route->to = (char *)(uintptr_t)to;
	return client_call(client, &request, NULL, 0, NULL);
}

START_TEST(bad_names)
{
	static const char *const bad[] = {
		"", "gpu 0", "\x1b[2J", "32-bytes-are-one-more-than-fits!", "g\xc3\xbc",
	};
	char longer[160];
	struct client client;
	client_open(&client, &server);
	device_add("31-bytes-are-as-long-as-it-gets", 0, 0, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(inspect(&client, bad[i], "gpu0"), -EINVAL);
		ck_assert_int_eq(inspect(&client, "31-bytes-are-as-long-as-it-gets", bad[i]),
				 -EINVAL);
		ck_assert_msg(strstr(client.detail, "1 to 31 printable"), "%s", client.detail);
	}
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(inspect(&client, longer, longer), -EMSGSIZE);
	ck_assert_int_eq(inspect(&client, "31-bytes-are-as-long-as-it-gets",
				 "31-bytes-are-as-long-as-it-gets"),
			 0);
	client_close(&client);
}
END_TEST

/* ------------------------------------------------------------------------------ what is put up with -- */

START_TEST(masks_are_checked)
{
	static const uint32_t bad[] = { 1, 3, 1 << 9, 0x1ff, 1U << 31 };
	struct fbk_device *device = NULL;
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "dev",
					.device_class = FBK_CLASS_CPU };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char expected[128];
		desc.routes = bad[i];
		ck_assert_int_eq(fbk_device_register(context, &desc, &device), -EINVAL);
		snprintf(expected, sizeof(expected),
			 "routes 0x%x has unknown ones: they are 1 << 1 (native) to 1 << 8 "
			 "(cpu-wait)",
			 bad[i]);
		ck_assert_str_eq(fbk_error_detail(), expected);
	}
	desc.routes = 0x1fe;
	ck_assert_int_eq(fbk_device_register(context, &desc, &device), 0);
}
END_TEST

/* ----------------------------------------------------------------------------------- by policy -- */

static void setup_system(void)
{
	daemon_serve(&server, "version = 1;\n"
			      "rules: (\n"
			      "	{ user = 0; register = true; inspect = \"all\"; },\n"
			      "	{ user = 65534; register = true; inspect = \"own\"; },\n"
			      "	{ user = \"*\"; connect = true; inspect = \"none\"; } );\n");
	context = peer_connect(&server);
}

static int become_and_ask(void *arg)
{
	const uid_t *uid = arg;
	struct client client;
	if (setgid(*uid) < 0 || setuid(*uid) < 0) {
		return 1;
	}
	client_open(&client, &server);
	if (*uid != NOBODY) { /* may inspect nothing */
		return inspect(&client, "gpu0", "gpu0") == -EPERM ? 0 : 2;
	}
	if (inspect(&client, "gpu0", "gpu0") != -ENOENT || strstr(client.detail, "there are") ||
	    inspect(&client, "1", "#2") != -ENOENT) {
		return 3; /* others' devices do not exist for it */
	}
	context = peer_connect(&server);
	device_add("gpu0", 0, 0, 0);
	return inspect(&client, "gpu0", "gpu0") == 0 ? 0 : 4; /* its own does, alone */
}

START_TEST(seen_by_policy)
{
	uid_t uids[] = { NOBODY, NOBODY - 1 };
	device_add("gpu0", 0, 0, 0);
	device_add("gpu1", 0, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(child_wait(child_start(become_and_ask, &uids[i])), 0);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, there_and_back);
	tcase_add_test(tcase, as_the_kernel_allows);
	tcase_add_test(tcase, no_route);
	tcase_add_test(tcase, as_a_table);
	tcase_add_test(tcase, usage);
	tcase_add_test(tcase, unknown_names);
	tcase_add_test(tcase, many_candidates);
	tcase_add_test(tcase, one_name_for_two);
	tcase_add_test(tcase, named_like_an_id);
	tcase_add_test(tcase, bad_names);
	tcase_add_test(tcase, masks_are_checked);
}

static void add_users(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_system, teardown);
	tcase_add_test(tcase, seen_by_policy);
}

int main(void)
{
	int r = suite_main("explain", add);
	if (geteuid() != 0) {
		puts("not root: what another user sees was not tried");
		return r;
	}
	return r == 0 ? suite_main("explain to other users", add_users) : r;
}
