// SPDX-License-Identifier: MIT
/* The lists for fencectl, made from the daemon's own structures. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/timeline.h"
#include "daemon/core/watcher.h"
#include "daemon/rules/kind.h"
#include "dispatch.h"
#include "inspect-filter.h"
#include "inspect.h"
#include "proto/version.h"

#define USERS_MAX     16 /* entries of about 560 bytes each, in a packet of 16 KiB */
#define DEVICES_MAX   32
#define TIMELINES_MAX 24
#define COUNTERS_MAX  40

bool inspect_may_see(const struct client *client, uid_t uid)
{
	return policy_may_see(client->registry->policy, &client->subject, uid);
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
	if (user_uid(user) == ACCOUNT_RESERVE_UID || index == USERS_MAX ||
	    !inspect_may_see(room->client, user_uid(user))) {
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
	status->policy = text(policy_name(registry->policy));
	status->policy_problem = text(broker->policy_problem);
	status->sessions = registry->client_count;
	status->devices = registry->device_count;
	status->timelines = registry->timeline_count;
	status->open_fds =
		(uint32_t)(registry->base_fds + account_total(registry->account, ACCOUNT_FDS) +
			   closer_pending(&registry->closer));
	if (registry->watcher) {
		registry->counters.watcher_polls = watcher_polls(registry->watcher);
	}
	registry->counters.log_lines_unread = log_dropped();
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

static void device_fill(Fbk__Wire__Device *entry, const struct device *device,
			const char *waits[KIND_COUNT], const char *signals[KIND_COUNT])
{
	const struct client *client = device->client;
	fbk__wire__device__init(entry);
	entry->id = device->id;
	entry->name = text(device->name);
	entry->class_ = text(device_class_name(device->class));
	entry->n_waits = kind_names(device->waits, waits);
	entry->waits = (char **)(uintptr_t)waits;
	entry->n_signals = kind_names(device->signals, signals);
	entry->signals = (char **)(uintptr_t)signals;
	entry->silent = device->silent;
	entry->visibility = text(device_visibility_name(device->visibility));
	entry->page_align = device->page_align;
	entry->backing = text(device_backing_name(device->backing));
	entry->timelines = device->timelines;
	entry->pid = client->credentials.pid;
	entry->uid = client->subject.uid;
	entry->client = text(client->name);
	entry->unit = text(client->credentials.unit);
	entry->client_id = client->id;
}

const Fbk__Wire__Device *device_describe(const struct device *device)
{
	static Fbk__Wire__Device entry;
	static const char *waits[KIND_COUNT], *signals[KIND_COUNT];
	device_fill(&entry, device, waits, signals);
	return &entry;
}

static void device_list(struct device_room *room, const struct device *device)
{
	size_t index = room->list.n_devices++;
	device_fill(&room->devices[index], device, room->waits[index], room->signals[index]);
	room->device_list[index] = &room->devices[index];
}

static bool device_is_wanted(const struct device *device, const struct client *client,
			     const struct filter *filter)
{
	const struct filter_view view = { device->client->subject.uid, device->client->id,
					  device->name, device->id };
	return inspect_may_see(client, view.uid) && filter_takes(filter, &view) &&
	       filter_takes_name(filter, device->name);
}

int request_inspect_devices(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct device_room room;
	const Fbk__Wire__InspectDevices *request = body;
	const struct device *device;
	struct filter filter;
	int r = filter_init(&filter, request->after_id, request->filter, request->limit,
			    DEVICES_MAX, answer->detail);
	if (r < 0) {
		return r;
	}
	fbk__wire__device_list__init(&room.list);
	room.list.devices = room.device_list;
	LIST_FOREACH(device, &client->registry->devices, links) { /* by falling id */
		enum filter_place place = filter_at(&filter, device->id);
		if (place == FILTER_END) {
			room.list.next = filter.last;
			break;
		}
		if (place == FILTER_BEFORE || !device_is_wanted(device, client, &filter)) {
			continue;
		}
		if (room.list.n_devices == filter.most) {
			room.list.next = room.devices[filter.most - 1].id;
			break;
		}
		device_list(&room, device);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_DEVICES;
	answer->message.devices = &room.list;
	return 0;
}

struct timeline_room {
	Fbk__Wire__TimelineList list;
	Fbk__Wire__TimelineState timelines[TIMELINES_MAX];
	Fbk__Wire__TimelineState *timeline_list[TIMELINES_MAX];
};

void timeline_describe(Fbk__Wire__TimelineState *ret, const struct timeline *timeline)
{
	const struct device *device = timeline->device;
	bool alive = timeline->cause == FBK_CAUSE_NONE;
	fbk__wire__timeline_state__init(ret);
	ret->id = timeline->id;
	ret->name = text(timeline->name);
	ret->flags = timeline_flags(timeline);
	ret->value = timeline->seen;
	ret->cause = timeline->cause;
	ret->error = timeline->error;
	ret->failed_from = alive ? 0 : timeline_failed_from(timeline);
	ret->reason = text(timeline_reason(timeline));
	ret->device = text(device->name);
	ret->class_ = device->class;
	ret->pid = device->pid;
	ret->uid = device->uid;
}

/* The rest, for clients that may inspect the timeline. */
static void timeline_describe_use(Fbk__Wire__TimelineState *ret, const struct timeline *timeline)
{
	static const struct timeline_counters none;
	const struct timeline_counters *counters = timeline->counters ? timeline->counters : &none;
	uint64_t monitored = timeline_monitored(timeline);
	ret->status = text(timeline->cause == FBK_CAUSE_NONE ? "ok" : "failed");
	ret->monitored = monitored == FBK_MONITORED_NONE ? 0 : monitored;
	ret->armed = timeline->armed;
	ret->openers = timeline->handle_count;
	ret->exports = counters->exports;
	ret->exports_fired = counters->exports_fired;
	ret->exports_expired = counters->exports_expired;
	ret->imports = counters->imports;
	ret->imports_done = counters->imports_done;
	ret->imports_failed = counters->imports_failed;
	ret->watches = counters->watches;
	ret->waits = counters->waits;
	ret->wakes = counters->wakes;
	ret->kind = text(timeline->brokered ? "brokered" : "memory");
	ret->backing = text(!timeline->set ? ""
			    : page_lost(timeline->slot.page)
				    ? "lost"
				    : device_backing_name(timeline->slot.page->backing));
	ret->set_id = timeline->set ? timeline->set->id : 0;
	ret->promises = counters->promises;
	ret->promises_kept = counters->promises_kept;
	ret->promises_broken = counters->promises_broken;
	ret->mirrors = timeline->mirror_count;
	const struct client *signaler = timeline_signaler(timeline);
	ret->client_id = signaler ? signaler->id : 0;
}

static bool timeline_is_wanted(const struct timeline *timeline, const struct client *client,
			       const struct filter *filter)
{
	const struct client *signaler = timeline_signaler(timeline);
	const struct device *device = timeline->device;
	const struct filter_view view = { device->uid, signaler ? signaler->id : 0, device->name,
					  device->id };
	return inspect_may_see(client, view.uid) && filter_takes(filter, &view) &&
	       filter_takes_name(filter, timeline->name);
}

int request_inspect_timelines(struct client *client, struct handle *handle, const void *body,
			      int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct timeline_room room;
	const Fbk__Wire__InspectTimelines *request = body;
	struct timeline *timeline;
	struct filter filter;
	int r = filter_init(&filter, request->after_id, request->filter, request->limit,
			    TIMELINES_MAX, answer->detail);
	if (r < 0) {
		return r;
	}
	fbk__wire__timeline_list__init(&room.list);
	room.list.timelines = room.timeline_list;
	LIST_FOREACH(timeline, &client->registry->timelines, links) { /* by falling id */
		enum filter_place place = filter_at(&filter, timeline->id);
		if (place == FILTER_END) {
			room.list.next = filter.last;
			break;
		}
		if (place == FILTER_BEFORE || !timeline_is_wanted(timeline, client, &filter)) {
			continue;
		}
		if (room.list.n_timelines == filter.most) {
			room.list.next = room.timelines[filter.most - 1].id;
			break;
		}
		timeline_refresh(timeline); /* show the payload as it is now */
		size_t index = room.list.n_timelines++;
		timeline_describe(&room.timelines[index], timeline);
		timeline_describe_use(&room.timelines[index], timeline);
		room.timeline_list[index] = &room.timelines[index];
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_TIMELINES;
	answer->message.timelines = &room.list;
	return 0;
}
