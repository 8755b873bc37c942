// SPDX-License-Identifier: MIT
/* The bus: whether there is one, who owns the daemon's name on it, and whether it lets anybody call the daemon. */
#include "doctor-bus.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "way.h"

#define DRIVER "org.freedesktop.DBus"

static const char *const policy_paths[] = {
	"/etc/dbus-1/system.d/org.fencebroker1.conf",
	"/usr/share/dbus-1/system.d/org.fencebroker1.conf",
	NULL,
};

static int driver_call(sd_bus *bus, const char *member, const char *name,
		       sd_bus_message **ret_reply)
{
	return sd_bus_call_method(bus, DRIVER, "/org/freedesktop/DBus", DRIVER, member, NULL,
				  ret_reply, name ? "s" : "", name);
}

/* What the bus says of the owner of a name: a number of it, or 0. */
static uint32_t owner_number(sd_bus *bus, const char *member)
{
	sd_bus_message *reply = NULL;
	uint32_t number = 0;
	if (driver_call(bus, member, BUS_NAME, &reply) < 0 ||
	    sd_bus_message_read(reply, "u", &number) < 0) {
		number = 0;
	}
	sd_bus_message_unref(reply);
	return number;
}

static int name_has_owner(sd_bus *bus, const char *name)
{
	sd_bus_message *reply = NULL;
	int owned = 0;
	int r = driver_call(bus, "NameHasOwner", name, &reply);
	if (r >= 0) {
		r = sd_bus_message_read(reply, "b", &owned);
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : owned;
}

static int name_is_activatable(sd_bus *bus, const char *name)
{
	sd_bus_message *reply = NULL;
	const char *entry;
	int found = 0;
	int r = driver_call(bus, "ListActivatableNames", NULL, &reply);
	if (r >= 0) {
		r = sd_bus_message_enter_container(reply, 'a', "s");
	}
	while (r >= 0 && !found && (r = sd_bus_message_read(reply, "s", &entry)) > 0) {
		found = strcmp(entry, name) == 0;
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : found;
}

int bus_service_find(sd_bus *bus, const char *name, enum bus_service *ret_service)
{
	int r = name_has_owner(bus, name);
	if (r == 0) {
		r = name_is_activatable(bus, name);
		*ret_service = r > 0 ? BUS_ACTIVATABLE : BUS_ABSENT;
	} else {
		*ret_service = BUS_OWNED;
	}
	return r < 0 ? r : 0;
}

bool bus_file_find(const char *const *paths, const char *share, char *ret_note, size_t size)
{
	for (; *paths; paths++) {
		if (access(*paths, F_OK) == 0) {
			snprintf(ret_note, size, "%s", *paths);
			return true;
		}
	}
	char program[PATH_MAX];
	char path[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[length < 0 ? 0 : length] = '\0';
	for (int i = 0; i < 2; i++) { /* PREFIX/bin/fencectl */
		char *slash = strrchr(program, '/');
		if (slash) {
			*slash = '\0';
		}
	}
	snprintf(path, sizeof(path), "%s/share/%s", program, share);
	if (access(path, F_OK) == 0) {
		snprintf(ret_note, size, "it is not read where it lies: %.*s", (int)size - 40,
			 path);
	} else {
		snprintf(ret_note, size, "it is not installed");
	}
	return false;
}

/* Whether the bus passes calls on to the daemon, as it must for everybody. */
static bool owner_answers(sd_bus *bus, const char **ret_why, const char **ret_way_out)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, BUS_NAME, "/org/fencebroker1", "org.freedesktop.DBus.Peer",
				   "Ping", &error, NULL, "");
	bool denied = sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED);
	sd_bus_error_free(&error);
	*ret_why = denied ? ", but the bus refuses calls to it" : ", but it does not answer";
	*ret_way_out = denied ? "see bus-policy, then `systemctl reload dbus`"
			      : "see the log of that process";
	return r >= 0;
}

static void check_owner(struct doctor *doctor, sd_bus *bus, const char *use)
{
	uint32_t pid = owner_number(bus, "GetConnectionUnixProcessID");
	uint32_t uid = owner_number(bus, "GetConnectionUnixUser");
	bool other = doctor->daemon_pid > 0 && pid > 0 && pid != (uint32_t)doctor->daemon_pid;
	const char *why = "";
	const char *way_out = "";
	bool answers = owner_answers(bus, &why, &way_out);
	if (answers && other) {
		why = ", not the daemon of this socket";
		way_out = "stop that process: the daemon waits for the name; or it runs with --bus "
			  "none";
	}
	doctor_add(doctor, "bus-name", answers && !other ? CHECK_WORKS : CHECK_LIMITED, false, use,
		   answers && !other ? "" : way_out, "pid %u of uid %u owns " BUS_NAME "%s", pid,
		   uid, answers && !other ? "" : why);
}

static void check_name(struct doctor *doctor, sd_bus *bus)
{
	const char *use = "calling the daemon over the bus";
	enum bus_service service = BUS_ABSENT;
	int r = bus ? bus_service_find(bus, BUS_NAME, &service) : -ENOTCONN;
	if (r < 0) {
		doctor_add(doctor, "bus-name", CHECK_MISSING, false, use, "see bus", "%s",
			   bus ? strerrordesc_np(-r) : "there is no bus to ask");
	} else if (service == BUS_OWNED) {
		check_owner(doctor, bus, use);
	} else if (doctor->daemon_pid > 0) {
		doctor_add(doctor, "bus-name", CHECK_LIMITED, false, use,
			   "start the daemon without --socket, or with --bus; its log says whether "
			   "the bus refused the name",
			   "the daemon runs, and does not own " BUS_NAME);
	} else if (service == BUS_ACTIVATABLE) {
		doctor_add(doctor, "bus-name", CHECK_WORKS, false, use, "",
			   "nobody owns " BUS_NAME "; the first call starts the daemon");
	} else {
		doctor_add(doctor, "bus-name", CHECK_MISSING, false, use,
			   "start the daemon; for a start by the first call install "
			   "org.fencebroker1.service in /usr/share/dbus-1/system-services",
			   "nobody owns " BUS_NAME ", and no call starts the daemon");
	}
}

static void check_policy(struct doctor *doctor)
{
	char note[CHECK_NOTE_SIZE];
	bool found = bus_file_find(policy_paths, "dbus-1/system.d/org.fencebroker1.conf", note,
				   sizeof(note));
	doctor_add(doctor, "bus-policy", found ? CHECK_WORKS : CHECK_MISSING, false,
		   "letting the daemon own its name on the system bus, and users call it",
		   found ? ""
			 : "copy org.fencebroker1.conf to /etc/dbus-1/system.d, then `systemctl "
			   "reload dbus`: the bus reads no policy below /usr/local",
		   "%s", note);
}

void doctor_bus(struct doctor *doctor)
{
	bool user = doctor->daemon_user_mode;
	sd_bus *bus = NULL;
	int r = bus_open(user, &bus);
	doctor_add(doctor, "bus", r == 0 ? CHECK_WORKS : CHECK_MISSING, false,
		   "clients without libfencebroker, and administration over the bus",
		   r == 0 ? ""
		   : user ? way_say("start a session bus: %s, then log in again",
				    way_install(WAY_DBUS_USER))
			  : way_say("start the system bus: `systemctl start dbus.socket`; if there "
				    "is no such unit, %s",
				    way_install(WAY_DBUS)),
		   "the %s bus %s%s", user ? "session" : "system",
		   r == 0 ? "answers" : "does not: ", r == 0 ? "" : strerrordesc_np(-r));
	check_name(doctor, bus);
	if (!user) { /* on a session bus, everybody is the same user */
		check_policy(doctor);
		doctor_polkit(doctor, bus);
	}
	sd_bus_close_unref(bus);
}
