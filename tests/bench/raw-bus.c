// SPDX-License-Identifier: MIT
/* A bare service on sd-bus that answers RegisterDevice as little as can be: it asks the bus who calls,
 * without waiting, and returns one end of a socketpair, whose other end it keeps until the caller hangs up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bench.h"
#include "bus.h"
#include "raw.h"

static int socket_ended(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)events;
	(void)arg;
	sd_event_source_disable_unref(source);
	close(fd);
	return 0;
}

static int registration_answer(sd_bus_message *call, sd_event *event)
{
	int sockets[2];
	sd_event_source *source;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0) {
		return -errno;
	}
	int r = sd_event_add_io(event, &source, sockets[0], EPOLLIN, socket_ended, NULL);
	if (r < 0) {
		close(sockets[0]);
	} else {
		r = sd_bus_reply_method_return(call, "oh", BUS_PATH "/device/1", sockets[1]);
	}
	close(sockets[1]);
	return r;
}

static int credentials_known(sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	sd_bus_message *call = arg;
	(void)error;
	int r = sd_bus_message_is_method_error(reply, NULL) ? -EPERM
							    : sd_bus_message_skip(reply, "a{sv}");
	if (r >= 0) {
		r = registration_answer(call, sd_bus_get_event(sd_bus_message_get_bus(call)));
	}
	if (r < 0) {
		sd_bus_reply_method_errno(call, r, NULL);
	}
	sd_bus_message_unref(call);
	return 0;
}

static int device_register(sd_bus_message *call, void *arg, sd_bus_error *error)
{
	const char *name, *class;
	(void)arg;
	(void)error;
	int r = sd_bus_message_read(call, "ss", &name, &class);
	if (r >= 0) {
		r = sd_bus_message_skip(call, "a{sv}");
	}
	if (r >= 0) {
		r = sd_bus_call_method_async(
			sd_bus_message_get_bus(call), NULL, "org.freedesktop.DBus",
			"/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionCredentials",
			credentials_known, call, "s", sd_bus_message_get_sender(call));
	}
	if (r < 0) {
		return r;
	}
	sd_bus_message_ref(call);
	return 1;
}

static const sd_bus_vtable manager[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("RegisterDevice", "ssa{sv}", "oh", device_register,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int service_run(int socket, void *arg)
{
	const struct bus_row *row = arg;
	sd_event *event = NULL;
	sd_bus *bus = NULL;
	(void)socket;
	int r = bus_connect(&row->bus, &bus);
	if (r < 0) {
		return r;
	}
	r = sd_event_new(&event);
	if (r >= 0) {
		r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_MANAGER, manager, NULL);
	}
	if (r >= 0) {
		r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
	}
	if (r >= 0) {
		r = sd_bus_request_name(bus, BUS_NAME, 0);
	}
	if (r >= 0) {
		r = sd_event_loop(event);
	}
	return bench_fail("the bare service: %s", strerror(r < 0 ? -r : EPIPE));
}

static int raw_register_open(const struct row *row, void **ret_state)
{
	struct bus_row *bus;
	(void)row;
	int r = bus_row_create(&bus);
	if (r < 0) {
		return r;
	}
	r = member_start(&bus->service, PLACE_RELAY, 0, service_run, bus);
	if (r == 0) {
		r = bus_row_connect(bus);
	}
	if (r < 0) {
		bus_row_close(bus);
		return r;
	}
	*ret_state = bus;
	return 0;
}

const struct side raw_bus_register = { "bare sd-bus service", raw_register_open, bus_register_round,
				       bus_row_close };
