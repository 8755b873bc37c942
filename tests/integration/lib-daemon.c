// SPDX-License-Identifier: MIT
#include "lib-daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/proc-stat.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define LISTEN_FD 3 /* the fd of the service manager's protocol */

uint64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t now_ms(void)
{
	return monotonic_ns() / 1000000;
}

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(memory != MAP_FAILED);
	return memory;
}

void yield_briefly(void)
{
	const struct timespec briefly = { .tv_nsec = 1000000 };
	nanosleep(&briefly, NULL); /* not poll(2): await_polling() may look at this process */
}

/* ------------------------------------------------------------------------------- the process -- */

void daemon_prepare(struct daemon *daemon)
{
	*daemon = (struct daemon){ .pidfd = -1 };
	strcpy(daemon->directory, "/tmp/fencebroker-test-XXXXXX");
	EXPECT(mkdtemp(daemon->directory));
	EXPECT(chmod(daemon->directory, 0755) == 0); /* tests connect as other users */
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/socket", daemon->directory);
	snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->directory);
}

static const char *daemon_binary(void)
{
	static char path[512];
	const char *directory = getenv("FBK_BIN_DIR");
	if (!directory || !directory[0]) {
		ck_abort_msg("$FBK_BIN_DIR does not say where fencebrokerd is");
	}
	snprintf(path, sizeof(path), "%s/fencebrokerd", directory);
	return path;
}

static void policy_write(struct daemon *daemon, const char *text)
{
	snprintf(daemon->policy, sizeof(daemon->policy), "%s/policy.conf", daemon->directory);
	FILE *file = fopen(daemon->policy, "we");
	EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
	EXPECT(chmod(daemon->policy, 0644) == 0);
}

/* The daemon's arguments and environment, for exec. */
static _Noreturn void daemon_exec(const struct daemon *daemon, const struct daemon_options *options,
				  int notify)
{
	static const char *user_args[] = { "fencebrokerd", "--user", "--verbose",
					   "--socket",     NULL,     NULL };
	static const char *policy_args[] = { "fencebrokerd", "--verbose", "--policy", NULL,
					     "--socket",     NULL,        NULL };
	const char *const *args = options->args;
	char notify_path[128];

	user_args[4] = daemon->socket;
	policy_args[3] = daemon->policy;
	policy_args[5] = daemon->socket;
	if (!args) {
		args = options->policy ? policy_args : user_args;
	}
	if (options->notify) {
		setenv("NOTIFY_SOCKET", options->notify, 1);
	} else if (notify >= 0) {
		snprintf(notify_path, sizeof(notify_path), "%s/notify", daemon->directory);
		setenv("NOTIFY_SOCKET", notify_path, 1);
	}
	setenv("XDG_CONFIG_HOME", daemon->directory,
	       1); /* else the policy of the user who runs the test */
	if (options->listen_fd > 0) {
		char pid[16];
		snprintf(pid, sizeof(pid), "%d", getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		if (options->listen_fd == LISTEN_FD) {
			fcntl(LISTEN_FD, F_SETFD, 0);
		} else {
			dup2(options->listen_fd, LISTEN_FD);
		}
	}
	/* Opened before the change of user, who may have no access to the build. */
	int binary = open(daemon_binary(), O_PATH | O_CLOEXEC);
	struct rlimit limit = { options->nofile, options->nofile };
	if ((options->nofile > 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0) ||
	    (options->uid > 0 && (setgid(options->uid) < 0 || setuid(options->uid) < 0))) {
		_exit(126);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* no daemon outlives a failed test */
	if (options->confine) {
		options->confine(options->confine_arg);
	}
	execveat(binary, "", (char **)(uintptr_t)args, environ, AT_EMPTY_PATH);
	_exit(127);
}

static void log_connect(int log, const struct daemon_options *options)
{
	dup2(log, STDOUT_FILENO);
	dup2(options->stderr_fd > 0 ? options->stderr_fd : log, STDERR_FILENO);
	if (options->stderr_fd < 0) {
		close(STDERR_FILENO);
	}
}

static void daemon_spawn(struct daemon *daemon, const struct daemon_options *options, int notify)
{
	if (options->policy) {
		policy_write(daemon, options->policy);
	}
	int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	EXPECT(log >= 0);
	pid_t pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		log_connect(log, options);
		/* a service has no other fds */
		close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
		daemon_exec(daemon, options, notify);
	}
	close(log);
	daemon->pid = pid;
	daemon->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	EXPECT(daemon->pidfd >= 0);
}

static int notify_open(const struct daemon *daemon)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", daemon->directory);
	unlink(address.sun_path);
	EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	EXPECT(chmod(address.sun_path, 0666) == 0);
	return fd;
}

static void daemon_await_ready(const struct daemon *daemon, int notify)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	char text[512];
	while (now_ms() < deadline) {
		struct pollfd polled[2] = { { .fd = notify, .events = POLLIN },
					    { .fd = daemon->pidfd, .events = POLLIN } };
		poll(polled, 2, (int)(deadline - now_ms()));
		if (polled[0].revents & POLLIN) {
			ssize_t size = recv(notify, text, sizeof(text) - 1, 0);
			text[size > 0 ? size : 0] = '\0';
			if (strncmp(text, "READY=1", 7) == 0) {
				return;
			}
		} else if (polled[1].revents) {
			break;
		}
	}
	daemon_log_text(daemon, text, sizeof(text));
	ck_abort_msg("fencebrokerd did not come up: %s", text);
}

void daemon_launch(struct daemon *daemon, const struct daemon_options *options)
{
	daemon_spawn(daemon, options, -1);
}

void daemon_start(struct daemon *daemon, const struct daemon_options *options)
{
	static const struct daemon_options none;
	int notify = notify_open(daemon);
	daemon_spawn(daemon, options ? options : &none, notify);
	daemon_await_ready(daemon, notify);
	close(notify);
}

static void service_use(struct daemon *daemon, const char *socket)
{
	const char *pid = getenv("FBK_SERVICE_PID");
	*daemon = (struct daemon){ .service = true, .pid = pid ? atoi(pid) : 0 };
	snprintf(daemon->socket, sizeof(daemon->socket), "%s", socket);
	daemon->pidfd = (int)syscall(SYS_pidfd_open, daemon->pid, 0);
	EXPECT(daemon->pidfd >= 0);
}

void daemon_serve(struct daemon *daemon, const char *policy)
{
	struct daemon_options options = { .policy = policy };
	const char *service = getenv("FBK_SERVICE");
	if (service && !policy) {
		service_use(daemon, service);
		return;
	}
	daemon_prepare(daemon);
	daemon_start(daemon, &options);
}

/* Its wait status. */
static int daemon_reap(struct daemon *daemon)
{
	struct pollfd polled = { .fd = daemon->pidfd, .events = POLLIN };
	int status;
	if (poll(&polled, 1, PATIENCE_MS) != 1) {
		kill(daemon->pid, SIGKILL);
		ck_abort_msg("fencebrokerd does not end");
	}
	EXPECT(waitpid(daemon->pid, &status, 0) == daemon->pid);
	close(daemon->pidfd);
	daemon->pidfd = -1;
	daemon->pid = 0;
	return status;
}

int daemon_run(struct daemon *daemon, const struct daemon_options *options, char *ret_text,
	       size_t text_size)
{
	unlink(daemon->log); /* only the text of this run */
	daemon_spawn(daemon, options, -1);
	int status = daemon_reap(daemon);
	daemon_log_text(daemon, ret_text, text_size);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d: %s", WTERMSIG(status), ret_text);
	return WEXITSTATUS(status);
}

void daemon_terminate(struct daemon *daemon)
{
	char text[8192];
	EXPECT(kill(daemon->pid, SIGTERM) == 0);
	int status = daemon_reap(daemon);
	if (status != 0) {
		daemon_log_text(daemon, text, sizeof(text));
		ck_abort_msg("fencebrokerd ended with wait status 0x%x: %s", (unsigned int)status,
			     text);
	}
}

void daemon_stop(struct daemon *daemon)
{
	if (daemon->service) {
		close(daemon->pidfd);
		return;
	}
	daemon_terminate(daemon);
	daemon_remove(daemon);
}

void daemon_end(struct daemon *daemon)
{
	if (daemon->pid) {
		daemon_stop(daemon);
	} else {
		daemon_remove(daemon);
	}
}

void daemon_kill(struct daemon *daemon)
{
	kill(daemon->pid, SIGKILL);
	daemon_reap(daemon);
}

void daemon_remove(struct daemon *daemon)
{
	DIR *directory = opendir(daemon->directory);
	const struct dirent *entry;
	ck_assert_msg(directory, "%s: %s", daemon->directory, strerror(errno));
	while ((entry = readdir(directory))) {
		unlinkat(dirfd(directory), entry->d_name, 0);
	}
	closedir(directory);
	EXPECT(rmdir(daemon->directory) == 0);
}

/* ------------------------------------------------------------------------------- looking at it -- */

/* The thread of that name; 0: there is none. */
static pid_t thread_named(pid_t process, const char *name)
{
	char path[320], comm[32];
	pid_t found = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", process);
	DIR *directory = opendir(path);
	const struct dirent *entry;
	while (directory && !found && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", process, entry->d_name);
		FILE *file = fopen(path, "re");
		if (file && fscanf(file, "%31s", comm) == 1 && strcmp(comm, name) == 0) {
			found = (pid_t)strtol(entry->d_name, NULL, 10);
		}
		if (file) {
			fclose(file);
		}
	}
	if (directory) {
		closedir(directory);
	}
	return found;
}

void daemon_log_text(const struct daemon *daemon, char *ret_text, size_t text_size)
{
	pid_t writer = daemon->pid > 0 ? thread_named(daemon->pid, "fbk-log") : 0;
	if (writer) {
		await_queued(writer);
	}
	int fd = open(daemon->log, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, ret_text, text_size - 1);
	ret_text[size > 0 ? size : 0] = '\0';
	if (fd >= 0) {
		close(fd);
	}
}

/* ---------------------------------------------------------------------------- other processes -- */

pid_t child_start(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(arg));
	}
	return pid;
}

int child_wait(pid_t pid)
{
	uint64_t deadline = now_ms() + 2 * PATIENCE_MS;
	int status;
	pid_t ended;
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		ck_assert_msg(now_ms() < deadline, "child %d does not end", pid);
		yield_briefly();
	}
	EXPECT(ended == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The system call that it is blocked in, and its second argument; -1: none. A thread that was woken
 * but has no CPU yet is shown there as if it slept; only its state differs. */
static long blocked_in(pid_t thread, unsigned long *ret_argument)
{
	char path[64];
	long number = -1;
	if (proc_state(thread) != 'S') {
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/%d/syscall", thread);
	FILE *file = fopen(path, "re");
	if (!file) {
		return -1;
	}
	int fields = fscanf(file, "%ld %*x %lx", &number, ret_argument);
	fclose(file);
	return fields == 2 ? number : -1;
}

/* Mutexes and the like sleep on private words. */
static bool asleep(pid_t thread)
{
	unsigned long operation = 0;
	long number = blocked_in(thread, &operation);
	return number == SYS_futex_waitv ||
	       (number == SYS_futex && !(operation & FUTEX_PRIVATE_FLAG));
}

static bool queued(pid_t thread)
{
	unsigned long operation = 0;
	long number = blocked_in(thread, &operation);
	return number == SYS_futex && operation & FUTEX_PRIVATE_FLAG;
}

static bool polling(pid_t thread)
{
	unsigned long count = 0;
	long number = blocked_in(thread, &count);
#ifdef SYS_poll
	if (number == SYS_poll) {
		return true;
	}
#endif
#ifdef SYS_epoll_wait
	if (number == SYS_epoll_wait) {
		return true;
	}
#endif
	return number == SYS_ppoll || number == SYS_epoll_pwait || number == SYS_epoll_pwait2;
}

static void await(bool (*is)(pid_t thread), pid_t thread, const char *what)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (!is(thread)) {
		ck_assert_msg(now_ms() < deadline, "thread %d does not %s", thread, what);
		yield_briefly();
	}
}

void await_asleep(pid_t thread)
{
	await(asleep, thread, "sleep");
}

void await_queued(pid_t thread)
{
	await(queued, thread, "queue");
}

void await_polling(pid_t thread)
{
	await(polling, thread, "poll");
}

/* ------------------------------------------------------------------------------ its open files -- */

static unsigned int fd_count(const struct daemon *daemon)
{
	char path[48];
	unsigned int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", daemon->pid);
	DIR *directory = opendir(path);
	const struct dirent *entry;
	EXPECT(directory);
	while ((entry = readdir(directory))) {
		count += entry->d_name[0] != '.';
	}
	closedir(directory);
	return count;
}

static pid_t closer_of(pid_t daemon)
{
	char path[64];
	int pid = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", daemon, daemon);
	FILE *file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%d", &pid) != 1) {
			pid = 0;
		}
		fclose(file);
	}
	return pid;
}

pid_t daemon_closer(const struct daemon *daemon)
{
	pid_t pid = closer_of(daemon->pid);
	EXPECT(pid > 0);
	return pid;
}

/* It gives nothing more to the helper, and the helper has closed all that it was given. */
static bool at_rest(pid_t daemon)
{
	return polling(daemon) && asleep(closer_of(daemon));
}

unsigned int daemon_fd_count(const struct daemon *daemon)
{
	await(at_rest, daemon->pid, "come to rest");
	return fd_count(daemon);
}

void daemon_await_fds(const struct daemon *daemon, unsigned int count)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	unsigned int now;
	while ((now = daemon_fd_count(daemon)) != count) {
		ck_assert_msg(now_ms() < deadline, "the daemon has %u fds open, %u were to be", now,
			      count);
		yield_briefly();
	}
}

/* ------------------------------------------------------------------------------- its wake-ups -- */

unsigned long daemon_wakeups(const struct daemon *daemon)
{
	char path[64], line[128];
	unsigned long wakeups = 0;
	int found = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", daemon->pid);
	FILE *file = fopen(path, "re");
	EXPECT(file);
	while (fgets(line, sizeof(line), file)) {
		found += sscanf(line, "voluntary_ctxt_switches: %lu", &wakeups) == 1;
	}
	fclose(file);
	EXPECT(found == 1);
	return wakeups;
}

unsigned long daemon_settled(const struct daemon *daemon, uint64_t ms)
{
	unsigned long wakeups = daemon_wakeups(daemon);
	uint64_t since = now_ms(), end = since + PATIENCE_MS;
	while (now_ms() < since + ms) {
		EXPECT(now_ms() < end);
		yield_briefly();
		unsigned long now = daemon_wakeups(daemon);
		if (now != wakeups) {
			wakeups = now;
			since = now_ms();
		}
	}
	return wakeups;
}
