// SPDX-License-Identifier: MIT
#include "bus-device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus-call.h"
#include "bus-variant.h"
#include "connection.h"
#include "daemon/base/clock.h"
#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/token.h"
#include "inspect.h"

/* --------------------------------------------------------------------------------- its object -- */

void bus_device_path(uint64_t id, char ret_path[BUS_PATH_SIZE])
{
	snprintf(ret_path, BUS_PATH_SIZE, BUS_DEVICES "/%llu", (unsigned long long)id);
}

uint64_t bus_device_id(const char *path)
{
	const char *digits = path + strlen(BUS_DEVICES "/");
	char *end;
	if (strncmp(path, BUS_DEVICES "/", strlen(BUS_DEVICES "/")) != 0 || *digits < '1' ||
	    *digits > '9') {
		return 0;
	}
	errno = 0;
	uint64_t id = strtoull(digits, &end, 10);
	return *end == '\0' && errno == 0 ? id : 0;
}

static int device_object_find(sd_bus *connection, const char *path, const char *interface,
			      void *arg, void **ret_found, sd_bus_error *error)
{
	(void)connection;
	(void)interface;
	(void)error;
	struct bus *bus = arg;
	uint64_t id = bus_device_id(path);
	struct device *device;
	LIST_FOREACH(device, &bus->broker->registry.devices, links) { /* by falling id */
		if (device->id <= id) {
			break;
		}
	}
	if (!device || device->id != id) {
		return 0;
	}
	*ret_found = device;
	return 1;
}

/* The bus of an object: its registry's, as a device has no other way to it. */
static struct bus *bus_of_device(const struct device *device)
{
	return container_of(device->registry, struct broker, registry)->bus;
}

/* ------------------------------------------------------------------------------- its properties -- */

static int device_get(sd_bus *connection, const char *path, const char *interface,
		      const char *property, sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)path;
	(void)interface;
	const struct device *device = arg;
	struct bus *bus = bus_of_device(device);
	const struct bus_peer *peer =
		bus_peer_of(&bus->peers, sd_bus_get_current_message(connection));
	if (!peer || !policy_may_see(device->registry->policy, &peer->subject, device->uid)) {
		return sd_bus_error_setf(error, BUS_NAME ".Error.NotPermitted",
					 "policy does not let uid %u inspect devices of uid %u",
					 peer ? peer->subject.uid : (uid_t)-1, device->uid);
	}
	return bus_append_property(reply, &device_describe(device)->base, property);
}

/* ---------------------------------------------------------------------------------- its methods -- */

/* Only the registrar may call. 0; else the call has its answer: return that. */
static int call_begin(struct bus_call *call, sd_bus_message *message, struct device *device)
{
	const struct connection *connection = device->client->connection;
	int r = bus_call_begin(call, bus_of_device(device), message);
	if (r < 0) {
		return r;
	}
	call->client = device->client;
	if (!connection || !connection->registrar || device->client->ending ||
	    strcmp(connection->registrar, call->peer->name) != 0) {
		return bus_reply_error(message, -EPERM,
				       "only the connection that registered the device over the "
				       "bus may call this");
	}
	return 0;
}

/* Reads a token, and opens its timeline unless that is open already. One whose maker is gone still names what it opened,
 * so that the cause can be learnt. */
static int read_token(struct bus_call *call, uint32_t *ret_handle)
{
	int placeholder;
	int r = sd_bus_message_read_basic(call->message, 'h', &placeholder);
	int *fd = r < 0 ? NULL : bus_gate_fd(&call->bus->transport.gate, placeholder);
	if (!fd) {
		snprintf(call->detail, sizeof(call->detail),
			 "the token's file descriptor is missing");
		return -EBADF;
	}
	const struct token *token = token_find(call->client->registry, *fd);
	const struct handle *handle = token ? handle_of(call->client, token->handle->timeline)
					    : token_opened(call->client, *fd);
	if (handle && (!token || (token->rights & ~handle->rights) == 0)) {
		*ret_handle = handle->number;
		return 0;
	}
	REQUEST(open, TIMELINE_OPEN, timeline_open, .handle = client_free_handle(call->client));
	r = bus_call_run(call, &open, fd, 1);
	*ret_handle = r < 0 ? 0 : call->answer.timeline.handle;
	return r;
}

static int method_create_timeline(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct device *device = arg;
	struct bus_call call;
	const char *name;
	int r = call_begin(&call, message, device);
	if (r != 0) {
		return r;
	}
	if (!sd_bus_message_get_expect_reply(message)) {
		return -EINVAL; /* nobody would get the token */
	}
	r = sd_bus_message_read(message, "s", &name);
	if (r < 0) {
		return r;
	}
	REQUEST(create, TIMELINE_CREATE, timeline_create, .device = device->handle,
		.name = text(name), .flags = FBK_TIMELINE_BROKERED,
		.handle = client_free_handle(device->client));
	r = bus_call_run(&call, &create, NULL, 0);
	if (r < 0) {
		return bus_call_end(&call, NULL, r);
	}
	uint64_t id = call.answer.timeline.id;
	uint32_t handle = call.answer.timeline.handle;
	REQUEST(share, TIMELINE_SHARE, timeline_share, .handle = handle, .rights = FBK_RIGHT_WAIT,
		.token = client_new_id(device->client));
	r = bus_call_run(&call, &share, NULL, 0);
	if (r == 0) {
		r = sd_bus_reply_method_return(message, "th", id, call.answer.fds[0]);
	}
	if (r < 0) {
		REQUEST(close, TIMELINE_CLOSE, timeline_close, .handle = handle);
		bus_call_run(&call, &close, NULL, 0);
	}
	return bus_call_end(&call, NULL, r);
}

/* The rest of a method whose first argument is a token; returns an error, or what sending the answer returned. */
typedef int serve_fn(struct bus_call *call, uint32_t handle);

static int serve(sd_bus_message *message, struct device *device, serve_fn *fn)
{
	struct bus_call call;
	uint32_t handle;
	int r = call_begin(&call, message, device);
	if (r != 0) {
		return r;
	}
	r = read_token(&call, &handle);
	return bus_call_end(&call, NULL, r < 0 ? r : fn(&call, handle));
}

#define METHOD_WITH_TOKEN(name)                                                              \
	static int method_##name(sd_bus_message *message, void *device, sd_bus_error *error) \
	{                                                                                    \
		(void)error;                                                                 \
		return serve(message, device, serve_##name);                                 \
	}

static int serve_close(struct bus_call *call, uint32_t handle)
{
	REQUEST(close, TIMELINE_CLOSE, timeline_close, .handle = handle);
	int r = bus_call_run(call, &close, NULL, 0);
	return r < 0 ? r : sd_bus_reply_method_return(call->message, NULL);
}

static int serve_look_at(struct bus_call *call, uint32_t handle)
{
	REQUEST(info, TIMELINE_INFO, timeline_info, .handle = handle);
	sd_bus_message *reply = NULL;
	int r = bus_call_run(call, &info, NULL, 0);
	if (r >= 0) {
		r = sd_bus_message_new_method_return(call->message, &reply);
	}
	if (r >= 0) {
		r = bus_append_message(reply, &call->answer.state.base, TIMELINE_FIELDS_OPEN);
	}
	if (r >= 0) {
		r = sd_bus_send(NULL, reply, NULL);
	}
	sd_bus_message_unref(reply);
	return r;
}

static uint64_t deadline_in(uint64_t timeout_us)
{
	uint64_t now_ns = clock_now_ns();
	return timeout_us < (UINT64_MAX - now_ns) / NS_PER_US ? now_ns + timeout_us * NS_PER_US
							      : UINT64_MAX;
}

static int serve_export(struct bus_call *call, uint32_t handle)
{
	uint64_t value, timeout_us;
	int r = sd_bus_message_read(call->message, "tt", &value, &timeout_us);
	if (r < 0 || !sd_bus_message_get_expect_reply(call->message)) {
		return r < 0 ? r : -EINVAL; /* nobody would get the eventfd */
	}
	REQUEST(export, POINT_EXPORT, point_export, .handle = handle, .value = value,
		.kind = FBK_FENCE_EVENTFD, .deadline_ns = deadline_in(timeout_us),
		.export = client_new_id(call->client));
	r = bus_call_run(call, &export, NULL, 0);
	return r < 0 ? r : sd_bus_reply_method_return(call->message, "h", call->answer.fds[0]);
}

/* The next point, where the daemon signals the timeline; else any, which the request refuses. */
static uint64_t next_point(const struct client *client, uint32_t number)
{
	const struct handle *handle = client_handle(client, number);
	return handle && handle->timeline->brokered ? handle->timeline->brokered->given + 1 : 1;
}

static int serve_import(struct bus_call *call, uint32_t handle)
{
	int placeholder;
	int r = sd_bus_message_read_basic(call->message, 'h', &placeholder);
	int *fence = r < 0 ? NULL : bus_gate_fd(&call->bus->transport.gate, placeholder);
	if (!fence || *fence < 0) {
		snprintf(call->detail, sizeof(call->detail),
			 "the fence's file descriptor is missing");
		return -EBADF;
	}
	uint64_t value = next_point(call->client, handle);
	REQUEST(import, POINT_SIGNAL_ON, point_signal_on, .handle = handle, .value = value);
	r = bus_call_run(call, &import, fence, 1);
	return r < 0 ? r : sd_bus_reply_method_return(call->message, "t", value);
}

static int serve_signal(struct bus_call *call, uint32_t handle)
{
	uint64_t value;
	int r = sd_bus_message_read(call->message, "t", &value);
	if (r < 0) {
		return r;
	}
	REQUEST(signal, TIMELINE_SIGNAL, timeline_signal, .handle = handle, .value = value);
	r = bus_call_run(call, &signal, NULL, 0);
	return r < 0 ? r : sd_bus_reply_method_return(call->message, NULL);
}

static int serve_fail(struct bus_call *call, uint32_t handle)
{
	int32_t error;
	const char *reason;
	int r = sd_bus_message_read(call->message, "is", &error, &reason);
	if (r < 0) {
		return r;
	}
	REQUEST(fail, TIMELINE_FAIL, timeline_fail, .handle = handle, .error = error,
		.reason = text(reason));
	r = bus_call_run(call, &fail, NULL, 0);
	return r < 0 ? r : sd_bus_reply_method_return(call->message, NULL);
}

METHOD_WITH_TOKEN(close)
METHOD_WITH_TOKEN(look_at)
METHOD_WITH_TOKEN(export)
METHOD_WITH_TOKEN(import)
METHOD_WITH_TOKEN(signal)
METHOD_WITH_TOKEN(fail)

/* ----------------------------------------------------------------------------------- the table -- */

#define CONSTANT(member, type) \
	SD_BUS_PROPERTY(member, type, device_get, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define SILENT(member, type) SD_BUS_PROPERTY(member, type, device_get, 0, 0)

static const sd_bus_vtable device_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("CreateTimeline", SD_BUS_ARGS("s", name),
				SD_BUS_RESULT("t", id, "h", token), method_create_timeline,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("CloseTimeline", SD_BUS_ARGS("h", token), SD_BUS_NO_RESULT,
				method_close, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("LookAt", SD_BUS_ARGS("h", token), SD_BUS_RESULT("a{sv}", state),
				method_look_at, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Export", SD_BUS_ARGS("h", token, "t", value, "t", timeout_us),
				SD_BUS_RESULT("h", eventfd), method_export,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Import", SD_BUS_ARGS("h", token, "h", fence),
				SD_BUS_RESULT("t", value), method_import,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Signal", SD_BUS_ARGS("h", token, "t", value), SD_BUS_NO_RESULT,
				method_signal, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Fail", SD_BUS_ARGS("h", token, "i", error, "s", reason),
				SD_BUS_NO_RESULT, method_fail, SD_BUS_VTABLE_UNPRIVILEGED),
	CONSTANT("Id", "t"),
	CONSTANT("Name", "s"),
	CONSTANT("Class", "s"),
	CONSTANT("Waits", "as"),
	CONSTANT("Signals", "as"),
	CONSTANT("Silent", "b"),
	CONSTANT("Visibility", "s"),
	CONSTANT("PageAlign", "u"),
	CONSTANT("Backing", "s"),
	CONSTANT("ClientId", "t"),
	SILENT("Client", "s"),
	SILENT("Pid", "i"),
	CONSTANT("Uid", "u"),
	SILENT("Unit", "s"),
	SD_BUS_VTABLE_END,
};

/* For `busctl tree`: what the caller may inspect. */
static int devices_enumerate(sd_bus *connection, const char *prefix, void *arg, char ***ret_nodes,
			     sd_bus_error *error)
{
	(void)prefix;
	(void)error;
	struct bus *bus = arg;
	const struct registry *registry = &bus->broker->registry;
	const struct bus_peer *peer =
		bus_peer_of(&bus->peers, sd_bus_get_current_message(connection));
	const struct device *device;
	size_t count = 0;
	char **nodes = calloc(registry->device_count + (size_t)1, sizeof(*nodes));
	if (!nodes) {
		return -ENOMEM;
	}
	LIST_FOREACH(device, &registry->devices, links) {
		char path[BUS_PATH_SIZE];
		if (peer && policy_may_see(registry->policy, &peer->subject, device->uid)) {
			bus_device_path(device->id, path);
			nodes[count] = strdup(path);
			count += nodes[count] != NULL;
		}
	}
	*ret_nodes = nodes; /* sd-bus frees it */
	return 0;
}

int bus_device_setup(struct bus *bus)
{
	int r = sd_bus_add_fallback_vtable(bus->transport.bus, NULL, BUS_DEVICES, BUS_DEVICE,
					   device_vtable, device_object_find, bus);
	return r < 0 ? r
		     : sd_bus_add_node_enumerator(bus->transport.bus, NULL, BUS_DEVICES,
						  devices_enumerate, bus);
}
