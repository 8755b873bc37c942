// SPDX-License-Identifier: MIT
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel-file.h"

#define STAT_THREADS \
	20 /* the field of /proc/PID/stat with the number of threads; the name is field 2 */

/* 0 when it can't be read. */
static char stat_read(pid_t pid, long *ret_threads)
{
	char path[32], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	kernel_file_read(path, text, sizeof(text));
	const char *end = strrchr(text, ')'); /* of its name, which may contain any character */
	const char *field = end;
	for (int i = 2; field && i < STAT_THREADS; i++) {
		field = strchr(field + 1, ' ');
	}
	*ret_threads = field ? strtol(field, NULL, 10) : 0;
	return end && end[1] == ' ' ? end[2] : 0;
}

char process_state(pid_t pid)
{
	long threads;
	return stat_read(pid, &threads);
}

/* ------------------------------------------------------------------------------ by its pidfd --- */

bool process_runs(int pidfd)
{
	struct pollfd entry = { .fd = pidfd, .events = POLLIN };
	int r;
	do {
		r = poll(&entry, 1, 0);
	} while (r < 0 && errno == EINTR);
	return r == 0;
}

/* Its number in the pid namespace of our /proc; 0: it has none there. */
static pid_t process_number(int pidfd)
{
	char path[48], text[512];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	kernel_file_read(path, text, sizeof(text));
	const char *line = strstr(text, "\nPid:");
	long pid = line ? strtol(line + strlen("\nPid:"), NULL, 10) : 0;
	return pid > 0 ? (pid_t)pid : 0;
}

/* Does that file of a control group say so? Where control groups are not mounted as usual, nothing is said. */
static bool group_says(const char *mount, const char *group, const char *file, const char *what)
{
	char path[4096 + 64], text[256];
	snprintf(path, sizeof(path), "%s%s/%s", mount, group, file);
	kernel_file_read(path, text, sizeof(text));
	return strstr(text, what);
}

static bool process_frozen(pid_t pid)
{
	char path[32], text[8192];
	char *rest = text;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	kernel_file_read(path, text, sizeof(text));
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group) {
			continue;
		}
		*group++ = '\0';
		if (strcmp(controllers, ":") == 0 &&
		    (group_says("/sys/fs/cgroup", group, "cgroup.events", "frozen 1") ||
		     group_says("/sys/fs/cgroup/unified", group, "cgroup.events", "frozen 1"))) {
			return true;
		}
		if (strcmp(controllers, ":freezer") == 0 &&
		    group_says("/sys/fs/cgroup/freezer", group, "freezer.state", "FROZEN")) {
			return true;
		}
	}
	return false;
}

enum process_sight process_look(int pidfd)
{
	if (pidfd < 0) {
		return PROCESS_HIDDEN;
	}
	pid_t pid = process_number(pidfd);
	long threads = 0;
	char state = pid > 0 ? stat_read(pid, &threads) : 0;
	bool frozen = (state == 'S' || state == 'D') && process_frozen(pid);
	if (!process_runs(pidfd)) { /* asked last: until then the number was its own */
		return PROCESS_DEAD;
	}
	switch (state) {
	case 0:
		return PROCESS_HIDDEN;
	case 'T':
	case 't':
		return PROCESS_STOPPED;
	default: /* also a main thread that has ended before the others */
		return frozen                         ? PROCESS_FROZEN
		       : state == 'D' && threads == 1 ? PROCESS_HANGS
						      : PROCESS_RUNS;
	}
}
