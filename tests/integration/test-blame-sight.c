// SPDX-License-Identifier: MIT
/*
 * What the daemon says of a process that it can't see, or sees only in part: of each state there is a case here that looks
 * like it and is another. Each test has its own mount and pid namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-stuck.h"

#define NOBODY 65534

static struct daemon server;

static const char policy[] = "version = 1;\n"
			     "rules: ( { user = \"*\"; connect = true; register = true; "
			     "inspect = \"all\"; } );\n";

static void setup(void)
{
	daemon_prepare(&server);
}

static void teardown(void)
{
	daemon_end(&server);
}

/* It owes point 1, and does nothing until it is told to end. */
static int debtor_run(int socket, void *arg)
{
	int token;
	(void)arg;
	receive_word(socket, NULL); /* the daemon serves */
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *debt = peer_timeline(peer_device(context, "debtor"), "debt", 0);
	EXPECT(fbk_timeline_share(debt, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return 0;
}

/* Once the daemon serves: waits for the debt here, and returns what is stuck. */
static struct json_object *stuck_with(struct peer *debtor, struct fbk_context **ret_context)
{
	struct fbk_timeline *debt;
	int token, fd;
	send_word(debtor->socket, 0, -1);
	receive_word(debtor->socket, &token);
	*ret_context = peer_connect(&server);
	EXPECT(fbk_timeline_open(*ret_context, token, &debt) == 0);
	close(token);
	EXPECT(fbk_point_export((struct fbk_point){ debt, 1 }, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX,
				&fd) == 0);
	return stuck_await(&server, 1);
}

static void debtor_end(struct peer *debtor, struct fbk_context *context)
{
	fbk_disconnect(context);
	send_word(debtor->socket, 0, -1);
	ck_assert_int_eq(peer_wait(debtor), 0);
}

static void proc_mount(const char *options)
{
	EXPECT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	EXPECT(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0);
}

static void expect_hidden(struct json_object *list)
{
	struct json_object *entry = json_object_array_get_idx(list, 0);
	ck_assert_str_eq(word_of(entry, "end"), "hidden");
	ck_assert_ptr_nonnull(strstr(word_of(entry, "cause"), "not visible to the daemon"));
	ck_assert_ptr_null(strstr(word_of(entry, "cause"), "dead"));
	json_object_put(list);
}

/* --------------------------------------------------------------------------------- not visible --- */

/* /proc shows the daemon's user its own processes only. */
START_TEST(hidden_by_proc)
{
	struct fbk_context *context;
	struct peer debtor;
	EXPECT(unshare(CLONE_NEWNS) == 0);
	proc_mount("hidepid=2");
	EXPECT(chown(server.directory, NOBODY, NOBODY) == 0);
	daemon_start(&server, &(struct daemon_options){ .policy = policy, .uid = NOBODY });
	peer_start(&debtor, debtor_run, NULL);
	expect_hidden(stuck_with(&debtor, &context));
	debtor_end(&debtor, context);
}
END_TEST

struct inside {
	int flags; /* for unshare(2) */
	void (*run)(struct peer *debtor);
	struct peer *debtor;
};

/* LeakSanitizer can't work where /proc is another namespace's: no process here exits as usual, and what is started does
 * without. */
static int inside_first(void *arg)
{
	const struct inside *inside = arg;
	EXPECT(setenv("ASAN_OPTIONS", "detect_leaks=0", 1) == 0);
	inside->run(inside->debtor);
	daemon_kill(&server);
	_exit(0);
}

static int inside_enter(void *arg)
{
	const struct inside *inside = arg;
	EXPECT(unshare(inside->flags) == 0);
	_exit(child_wait(child_start(inside_first, arg)));
}

/* By the first process of a pid namespace. */
static void run_inside(int flags, void (*run)(struct peer *debtor), struct peer *debtor)
{
	struct inside inside = { flags | CLONE_NEWPID, run, debtor };
	ck_assert_int_eq(child_wait(child_start(inside_enter, &inside)), 0);
}

static void see_outside(struct peer *debtor)
{
	struct fbk_context *context;
	proc_mount(NULL);
	daemon_start(&server, NULL);
	expect_hidden(stuck_with(debtor, &context));
	fbk_disconnect(context);
}

START_TEST(in_another_pid_namespace)
{
	struct peer debtor;
	peer_start(&debtor, debtor_run, NULL);
	run_inside(CLONE_NEWNS, see_outside, &debtor);
	send_word(debtor.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&debtor), 0);
}
END_TEST

/* The numbers of /proc are those of another namespace: there the debtor's belongs to another process, which is stopped. */
static void see_by_number(struct peer *debtor)
{
	struct fbk_context *context;
	daemon_start(&server, NULL);
	peer_start(debtor, debtor_run, NULL);
	struct json_object *list = stuck_with(debtor, &context);
	expect_cause(json_object_array_get_idx(list, 0), "silent", debtor->pid,
		     "has not signalled");
	json_object_put(list);
	EXPECT(kill(debtor->pid, SIGSTOP) == 0);
	EXPECT(waitpid(debtor->pid, NULL, WUNTRACED) == debtor->pid);
	list = stuck_await(&server, 1);
	expect_cause(json_object_array_get_idx(list, 0), "stopped", debtor->pid, "is stopped");
	json_object_put(list);
	EXPECT(kill(debtor->pid, SIGCONT) == 0);
	fbk_disconnect(context);
	kill(debtor->pid, SIGKILL);
	peer_wait(debtor);
}

START_TEST(proc_of_another_pid_namespace)
{
	struct peer debtor;
	run_inside(0, see_by_number, &debtor);
}
END_TEST

/* -------------------------------------------------------------------------------------- not dead --- */

static void *debtor_thread(void *arg)
{
	_exit(debtor_run(*(int *)arg, NULL)); /* what the main thread had is not lost */
}

/* Its main thread has ended: /proc calls the process a zombie. */
static int headless_run(int socket, void *arg)
{
	static int own;
	pthread_t thread;
	(void)arg;
	own = socket;
	EXPECT(pthread_create(&thread, NULL, debtor_thread, &own) == 0);
	pthread_exit(NULL);
}

START_TEST(without_its_main_thread)
{
	struct fbk_context *context;
	struct peer debtor;
	daemon_start(&server, NULL);
	peer_start(&debtor, headless_run, NULL);
	struct json_object *list = stuck_with(&debtor, &context);
	expect_cause(json_object_array_get_idx(list, 0), "silent", debtor.pid, "has not signalled");
	json_object_put(list);
	debtor_end(&debtor, context);
}
END_TEST

/* ---------------------------------------------------------------------------------------- frozen --- */

static void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool group_frozen(const char *path)
{
	char text[128] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strstr(text, "frozen 1");
}

/* A frozen process looks as if it slept. */
START_TEST(frozen)
{
	struct fbk_context *context;
	struct peer debtor;
	char group[64], path[128], pid[16];
	EXPECT(unshare(CLONE_NEWNS) == 0);
	EXPECT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	if (mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0) {
		printf("no control groups: %s\n", strerror(errno));
		daemon_start(&server, NULL);
		return;
	}
	daemon_start(&server, NULL);
	peer_start(&debtor, debtor_run, NULL);
	snprintf(group, sizeof(group), "/sys/fs/cgroup/fencebroker-%d", debtor.pid);
	EXPECT(mkdir(group, 0755) == 0);
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(pid, sizeof(pid), "%d", debtor.pid);
	file_write(path, pid);
	json_object_put(stuck_with(&debtor, &context));
	snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
	file_write(path, "1");
	snprintf(path, sizeof(path), "%s/cgroup.events", group);
	while (!group_frozen(path)) {
		yield_briefly();
	}
	struct json_object *list = stuck_await(&server, 1);
	expect_cause(json_object_array_get_idx(list, 0), "frozen", debtor.pid, "is frozen");
	json_object_put(list);
	snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
	file_write(path, "0");
	debtor_end(&debtor, context);
	EXPECT(rmdir(group) == 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, hidden_by_proc);
	tcase_add_test(tcase, in_another_pid_namespace);
	tcase_add_test(tcase, proc_of_another_pid_namespace);
	tcase_add_test(tcase, without_its_main_thread);
	tcase_add_test(tcase, frozen);
}

int main(void)
{
	if (geteuid() != 0) {
		puts("SKIPPED: needs root, for namespaces");
		return 77;
	}
	return suite_main("blame-sight", add);
}
