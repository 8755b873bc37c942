// SPDX-License-Identifier: MIT
#include "bus-register.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus-call.h"
#include "bus-device.h"
#include "bus-options.h"
#include "connection.h"
#include "daemon/core/device.h"

/* The bus may tell who calls by a pidfd: the first calls of a name have it. Else by its number, while the caller
 * is on the bus; the socket of one that has gone ends at once. */
static struct credentials credentials_of(const struct bus_peer *peer)
{
	struct credentials credentials = peer->credentials;
	credentials.pidfd = peer->credentials.pidfd >= 0
				    ? fcntl(peer->credentials.pidfd, F_DUPFD_CLOEXEC, 0)
				    : (int)syscall(SYS_pidfd_open, credentials.pid, 0);
	return credentials;
}

/* One end is served; the other is for the caller. */
static int connection_for(struct bus_call *call, struct connection **ret_connection,
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

int bus_method_register_device(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	struct connection *connection;
	char path[BUS_PATH_SIZE];
	int socket = -1;
	REQUEST(request, DEVICE_REGISTER, device_register, .device = 1);
	int r = bus_call_begin(&call, arg, message);
	if (r < 0 || !sd_bus_message_get_expect_reply(message)) {
		return r < 0 ? r : -EINVAL; /* nobody would get the socket */
	}
	r = bus_options_read(message, request.device_register, call.detail);
	if (r >= 0) {
		r = connection_for(&call, &connection, &socket);
	}
	if (r < 0) {
		return bus_call_end(&call, NULL, r);
	}
	call.client = connection->client;
	r = bus_call_run(&call, &request, NULL, 0);
	if (r >= 0) {
		bus_device_path(device_find(call.client, call.answer.object.id)->id, path);
		r = sd_bus_reply_method_return(message, "oh", path, socket);
	}
	if (r < 0) {
		connection_end(connection, FBK_CAUSE_OWNER_LEFT, NULL);
	}
	close(socket);
	return bus_call_end(&call, NULL, r);
}
