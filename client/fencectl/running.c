// SPDX-License-Identifier: MIT
/*
 * Whether a daemon runs, for completion: to connect to a socket of the service manager would start one. A daemon that made its
 * socket holds a lock beside it, which /proc/locks shows to everybody. One that was given its socket owns its name on the bus.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bus.h"
#include "client/lib/context.h"
#include "fencectl.h"

static bool lock_is_held(const char *socket)
{
	char path[PATH_MAX + 8], held[64], line[256];
	struct stat status;
	bool found = false;
	snprintf(path, sizeof(path), "%s.lock", socket);
	FILE *locks = stat(path, &status) == 0 ? fopen("/proc/locks", "re") : NULL;
	if (!locks) {
		return false;
	}
	/* "1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF" */
	snprintf(held, sizeof(held), " %02x:%02x:%llu ", major(status.st_dev), minor(status.st_dev),
		 (unsigned long long)status.st_ino);
	while (!found && fgets(line, sizeof(line), locks)) {
		found = strstr(line, " FLOCK ") && strstr(line, held);
	}
	fclose(locks);
	return found;
}

static bool bus_has_daemon(bool user)
{
	sd_bus *bus = NULL;
	sd_bus_message *reply = NULL;
	int owned = 0;
	if (bus_open(user, &bus) < 0) {
		return false;
	}
	if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s",
			       BUS_NAME) < 0 ||
	    sd_bus_message_read(reply, "b", &owned) < 0) {
		owned = 0;
	}
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
	return owned;
}

bool daemon_runs(const char *socket)
{
	char path[PATH_MAX];
	const char *system = CONTEXT_SYSTEM_SOCKET;
	if (context_socket_path(socket, path, sizeof(path)) < 0) {
		return false;
	}
	return lock_is_held(path) || bus_has_daemon(strcmp(path, system) != 0);
}
