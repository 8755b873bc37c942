// SPDX-License-Identifier: MIT
/* A program whose clock is not the daemon's: it is refused as it connects, and nothing is kept. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-wire.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080 /* Linux 5.6 */
#endif

#define NO_NAMESPACE 77

static struct daemon fencebrokerd;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
}

static void teardown(void)
{
	daemon_stop(&fencebrokerd);
}

/* What this process forks from now on is in a namespace whose clock is so far ahead of ours. */
static bool time_namespace(int seconds)
{
	if (unshare(CLONE_NEWTIME) < 0) {
		return false;
	}
	FILE *offsets = fopen("/proc/self/timens_offsets", "w");
	bool good = offsets && fprintf(offsets, "monotonic %d 0\n", seconds) > 0;
	if (offsets) {
		good = fclose(offsets) == 0 && good;
	}
	return good;
}

static int count_fds(void)
{
	int count = 0;
	for (int fd = 3; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

#define CHILD_EXPECT(condition)                                                      \
	do {                                                                         \
		if (!(condition)) {                                                  \
			fprintf(stderr, "%s: %s\n", #condition, fbk_error_detail()); \
			return 1;                                                    \
		}                                                                    \
	} while (0)

static int connect_elsewhere(int seconds)
{
	struct fbk_context *context = NULL;
	int fds = count_fds();
	int r = fbk_connect(fencebrokerd.socket, &context);
	if (seconds == 0) {
		CHILD_EXPECT(r == 0);
		fbk_disconnect(context);
	} else {
		CHILD_EXPECT(r == -EXDEV && context == NULL);
		CHILD_EXPECT(strstr(fbk_error_detail(), "time namespace"));
		CHILD_EXPECT(strstr(fbk_error_detail(), seconds > 0 ? "behind" : "ahead"));
	}
	CHILD_EXPECT(count_fds() == fds);
	return 0;
}

static int in_child(int (*run)(int seconds), int seconds)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		_exit(run(seconds));
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									       : -1;
}

static int enter_and_connect(int seconds)
{
	return time_namespace(seconds) ? in_child(connect_elsewhere, seconds) : NO_NAMESPACE;
}

static const int offsets[] = { 0, 1, 86400, -1 };

START_TEST(another_clock)
{
	struct client observer;
	client_open(&observer, &fencebrokerd);
	uint64_t sessions = client_usage(&observer, getuid(), "connections");
	int r = in_child(enter_and_connect, offsets[_i]);
	if (r == NO_NAMESPACE) {
		printf("SKIPPED: another_clock: no time namespace can be made here (%s)\n",
		       strerrordesc_np(EPERM));
	} else {
		ck_assert_int_eq(r, 0);
	}
	ck_assert_uint_eq(client_usage(&observer, getuid(), "connections"), sessions);
	client_close(&observer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, another_clock, offsets);
}

int main(void)
{
	return suite_main("clock", add);
}
