// SPDX-License-Identifier: MIT
#include "logs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/lib-daemon.h"

static char logs[256];

/* In memory if it has the room: a writer to disk may block. */
static const char *logs_base(uint64_t room)
{
	const char *base = getenv("TMPDIR");
	struct statvfs memory;
	if (base && base[0]) {
		return base;
	}
	return statvfs("/dev/shm", &memory) == 0 && memory.f_bavail * memory.f_frsize >= room
		       ? "/dev/shm"
		       : "/tmp";
}

const char *logs_create(const char *keep, uint64_t room)
{
	if (keep) {
		snprintf(logs, sizeof(logs), "%s", keep);
		EXPECT(mkdir(logs, 0755) == 0);
	} else {
		snprintf(logs, sizeof(logs), "%s/fencebroker-chaos-XXXXXX", logs_base(room));
		EXPECT(mkdtemp(logs));
	}
	return logs;
}

void logs_remove(void)
{
	DIR *directory = opendir(logs);
	const struct dirent *entry;
	EXPECT(directory);
	while ((entry = readdir(directory))) {
		unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	EXPECT(rmdir(logs) == 0);
}

int logs_check(const char *program)
{
	char path[512];
	int status;
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 64);
	EXPECT(size > 0);
	path[size] = '\0';
	strcpy(strrchr(path, '/') + 1, program);
	fflush(stdout);
	pid_t pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		execl(path, program, logs, NULL);
		_exit(127);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}
