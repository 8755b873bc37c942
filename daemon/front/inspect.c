// SPDX-License-Identifier: MIT
/* What fencectl shows, made from the daemon's own structures and nothing else. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/core/device.h"
#include "dispatch.h"
#include "daemon/core/handle.h"
#include "inspect.h"
#include "daemon/rules/kind.h"
#include "proto/version.h"
#include "daemon/core/timeline.h"
#include "daemon/core/watcher.h"

#define USERS_MAX     16 /* of about 560 bytes each in a packet of 16 KiB */
#define DEVICES_MAX   32
#define TIMELINES_MAX 24
#define COUNTERS_MAX  40

/* protobuf-c's strings are not const, and packing does not write to them */
static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

bool inspect_may_see(const struct client *client, uid_t uid)
{
	return policy_inspect(client->registry->policy, &client->subject, NULL) ==
		       POLICY_INSPECT_ALL ||
	       client->subject.uid == uid;
}

struct status_room {
	Fbk__Wire__Status status;
	Fbk__Wire__Counter counters[COUNTERS_MAX];
	Fbk__Wire__Counter *counter_list[COUNTERS_MAX];
	Fbk__Wire__KernelFeature kernel[PROBE_COUNT];
	Fbk__Wire__KernelFeature *kernel_list[PROBE_COUNT];
	Fbk__Wire__User users[USERS_MAX];
	Fbk__Wire__User *user_list[USERS_MAX];
	Fbk__Wire__Usage usage[USERS_MAX][ACCOUNT_RESOURCE_COUNT];
	Fbk__Wire__Usage *usage_list[USERS_MAX][ACCOUNT_RESOURCE_COUNT];
	const struct client *client;
};

static void status_add_counters(struct status_room *room, const struct counters *counters)
{
	size_t count = 0;
#define X(field, what)                                      \
	fbk__wire__counter__init(&room->counters[count]);   \
	room->counters[count].name = text(#field);          \
	room->counters[count].value = counters->field;      \
	room->counter_list[count] = &room->counters[count]; \
	count++;
	COUNTERS(X)
#undef X
	room->status.n_counters = count;
	room->status.counters = room->counter_list;
}

static void status_add_kernel(struct status_room *room, const struct probe *probe)
{
	for (size_t i = 0; i < PROBE_COUNT; i++) {
		fbk__wire__kernel_feature__init(&room->kernel[i]);
		room->kernel[i].name = text(probe->results[i].name);
		room->kernel[i].works = probe->results[i].works;
		room->kernel[i].note = text(probe->results[i].note);
		room->kernel_list[i] = &room->kernel[i];
	}
	room->status.n_kernel = PROBE_COUNT;
	room->status.kernel = room->kernel_list;
}

static void status_add_user(struct user *user, void *arg)
{
	struct status_room *room = arg;
	size_t index = room->status.n_users;
	if (index == USERS_MAX || !inspect_may_see(room->client, user_uid(user))) {
		return;
	}
	Fbk__Wire__User *entry = &room->users[index];
	fbk__wire__user__init(entry);
	entry->uid = user_uid(user);
	for (unsigned int resource = 0; resource < ACCOUNT_RESOURCE_COUNT; resource++) {
		Fbk__Wire__Usage *usage = &room->usage[index][resource];
		fbk__wire__usage__init(usage);
		usage->resource = text(account_limits[resource].key);
		usage->used = user_usage(user, resource);
		usage->limit = user_limit(user, resource);
		room->usage_list[index][resource] = usage;
	}
	entry->n_usage = ACCOUNT_RESOURCE_COUNT;
	entry->usage = room->usage_list[index];
	room->user_list[index] = entry;
	room->status.n_users++;
}

int request_inspect_status(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)handle;
	(void)body;
	(void)fds;
	static struct status_room room;
	const struct broker *broker = broker_of(client);
	struct registry *registry = client->registry;
	Fbk__Wire__Status *status = &room.status;

	room.client = client;
	fbk__wire__status__init(status);
	status->daemon_version = text(FBK_VERSION_STRING);
	status->protocol_version = WIRE_VERSION_MAX;
	status->pid = getpid();
	status->user_mode = broker->user_mode;
	status->uptime_ms = (clock_now_ns() - registry->started_ns) / NS_PER_MS;
	status->policy = text(broker->policy_name);
	status->sessions = registry->client_count;
	status->devices = registry->device_count;
	status->timelines = registry->timeline_count;
	status->open_fds =
		(uint32_t)(registry->base_fds + account_total(registry->account, ACCOUNT_FDS) +
			   closer_pending(&registry->closer));
	if (registry->watcher) {
		registry->counters.watcher_polls = watcher_polls(registry->watcher);
	}
	status_add_counters(&room, &registry->counters);
	status_add_kernel(&room, &broker->probe);
	status->users = room.user_list;
	account_foreach_user(registry->account, status_add_user, &room);
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_STATUS;
	answer->message.status = status;
	return 0;
}

struct device_room {
	Fbk__Wire__DeviceList list;
	Fbk__Wire__Device devices[DEVICES_MAX];
	Fbk__Wire__Device *device_list[DEVICES_MAX];
	const char *waits[DEVICES_MAX][KIND_COUNT];
	const char *signals[DEVICES_MAX][KIND_COUNT];
};

static void device_describe(struct device_room *room, const struct device *device)
{
	size_t index = room->list.n_devices++;
	Fbk__Wire__Device *entry = &room->devices[index];
	const struct client *client = device->client;
	fbk__wire__device__init(entry);
	entry->id = device->id;
	entry->name = text(device->name);
	entry->class_ = text(device_class_name(device->class));
	entry->n_waits = kind_names(device->waits, room->waits[index]);
	entry->waits = (char **)(uintptr_t)room->waits[index];
	entry->n_signals = kind_names(device->signals, room->signals[index]);
	entry->signals = (char **)(uintptr_t)room->signals[index];
	entry->silent = device->silent;
	entry->visibility = text(device_visibility_name(device->visibility));
	entry->page_align = device->page_align;
	entry->backing = text(device_backing_name(device->backing));
	entry->timelines = device->timelines;
	entry->pid = client->credentials.pid;
	entry->uid = client->subject.uid;
	entry->client = text(client->name);
	entry->unit = text(client->credentials.unit);
	room->device_list[index] = entry;
}

int request_inspect_devices(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct device_room room;
	const Fbk__Wire__InspectDevices *request = body;
	const struct device *device;

	fbk__wire__device_list__init(&room.list);
	room.list.devices = room.device_list;
	LIST_FOREACH(device, &client->registry->devices, links) { /* ids fall */
		if ((request->after_id && device->id >= request->after_id) ||
		    !inspect_may_see(client, device->client->subject.uid)) {
			continue;
		}
		if (room.list.n_devices == DEVICES_MAX) {
			room.list.next = room.devices[DEVICES_MAX - 1].id;
			break;
		}
		device_describe(&room, device);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_DEVICES;
	answer->message.devices = &room.list;
	return 0;
}

struct timeline_room {
	Fbk__Wire__TimelineList list;
	Fbk__Wire__TimelineEntry timelines[TIMELINES_MAX];
	Fbk__Wire__TimelineEntry *timeline_list[TIMELINES_MAX];
};

static void timeline_describe(struct timeline_room *room, const struct timeline *timeline)
{
	size_t index = room->list.n_timelines++;
	Fbk__Wire__TimelineEntry *entry = &room->timelines[index];
	static const struct timeline_counters none;
	const struct timeline_counters *counters = timeline->counters ? timeline->counters : &none;
	uint64_t monitored = timeline_monitored(timeline);
	bool alive = timeline->cause == FBK_CAUSE_NONE;
	fbk__wire__timeline_entry__init(entry);
	entry->id = timeline->id;
	entry->name = text(timeline->name);
	entry->device = text(timeline->device->name);
	entry->pid = timeline->device->pid;
	entry->uid = timeline->device->uid;
	entry->value = timeline->seen;
	entry->status = text(alive ? "ok" : "failed");
	entry->reason = text(timeline_reason(timeline));
	entry->monitored = monitored == FBK_MONITORED_NONE ? 0 : monitored;
	entry->armed = timeline->armed;
	entry->openers = timeline->handle_count;
	entry->exports = counters->exports;
	entry->exports_fired = counters->exports_fired;
	entry->exports_expired = counters->exports_expired;
	entry->imports = counters->imports;
	entry->imports_done = counters->imports_done;
	entry->imports_failed = counters->imports_failed;
	entry->watches = counters->watches;
	entry->waits = counters->waits;
	entry->wakes = counters->wakes;
	entry->kind = text(timeline->brokered ? "brokered" : "memory");
	entry->backing = text(!timeline->set ? ""
			      : page_lost(timeline->slot.page)
				      ? "lost"
				      : device_backing_name(timeline->slot.page->backing));
	entry->set_id = timeline->set ? timeline->set->id : 0;
	entry->failed_from = alive ? 0 : timeline_failed_from(timeline);
	entry->promises = counters->promises;
	entry->promises_kept = counters->promises_kept;
	entry->promises_broken = counters->promises_broken;
	entry->mirrors = timeline->mirror_count;
	room->timeline_list[index] = entry;
}

int request_inspect_timelines(struct client *client, struct handle *handle, const void *body,
			      int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct timeline_room room;
	const Fbk__Wire__InspectTimelines *request = body;
	struct timeline *timeline;

	fbk__wire__timeline_list__init(&room.list);
	room.list.timelines = room.timeline_list;
	LIST_FOREACH(timeline, &client->registry->timelines, links) { /* ids fall */
		if ((request->after_id && timeline->id >= request->after_id) ||
		    !inspect_may_see(client, timeline->device->uid)) {
			continue;
		}
		if (room.list.n_timelines == TIMELINES_MAX) {
			room.list.next = room.timelines[TIMELINES_MAX - 1].id;
			break;
		}
		timeline_refresh(timeline); /* show what is, not what was last seen */
		timeline_describe(&room, timeline);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_TIMELINES;
	answer->message.timelines = &room.list;
	return 0;
}
