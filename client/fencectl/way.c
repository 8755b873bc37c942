// SPDX-License-Identifier: MIT
#include "way.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define WAYS     8
#define WAY_SIZE 240

/* Those whose commands are known, by ID or ID_LIKE of os-release(5). */
static const struct distribution {
	const char *id, *install, *packages[WAY_PACKAGES];
	const char *kernel; /* the package of a kernel with all drivers; NULL: any has them */
} distributions[] = {
	{ "debian", "apt-get install", { "polkitd", "dbus", "dbus-user-session" }, "linux-image-" },
	{ "fedora", "dnf install", { "polkit", "dbus-broker", "dbus-broker" }, NULL },
	{ "suse", "zypper install", { "polkit", "dbus-1", "dbus-1" }, "kernel-default" },
	{ "arch", "pacman -S", { "polkit", "dbus", "dbus" }, NULL },
	{ "alpine", "apk add", { "polkit", "dbus", "dbus" }, NULL },
};

#define DISTRIBUTIONS (sizeof(distributions) / sizeof(distributions[0]))

static const struct distribution unknown = {
	NULL, NULL, { "polkit", "dbus", "a session bus of dbus" }, NULL
};

static char *way_next(void)
{
	static char ways[WAYS][WAY_SIZE];
	static size_t next;
	return ways[next++ % WAYS];
}

/* Is it one of the words, in quotes perhaps? */
static const struct distribution *distribution_named(char *words)
{
	char *rest = words;
	for (char *word; (word = strsep(&rest, " \"'\n"));) {
		for (size_t i = 0; i < DISTRIBUTIONS; i++) {
			/* ID_LIKE of openSUSE is "suse opensuse" */
			if (strcmp(word, distributions[i].id) == 0) {
				return &distributions[i];
			}
		}
	}
	return NULL;
}

static const struct distribution *distribution_read(FILE *file)
{
	const struct distribution *own = NULL, *like = NULL;
	char line[512];
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "ID=", 3) == 0) {
			own = distribution_named(line + 3);
		} else if (strncmp(line, "ID_LIKE=", 8) == 0) {
			like = distribution_named(line + 8);
		}
	}
	return own ? own : like;
}

static const struct distribution *distribution_find(void)
{
	static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };
	const struct distribution *found = NULL;
	for (size_t i = 0; i < 2 && !found; i++) {
		FILE *file = fopen(paths[i], "re");
		if (file) {
			found = distribution_read(file);
			fclose(file);
			break; /* the second is for machines without the first */
		}
	}
	return found ? found : &unknown;
}

static const char *install_text(const struct distribution *distribution, const char *package)
{
	char *way = way_next();
	if (distribution->install) {
		snprintf(way, WAY_SIZE, "`%s %s`", distribution->install, package);
	} else {
		snprintf(way, WAY_SIZE, "install %s", package);
	}
	return way;
}

const char *way_install(enum way_package package)
{
	const struct distribution *distribution = distribution_find();
	return install_text(distribution, distribution->packages[package]);
}

/* In a list of modules that depmod(8) made. */
static bool list_has(const char *release, const char *list, const char *module)
{
	char path[256], name[64], line[4096];
	bool found = false;
	snprintf(path, sizeof(path), "/lib/modules/%s/%s", release, list);
	snprintf(name, sizeof(name), "/%s.ko", module);
	FILE *file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, ": \n")] = '\0';
		found = strstr(line, name) != NULL;
	}
	if (file) {
		fclose(file);
	}
	return found;
}

/* Debian names the kernel's package by its architecture; its "cloud" kernels lack most drivers. */
static const char *kernel_package(const struct distribution *distribution, const char *machine)
{
	static char package[128];
	bool debian = strcmp(distribution->id, "debian") == 0;
	const char *suffix = !debian                           ? ""
			     : strcmp(machine, "x86_64") == 0  ? "amd64"
			     : strcmp(machine, "aarch64") == 0 ? "arm64"
							       : machine;
	snprintf(package, sizeof(package), "%s%s", distribution->kernel, suffix);
	return package;
}

const char *way_module(const char *module)
{
	const struct distribution *distribution = distribution_find();
	struct utsname system;
	char *way = way_next();
	uname(&system);
	if (list_has(system.release, "modules.dep", module)) {
		snprintf(way, WAY_SIZE, "`modprobe %s`", module);
	} else if (distribution->kernel) {
		snprintf(way, WAY_SIZE,
			 "this kernel has no module %s: %s, reboot, then `modprobe %s`", module,
			 install_text(distribution, kernel_package(distribution, system.machine)),
			 module);
	} else {
		snprintf(way, WAY_SIZE,
			 "this kernel has no module %s: use one that has, then `modprobe %s`",
			 module, module);
	}
	return way;
}

const char *way_open(const char *path)
{
	struct stat status;
	const struct passwd *user = getpwuid(geteuid());
	bool mine = stat(path, &status) == 0 && (status.st_mode & 060) == 060;
	const struct group *group = mine ? getgrgid(status.st_gid) : NULL;
	char *way = way_next();
	if (group && group->gr_gid != 0) {
		snprintf(way, WAY_SIZE, "`usermod -aG %s %s`, then log in again", group->gr_name,
			 user ? user->pw_name : "USER");
	} else {
		snprintf(way, WAY_SIZE, "run it as root: %s is for no group", path);
	}
	return way;
}

const char *way_say(const char *format, ...)
{
	char *way = way_next();
	va_list args;
	va_start(args, format);
	vsnprintf(way, WAY_SIZE, format, args);
	va_end(args);
	return way;
}

const char *way_sysctl(const char *name, const char *value)
{
	char *way = way_next();
	snprintf(way, WAY_SIZE, "`sysctl -w %s=%s`", name, value);
	return way;
}
