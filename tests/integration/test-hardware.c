// SPDX-License-Identifier: MIT
/* Device nodes come and go while the daemon serves, and opening one may block. The nodes are plain files, in a /dev of the
 * daemon's own: it finds them, and that they are no devices. tests/vm/test-hotplug.c has real ones. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-filter.h"
#include "lib-wire.h"

#define NOBODY 65534

static struct daemon fencebrokerd;
static struct client client;
static char dev[128], dri[160], node[192];

/* In the daemon's process. */
static void own_dev(const void *arg)
{
	bool root = getuid() == 0;
	EXPECT(unshare(root ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) == 0);
	EXPECT(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	EXPECT(mount(arg, "/dev", NULL, MS_BIND, NULL) == 0);
	EXPECT(!root || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0));
}

static void own_dev_unwatched(const void *arg)
{
	own_dev(arg);
	filter_refuse(SYS_inotify_init1, EPERM);
}

static void node_make(mode_t mode)
{
	int fd = open(node, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void node_chmod(mode_t mode)
{
	ck_assert_int_eq(chmod(node, mode), 0);
}

static void begin(void (*confine)(const void *arg))
{
	struct daemon_options options = {
		.confine = confine,
		.confine_arg = dev,
		.policy = "version = 1; rules: ( { user = \"*\"; connect = true; inspect = "
			  "\"all\"; } );",
	};
	daemon_prepare(&fencebrokerd);
	snprintf(dev, sizeof(dev), "%s/dev", fencebrokerd.directory);
	snprintf(dri, sizeof(dri), "%s/dri", dev);
	snprintf(node, sizeof(node), "%s/renderD128", dri);
	ck_assert_int_eq(mkdir(dev, 0755), 0);
	ck_assert_int_eq(getuid() == 0 ? chown(fencebrokerd.directory, NOBODY, NOBODY) : 0, 0);
	daemon_start(&fencebrokerd, &options);
	client_open(&client, &fencebrokerd);
}

static void setup(void)
{
	begin(own_dev);
}

static void setup_unwatched(void)
{
	begin(own_dev_unwatched);
}

static void teardown(void)
{
	client_close(&client);
	if (fencebrokerd.pid) {
		daemon_terminate(&fencebrokerd);
	}
	unlink(node);
	rmdir(dri);
	rmdir(dev);
	daemon_remove(&fencebrokerd);
}

/* Does the daemon have a render node that it may open? */
static bool has_node(void)
{
	bool has = false;
	struct reply reply;
	REQUEST(request, INSPECT_STATUS, inspect_status);
	ck_assert_int_eq(client_call(&client, &request, NULL, 0, &reply), 0);
	const Fbk__Wire__Status *status = reply.message->status;
	for (size_t i = 0; i < status->n_kernel; i++) {
		has = has ||
		      (strcmp(status->kernel[i]->name, "drm") == 0 && status->kernel[i]->works);
	}
	reply_free(&reply);
	return has;
}

static void await_node(bool has)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	while (has_node() != has) {
		ck_assert_msg(now_ms() < until, "the node is %s", has ? "not seen" : "still seen");
		yield_briefly();
	}
}

/* The folder too: with the last device the kernel removes it. */
START_TEST(nodes_come_and_go)
{
	for (int i = 0; i < 3; i++) {
		ck_assert(!has_node());
		ck_assert_int_eq(mkdir(dri, 0755), 0);
		node_make(0666);
		await_node(true);
		ck_assert_int_eq(unlink(node), 0);
		await_node(false);
		ck_assert_int_eq(rmdir(dri), 0);
	}
}
END_TEST

/* As udev does: the node is made for nobody, and given to others later. */
START_TEST(nodes_change_hands)
{
	ck_assert_int_eq(mkdir(dri, 0755), 0);
	node_make(0);
	for (int i = 0; i < 3; i++) {
		node_chmod(0666);
		await_node(true);
		node_chmod(0);
		await_node(false);
	}
}
END_TEST

/* One whose open blocks until its lease is given up. */
static int hanging_node_make(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGIO);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
	ck_assert_int_eq(mkdir(dri, 0755), 0);
	node_make(0);
	int fd = open(node, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	node_chmod(0666);
	struct timespec patience = { .tv_sec = PATIENCE_MS / 1000 };
	ck_assert_int_eq(sigtimedwait(&signals, NULL, &patience), SIGIO);
	return fd;
}

START_TEST(serves_while_one_hangs)
{
	static struct client other;
	int fd = hanging_node_make();
	ck_assert(!has_node());
	client_open(&other, &fencebrokerd);
	client_ping(&other);
	client_close(&other);
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	await_node(true);
	close(fd);
}
END_TEST

/* What came meanwhile is not forgotten. */
START_TEST(looks_again_after_one_hung)
{
	int fd = hanging_node_make();
	ck_assert_int_eq(unlink(node), 0);
	client_ping(&client);
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	close(fd);
	node_make(0666);
	await_node(true);
	ck_assert_int_eq(unlink(node), 0);
	await_node(false);
}
END_TEST

START_TEST(stops_while_one_hangs)
{
	char log[4096];
	int fd = hanging_node_make();
	daemon_terminate(&fencebrokerd);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	ck_assert_msg(strstr(log, "does not open"), "%s", log);
	close(fd);
}
END_TEST

/* Where a sandbox refuses inotify. */
START_TEST(a_reload_looks)
{
	if (getuid() != 0) {
		puts("SKIPPED: a_reload_looks: only root reloads a daemon of another user");
		return;
	}
	ck_assert_int_eq(mkdir(dri, 0755), 0);
	node_make(0666);
	for (int i = 0; i < 2; i++) {
		REQUEST(request, ADMIN_RELOAD, admin_reload);
		ck_assert(has_node() == (i == 1));
		ck_assert_int_eq(client_call(&client, &request, NULL, 0, NULL), 0);
		await_node(i == 0);
		unlink(node);
	}
}
END_TEST

static void add_unwatched(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_unwatched, teardown);
	tcase_add_test(tcase, a_reload_looks);
}

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nodes_come_and_go);
	tcase_add_test(tcase, nodes_change_hands);
	tcase_add_test(tcase, serves_while_one_hangs);
	tcase_add_test(tcase, looks_again_after_one_hung);
	tcase_add_test(tcase, stops_while_one_hangs);
}

static bool namespaces_work(void)
{
	int status = 1;
	pid_t pid = fork();
	if (pid == 0) {
		_exit(unshare(getuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	if (!namespaces_work()) {
		puts("SKIPPED: no mount namespace can be made here");
		return 77;
	}
	int r = suite_main("hardware", add);
	return r == 0 ? suite_main("hardware, without inotify", add_unwatched) : r;
}
