// SPDX-License-Identifier: MIT
/*
 * Sandboxes refuse system calls, with an errno of their own choice: for each of the calls that may be missing, and each errno,
 * client and daemon do without, or say which call it is.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib-filter.h"
#include "lib-peer.h"

static struct daemon server;

static const int errors[] = { EPERM, ENOSYS, EINVAL };
#define ERRORS (int)(sizeof(errors) / sizeof(errors[0]))

/* What is expected of a program without that call. */
enum without {
	WORKS,
	NAMED,     /* an error names the call */
	LIMITED,   /* the daemon serves, and what it can't do names the call */
	NOT_TRIED, /* nothing can work */
};

struct refusal {
	const char *name;
	int number;
	enum without client, daemon;
};

#define CALL(name, client, daemon)                \
	{                                         \
#name, SYS_##name, client, daemon \
	}

/* The runtime of a sanitizer makes system calls of its own, but for the first of these. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REFUSALS 6
#else
#define REFUSALS (int)(sizeof(refusals) / sizeof(refusals[0]))
#endif

static const struct refusal refusals[] = {
	{ "futex_waitv", 449, WORKS, WORKS },
	CALL(io_uring_setup, WORKS, WORKS),
	CALL(io_uring_register, WORKS, WORKS),
	CALL(io_uring_enter, WORKS, WORKS),
	CALL(kcmp, WORKS, WORKS),
	CALL(memfd_create, WORKS, NAMED),
	CALL(set_robust_list, WORKS, WORKS),
	CALL(prctl, WORKS, WORKS),
	CALL(sched_getaffinity, WORKS, WORKS),
	CALL(getrandom, WORKS, NAMED),
	CALL(access, WORKS, WORKS),
	CALL(mlock, WORKS, WORKS),
	CALL(mlockall, WORKS, WORKS),
	CALL(prlimit64, WORKS, WORKS),
	CALL(io_setup, WORKS, LIMITED),
	CALL(pidfd_open, WORKS, WORKS),
	CALL(inotify_init1, WORKS, WORKS),
	CALL(inotify_add_watch, WORKS, WORKS),
	CALL(statx, NAMED, NAMED),
	CALL(eventfd2, NAMED, NAMED),
	CALL(epoll_create1, NAMED, WORKS),
	CALL(epoll_ctl, NAMED, NAMED),
	CALL(madvise, NAMED, WORKS),
	CALL(clone3, NAMED, WORKS),
	CALL(socket, NAMED, NAMED),
	CALL(connect, NAMED, NOT_TRIED),
	CALL(sendmsg, NAMED, NOT_TRIED),
	CALL(recvmsg, NAMED, NOT_TRIED),
	CALL(ppoll, NAMED, WORKS),
	CALL(timerfd_create, WORKS, NAMED),
	CALL(signalfd4, WORKS, NAMED),
	CALL(clone, WORKS, NAMED),
	CALL(ftruncate, WORKS, NAMED),
	CALL(fchmod, WORKS, NAMED),
	CALL(flock, WORKS, NAMED),
	CALL(bind, WORKS, NAMED),
	CALL(listen, WORKS, NAMED),
};

/* ------------------------------------------------------------------------------------- the client -- */

struct outcome {
	const char *step; /* NULL: all worked */
	int result;
	char detail[FBK_REASON_SIZE];
	uint64_t slept_cpu_us; /* of waits that slept for SLEEP_MS each */
};

#define SLEEP_MS 100

static uint64_t cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The step is over unless `r` is what it should be. */
static bool step(struct outcome *outcome, const char *name, int r, int expected)
{
	if (r == expected) {
		return true;
	}
	outcome->step = name;
	outcome->result = r;
	snprintf(outcome->detail, sizeof(outcome->detail), "%s", fbk_error_detail());
	return false;
}

static void on_point(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result == 0 ? 2 : result;
}

static bool use_watch(struct outcome *outcome, struct fbk_context *context,
		      struct fbk_timeline *line)
{
	for (uint64_t value = 2; value < 6; value++) { /* the later ones may use io_uring */
		int called = 1;
		if (!step(outcome, "watch",
			  fbk_point_watch((struct fbk_point){ line, value }, FBK_DEADLINE_MAX,
					  on_point, &called, NULL),
			  0) ||
		    !step(outcome, "signal", fbk_timeline_signal(line, value), 0)) {
			return false;
		}
		while (called == 1) {
			readable_within(fbk_context_fd(context), 100);
			int r = fbk_dispatch(context);
			if (r < 0 && !step(outcome, "dispatch", r, 0)) {
				return false;
			}
		}
		if (!step(outcome, "callback", called, 2)) {
			return false;
		}
	}
	return true;
}

static bool use_fds(struct outcome *outcome, struct fbk_device *device, struct fbk_timeline *line)
{
	struct fbk_point imported;
	int out, in = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int ours = dup(in);
	if (in < 0) {
		return step(outcome, "the program's own eventfd2", 0, 1);
	}
	if (!step(outcome, "export",
		  fbk_point_export((struct fbk_point){ line, 6 }, FBK_FENCE_EVENTFD,
				   deadline_ms(PATIENCE_MS), &out),
		  0) ||
	    !step(outcome, "signal", fbk_timeline_signal(line, 6), 0) ||
	    !step(outcome, "raised", readable_within(out, PATIENCE_MS), 1) ||
	    !step(outcome, "import", fbk_import(device, in, &imported), 0)) {
		return false;
	}
	close(out);
	eventfd_write(ours, 1);
	close(ours);
	bool reached =
		step(outcome, "imported", fbk_point_wait(imported, deadline_ms(PATIENCE_MS)), 0);
	fbk_timeline_close(imported.timeline);
	return reached;
}

static void use_all(struct outcome *outcome)
{
	struct fbk_context *context, *other;
	struct fbk_device *device;
	struct fbk_device_desc desc = { .struct_size = sizeof(desc),
					.name = "inside",
					.device_class = FBK_CLASS_CPU,
					.waits = FBK_FENCE_MEMORY64,
					.signals = FBK_FENCE_MEMORY64 };
	struct fbk_timeline *line, *seen;
	int token;
	if (!step(outcome, "connect", fbk_connect(server.socket, &context), 0) ||
	    !step(outcome, "connect", fbk_connect(server.socket, &other), 0) ||
	    !step(outcome, "device", fbk_device_register(context, &desc, &device), 0) ||
	    !step(outcome, "timeline", fbk_timeline_create(device, NULL, "line", 0, &line), 0) ||
	    !step(outcome, "share", fbk_timeline_share(line, FBK_RIGHT_WAIT, &token), 0) ||
	    !step(outcome, "open", fbk_timeline_open(other, token, &seen), 0)) {
		return;
	}
	close(token);
	const struct fbk_point points[] = { { seen, 1 }, { seen, 2 } };
	size_t index;
	uint64_t before = cpu_us();
	if (!step(outcome, "wait", fbk_point_wait(points[0], deadline_ms(SLEEP_MS)), -ETIMEDOUT) ||
	    !step(outcome, "wait for any",
		  fbk_point_wait_any(points, 2, deadline_ms(SLEEP_MS), &index), -ETIMEDOUT)) {
		return;
	}
	outcome->slept_cpu_us = cpu_us() - before;
	if (use_watch(outcome, context, line) && use_fds(outcome, device, line)) {
		fbk_timeline_close(seen);
		fbk_disconnect(other);
		fbk_disconnect(context);
	}
}

struct run {
	const struct refusal *refusal;
	int error;
	struct outcome *outcome;
};

static int client_run(void *arg)
{
	struct run *run = arg;
	filter_refuse(run->refusal->number, run->error);
	use_all(run->outcome);
	_exit(0);
}

static void outcome_check(const struct outcome *outcome, const struct refusal *refusal, int error,
			  enum without expected)
{
	const char *about = strerrorname_np(error);
	if (!outcome->step) {
		ck_assert_msg(outcome->slept_cpu_us < 2 * SLEEP_MS * 1000 / 2,
			      "%s (%s): sleeping took %llu us of the CPU", refusal->name, about,
			      (unsigned long long)outcome->slept_cpu_us);
		return;
	}
	ck_assert_msg(expected != WORKS, "%s (%s): %s: %d, %s", refusal->name, about, outcome->step,
		      outcome->result, outcome->detail);
	ck_assert_msg(strstr(outcome->detail, refusal->name), "%s (%s): %s: %d, %s", refusal->name,
		      about, outcome->step, outcome->result, outcome->detail);
	ck_assert_msg(outcome->result != -EPERM && outcome->result != -EACCES,
		      "%s (%s): %s: %d would be the policy's", refusal->name, about, outcome->step,
		      outcome->result);
}

/* _i: the call and the errno */
START_TEST(clients_do_without)
{
	const struct refusal *refusal = &refusals[_i / ERRORS];
	int error = errors[_i % ERRORS];
	struct outcome *outcome = shared_memory(sizeof(*outcome));
	daemon_serve(&server, NULL);
	struct run run = { refusal, error, outcome };
	ck_assert_int_eq(child_wait(child_start(client_run, &run)), 0);
	outcome_check(outcome, refusal, error, refusal->client);
	daemon_stop(&server);
}
END_TEST

/* ------------------------------------------------------------------------------------- the daemon -- */

static void confine(const void *arg)
{
	const struct run *run = arg;
	filter_refuse(run->refusal->number, run->error);
}

static int unconfined_run(void *arg)
{
	use_all(arg);
	_exit(0);
}

START_TEST(the_daemon_does_without)
{
	const struct refusal *refusal = &refusals[_i / ERRORS];
	int error = errors[_i % ERRORS];
	struct run run = { refusal, error, NULL };
	struct daemon_options options = { .confine = confine, .confine_arg = &run };
	char text[4096];
	if (refusal->daemon == NOT_TRIED) {
		return;
	}
	daemon_prepare(&server);
	if (refusal->daemon == NAMED) {
		ck_assert_int_ne(daemon_run(&server, &options, text, sizeof(text)), 0);
		ck_assert_msg(strstr(text, refusal->name), "%s (%s): %s", refusal->name,
			      strerrorname_np(error), text);
		daemon_remove(&server);
		return;
	}
	struct outcome *outcome = shared_memory(sizeof(*outcome));
	daemon_start(&server, &options);
	ck_assert_int_eq(child_wait(child_start(unconfined_run, outcome)), 0);
	outcome_check(outcome, refusal, error, refusal->daemon);
	daemon_stop(&server);
}
END_TEST

/* Nobody can be served. The daemon says so, rests, and ends as usual. */
START_TEST(nobody_is_accepted)
{
	const struct refusal refusal = CALL(accept4, NOT_TRIED, NOT_TRIED);
	struct run run = { &refusal, errors[_i], NULL };
	struct daemon_options options = { .confine = confine, .confine_arg = &run };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[8192];
	clockid_t clock;
	struct timespec used;
	daemon_prepare(&server);
	daemon_start(&server, &options);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.socket);
	EXPECT(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	for (uint64_t end = now_ms() + 1000; now_ms() < end;) {
		yield_briefly();
	}
	EXPECT(clock_getcpuclockid(server.pid, &clock) == 0);
	EXPECT(clock_gettime(clock, &used) == 0);
	ck_assert_int_eq(used.tv_sec, 0);
	ck_assert_int_lt(used.tv_nsec, 500000000);
	daemon_log_text(&server, text, sizeof(text));
	const char *said = strstr(text, "accept4");
	ck_assert_msg(said && !strstr(said + 1, "accept4"), "%s", text);
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* --------------------------------------------------------------------------------- lists of a sandbox -- */

#define CALLS_MAX 1000

static int allowed[CALLS_MAX];
static size_t allowed_count;

static void confine_to_list(const void *arg)
{
	(void)arg;
	filter_allow(allowed, allowed_count, EPERM);
}

static int confined_run(void *arg)
{
	confine_to_list(NULL);
	use_all(arg);
	_exit(0);
}

/* Client and daemon live with what the list allows, and everything works. */
START_TEST(the_list_is_enough)
{
	struct daemon_options options = { .confine = confine_to_list };
	struct outcome *outcome = shared_memory(sizeof(*outcome));
	daemon_prepare(&server);
	daemon_start(&server, &options);
	ck_assert_int_eq(child_wait(child_start(confined_run, outcome)), 0);
	ck_assert_msg(!outcome->step, "%s: %d, %s", outcome->step, outcome->result,
		      outcome->detail);
	daemon_stop(&server);
}
END_TEST

static void add_list(TCase *tcase)
{
	tcase_add_test(tcase, the_list_is_enough);
}

/* The numbers in a file, one a line: see tests/scripts/sandboxes.sh. */
static int list_main(const char *path)
{
	FILE *file = fopen(path, "re");
	while (file && allowed_count < CALLS_MAX &&
	       fscanf(file, "%d", &allowed[allowed_count]) == 1) {
		allowed_count++;
	}
	return allowed_count > 0 ? suite_main("sandbox", add_list) : EXIT_FAILURE;
}

static void add(TCase *tcase)
{
	tcase_set_timeout(tcase, 100);
	const int runs = REFUSALS * ERRORS;
	tcase_add_loop_test(tcase, clients_do_without, 0, runs);
	tcase_add_loop_test(tcase, the_daemon_does_without, 0, runs);
	tcase_add_loop_test(tcase, nobody_is_accepted, 0, ERRORS);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--allow") == 0) {
		return list_main(argv[2]);
	}
	return suite_main("sandbox", add);
}
