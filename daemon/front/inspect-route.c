// SPDX-License-Identifier: MIT
/* The routes between two devices, by route_choose(), for `fencectl explain`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "daemon/core/client.h"
#include "daemon/core/device.h"
#include "daemon/rules/route.h"
#include "dispatch.h"
#include "inspect.h"

#define WAYS        2
#define ENTRIES_MAX (WAYS * ROUTE_COUNT)

/* ------------------------------------------------------------------------ from a name to a device -- */

/* The id in "#ID", or in "ID", which needs no quotes in a shell; else 0, which no device has. */
static uint64_t id_parse(const char *name)
{
	const char *digits = name[0] == '#' ? name + 1 : name;
	char *end;
	if (digits[0] < '0' || digits[0] > '9') {
		return 0;
	}
	errno = 0;
	uint64_t id = strtoull(digits, &end, 10);
	return *end == '\0' && errno == 0 ? id : 0;
}

/* The devices of that name, or (NULL) all, that the client may see; returns how many, and the oldest. */
static size_t devices_named(const struct client *client, const char *name,
			    const struct device **ret_device)
{
	const struct device *device;
	size_t count = 0;
	*ret_device = NULL;
	LIST_FOREACH(device, &client->registry->devices, links) {
		if ((!name || strcmp(device->name, name) == 0) &&
		    inspect_may_see(client, device->client->subject.uid)) {
			*ret_device = device;
			count++;
		}
	}
	return count;
}

static const struct device *device_by_id(const struct client *client, uint64_t id)
{
	const struct device *device;
	LIST_FOREACH(device, &client->registry->devices, links) {
		if (device->id == id && inspect_may_see(client, device->client->subject.uid)) {
			return device;
		}
	}
	return NULL;
}

/* Appends "#12 (pid 1234), ..." or "gpu0, ...", newest first, as far as there is room. */
static void devices_list(const struct client *client, const char *name, char *detail)
{
	static const char more[] = ", ...";
	size_t used = strlen(detail);
	const char *comma = "";
	const struct device *device;
	LIST_FOREACH(device, &client->registry->devices, links) {
		char entry[FBK_NAME_SIZE + 48];
		if ((name && strcmp(device->name, name) != 0) ||
		    !inspect_may_see(client, device->client->subject.uid)) {
			continue;
		}
		if (name) {
			snprintf(entry, sizeof(entry), "%s#%llu (pid %d)", comma,
				 (unsigned long long)device->id, device->pid);
		} else {
			snprintf(entry, sizeof(entry), "%s%s", comma, device->name);
		}
		if (used + strlen(entry) + sizeof(more) > FBK_REASON_SIZE) {
			snprintf(detail + used, FBK_REASON_SIZE - used, "%s", more);
			return;
		}
		used += (size_t)snprintf(detail + used, FBK_REASON_SIZE - used, "%s", entry);
		comma = ", ";
	}
}

static int explain_unknown(const struct client *client, const char *name, char *detail)
{
	const struct device *device;
	if (devices_named(client, NULL, &device) == 0) {
		snprintf(detail, FBK_REASON_SIZE, "no device %s; no devices are registered", name);
		return -ENOENT;
	}
	snprintf(detail, FBK_REASON_SIZE, "no device %s; there are: ", name);
	devices_list(client, NULL, detail);
	return -ENOENT;
}

static int device_meant(const struct client *client, const char *name,
			const struct device **ret_device, char *detail)
{
	const struct device *device;
	if (!device_name_valid(name)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "name two of `fencectl devices`, or give their ids as '#ID': a name has 1 "
			 "to %d printable characters",
			 FBK_NAME_SIZE - 1);
		return -EINVAL;
	}
	/* Try a name that begins with # as an id first: a device may have such a name to pass for another. */
	uint64_t id = id_parse(name);
	size_t count = 0;
	if (name[0] != '#' || !(device = device_by_id(client, id))) {
		count = devices_named(client, name, &device);
	}
	if (count > 1) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%zu devices are called %s: take one by '#ID': ", count, name);
		devices_list(client, name, detail);
		return -ENOTUNIQ;
	}
	if (!device && !(device = device_by_id(client, id))) {
		return explain_unknown(client, name, detail);
	}
	*ret_device = device;
	return 0;
}

/* ---------------------------------------------------------------------------------- the answer -- */

struct route_room {
	Fbk__Wire__RouteList list;
	Fbk__Wire__RouteEntry entries[ENTRIES_MAX];
	Fbk__Wire__RouteEntry *entry_list[ENTRIES_MAX];
	struct route_choice choices[WAYS];
};

static void way_describe(struct route_room *room, enum route_way way, const struct device *signaler,
			 const struct device *waiter)
{
	static const char *const way_names[WAYS] = {
		[ROUTE_ACQUIRE] = "acquire", [ROUTE_RELEASE] = "release"
	};
	struct route_choice *choice = &room->choices[way];
	device_choose_route(signaler, waiter, way, signaler->visibility, choice);
	for (enum fbk_route route = FBK_ROUTE_NONE; route < ROUTE_COUNT; route++) {
		if (route == FBK_ROUTE_NONE && choice->route != FBK_ROUTE_NONE) {
			continue;
		}
		size_t index = room->list.n_routes++;
		Fbk__Wire__RouteEntry *entry = &room->entries[index];
		fbk__wire__route_entry__init(entry);
		entry->route = text(route_name(route));
		entry->way = text(way_names[way]);
		entry->taken = route == choice->route;
		entry->why = choice->why[route];
		room->entry_list[index] = entry;
	}
}

int request_inspect_route(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct route_room room;
	const Fbk__Wire__InspectRoute *request = body;
	const struct device *from, *to;
	int r = device_meant(client, request->from, &from, answer->detail);
	if (r == 0) {
		r = device_meant(client, request->to, &to, answer->detail);
	}
	if (r < 0) {
		return r;
	}
	fbk__wire__route_list__init(&room.list);
	room.list.routes = room.entry_list;
	room.list.from = text(from->name);
	room.list.from_id = from->id;
	room.list.to = text(to->name);
	room.list.to_id = to->id;
	way_describe(&room, ROUTE_ACQUIRE, from, to);
	way_describe(&room, ROUTE_RELEASE, to, from);
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_ROUTES;
	answer->message.routes = &room.list;
	return 0;
}
