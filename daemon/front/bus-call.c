// SPDX-License-Identifier: MIT
#include "bus-call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int error;
	const char *name;
} error_names[] = {
	{ -EINVAL, "InvalidArgument" },
	{ -ERANGE, "InvalidArgument" },
	{ -EMSGSIZE, "InvalidArgument" },
	{ -EBADF, "InvalidArgument" },
	{ -ENOENT, "NotFound" },
	{ -EPERM, "NotPermitted" },
	{ -EACCES, "NotPermitted" },
	{ -EEXIST, "Exists" },
	{ -EALREADY, "Exists" },
	{ -EBUSY, "Exists" },
	{ -ENOTUNIQ, "Exists" },
	{ -EAGAIN, "NotReached" },
	{ -EDQUOT, "Limit" },
	{ -ENFILE, "Limit" },
	{ -EMFILE, "Limit" },
	{ -ENOSPC, "Limit" },
	{ -ENOBUFS, "Limit" },
	{ -ENOMEM, "Limit" },
	{ -EOPNOTSUPP, "NotSupported" },
	{ -ENODEV, "NotSupported" },
	{ -ENOSYS, "NotSupported" },
};

static const char *error_name(int error)
{
	for (size_t i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++) {
		if (error_names[i].error == error) {
			return error_names[i].name;
		}
	}
	return "Failed";
}

int bus_reply_error(sd_bus_message *call, int error, const char *detail)
{
	char name[64];
	snprintf(name, sizeof(name), BUS_NAME ".Error.%s", error_name(error));
	int r = sd_bus_reply_method_errorf(call, name, "%s",
					   detail && detail[0] ? detail : strerrordesc_np(-error));
	return r < 0 ? r : 1;
}

int bus_call_begin(struct bus_call *call, struct bus *bus, sd_bus_message *message)
{
	*call = (struct bus_call){
		.bus = bus,
		.message = message,
		.peer = bus_peer_of(&bus->peers, message),
	};
	bus->broker->registry.counters.bus_calls++;
	return call->peer ? 0 : -EACCES;
}

static int call_make_client(struct bus_call *call)
{
	struct credentials credentials = call->peer->credentials;
	credentials.pidfd = -1; /* the peer's */
	int r = client_create(&call->bus->broker->registry, &credentials, &call->client);
	if (r < 0) {
		return r;
	}
	wire_text_copy(call->client->name, sizeof(call->client->name), call->peer->name);
	call->client->greeted = true;
	call->client->admin = call->admin;
	call->made_client = true;
	return 0;
}

int bus_call_run(struct bus_call *call, const Fbk__Wire__Request *request, int *fds,
		 size_t fd_count)
{
	static struct wire_packet packet;
	int r = call->client ? 0 : call_make_client(call);
	if (r < 0) {
		return r;
	}
	answer_finish(&call->answer);
	packet.size = fbk__wire__request__get_packed_size(request);
	packet.fd_count = fd_count;
	for (size_t i = 0; i < fd_count; i++) {
		packet.fds[i] = fds[i];
	}
	dispatch_run(call->client, request, &packet, &call->answer);
	for (size_t i = 0; i < fd_count; i++) {
		fds[i] = packet.fds[i];
	}
	if (call->answer.message.error < 0) {
		wire_text_copy(call->detail, sizeof(call->detail), call->answer.detail);
	}
	return call->answer.message.error;
}

void bus_call_finish(struct bus_call *call)
{
	answer_finish(&call->answer);
	if (call->made_client) {
		client_end(call->client, FBK_CAUSE_OWNER_LEFT);
	}
}

int bus_call_end(struct bus_call *call, sd_bus_message *reply, int r)
{
	bus_call_finish(call);
	if (r >= 0 && reply) {
		r = sd_bus_send(NULL, reply, NULL);
	}
	sd_bus_message_unref(reply);
	return r < 0 ? bus_reply_error(call->message, r, call->detail) : 1;
}
