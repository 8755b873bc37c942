// SPDX-License-Identifier: MIT
/* What a program brings along: thread storage, limits, signals, privileges, closed file descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fence-v4l2.h"
#include "lib-peer.h"

/* More than the stack of a small thread. */
static _Thread_local char storage[128 * 1024];

static struct daemon server;

static void setup(void)
{
	memset(storage, 1, sizeof(storage));
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_end(&server);
}

/* ---------------------------------------------------------------------------------------- threads -- */

static struct fbk_context *context;
static struct fbk_timeline *line;

static void begin(void)
{
	context = peer_connect(&server);
	line = peer_timeline(peer_device(context, "here"), "line", 0);
}

static void try_to_sleep(void)
{
	ck_assert_msg(fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(20)) == -ETIMEDOUT,
		      "%s", fbk_error_detail());
}

START_TEST(thread_storage_leaves_room)
{
	int fd;
	begin();
	try_to_sleep();
	EXPECT(fbk_point_export((struct fbk_point){ line, 1 }, FBK_FENCE_EVENTFD, deadline_ms(20),
				&fd) == 0);
	close(fd);
	daemon_kill(&server); /* the guard's thread does all that it can */
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(PATIENCE_MS)),
			 -ENOTCONN);
	fbk_disconnect(context);
}
END_TEST

/* A program that locks its memory within a limit. */
START_TEST(locked_memory_leaves_room)
{
	struct rlimit limit;
	begin();
	EXPECT(mlockall(MCL_FUTURE) == 0);
	EXPECT(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	limit.rlim_cur = 1 << 20; /* less than the stack that threads have by default */
	EXPECT(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	EXPECT(setresuid(65534, 65534, 65534) == 0); /* root has no limit */
	try_to_sleep();
	_exit(0);
}
END_TEST

/* The program's own threads may be as small as threads get. */
static void *small_run(void *arg)
{
	(void)arg;
	try_to_sleep();
	return NULL;
}

START_TEST(small_threads_can_sleep)
{
	pthread_t thread;
	pthread_attr_t attributes;
	begin();
	pthread_attr_init(&attributes);
	EXPECT(pthread_attr_setstacksize(&attributes, sizeof(storage) + 32 * 1024) == 0);
	EXPECT(pthread_create(&thread, &attributes, small_run, NULL) == 0);
	pthread_join(thread, NULL);
	fbk_disconnect(context);
}
END_TEST

/* ------------------------------------------------------------------------------------- privileges -- */

/* As a program of its own: where does it look for the daemon? */
static int secure_main(void)
{
	struct fbk_context *other;
	int r = fbk_connect(NULL, &other);
	printf("%lu %d %s\n", getauxval(AT_SECURE), r, r < 0 ? fbk_error_detail() : "");
	return 0;
}

/* Run `path` as a user without privileges, with `variable` leading to this test's daemon. */
static void secure_run(const char *path, const char *variable, const char *value, char *ret_text,
		       size_t size)
{
	int ends[2];
	EXPECT(pipe(ends) == 0);
	pid_t pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		unsetenv("FENCEBROKER_SOCKET");
		unsetenv("XDG_RUNTIME_DIR");
		setenv(variable, value, 1);
		if (setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0) {
			execl(path, path, "secure", NULL);
		}
		_exit(127);
	}
	close(ends[1]);
	ssize_t got = read(ends[0], ret_text, size - 1);
	ret_text[got > 0 ? got : 0] = '\0';
	close(ends[0]);
	EXPECT(waitpid(pid, NULL, 0) == pid);
}

/* _i: is it set-user-ID? */
START_TEST(privileged_programs_ignore_the_environment)
{
	char program[128], runtime[128], text[512], command[2048];
	struct statvfs place;
	EXPECT(statvfs(server.directory, &place) == 0);
	if (geteuid() != 0 || place.f_flag & ST_NOSUID) {
		return; /* only root can make such a program */
	}
	snprintf(program, sizeof(program), "%s/program", server.directory);
	snprintf(runtime, sizeof(runtime), "%s/runtime", server.directory);
	snprintf(command, sizeof(command),
		 "cp /proc/%d/exe %s && chmod %s %s && chmod 755 %s && mkdir -p "
		 "-m 755 %s/fencebroker && ln -sfn %s %s/fencebroker/socket && chmod 666 %s",
		 getpid(), program, _i ? "4755" : "755", program, server.directory, runtime,
		 server.socket, runtime, server.socket);
	EXPECT(system(command) == 0);
	const char *const variables[][2] = { { "FENCEBROKER_SOCKET", server.socket },
					     { "XDG_RUNTIME_DIR", runtime } };
	for (size_t i = 0; i < 2; i++) {
		secure_run(program, variables[i][0], variables[i][1], text, sizeof(text));
		ck_assert_msg(text[0] == (_i ? '1' : '0'), "%s", text);
		/* it reaches the user's own daemon, or looks at the system's place */
		ck_assert_msg((strstr(text, "/run/fencebroker/socket") != NULL) == (_i == 1),
			      "%s: %s", variables[i][0], text);
	}
	unlink(program);
	snprintf(command, sizeof(command), "rm -r %s", runtime);
	EXPECT(system(command) == 0);
}
END_TEST

/* ---------------------------------------------------------------------------------------- signals -- */

/* A driver that is interrupted some times: V4L2 takes its lock so. The library's calls come here. */
static int interruptions, queued;

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	if (request == VIDIOC_QBUF) {
		queued++;
		return 0;
	}
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

static void count_queued(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result;
}

START_TEST(an_interrupted_gate_queues_its_buffer)
{
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	int result = 1;
	begin();
	EXPECT(fbk_gate_v4l2_queue((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX, 99, &buffer,
				   count_queued, &result, NULL) == 0);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	interruptions = 3;
	while (result == 1) {
		ck_assert_int_ge(loop_turn(context), 0);
	}
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(queued, 1);
	fbk_disconnect(context);
}
END_TEST

static _Atomic int alarms;

static void on_alarm(int signal)
{
	(void)signal;
	/* relaxed: a count */
	atomic_fetch_add_explicit(&alarms, 1, memory_order_relaxed);
}

/* Without SA_RESTART. */
static void alarms_set(suseconds_t every_us)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval timer = { { 0, every_us }, { 0, every_us } };
	EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
	EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static int listen_full(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int first = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	EXPECT(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	EXPECT(listen(listener, 0) == 0);
	EXPECT(connect(first, (struct sockaddr *)&address, sizeof(address)) == 0);
	return listener;
}

/* How often this process's main thread went to sleep. A signal that interrupts connect(2) makes it do so again; its handler
 * runs late under ThreadSanitizer. */
static unsigned long main_sleeps(void)
{
	char path[64], text[128];
	unsigned long count = 0;
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", getpid());
	FILE *file = fopen(path, "re");
	EXPECT(file);
	while (fgets(text, sizeof(text), file)) {
		sscanf(text, "voluntary_ctxt_switches: %lu", &count);
	}
	fclose(file);
	return count;
}

static void *accept_later(void *arg)
{
	int listener = *(int *)arg;
	for (unsigned long before = main_sleeps(); main_sleeps() < before + 10;) {
		yield_briefly();
	}
	for (int i = 0; i < 2; i++) {
		close(accept4(listener, NULL, NULL, SOCK_CLOEXEC)); /* says nothing, and leaves */
	}
	return NULL;
}

/* Connecting waits while others queue before it. */
START_TEST(an_interrupted_connect_goes_on)
{
	char path[108];
	pthread_t thread;
	sigset_t alarm, before;
	struct fbk_context *other;
	snprintf(path, sizeof(path), "%s/full", server.directory);
	int listener = listen_full(path);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	EXPECT(pthread_create(&thread, NULL, accept_later, &listener) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	alarms_set(1000);
	ck_assert_msg(fbk_connect(path, &other) == -ENOTCONN, "%s", fbk_error_detail());
	alarms_set(0);
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
}
END_TEST

static void count_call(void *arg, struct fbk_point point, int result)
{
	(void)point;
	ck_assert_int_eq(result, 0);
	++*(int *)arg;
}

/* Everything that sleeps or talks, under a storm of signals. */
START_TEST(signals_disturb_nothing)
{
	int fd, token, count = 0;
	alarms_set(200);
	for (int i = 0; i < 50; i++) {
		begin();
		struct fbk_context *other = peer_connect(&server);
		struct fbk_timeline *seen;
		EXPECT(fbk_timeline_share(line, FBK_RIGHT_WAIT, &token) == 0);
		EXPECT(fbk_timeline_open(other, token, &seen) == 0);
		close(token);
		ck_assert_int_eq(fbk_point_wait((struct fbk_point){ seen, 1 }, deadline_ms(2)),
				 -ETIMEDOUT);
		EXPECT(fbk_point_export((struct fbk_point){ seen, 1 }, FBK_FENCE_EVENTFD,
					deadline_ms(PATIENCE_MS), &fd) == 0);
		EXPECT(fbk_point_watch((struct fbk_point){ seen, 1 }, FBK_DEADLINE_MAX, count_call,
				       &count, NULL) == 0);
		EXPECT(fbk_timeline_signal(line, 1) == 0);
		while (count == i) {
			int r = loop_turn(other);
			ck_assert_int_ge(r, 0);
		}
		close(fd);
		fbk_timeline_close(seen);
		fbk_disconnect(other);
		fbk_disconnect(context);
	}
	alarms_set(0);
	ck_assert_int_gt(alarms, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------- fds -- */

/* The library's fds may be 0, 1 and 2. */
static int closed_main(void *arg)
{
	(void)arg;
	int fd;
	close_range(0, 2, 0);
	begin();
	if (fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(5)) != -ETIMEDOUT ||
	    fbk_point_export((struct fbk_point){ line, 1 }, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX,
			     &fd) < 0 ||
	    fbk_timeline_signal(line, 1) < 0 || readable_within(fd, PATIENCE_MS) != 1) {
		return 1;
	}
	fbk_disconnect(context);
	return fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 ? 0 : fd < 3 ? 0 : 2;
}

START_TEST(standard_fds_may_be_closed)
{
	ck_assert_int_eq(child_wait(child_start(closed_main, NULL)), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, thread_storage_leaves_room);
	tcase_add_test(tcase, locked_memory_leaves_room);
	tcase_add_test(tcase, small_threads_can_sleep);
	tcase_add_loop_test(tcase, privileged_programs_ignore_the_environment, 0, 2);
	tcase_add_test(tcase, an_interrupted_gate_queues_its_buffer);
	tcase_add_test(tcase, an_interrupted_connect_goes_on);
	tcase_add_test(tcase, signals_disturb_nothing);
	tcase_add_test(tcase, standard_fds_may_be_closed);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "secure") == 0) {
		return secure_main();
	}
	return suite_main("surroundings", add);
}
