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
	return sd_bus_reply_method_errorf(call, name, "%s",
					  detail && detail[0] ? detail : strerrordesc_np(-error));
}

struct client *bus_caller(struct bus *bus, const struct bus_peer *peer)
{
	struct credentials credentials = peer->credentials;
	struct client *client;
	credentials.pidfd = -1; /* the peer's */
	if (client_create(&bus->broker->registry, &credentials, &client) < 0) {
		return NULL;
	}
	wire_text_copy(client->name, sizeof(client->name), peer->name);
	client->greeted = true;
	return client;
}

void bus_caller_end(struct client *client)
{
	if (client) {
		client_end(client, FBK_CAUSE_OWNER_LEFT);
	}
}

int bus_run(struct client *client, const Fbk__Wire__Request *request, int *fds, size_t fd_count,
	    struct answer *ret_answer)
{
	static struct wire_packet packet;
	packet.size = fbk__wire__request__get_packed_size(request);
	packet.fd_count = fd_count;
	for (size_t i = 0; i < fd_count; i++) {
		packet.fds[i] = fds[i];
	}
	dispatch_run(client, request, &packet, ret_answer);
	for (size_t i = 0; i < fd_count; i++) {
		fds[i] = packet.fds[i];
	}
	return ret_answer->message.error;
}
