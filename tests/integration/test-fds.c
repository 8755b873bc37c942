// SPDX-License-Identifier: MIT
/* File descriptors that clients send: too many, too few, of the wrong kind, and such whose close
 * takes for ever. The daemon keeps none open, and no other client notices. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib-view.h"

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client client; /* the one that misbehaves */

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&client, &fencebrokerd);
}

/* No other client noticed, and the daemon kept nothing. */
static void teardown(void)
{
	bystander_round(&bystander);
	client_close(&client);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static void expect_alive(void)
{
	client_ping(&client);
	bystander_round(&bystander);
}

START_TEST(wrong_fd_count)
{
	int fds[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	uint64_t refused = client_counter(&bystander.waiter, "fds_refused");
	REQUEST(open, TIMELINE_OPEN, timeline_open);
	REQUEST(set, SET_CREATE, set_create);
	ck_assert_int_eq(client_call(&client, &open, NULL, 0, NULL), -EINVAL);
	client_expect_detail(&client, "timeline_open: 0 file descriptors received, 1 expected");
	ck_assert_int_eq(client_call(&client, &open, fds, 2, NULL), -EINVAL);
	client_expect_detail(&client, "timeline_open: 2 file descriptors received, 1 expected");
	ck_assert_int_eq(client_call(&client, &set, fds, 1, NULL), -EINVAL);
	client_expect_detail(&client, "set_create: 1 file descriptors received, 0 expected");
	ck_assert_uint_eq(client_counter(&bystander.waiter, "fds_refused"), refused + 3);
	close(fds[0]);
	close(fds[1]);
	expect_alive();
}
END_TEST

START_TEST(fds_without_end)
{
	int fds[WIRE_FDS_ROOM];
	int fd = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < WIRE_FDS_ROOM; i++) {
		fds[i] = fd;
	}
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	for (int round = 0; round < 20; round++) {
		ck_assert_int_eq(client_call(&client, &request, fds, WIRE_FDS_ROOM, NULL), -EINVAL);
		client_expect_detail(&client, "253 file descriptors received");
		bystander_round(&bystander);
	}
	client_send_raw(&client, "garbage", 7, fds, WIRE_FDS_ROOM);
	client_expect_end(&client);
	close(fd);
}
END_TEST

static int fd_regular(void)
{
	FILE *file = tmpfile();
	int fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
	fclose(file);
	return fd;
}

static int fd_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int fd_pipe(void)
{
	int ends[2];
	EXPECT(pipe2(ends, O_CLOEXEC) == 0);
	close(ends[1]);
	return ends[0];
}

static int fd_memfd(void)
{
	return memfd_create("anon_inode:sync_file", MFD_CLOEXEC);
}

static int fd_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int fd_directory(void)
{
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int fd_path(void)
{
	return open("/tmp", O_PATH | O_CLOEXEC);
}

static int fd_closed_peer(void)
{
	int ends[2];
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	close(ends[1]);
	return ends[0];
}

static int fd_own_pair_page(void)
{
	return fcntl(client.pair_fd, F_DUPFD_CLOEXEC, 0);
}

/* A fence for import, but no token. */
static int fd_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

/* A token, but no fence. An O_PATH fd of it, which needs no right to the file, is none. */
static int fd_token(void)
{
	int fd;
	EXPECT(view_share(&bystander.signals, FBK_RIGHT_WAIT, &fd) == 0);
	return fd;
}

static int fd_token_path(void)
{
	char path[32];
	int token = fd_token();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", token);
	int fd = open(path, O_PATH | O_CLOEXEC);
	EXPECT(fd >= 0);
	close(token);
	return fd;
}

static const struct {
	int (*make)(void);
	bool import, open; /* try to use it as such */
	const char *word;  /* part of the error that refuses an import */
} kinds[] = {
	{ fd_regular, true, true, "regular file" },
	{ fd_socket, true, true, "socket" },
	{ fd_pipe, true, true, "pipe" },
	{ fd_memfd, true, true, "memfd" },
	{ fd_epoll, true, true, "eventpoll" },
	{ fd_directory, true, true, "directory" },
	{ fd_path, true, true, "director" },
	{ fd_closed_peer, true, true, "socket" },
	{ fd_own_pair_page, true, true, "memfd" },
	{ fd_token, true, false, "memfd" },
	{ fd_token_path, true, true, "memfd" },
	{ fd_eventfd, false, true, "" },
};

/* None of those is a syncobj. */
static void expect_no_mirror(const struct view *view, int fd)
{
	REQUEST(to, MIRROR_TO, mirror_to);
	REQUEST(from, MIRROR_FROM, mirror_from);
	to.mirror_to->handle = view->handle;
	from.mirror_from->handle = view->handle;
	ck_assert_int_eq(client_call(&client, &to, &fd, 1, NULL), -EBADF);
	client_expect_detail(&client, "not a drm_syncobj");
	ck_assert_int_eq(client_call(&client, &from, &fd, 1, NULL), -EBADF);
	client_expect_detail(&client, "not a drm_syncobj");
}

/* As many fences as one request takes, and one more; one fd that is no fence among them. */
START_TEST(several_fences)
{
	struct view view;
	int fds[FBK_FENCES_MAX + 1];
	uint32_t device = client_device(&client, "cpu0");
	REQUEST(request, POINT_SIGNAL_ON, point_signal_on);
	ck_assert_int_eq(view_create(&client, device, 0, "line", FBK_TIMELINE_BROKERED, &view), 0);
	for (int i = 0; i <= FBK_FENCES_MAX; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
	}
	request.point_signal_on->handle = view.handle;
	request.point_signal_on->value = 1;
	ck_assert_int_eq(client_call(&client, &request, fds, FBK_FENCES_MAX + 1, NULL), -EINVAL);
	client_expect_detail(&client, "1 or more expected");
	int last = fds[FBK_FENCES_MAX - 1];
	fds[FBK_FENCES_MAX - 1] = client.socket;
	ck_assert_int_eq(client_call(&client, &request, fds, FBK_FENCES_MAX, NULL), -EBADF);
	client_expect_detail(&client, "socket");
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "imports"), 0);
	fds[FBK_FENCES_MAX - 1] = last;
	ck_assert_int_eq(client_call(&client, &request, fds, FBK_FENCES_MAX, NULL), 0);
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "imports"), 1);
	for (int i = 0; i < FBK_FENCES_MAX; i++) {
		ck_assert_int_eq(point_wait(&view, 1, 1), -ETIMEDOUT);
		eventfd_write(fds[i], 1);
	}
	ck_assert_int_eq(point_wait(&view, 1, PATIENCE_MS), 0);
	for (int i = 0; i <= FBK_FENCES_MAX; i++) {
		close(fds[i]);
	}
	expect_alive();
}
END_TEST

START_TEST(wrong_fd_kind)
{
	struct view view, opened;
	uint32_t device = client_device(&client, "cpu0");
	int fd = kinds[_i].make();
	if (fd < 0) {
		return; /* the kernel refused already */
	}
	ck_assert_int_eq(view_create(&client, device, 0, "imported", FBK_TIMELINE_BROKERED, &view),
			 0);
	uint64_t refused = client_counter(&bystander.waiter, "fds_refused");
	if (kinds[_i].import) {
		ck_assert_int_eq(view_import(&view, 1, fd), -EBADF);
		client_expect_detail(&client, kinds[_i].word);
		client_expect_detail(&client, "eventfd"); /* the way out */
	}
	if (kinds[_i].open) {
		ck_assert_int_eq(view_open(&client, fd, &opened), -EBADF);
		client_expect_detail(&client, "not a token of this daemon");
	}
	expect_no_mirror(&view, fd);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "fds_refused"),
			  refused + kinds[_i].import + kinds[_i].open + 2);
	close(fd);
	expect_alive();
}
END_TEST

/* Sends fds while the daemon is stopped, and closes them, so that the daemon's close is the
 * last. */
static void send_and_forget(const void *bytes, size_t size, int fd)
{
	EXPECT(client_send_raw(&client, bytes, size, &fd, 1) == 0);
	close(fd);
}

/* Refused and closed; and queued behind garbage, so that they are never received. */
START_TEST(lingering_socket)
{
	static const uint8_t set_create[] = { 0x08, 0x01, 0x32, 0x00 };
	struct reply reply;
	int peers[2];
	ck_assert_int_eq(kill(fencebrokerd.pid, SIGSTOP), 0);
	send_and_forget(set_create, sizeof(set_create), fd_lingering(&peers[0]));
	ck_assert_int_eq(kill(fencebrokerd.pid, SIGCONT), 0);
	ck_assert(client_receive(&client, &reply));
	ck_assert_int_eq(reply.message->error, -EINVAL);
	reply_free(&reply);
	for (int round = 0; round < 10; round++) {
		bystander_round(&bystander);
	}
	ck_assert_int_eq(kill(fencebrokerd.pid, SIGSTOP), 0);
	ck_assert_int_eq(client_send_raw(&client, "garbage", 7, NULL, 0), 0);
	send_and_forget("more", 4, fd_lingering(&peers[1]));
	ck_assert_int_eq(kill(fencebrokerd.pid, SIGCONT), 0);
	client_expect_end(&client);
	client_close(&client);
	uint64_t started = now_ms();
	for (int round = 0; round < 10; round++) {
		bystander_round(&bystander);
	}
	daemon_await_fds(&fencebrokerd, bystander.fds);
	ck_assert_uint_lt(now_ms() - started, 10000); /* nobody waited for the 30 s of the linger */
	char log[8192];
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	ck_assert_msg(strstr(log, "hangs on a client's file"), "it was not as bad as meant: %s",
		      log);
	close(peers[0]);
	close(peers[1]);
}
END_TEST

/* The helper is killed while stopped, before it has closed what it was given; and killed while
 * idle. Its successor closes the fds. */
START_TEST(killed_helper)
{
	ck_assert_int_eq(kill(daemon_closer(&fencebrokerd), SIGSTOP), 0);
	ck_assert_int_eq(client_send_raw(&client, "garbage", 7, NULL, 0), 0);
	client_await_counter(&bystander.waiter, "malformed", 1);
	ck_assert_int_eq(kill(daemon_closer(&fencebrokerd), SIGKILL), 0);
	client_expect_end(&client);
	client_close(&client);

	ck_assert_int_eq(kill(daemon_closer(&fencebrokerd), SIGKILL), 0);
	client_open(&client, &fencebrokerd);
	ck_assert_int_eq(client_send_raw(&client, "garbage", 7, NULL, 0), 0);
	client_expect_end(&client);
	client_close(&client);
	daemon_await_fds(&fencebrokerd, bystander.fds);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, wrong_fd_count);
	tcase_add_test(tcase, fds_without_end);
	tcase_add_test(tcase, several_fences);
	ADD_LOOP(tcase, wrong_fd_kind, kinds);
	tcase_add_test(tcase, lingering_socket);
	tcase_add_test(tcase, killed_helper);
}

int main(void)
{
	return suite_main("fds", add);
}
