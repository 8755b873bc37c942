// SPDX-License-Identifier: MIT
/* Where a message bus listens: its address, as in the D-Bus specification, for unix sockets. Pure but for the
 * environment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct bus_address {
	struct sockaddr_un socket;
	socklen_t size;
	bool in_files; /* the socket is a file; else an abstract name */
};

/* The first address in a list like "unix:path=/run/dbus/system_bus_socket;unix:abstract=x" that is a unix socket.
 * -EINVAL. */
int bus_address_parse(const char *text, struct bus_address *ret_address);

/* The address that the environment names: of the system bus, or of the session's. NULL: none. `text` has `size` bytes
 * for one that has to be made. */
const char *bus_address_of(bool session, char *text, size_t size);
