// SPDX-License-Identifier: MIT
#include "bus-manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus-admin.h"
#include "bus-call.h"
#include "bus-device.h"
#include "bus-register.h"
#include "bus-signal.h"
#include "bus-variant.h"
#include "proto/version.h"

/* ------------------------------------------------------------------------------------- looking -- */

static int append_devices(struct bus_call *call, sd_bus_message *reply)
{
	char path[BUS_PATH_SIZE];
	uint64_t after = 0;
	int r = sd_bus_message_open_container(reply, 'a', "o");
	while (r >= 0) {
		REQUEST(request, INSPECT_DEVICES, inspect_devices, .after_id = after);
		r = bus_call_run(call, &request, NULL, 0);
		if (r < 0) {
			return r;
		}
		const Fbk__Wire__DeviceList *list = call->answer.message.devices;
		for (size_t i = 0; r >= 0 && i < list->n_devices; i++) {
			bus_device_path(list->devices[i]->id, path);
			r = sd_bus_message_append_basic(reply, 'o', path);
		}
		after = list->next;
		if (after == 0) {
			break;
		}
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_list_devices(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	sd_bus_message *reply = NULL;
	int r = bus_call_begin(&call, arg, message);
	if (r < 0) {
		return r;
	}
	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0) {
		r = append_devices(&call, reply);
	}
	return bus_call_end(&call, reply, r);
}

/* "#ID" for a request, of a device's path. */
static int name_of(const char *path, char *ret_name, size_t size, char *detail)
{
	uint64_t id = bus_device_id(path);
	if (id == 0) {
		snprintf(detail, FBK_REASON_SIZE, "%.100s is not the path of a device", path);
		return -EINVAL;
	}
	snprintf(ret_name, size, "#%llu", (unsigned long long)id);
	return 0;
}

static int method_explain(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	sd_bus_message *reply = NULL;
	const char *from, *to;
	char from_name[32], to_name[32];
	int r = bus_call_begin(&call, arg, message);
	if (r < 0 || (r = sd_bus_message_read(message, "oo", &from, &to)) < 0) {
		return r;
	}
	r = name_of(from, from_name, sizeof(from_name), call.detail);
	if (r >= 0) {
		r = name_of(to, to_name, sizeof(to_name), call.detail);
	}
	if (r >= 0) {
		REQUEST(request, INSPECT_ROUTE, inspect_route, .from = from_name, .to = to_name);
		r = bus_call_run(&call, &request, NULL, 0);
	}
	if (r >= 0) {
		r = sd_bus_message_new_method_return(message, &reply);
	}
	if (r >= 0) {
		const Fbk__Wire__RouteList *list = call.answer.message.routes;
		r = bus_append_messages(reply, (ProtobufCMessage *const *)list->routes,
					list->n_routes);
	}
	return bus_call_end(&call, reply, r);
}

/* Where the caller's last list ended has a number, which it passes to go on. */
static int stuck_place_of(struct bus_call *call, uint64_t after, struct stuck_place *ret_place)
{
	*ret_place = (struct stuck_place){ 0 };
	if (after == 0) {
		return 0;
	}
	if (after != call->peer->stuck_next) {
		snprintf(call->detail, sizeof(call->detail),
			 "%llu is not the end of this caller's last list: begin again with 0",
			 (unsigned long long)after);
		return -EINVAL;
	}
	*ret_place = call->peer->stuck_place;
	return 0;
}

static int append_stuck(struct bus_call *call, sd_bus_message *reply)
{
	const Fbk__Wire__StuckList *list = call->answer.message.stuck;
	struct bus_peer *peer = call->peer;
	uint64_t next = 0;
	if (list->next != 0) {
		peer->stuck_place =
			(struct stuck_place){ list->next, list->next_part, list->next_wait };
		next = ++call->bus->next_stuck;
	}
	peer->stuck_next = next;
	int r = bus_append_messages(reply, (ProtobufCMessage *const *)list->stuck, list->n_stuck);
	return r < 0 ? r : sd_bus_message_append_basic(reply, 't', &next);
}

static int method_list_stuck(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	struct stuck_place place;
	sd_bus_message *reply = NULL;
	uint64_t older_ms, after;
	int r = bus_call_begin(&call, arg, message);
	if (r < 0 || (r = sd_bus_message_read(message, "tt", &older_ms, &after)) < 0) {
		return r;
	}
	r = stuck_place_of(&call, after, &place);
	if (r >= 0) {
		REQUEST(request, INSPECT_STUCK, inspect_stuck, .older_ms = older_ms,
			.after_id = place.client, .after_part = place.part,
			.after_wait = place.wait);
		r = bus_call_run(&call, &request, NULL, 0);
	}
	if (r >= 0) {
		r = sd_bus_message_new_method_return(message, &reply);
	}
	if (r >= 0) {
		r = append_stuck(&call, reply);
	}
	return bus_call_end(&call, reply, r);
}

/* ------------------------------------------------------------------------------- subscriptions -- */

static int method_subscribe(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	const char *detail = NULL;
	int r = bus_call_begin(&call, arg, message);
	if (r < 0) {
		return r;
	}
	if (policy_inspect(call.bus->broker->registry.policy, &call.peer->subject, NULL) ==
	    POLICY_INSPECT_NONE) {
		snprintf(call.detail, sizeof(call.detail), "policy lets uid %u inspect nothing",
			 call.peer->subject.uid);
		return bus_call_end(&call, NULL, -EPERM);
	}
	r = bus_subscribe(call.bus, call.peer, &detail);
	return r < 0 ? bus_reply_error(message, r, detail)
		     : sd_bus_reply_method_return(message, NULL);
}

static int method_unsubscribe(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	int r = bus_call_begin(&call, arg, message);
	if (r < 0) {
		return r;
	}
	bus_unsubscribe(call.bus, call.peer);
	return sd_bus_reply_method_return(message, NULL);
}

/* ------------------------------------------------------------------------------- its properties -- */

static int append_features(sd_bus_message *reply, const struct probe *probe)
{
	int r = sd_bus_message_open_container(reply, 'a', "s");
	for (size_t i = 0; r >= 0 && i < PROBE_COUNT; i++) {
		if (probe->results[i].works) {
			r = sd_bus_message_append_basic(reply, 's', probe->results[i].name);
		}
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Of those that everybody may read. */
static int get_open(sd_bus *connection, const char *path, const char *interface,
		    const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)connection;
	(void)path;
	(void)interface;
	(void)error;
	const struct broker *broker = ((const struct bus *)arg)->broker;
	if (strcmp(property, "Version") == 0) {
		return sd_bus_message_append(reply, "s", FBK_VERSION_STRING);
	}
	if (strcmp(property, "UserMode") == 0) {
		return sd_bus_message_append(reply, "b", broker->user_mode);
	}
	if (strcmp(property, "Policy") == 0) {
		return sd_bus_message_append(reply, "s", policy_name(broker->registry.policy));
	}
	return append_features(reply, &broker->probe);
}

static int get_counters(sd_bus *connection, const char *path, const char *interface,
			const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)path;
	(void)interface;
	(void)property;
	struct bus *bus = arg;
	struct bus_call call = {
		.bus = bus,
		.peer = bus_peer_of(&bus->peers, sd_bus_get_current_message(connection)),
	};
	REQUEST(request, INSPECT_STATUS, inspect_status);
	int r = call.peer ? bus_call_run(&call, &request, NULL, 0) : -EACCES;
	if (r >= 0) {
		const Fbk__Wire__Status *status = call.answer.message.status;
		r = sd_bus_message_open_container(reply, 'a', "{st}");
		for (size_t i = 0; r >= 0 && i < status->n_counters; i++) {
			r = sd_bus_message_append(reply, "{st}", status->counters[i]->name,
						  status->counters[i]->value);
		}
		r = r < 0 ? r : sd_bus_message_close_container(reply);
	} else {
		r = sd_bus_error_setf(error, BUS_NAME ".Error.NotPermitted", "%s", call.detail);
	}
	bus_call_finish(&call);
	return r;
}

/* ----------------------------------------------------------------------------------- the table -- */

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("RegisterDevice",
				SD_BUS_ARGS("s", name, "s", class, "a{sv}", options),
				SD_BUS_RESULT("o", device, "h", socket), bus_method_register_device,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ListDevices", SD_BUS_NO_ARGS, SD_BUS_RESULT("ao", devices),
				method_list_devices, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("o", from, "o", to),
				SD_BUS_RESULT("aa{sv}", routes), method_explain,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ListStuck", SD_BUS_ARGS("t", older_ms, "t", after),
				SD_BUS_RESULT("aa{sv}", waits, "t", next), method_list_stuck,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("FailTimeline", SD_BUS_ARGS("t", id, "s", reason, "t", flags),
				SD_BUS_RESULT("as", affected), bus_method_fail_timeline,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("EvictClient", SD_BUS_ARGS("t", id, "s", reason, "t", flags),
				SD_BUS_RESULT("as", affected), bus_method_evict_client,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_method_reload,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_subscribe,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_unsubscribe,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("DeviceAdded", SD_BUS_ARGS("o", device), 0),
	SD_BUS_SIGNAL_WITH_ARGS("DeviceRemoved", SD_BUS_ARGS("o", device), 0),
	SD_BUS_SIGNAL_WITH_ARGS("TimelineFailed", SD_BUS_ARGS("a{sv}", timeline), 0),
	SD_BUS_SIGNAL_WITH_ARGS("Stuck", SD_BUS_ARGS("a{sv}", wait), 0),
	SD_BUS_SIGNAL_WITH_ARGS("Stopping", SD_BUS_ARGS("t", within_ms), 0),
	SD_BUS_PROPERTY("Version", "s", get_open, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Features", "as", get_open, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("UserMode", "b", get_open, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Policy", "s", get_open, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Counters", "a{st}", get_counters, 0, 0),
	SD_BUS_VTABLE_END,
};

int bus_manager_setup(struct bus *bus)
{
	return sd_bus_add_object_vtable(bus->transport.bus, NULL, BUS_PATH, BUS_MANAGER,
					manager_vtable, bus);
}
