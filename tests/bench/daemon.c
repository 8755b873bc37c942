// SPDX-License-Identifier: MIT
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "host.h"

#define DBUS_DAEMON   "/usr/bin/dbus-daemon"
#define READY_MS      20000
#define PARENT_MAX    40 /* sun_path holds 108 bytes, with what follows */
#define IDLE_LOOK_MS  50
#define IDLE_LOOKS    6 /* consecutive looks at which it had not run */
#define IDLE_GIVEN_UP 400

const char daemon_policy_open[] =
	"version = 1;\n"
	"limits: { connections = 4096; devices = 4096; fds = 65536; watches = 262144;\n"
	"  page_bytes = 1073741824; };\n"
	"rules: ( { user = \"*\"; connect = true; register = true; class = \"*\";\n"
	"  inspect = \"own\"; } );\n";

/* Every user may do everything, as much as it likes. */
static const char bus_configuration[] =
	"<busconfig><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>\n"
	"<policy context='default'><allow user='*'/><allow own='*'/>\n"
	"<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/></policy>\n"
	"<limit name='max_replies_per_connection'>50000</limit></busconfig>\n";

int bench_path(const char *name, char *ret_path, size_t size)
{
	char self[256];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0) {
		return -errno;
	}
	self[length] = '\0';
	char *slash = strrchr(self, '/');
	snprintf(ret_path, size, "%.*s/%s", (int)(slash - self), self, name);
	return access(ret_path, F_OK) == 0 ? 0 : -errno;
}

static int directory_make(struct daemon *daemon)
{
	*daemon = (struct daemon){ 0 };
	const char *parent = getenv("FENCE_BENCH_DIRECTORY");
	if (!parent || strlen(parent) > PARENT_MAX) {
		parent = "/tmp";
	}
	snprintf(daemon->directory, sizeof(daemon->directory), "%s/fence-bench-XXXXXX", parent);
	if (!mkdtemp(daemon->directory)) {
		daemon->directory[0] = '\0';
		return bench_fail("mkdtemp: %s", strerror(errno));
	}
	chmod(daemon->directory, 0755); /* partners of other users connect */
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/socket", daemon->directory);
	return 0;
}

static void directory_remove(struct daemon *daemon)
{
	DIR *directory = daemon->directory[0] ? opendir(daemon->directory) : NULL;
	const struct dirent *entry;
	while (directory && (entry = readdir(directory))) {
		unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory) {
		closedir(directory);
		rmdir(daemon->directory);
	}
	daemon->directory[0] = '\0';
}

static int policy_write(const struct daemon *daemon, const char *text)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/policy", daemon->directory);
	FILE *file = fopen(path, "we");
	bool done = file && fputs(text, file) >= 0;
	done = file && fclose(file) == 0 && done;
	return done && chmod(path, 0644) == 0 ? 0 : bench_fail("%s: %s", path, strerror(errno));
}

static _Noreturn void child_exec(const char *path, char **arguments, const struct daemon *daemon)
{
	char log[96];
	snprintf(log, sizeof(log), "%s/log", daemon->directory);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	dup2(fd, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	/* an inherited end of a member's socket would hide that the member ended */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	host_pin(PLACE_RELAY);
	setenv("XDG_CONFIG_HOME", daemon->directory, 1); /* not the policy of the calling user */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(path, arguments);
	_exit(127);
}

static _Noreturn void daemon_exec(const struct daemon *daemon, const struct daemon_setup *setup)
{
	char path[300];
	char policy[96];
	char notify[96];
	snprintf(policy, sizeof(policy), "%s/policy", daemon->directory);
	snprintf(notify, sizeof(notify), "%s/notify", daemon->directory);
	char *user[] = { "fencebrokerd", "--user", "--socket", (char *)daemon->socket, NULL };
	char *system[] = { "fencebrokerd",
			   "--policy",
			   policy,
			   "--socket",
			   (char *)daemon->socket,
			   setup->bus ? "--bus" : NULL,
			   (char *)setup->bus,
			   NULL };
	setenv("NOTIFY_SOCKET", notify, 1);
	if (setup->preload) {
		setenv("LD_PRELOAD", setup->preload, 1);
		setenv("FENCE_BENCH_COUNT", setup->count, 1);
	}
	bool beside = bench_path("fencebrokerd", path, sizeof(path)) == 0;
	child_exec(beside ? path : "fencebrokerd", setup->policy ? system : user, daemon);
}

static int notify_open(const struct daemon *daemon)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", daemon->directory);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd >= 0 ? fd : bench_fail("%s: %s", address.sun_path, strerror(errno));
}

/* Reads from `fd` until a message starts with `word`; fails with the first line of the daemon's log. */
static int word_await(const struct daemon *daemon, int fd, const char *word)
{
	char text[512];
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	while (poll(&entry, 1, READY_MS) == 1) {
		ssize_t size = read(fd, text, sizeof(text) - 1);
		if (size <= 0) {
			break;
		}
		text[size] = '\0';
		if (strncmp(text, word, strlen(word)) == 0) {
			return 0;
		}
	}
	char path[96];
	snprintf(path, sizeof(path), "%s/log", daemon->directory);
	FILE *log = fopen(path, "re");
	if (!log || !fgets(text, sizeof(text), log)) {
		strcpy(text, "it said nothing");
	}
	if (log) {
		fclose(log);
	}
	return bench_fail("the daemon did not come up: %.*s", (int)strcspn(text, "\n"), text);
}

int daemon_start(struct daemon *daemon, const struct daemon_setup *setup)
{
	static const struct daemon_setup none;
	setup = setup ? setup : &none;
	int r = directory_make(daemon);
	if (r == 0 && setup->policy) {
		r = policy_write(daemon, setup->policy);
	}
	int notify = r == 0 ? notify_open(daemon) : r;
	if (notify < 0) {
		directory_remove(daemon);
		return notify;
	}
	fflush(NULL);
	uint64_t start = host_now();
	daemon->pid = fork();
	if (daemon->pid == 0) {
		daemon_exec(daemon, setup);
	}
	r = word_await(daemon, notify, "READY=1");
	daemon->start_ns = host_now() - start;
	close(notify);
	if (r < 0) {
		daemon_stop(daemon);
	}
	return r;
}

/* dbus-daemon with this argument that names its configuration, pinned there. */
static int dbus_start(struct daemon *daemon, const char *configuration, enum place place)
{
	int address[2];
	char print[32], listen[128];
	if (pipe2(address, O_CLOEXEC) < 0) {
		return bench_fail("pipe: %s", strerror(errno));
	}
	snprintf(print, sizeof(print), "--print-address=%d", STDOUT_FILENO);
	snprintf(listen, sizeof(listen), "--address=unix:abstract=%s", daemon->socket);
	char *arguments[] = { "dbus-daemon", (char *)configuration, print,
			      "--nofork",    "--nopidfile",         listen,
			      NULL };
	fflush(NULL);
	uint64_t start = host_now();
	daemon->pid = fork();
	if (daemon->pid == 0) {
		host_pin(place);
		int log = open("/dev/null", O_WRONLY);
		dup2(log, STDERR_FILENO);
		dup2(address[1], STDOUT_FILENO);
		close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
		unsetenv("NOTIFY_SOCKET");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(DBUS_DAEMON, arguments);
		_exit(127);
	}
	close(address[1]);
	int r = word_await(daemon, address[0], "unix:");
	daemon->start_ns = host_now() - start;
	close(address[0]);
	return r;
}

int daemon_start_dbus(struct daemon *daemon)
{
	if (access(DBUS_DAEMON, X_OK) < 0) {
		return bench_skip("there is no dbus-daemon here to compare with");
	}
	int r = directory_make(daemon);
	if (r == 0) {
		r = dbus_start(daemon, "--session", PLACE_RELAY);
	}
	if (r < 0) {
		daemon_stop(daemon);
	}
	return r;
}

int daemon_start_bus(struct daemon *daemon)
{
	char argument[128];
	if (access(DBUS_DAEMON, X_OK) < 0) {
		return bench_skip("there is no dbus-daemon here");
	}
	int r = directory_make(daemon);
	if (r == 0) {
		r = policy_write(daemon, bus_configuration);
	}
	if (r == 0) {
		snprintf(argument, sizeof(argument), "--config-file=%s/policy", daemon->directory);
		r = dbus_start(daemon, argument, PLACE_PARTNER);
	}
	if (r < 0) {
		daemon_stop(daemon);
	}
	return r;
}

void daemon_stop(struct daemon *daemon)
{
	if (daemon->pid > 0) {
		kill(daemon->pid, SIGKILL); /* its state is discarded */
		waitpid(daemon->pid, NULL, 0);
		daemon->pid = 0;
	}
	directory_remove(daemon);
}

long daemon_anonymous(const struct daemon *daemon)
{
	long kib = host_proc_number(daemon->pid, "smaps_rollup", "Anonymous:");
	return kib < 0 ? -1 : kib * 1024;
}

int daemon_await_idle(const struct daemon *daemon)
{
	long last = -1;
	unsigned int still = 0;
	for (unsigned int i = 0; i < IDLE_GIVEN_UP; i++) {
		long now = host_proc_number(daemon->pid, "status", "voluntary_ctxt_switches:");
		still = now == last ? still + 1 : 0;
		last = now;
		if (still == IDLE_LOOKS) {
			return 0;
		}
		poll(NULL, 0, IDLE_LOOK_MS);
	}
	return bench_fail("the daemon does not come to rest");
}
