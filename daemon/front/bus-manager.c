// SPDX-License-Identifier: MIT
#include "bus-manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus-call.h"
#include "bus-check.h"
#include "bus-device.h"
#include "bus-options.h"
#include "bus-signal.h"
#include "bus-variant.h"
#include "connection.h"
#include "daemon/core/device.h"
#include "daemon/core/watcher.h"
#include "inspect.h"
#include "proto/version.h"

#define FLAG_DRY_RUN 1

/* ------------------------------------------------------------------------------- a caller's request -- */

/* A call whose caller is known, with a client for it. */
struct manager_call {
	struct bus *bus;
	struct bus_peer *peer;
	sd_bus_message *message;
	struct client *client; /* NULL until call_client() */
	struct answer answer;
	char detail[FBK_REASON_SIZE];
};

/* The gate lets no call through whose caller is not known, but for those that it refuses. */
static int call_begin(struct manager_call *call, sd_bus_message *message, struct bus *bus)
{
	*call = (struct manager_call){
		.bus = bus,
		.peer = bus_peer_of(&bus->peers, message),
		.message = message,
	};
	bus->broker->registry.counters.bus_calls++;
	return call->peer ? 0 : -EACCES;
}

static int call_run(struct manager_call *call, const Fbk__Wire__Request *request)
{
	if (!call->client && !(call->client = bus_caller(call->bus, call->peer))) {
		return -ENOMEM;
	}
	answer_finish(&call->answer);
	int r = bus_run(call->client, request, NULL, 0, &call->answer);
	if (r < 0) {
		wire_text_copy(call->detail, sizeof(call->detail), call->answer.detail);
	}
	return r;
}

/* `reply`, which it takes, is sent unless `r` is an error. */
static int call_end(struct manager_call *call, sd_bus_message *reply, int r)
{
	answer_finish(&call->answer);
	bus_caller_end(call->client);
	if (r >= 0 && reply) {
		r = sd_bus_send(NULL, reply, NULL);
	}
	sd_bus_message_unref(reply);
	return r < 0 ? bus_reply_error(call->message, r, call->detail) : 1;
}

/* -------------------------------------------------------------------------------- RegisterDevice -- */

/* Registers on the connection's client. The number of the device there is 1. */
static int register_on(struct connection *connection, const Fbk__Wire__Request *request,
		       uint64_t *ret_id, char *detail)
{
	struct answer answer;
	int r = bus_run(connection->client, request, NULL, 0, &answer);
	if (r < 0) {
		wire_text_copy(detail, FBK_REASON_SIZE, answer.detail);
	} else {
		*ret_id = device_find(connection->client, answer.object.id)->id;
	}
	answer_finish(&answer);
	return r;
}

/* The bus may tell who calls by a pidfd; else by its number, while the caller is on the bus. */
static struct credentials credentials_of(const struct bus_peer *peer)
{
	struct credentials credentials = peer->credentials;
	credentials.pidfd = peer->credentials.pidfd >= 0
				    ? fcntl(peer->credentials.pidfd, F_DUPFD_CLOEXEC, 0)
				    : (int)syscall(SYS_pidfd_open, credentials.pid, 0);
	return credentials;
}

/* One end is served; the other is for the caller. */
static int connection_for(struct manager_call *call, struct connection **ret_connection,
			  int *ret_socket)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		return -errno;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	struct credentials credentials = credentials_of(call->peer);
	int r = connection_create_for_bus(call->bus->broker, pair[0], &credentials,
					  call->peer->name, ret_connection, call->detail);
	if (r < 0) {
		call->bus->broker->registry.counters.refused++;
		close(pair[0]); /* nobody else had these */
		close(pair[1]);
		return r;
	}
	call->bus->broker->registry.counters.connections++;
	*ret_socket = pair[1];
	return 0;
}

static int method_register_device(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct manager_call call;
	struct connection *connection;
	char path[BUS_PATH_SIZE];
	uint64_t id;
	int socket = -1;
	REQUEST(request, DEVICE_REGISTER, device_register);
	int r = call_begin(&call, message, arg);
	if (r < 0 || !sd_bus_message_get_expect_reply(message)) {
		return r < 0 ? r : -EINVAL; /* nobody would get the socket */
	}
	r = bus_options_read(message, request.device_register, call.detail);
	if (r >= 0) {
		r = connection_for(&call, &connection, &socket);
	}
	if (r < 0) {
		return call_end(&call, NULL, r);
	}
	r = register_on(connection, &request, &id, call.detail);
	if (r >= 0) {
		bus_device_path(id, path);
		r = sd_bus_reply_method_return(message, "oh", path, socket);
	}
	if (r < 0) {
		connection_end(connection, FBK_CAUSE_OWNER_LEFT, NULL);
	}
	close(socket);
	return call_end(&call, NULL, r);
}

/* ------------------------------------------------------------------------------------- looking -- */

static int append_devices(struct manager_call *call, sd_bus_message *reply)
{
	char path[BUS_PATH_SIZE];
	uint64_t after = 0;
	int r = sd_bus_message_open_container(reply, 'a', "o");
	while (r >= 0) {
		REQUEST(request, INSPECT_DEVICES, inspect_devices, .after_id = after);
		r = call_run(call, &request);
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
	struct manager_call call;
	sd_bus_message *reply = NULL;
	int r = call_begin(&call, message, arg);
	if (r < 0) {
		return r;
	}
	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0) {
		r = append_devices(&call, reply);
	}
	return call_end(&call, reply, r);
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
	struct manager_call call;
	sd_bus_message *reply = NULL;
	const char *from, *to;
	char from_name[32], to_name[32];
	int r = call_begin(&call, message, arg);
	if (r < 0 || (r = sd_bus_message_read(message, "oo", &from, &to)) < 0) {
		return r;
	}
	r = name_of(from, from_name, sizeof(from_name), call.detail);
	if (r >= 0) {
		r = name_of(to, to_name, sizeof(to_name), call.detail);
	}
	if (r >= 0) {
		REQUEST(request, INSPECT_ROUTE, inspect_route, .from = from_name, .to = to_name);
		r = call_run(&call, &request);
	}
	if (r >= 0) {
		r = sd_bus_message_new_method_return(message, &reply);
	}
	if (r >= 0) {
		const Fbk__Wire__RouteList *list = call.answer.message.routes;
		r = bus_append_messages(reply, (ProtobufCMessage *const *)list->routes,
					list->n_routes);
	}
	return call_end(&call, reply, r);
}

/* Where the caller's last list ended has a number, which it passes to go on. */
static int stuck_place_of(struct manager_call *call, uint64_t after, struct stuck_place *ret_place)
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

static int append_stuck(struct manager_call *call, sd_bus_message *reply)
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
	struct manager_call call;
	struct stuck_place place;
	sd_bus_message *reply = NULL;
	uint64_t older_ms, after;
	int r = call_begin(&call, message, arg);
	if (r < 0 || (r = sd_bus_message_read(message, "tt", &older_ms, &after)) < 0) {
		return r;
	}
	r = stuck_place_of(&call, after, &place);
	if (r >= 0) {
		REQUEST(request, INSPECT_STUCK, inspect_stuck, .older_ms = older_ms,
			.after_id = place.client, .after_part = place.part,
			.after_wait = place.wait);
		r = call_run(&call, &request);
	}
	if (r >= 0) {
		r = sd_bus_message_new_method_return(message, &reply);
	}
	if (r >= 0) {
		r = append_stuck(&call, reply);
	}
	return call_end(&call, reply, r);
}

/* ------------------------------------------------------------------------------- subscriptions -- */

static int method_subscribe(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct manager_call call;
	const char *detail = NULL;
	int r = call_begin(&call, message, arg);
	if (r < 0) {
		return r;
	}
	if (policy_inspect(call.bus->broker->registry.policy, &call.peer->subject, NULL) ==
	    POLICY_INSPECT_NONE) {
		snprintf(call.detail, sizeof(call.detail), "policy lets uid %u inspect nothing",
			 call.peer->subject.uid);
		return call_end(&call, NULL, -EPERM);
	}
	r = bus_subscribe(call.bus, call.peer, &detail);
	return r < 0 ? bus_reply_error(message, r, detail)
		     : sd_bus_reply_method_return(message, NULL);
}

static int method_unsubscribe(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct manager_call call;
	int r = call_begin(&call, message, arg);
	if (r < 0) {
		return r;
	}
	bus_unsubscribe(call.bus, call.peer);
	return sd_bus_reply_method_return(message, NULL);
}

/* ------------------------------------------------------------------------------- administration -- */

/* Polkit agreed, or need not be asked. */
static int serve_admin(struct bus *bus, const struct bus_peer *peer, sd_bus_message *message,
		       const Fbk__Wire__Request *request)
{
	struct manager_call call = { .bus = bus, .message = message };
	sd_bus_message *reply = NULL;
	call.client = bus_caller(bus, peer);
	if (!call.client) {
		return bus_reply_error(message, -ENOMEM, NULL);
	}
	call.client->admin = true;
	int r = call_run(&call, request);
	if (r >= 0) {
		r = sd_bus_message_new_method_return(message, &reply);
	}
	if (r >= 0) {
		const Fbk__Wire__Affected *affected = call.answer.message.affected;
		r = sd_bus_message_open_container(reply, 'a', "s");
		for (size_t i = 0; r >= 0 && i < affected->n_text; i++) {
			r = sd_bus_message_append_basic(reply, 's', affected->text[i]);
		}
	}
	if (r >= 0) {
		r = sd_bus_message_close_container(reply);
	}
	return call_end(&call, reply, r);
}

/* The arguments of both. They are read again after polkit's answer. */
static int admin_read(sd_bus_message *message, uint64_t *ret_id, const char **ret_reason,
		      uint64_t *ret_flags)
{
	sd_bus_message_rewind(message, 1);
	return sd_bus_message_read(message, "tst", ret_id, ret_reason, ret_flags);
}

static int serve_fail(struct bus *bus, const struct bus_peer *peer, sd_bus_message *message)
{
	uint64_t id, flags;
	const char *reason;
	int r = admin_read(message, &id, &reason, &flags);
	if (r < 0) {
		return bus_reply_error(message, r, NULL);
	}
	REQUEST(request, ADMIN_FAIL, admin_fail, .id = id, .reason = text(reason),
		.dry_run = flags & FLAG_DRY_RUN);
	return serve_admin(bus, peer, message, &request);
}

static int serve_evict(struct bus *bus, const struct bus_peer *peer, sd_bus_message *message)
{
	uint64_t id, flags;
	const char *reason;
	int r = admin_read(message, &id, &reason, &flags);
	if (r < 0) {
		return bus_reply_error(message, r, NULL);
	}
	REQUEST(request, ADMIN_EVICT, admin_evict, .client = id, .reason = text(reason),
		.dry_run = flags & FLAG_DRY_RUN);
	return serve_admin(bus, peer, message, &request);
}

/* Both take "tst", with known flags. */
static int admin_call(sd_bus_message *message, struct bus *bus, const char *action,
		      bus_admin_fn *fn)
{
	struct manager_call call;
	uint64_t id, flags;
	const char *reason;
	int r = call_begin(&call, message, bus);
	if (r < 0 || (r = admin_read(message, &id, &reason, &flags)) < 0) {
		return r;
	}
	if (flags & ~(uint64_t)FLAG_DRY_RUN) {
		snprintf(call.detail, sizeof(call.detail),
			 "0x%llx: unknown flags; there is 1, to change nothing",
			 (unsigned long long)flags);
		return call_end(&call, NULL, -EINVAL);
	}
	return bus_check(bus, call.peer, message, action, fn);
}

static int method_fail_timeline(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	return admin_call(message, arg, BUS_NAME ".fail-timeline", serve_fail);
}

static int method_evict_client(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	return admin_call(message, arg, BUS_NAME ".evict-client", serve_evict);
}

/* A caller that waits for the policy to be read. */
struct bus_reload {
	LIST_ENTRY(bus_reload) links;
	struct bus *bus;
	struct reload_waiter waiter;
	sd_bus_message *message;
};

static void reload_free(struct bus_reload *reload)
{
	reload_forget(&reload->waiter);
	LIST_REMOVE(reload, links);
	sd_bus_message_unref(reload->message);
	free(reload);
}

static void on_reloaded(struct reload_waiter *waiter, int error, const char *detail)
{
	struct bus_reload *reload = container_of(waiter, struct bus_reload, waiter);
	if (error < 0) {
		bus_reply_error(reload->message, error, detail);
	} else {
		sd_bus_reply_method_return(reload->message, NULL);
	}
	bus_transport_sent(&reload->bus->transport);
	reload_free(reload);
}

static int serve_reload(struct bus *bus, const struct bus_peer *peer, sd_bus_message *message)
{
	(void)peer;
	struct bus_reload *reload = calloc(1, sizeof(*reload));
	if (!reload) {
		return bus_reply_error(message, -ENOMEM, NULL);
	}
	reload->bus = bus;
	reload->waiter.done = on_reloaded;
	reload->message = sd_bus_message_ref(message);
	LIST_INSERT_HEAD(&bus->reloads, reload, links);
	int r = reload_start(&bus->broker->reload, &reload->waiter);
	if (r < 0) {
		reload_free(reload);
		return bus_reply_error(message, r, NULL);
	}
	return 1;
}

static int method_reload(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct manager_call call;
	int r = call_begin(&call, message, arg);
	return r < 0 ? r : bus_check(arg, call.peer, message, BUS_NAME ".reload", serve_reload);
}

void bus_manager_lost(struct bus *bus)
{
	while (!LIST_EMPTY(&bus->reloads)) {
		reload_free(LIST_FIRST(&bus->reloads));
	}
}

/* ------------------------------------------------------------------------------- its properties -- */

static int get_version(sd_bus *connection, const char *path, const char *interface,
		       const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)connection;
	(void)path;
	(void)interface;
	(void)property;
	(void)arg;
	(void)error;
	return sd_bus_message_append(reply, "s", FBK_VERSION_STRING);
}

static int get_features(sd_bus *connection, const char *path, const char *interface,
			const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)connection;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	const struct bus *bus = arg;
	int r = sd_bus_message_open_container(reply, 'a', "s");
	for (size_t i = 0; r >= 0 && i < PROBE_COUNT; i++) {
		if (bus->broker->probe.results[i].works) {
			r = sd_bus_message_append_basic(reply, 's',
							bus->broker->probe.results[i].name);
		}
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_user_mode(sd_bus *connection, const char *path, const char *interface,
			 const char *property, sd_bus_message *reply, void *arg,
			 sd_bus_error *error)
{
	(void)connection;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	const struct bus *bus = arg;
	return sd_bus_message_append(reply, "b", bus->broker->user_mode);
}

static int get_policy(sd_bus *connection, const char *path, const char *interface,
		      const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)connection;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	const struct bus *bus = arg;
	return sd_bus_message_append(reply, "s", bus->broker->policy_name);
}

static int get_counters(sd_bus *connection, const char *path, const char *interface,
			const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)path;
	(void)interface;
	(void)property;
	struct bus *bus = arg;
	struct manager_call call = {
		.bus = bus,
		.peer = bus_peer_of(&bus->peers, sd_bus_get_current_message(connection)),
	};
	REQUEST(request, INSPECT_STATUS, inspect_status);
	int r = call.peer ? call_run(&call, &request) : -EACCES;
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
	answer_finish(&call.answer);
	bus_caller_end(call.client);
	return r;
}

/* ----------------------------------------------------------------------------------- the table -- */

#define CONSTANT(member, type, get) \
	SD_BUS_PROPERTY(member, type, get, 0, SD_BUS_VTABLE_PROPERTY_CONST)

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("RegisterDevice",
				SD_BUS_ARGS("s", name, "s", class, "a{sv}", options),
				SD_BUS_RESULT("o", device, "h", socket), method_register_device,
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
				SD_BUS_RESULT("as", affected), method_fail_timeline,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("EvictClient", SD_BUS_ARGS("t", id, "s", reason, "t", flags),
				SD_BUS_RESULT("as", affected), method_evict_client,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
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
	CONSTANT("Version", "s", get_version),
	SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	CONSTANT("UserMode", "b", get_user_mode),
	SD_BUS_PROPERTY("Policy", "s", get_policy, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Counters", "a{st}", get_counters, 0, 0),
	SD_BUS_VTABLE_END,
};

int bus_manager_setup(struct bus *bus)
{
	return sd_bus_add_object_vtable(bus->transport.bus, NULL, BUS_PATH, BUS_MANAGER,
					manager_vtable, bus);
}
