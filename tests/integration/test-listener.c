// SPDX-License-Identifier: MIT
/* The socket that clients connect to, how the daemon gets it, and its messages when it cannot; the
 * daemon's start and end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib-view.h"

#define NOBODY        65534
#define EX_SETTING_UP 126 /* the child could not change its user */

static struct daemon fencebrokerd;
static struct daemon second; /* of the same directory, with a log of its own */
static char said[2048];

static void setup(void)
{
	unsetenv("JOURNAL_STREAM");
	daemon_prepare(&fencebrokerd);
	second = fencebrokerd;
	snprintf(second.log, sizeof(second.log), "%.80s/log-second", second.directory);
}

static void teardown(void)
{
	if (fencebrokerd.pid > 0) {
		daemon_terminate(&fencebrokerd);
	}
	daemon_remove(&fencebrokerd);
}

/* The start fails, with one line of output that contains all these words. */
static void expect_refusal(const struct daemon_options *options, const char *const words[])
{
	ck_assert_int_eq(daemon_run(&second, options, said, sizeof(said)), EXIT_FAILURE);
	const char *end = strchr(said, '\n');
	ck_assert_msg(end && end[1] == '\0', "not one line: %s", said);
	const char *prefix = getenv("JOURNAL_STREAM") ? "<3>" : "fencebrokerd: ";
	ck_assert_msg(strncmp(said, prefix, strlen(prefix)) == 0, "not an error: %s", said);
	for (size_t i = 0; words[i]; i++) {
		ck_assert_msg(strstr(said, words[i]), "'%s' is not in: %s", words[i], said);
	}
}

static const struct daemon_options plain;

static bool exists(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0;
}

static void expect_serving(void)
{
	struct client client;
	client_open(&client, &fencebrokerd);
	client_ping(&client);
	client_close(&client);
}

/* ------------------------------------------------------------------------ a path of its own --- */

START_TEST(second_daemon)
{
	struct bystander bystander;
	char pid[32];
	daemon_start(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	snprintf(pid, sizeof(pid), "(pid %d)", fencebrokerd.pid);
	const char *words[] = {
		"another fencebrokerd", pid, fencebrokerd.socket, "stop it", "--socket", NULL
	};
	expect_refusal(&plain, words);
	expect_refusal(&plain, words); /* the first refusal changed nothing */
	bystander_round(&bystander);
	expect_serving();
	bystander_close(&bystander);
}
END_TEST

START_TEST(stale_socket)
{
	daemon_start(&fencebrokerd, NULL);
	daemon_kill(&fencebrokerd);
	ck_assert(exists(fencebrokerd.socket)); /* left behind: stale */
	daemon_start(&fencebrokerd, NULL);
	expect_serving();
	daemon_terminate(&fencebrokerd);
	ck_assert(!exists(fencebrokerd.socket));
}
END_TEST

START_TEST(started_again)
{
	for (int round = 0; round < 3; round++) {
		daemon_start(&fencebrokerd, NULL);
		ck_assert(exists(fencebrokerd.socket));
		expect_serving();
		daemon_terminate(&fencebrokerd);
		ck_assert(!exists(fencebrokerd.socket));
	}
}
END_TEST

static void occupied_by_file(void)
{
	int fd = open(second.socket, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT(fd >= 0 && write(fd, "precious", 8) == 8 && close(fd) == 0);
}

static void occupied_by_link(void)
{
	EXPECT(symlink("policy.conf", second.socket) == 0);
}

static void occupied_by_fifo(void)
{
	EXPECT(mkfifo(second.socket, 0600) == 0);
}

static void (*const occupiers[])(void) = { occupied_by_file, occupied_by_link, occupied_by_fifo };

/* A file that is no socket belongs to somebody; it stays as it is. */
START_TEST(occupied)
{
	struct stat before, after;
	const char *words[] = { second.socket, "not a socket", "remove it", "--socket", NULL };
	occupiers[_i]();
	ck_assert_int_eq(lstat(second.socket, &before), 0);
	expect_refusal(&plain, words);
	ck_assert_int_eq(lstat(second.socket, &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_int_eq(after.st_size, before.st_size);
}
END_TEST

/* A path of that many bytes: slashes fill it. */
static const char *path_of_length(size_t length)
{
	static char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	size_t directory = strlen(second.directory);
	EXPECT(length > directory + strlen("socket") && length < sizeof(path));
	memset(path, '/', length);
	memcpy(path, second.directory, directory);
	memcpy(path + length - strlen("socket"), "socket", sizeof("socket"));
	return path;
}

START_TEST(path_too_long)
{
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	const char *args[] = { "fencebrokerd", "--user", "--socket", NULL, NULL };
	struct daemon_options options = { .args = args };
	args[3] = path_of_length(most + 1);
	const char *words[] = { args[3], "longer than a socket's path may be", "107", "--socket",
				NULL };
	expect_refusal(&options, words);
	ck_assert(!exists(fencebrokerd.socket));

	args[3] = path_of_length(most);
	daemon_start(&fencebrokerd, &options);
	expect_serving(); /* by the short path: it is the same file */
	daemon_terminate(&fencebrokerd);
	ck_assert(!exists(fencebrokerd.socket));
}
END_TEST

START_TEST(no_directory)
{
	char path[120];
	const char *args[] = { "fencebrokerd", "--user", "--socket", path, NULL };
	struct daemon_options options = { .args = args };
	snprintf(path, sizeof(path), "%.80s/a/b/socket", second.directory);
	const char *words[] = { "/a/b", "No such file", "make it", "--socket", NULL };
	expect_refusal(&options, words);
}
END_TEST

START_TEST(directory_not_writable)
{
	char directory[96];
	struct daemon_options options = { .uid = geteuid() == 0 ? NOBODY : 0 };
	const char *words[] = { second.socket, "Permission denied",
				"run as a user that may write it", "--socket", NULL };
	snprintf(directory, sizeof(directory), "%.64s/closed", second.directory);
	snprintf(second.socket, sizeof(second.socket), "%.80s/socket", directory);
	ck_assert_int_eq(mkdir(directory, 0555), 0);
	if (daemon_run(&second, &options, said, sizeof(said)) == EX_SETTING_UP) {
		puts("another user can't be had here: directory_not_writable was not tried");
	} else {
		expect_refusal(&options, words);
		ck_assert(!exists(second.socket));
	}
	ck_assert_int_eq(rmdir(directory), 0); /* so it left nothing there */
}
END_TEST

static void add_paths(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, second_daemon);
	tcase_add_test(tcase, stale_socket);
	tcase_add_test(tcase, started_again);
	ADD_LOOP(tcase, occupied, occupiers);
	tcase_add_test(tcase, path_too_long);
	tcase_add_test(tcase, no_directory);
	tcase_add_test(tcase, directory_not_writable);
}

/* ----------------------------------------------------------------- from the service manager --- */

static int listening_socket(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path, fencebrokerd.socket, sizeof(fencebrokerd.socket));
	EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	EXPECT(type == SOCK_DGRAM || listen(fd, 16) == 0);
	return fd;
}

/* A client that connects before the daemon starts is served once it has; the daemon must not remove
 * the socket. */
START_TEST(activated)
{
	const char *args[] = { "fencebrokerd", "--user", NULL }; /* and no $XDG_RUNTIME_DIR */
	struct client client;
	struct daemon_options options = { .args = args,
					  .listen_fd = listening_socket(SOCK_SEQPACKET) };
	unsetenv("XDG_RUNTIME_DIR");
	client_connect(&client, &fencebrokerd);
	for (int round = 0; round < 2; round++) {
		daemon_start(&fencebrokerd, &options);
		if (round == 0) {
			ck_assert_int_eq(client_hello(&client, 1, 1), 0);
			client_close(&client);
		}
		expect_serving();
		daemon_terminate(&fencebrokerd);
		ck_assert(exists(fencebrokerd.socket));
	}
	daemon_log_text(&fencebrokerd, said, sizeof(said));
	ck_assert(strstr(said, "serving the passed socket"));
	close(options.listen_fd);
}
END_TEST

static int wrong_stream(void)
{
	return listening_socket(SOCK_STREAM);
}

static int wrong_datagram(void)
{
	return listening_socket(SOCK_DGRAM);
}

static int wrong_not_listening(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int wrong_file(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int (*const wrong_sockets[])(void) = { wrong_stream, wrong_datagram, wrong_not_listening,
					      wrong_file };

START_TEST(activated_wrongly)
{
	struct daemon_options options = { .listen_fd = wrong_sockets[_i]() };
	const char *words[] = { "service manager passed", "SOCK_SEQPACKET",
				"ListenSequentialPacket=", NULL };
	expect_refusal(&options, words);
	close(options.listen_fd);
}
END_TEST

/* The next message that comes to a notify socket; false if none comes. */
static bool notified(int fd, char *ret_text, size_t size)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	ssize_t got = poll(&polled, 1, PATIENCE_MS) == 1 ? recv(fd, ret_text, size - 1, 0) : -1;
	ret_text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

static int served_by_child(void *arg)
{
	const struct daemon_options *options = arg;
	return daemon_run(&second, options, said, sizeof(said));
}

/* READY=1 comes once clients can connect, STOPPING=1 before it ends. */
START_TEST(notifies)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ucred sender;
	socklen_t size = sizeof(sender);
	int on = 1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/notify-mine", second.directory);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, size = sizeof(on)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	pid_t child = child_start(served_by_child, (void *)(uintptr_t)&plain);
	unsetenv("NOTIFY_SOCKET");

	char control[CMSG_SPACE(sizeof(sender))];
	struct iovec vector = { .iov_base = said, .iov_len = sizeof(said) - 1 };
	struct msghdr header = { .msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	ck_assert_int_eq(poll(&polled, 1, PATIENCE_MS), 1);
	ssize_t got = recvmsg(fd, &header, 0);
	ck_assert_int_gt(got, 0);
	said[got] = '\0';
	ck_assert_msg(strncmp(said, "READY=1\nSTATUS=serving ", 23) == 0, "%s", said);
	ck_assert_msg(strstr(said, fencebrokerd.socket), "%s", said);
	expect_serving();
	memcpy(&sender, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(sender));
	ck_assert_int_eq(kill(sender.pid, SIGTERM), 0);
	ck_assert(notified(fd, said, sizeof(said)));
	ck_assert_str_eq(said, "STOPPING=1");
	ck_assert_int_eq(child_wait(child), EXIT_SUCCESS);
	ck_assert(!exists(fencebrokerd.socket));
	close(fd);
}
END_TEST

static void add_service(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, activated);
	ADD_LOOP(tcase, activated_wrongly, wrong_sockets);
	tcase_add_test(tcase, notifies);
}

/* ------------------------------------------------------------------------ a path of another's --- */

static void expect_occupied(void)
{
	struct stat before, after;
	const char *words[] = { "another program", second.socket, "stop it", "--socket", NULL };
	ck_assert_int_eq(lstat(second.socket, &before), 0);
	expect_refusal(&plain, words);
	ck_assert_int_eq(lstat(second.socket, &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
}

/* The service manager takes no lock. */
START_TEST(passed_to_another)
{
	struct daemon_options options = { .listen_fd = listening_socket(SOCK_SEQPACKET) };
	struct bystander bystander;
	char pid[32];
	const char *words[] = { pid, NULL };
	expect_occupied(); /* it would start a daemon now */
	daemon_start(&fencebrokerd, &options);
	bystander_open(&bystander, &fencebrokerd);
	expect_occupied();
	snprintf(pid, sizeof(pid), "(pid %d)", getpid()); /* who listens */
	expect_refusal(&plain, words);
	bystander_round(&bystander);
	expect_serving();
	bystander_close(&bystander);
	close(options.listen_fd);
}
END_TEST

/* Sockets of other programs, which may be of another type, or busy. */
START_TEST(of_another_program)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		int fd = listening_socket(types[i]);
		expect_occupied();
		close(fd);
		daemon_start(&fencebrokerd, NULL); /* stale */
		expect_serving();
		daemon_terminate(&fencebrokerd);
		ck_assert(!exists(fencebrokerd.socket));
	}
}
END_TEST

START_TEST(of_a_busy_program)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = listening_socket(SOCK_SEQPACKET);
	int waits[64];
	size_t count = 0;
	memcpy(address.sun_path, fencebrokerd.socket, sizeof(fencebrokerd.socket));
	do { /* until its backlog is full */
		waits[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	} while (connect(waits[count++], (const struct sockaddr *)&address, sizeof(address)) == 0);
	expect_occupied();
	while (count > 0) {
		close(waits[--count]);
	}
	close(fd);
}
END_TEST

/* Somebody removed the lock; the socket shows who serves. */
START_TEST(lock_removed)
{
	char lock[112];
	daemon_start(&fencebrokerd, NULL);
	snprintf(lock, sizeof(lock), "%s.lock", fencebrokerd.socket);
	ck_assert_int_eq(unlink(lock), 0);
	expect_occupied();
	expect_serving();
}
END_TEST

/* What another made at its path since is not the daemon's to remove. */
START_TEST(replaced_since)
{
	struct daemon_options options = { 0 };
	daemon_start(&fencebrokerd, NULL);
	ck_assert_int_eq(unlink(fencebrokerd.socket), 0);
	options.listen_fd = listening_socket(SOCK_SEQPACKET);
	daemon_terminate(&fencebrokerd);
	ck_assert(exists(fencebrokerd.socket));
	daemon_start(&fencebrokerd, &options);
	expect_serving();
	close(options.listen_fd);
}
END_TEST

static void add_others(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, passed_to_another);
	tcase_add_test(tcase, of_another_program);
	tcase_add_test(tcase, of_a_busy_program);
	tcase_add_test(tcase, lock_removed);
	tcase_add_test(tcase, replaced_since);
}

/* -------------------------------------------------------------------------- user and policy --- */

static void expect_mode(const char *path, mode_t mode)
{
	struct stat status;
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert_msg((status.st_mode & 07777) == mode, "%s has mode 0%o and not 0%o", path,
		      status.st_mode & 07777, mode);
	ck_assert_uint_eq(status.st_uid, geteuid());
}

START_TEST(user_default)
{
	const char *args[] = { "fencebrokerd", "--user", NULL };
	struct daemon_options options = { .args = args };
	char directory[96], command[576];
	snprintf(directory, sizeof(directory), "%.64s/fencebroker", fencebrokerd.directory);
	snprintf(fencebrokerd.socket, sizeof(fencebrokerd.socket), "%.80s/socket", directory);
	setenv("XDG_RUNTIME_DIR", fencebrokerd.directory, 1);
	mode_t mask = umask(0); /* the daemon does not need it */
	daemon_start(&fencebrokerd, &options);
	umask(mask);
	expect_mode(directory, 0700);
	expect_mode(fencebrokerd.socket, 0600);
	expect_serving();
	/* where the library looks too */
	snprintf(command, sizeof(command), "env -u FENCEBROKER_SOCKET '%.500s/fencectl' status >%s",
		 getenv("FBK_BIN_DIR"), "/dev/null");
	ck_assert_int_eq(system(command), 0);
	daemon_terminate(&fencebrokerd);
	ck_assert(!exists(fencebrokerd.socket));

	char lock[112];
	snprintf(lock, sizeof(lock), "%s.lock", fencebrokerd.socket);
	expect_mode(lock, 0600);
	ck_assert_int_eq(unlink(lock), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(system_mode)
{
	struct daemon_options options = { .policy = "version = 1; rules: ( { user = \"*\"; "
						    "connect = true; } );" };
	daemon_start(&fencebrokerd, &options);
	expect_mode(fencebrokerd.socket, 0666); /* policy decides who may do what */
	expect_serving();
}
END_TEST

START_TEST(user_without_runtime_directory)
{
	const char *args[] = { "fencebrokerd", "--user", NULL };
	struct daemon_options options = { .args = args };
	const char *words[] = { "$XDG_RUNTIME_DIR", "--socket", NULL };
	unsetenv("XDG_RUNTIME_DIR");
	expect_refusal(&options, words);
	setenv("XDG_RUNTIME_DIR", "", 1);
	expect_refusal(&options, words);
}
END_TEST

static const struct {
	const char *text;
	const char *where, *what; /* NULL: no error */
} policies[] = {
	{ "version = 1;\nrules: ();\n", NULL, NULL },
	{ "version = 1;\nrules: (\n { user = 0; connect = true }\n);\n", NULL, NULL },
	{ "version = 1;\n", ":1", "rules" },
	{ "version = 1;\nrules: (\n { user = ; } );\n", ":3", "syntax error" },
	{ "version = 1; rules: ();\n\nlimits: { conections = 3; };\n", ":3", "conections" },
	{ "version = 1; rules: ();\nsettings: {\n\n max_jump = \"x\"; };\n", ":4", "max_jump" },
	{ "\nversion = 9; rules: ();\n", ":2", "version" },
};

START_TEST(check_policy)
{
	const char *args[] = { "fencebrokerd", "--check-policy", "--policy", second.policy, NULL };
	struct daemon_options options = { .policy = policies[_i].text, .args = args };
	char expected[160];
	snprintf(second.policy, sizeof(second.policy), "%s/policy.conf", second.directory);
	if (!policies[_i].where) {
		ck_assert_int_eq(daemon_run(&second, &options, said, sizeof(said)), EXIT_SUCCESS);
		snprintf(expected, sizeof(expected), "%s: ok\n", second.policy);
		ck_assert_str_eq(said, expected);
	} else {
		snprintf(expected, sizeof(expected), "%s%s", second.policy, policies[_i].where);
		const char *words[] = { expected, policies[_i].what, NULL };
		expect_refusal(&options, words);
	}
	ck_assert(!exists(second.socket)); /* the daemon only read it */
}
END_TEST

START_TEST(policy_missing)
{
	const char *args[] = { "fencebrokerd", "--policy", "/nonexistent/policy", NULL };
	struct daemon_options options = { .args = args };
	const char *words[] = { "/nonexistent/policy", "No such file", NULL };
	expect_refusal(&options, words);
	setenv("JOURNAL_STREAM", "8:1", 1); /* the journal reads what is wrong how badly from it */
	expect_refusal(&options, words);
}
END_TEST

static void add_modes(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, user_default);
	tcase_add_test(tcase, system_mode);
	tcase_add_test(tcase, user_without_runtime_directory);
	ADD_LOOP(tcase, check_policy, policies);
	tcase_add_test(tcase, policy_missing);
}

int main(void)
{
	int paths = suite_main("listener: paths", add_paths);
	int service = suite_main("listener: service", add_service);
	int others = suite_main("listener: others", add_others);
	int modes = suite_main("listener: modes", add_modes);
	return paths == 0 && service == 0 && others == 0 && modes == 0 ? EXIT_SUCCESS
								       : EXIT_FAILURE;
}
