// SPDX-License-Identifier: MIT
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fencectl.h"
#include "inspect.h"
#include "json.h"
#include "table.h"

static const char *const result_names[] = {
	[CHECK_WORKS] = "works",
	[CHECK_LIMITED] = "limited",
	[CHECK_MISSING] = "missing",
};

struct route {
	const char *name;
	bool works;
	char why[CHECK_NOTE_SIZE];
};

void doctor_add(struct doctor *doctor, const char *name, enum check_result result, bool core,
		const char *needed_for, const char *way_out, const char *format, ...)
{
	if (doctor->count == CHECKS_MAX) {
		return;
	}
	struct check *check = &doctor->checks[doctor->count++];
	*check = (struct check){
		.name = name, .result = result, .core = core, .needed_for = needed_for
	};
	snprintf(check->way_out, sizeof(check->way_out), "%s", way_out);
	va_list args;
	va_start(args, format);
	vsnprintf(check->note, sizeof(check->note), format, args);
	va_end(args);
}

bool doctor_works(const struct doctor *doctor, const char *name)
{
	for (size_t i = 0; i < doctor->count; i++) {
		if (strcmp(doctor->checks[i].name, name) == 0) {
			return doctor->checks[i].result == CHECK_WORKS;
		}
	}
	return false;
}

/* The daemon may run as another user, or have started before a module was loaded: its result counts. */
static void doctor_daemon_kernel(struct doctor *doctor, const Fbk__Wire__Status *status)
{
	char lacks[CHECK_NOTE_SIZE] = "";
	size_t used = 0;
	for (size_t i = 0; i < status->n_kernel && used < sizeof(lacks); i++) {
		if (!status->kernel[i]->works) {
			used += (size_t)snprintf(lacks + used, sizeof(lacks) - used, "%s%s",
						 used > 0 ? ", " : "", status->kernel[i]->name);
		}
	}
	doctor_add(
		doctor, "daemon-kernel", lacks[0] ? CHECK_LIMITED : CHECK_WORKS, false,
		"what the running daemon has",
		lacks[0] ? "see `fencectl status` for the reasons; it sees devices that come later"
			 : "",
		"%s%s", lacks[0] ? "it lacks: " : "it lacks nothing", lacks);
}

void doctor_daemon(struct doctor *doctor, const char *socket)
{
	struct fbk_context *context;
	struct reply reply;
	const char *use = "everything: it owns the fence pages";
	if (fbk_connect(socket, &context) < 0) {
		doctor_add(doctor, "daemon", CHECK_LIMITED, false, use,
			   "start it with `systemctl start fencebroker`, or `fencebrokerd --user`",
			   "%s", fbk_error_detail());
		return;
	}
	if (inspect_status(context, &reply) == 0) {
		const Fbk__Wire__Status *status = reply.message->status;
		doctor_add(doctor, "daemon", CHECK_WORKS, false, use, "",
			   "version %s, pid %d, protocol %u, %u clients", status->daemon_version,
			   status->pid, status->protocol_version, status->sessions);
		doctor->daemon_pid = (int)status->pid;
		doctor->daemon_user_mode = status->user_mode;
		doctor_daemon_kernel(doctor, status);
		reply_finish(&reply);
	} else {
		doctor_add(doctor, "daemon", CHECK_LIMITED, false, use,
			   "ask the administrator for a rule with `inspect`", "%s",
			   fbk_error_detail());
	}
	fbk_disconnect(context);
}

/* The translations from and to points, each with the checks that it needs. An eventfd is never a
 * sync_file. */
static const struct route_spec {
	const char *name;
	const char *needs[4]; /* names of checks; all must work */
	const char *how;
} route_specs[] = {
	{ "memory to memory", { NULL }, "no kernel fence is needed" },
	{ "memory to eventfd (late)",
	  { "aio-eventfd" },
	  "raised when the point is reached or fails" },
	{ "eventfd to memory", { NULL }, "the first readable edge signals the point" },
	{ "memory to sync_file (late)", { "sync-file" }, "handed out when the point is reached" },
	{ "sync_file to memory", { "sync-file" }, "an error of the fence fails the point" },
	{ "dma-buf fences to memory",
	  { "sync-file", "dma-buf-fences" },
	  "exported as a sync_file by the holder of the dma-buf" },
	{ "memory to syncobj (late)", { "syncobj-timeline" }, "points, and mirrors of timelines" },
	{ "syncobj to memory",
	  { "syncobj-timeline", "syncobj-eventfd" },
	  "points, and mirrors; also before the fence is submitted" },
	{ "memory to sync_file (promise)",
	  { "promises", "sync-file", "vgem", "memory-lock" },
	  "if policy allows; a broken promise reads as success" },
};

#define ROUTE_COUNT (sizeof(route_specs) / sizeof(route_specs[0]))

static size_t find_routes(const struct doctor *doctor, struct route *routes)
{
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		const struct route_spec *spec = &route_specs[i];
		routes[i] = (struct route){ .name = spec->name, .works = true };
		snprintf(routes[i].why, CHECK_NOTE_SIZE, "%s", spec->how);
		for (size_t j = 0; j < 4 && spec->needs[j] && routes[i].works; j++) {
			routes[i].works = doctor_works(doctor, spec->needs[j]);
			if (!routes[i].works) {
				snprintf(routes[i].why, CHECK_NOTE_SIZE, "see %s above",
					 spec->needs[j]);
			}
		}
	}
	return ROUTE_COUNT;
}

static struct json_object *checks_json(const struct doctor *doctor)
{
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i < doctor->count; i++) {
		const struct check *check = &doctor->checks[i];
		struct json_object *entry = json_object_new_object();
		json_object_object_add(entry, "name", json_object_new_string(check->name));
		json_object_object_add(entry, "result",
				       json_object_new_string(result_names[check->result]));
		json_object_object_add(entry, "core", json_object_new_boolean(check->core));
		json_object_object_add(entry, "needed_for",
				       json_object_new_string(check->needed_for));
		json_object_object_add(entry, "note", json_object_new_string(check->note));
		json_object_object_add(entry, "way_out", json_object_new_string(check->way_out));
		json_object_array_add(array, entry);
	}
	return array;
}

static struct json_object *routes_json(const struct route *routes, size_t count)
{
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i < count; i++) {
		struct json_object *entry = json_object_new_object();
		json_object_object_add(entry, "name", json_object_new_string(routes[i].name));
		json_object_object_add(entry, "works", json_object_new_boolean(routes[i].works));
		json_object_object_add(entry, "why", json_object_new_string(routes[i].why));
		json_object_array_add(array, entry);
	}
	return array;
}

static void print_text(const struct doctor *doctor, const struct route *routes, size_t route_count)
{
	static const struct table_column columns[] = {
		{ .name = "CHECK" },
		{ .name = "RESULT" },
		{ .name = "SEEN" },
	};
	static const struct table_column route_columns[] = {
		{ .name = "ROUTE" },
		{ .name = "RESULT" },
		{ .name = "WHY" },
	};
	struct table *table = table_create(columns, 3);
	for (size_t i = 0; i < doctor->count; i++) {
		const struct check *check = &doctor->checks[i];
		const char *cells[] = { check->name, result_names[check->result], check->note };
		table_row(table, cells, 3);
	}
	table_print(table);
	putchar('\n');
	table = table_create(route_columns, 3);
	for (size_t i = 0; i < route_count; i++) {
		const char *cells[] = { routes[i].name, routes[i].works ? "works" : "missing",
					routes[i].why };
		table_row(table, cells, 3);
	}
	table_print(table);
	bool title = false;
	for (size_t i = 0; i < doctor->count; i++) {
		const struct check *check = &doctor->checks[i];
		if (check->result == CHECK_WORKS || !check->way_out[0]) {
			continue;
		}
		char text[WAY_OUT_SIZE + 256];
		snprintf(text, sizeof(text), "  %s (for %s): %s", check->name, check->needed_for,
			 check->way_out);
		fputs(title ? "" : "\nWhat to do\n", stdout);
		text_wrap(text, 4);
		title = true;
	}
}

int verb_doctor(const struct options *options)
{
	struct doctor doctor = { .count = 0 };
	struct route routes[ROUTE_COUNT];
	bool core = true;
	doctor_process(&doctor);
	doctor_memory(&doctor);
	doctor_drm(&doctor);
	doctor_daemon(&doctor, options->socket);
	doctor_bus(&doctor);
	for (size_t i = 0; i < doctor.count; i++) {
		core = core && !(doctor.checks[i].core && doctor.checks[i].result == CHECK_MISSING);
	}
	size_t route_count = find_routes(&doctor, routes);
	if (options->json) {
		struct json_object *object = json_object_new_object();
		json_object_object_add(object, "core_works", json_object_new_boolean(core));
		json_object_object_add(object, "checks", checks_json(&doctor));
		json_object_object_add(object, "routes", routes_json(routes, route_count));
		json_print(object);
	} else {
		print_text(&doctor, routes, route_count);
	}
	return core ? EXIT_SUCCESS : EXIT_FAILURE;
}
