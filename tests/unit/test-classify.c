// SPDX-License-Identifier: MIT
#include "proto/classify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/include/fencebroker.h"
#include "tests/suite.h"

static struct classifier classifier;
static char directory[] = "/tmp/fencebroker-classify-XXXXXX";

static void setup(void)
{
	const char *call;
	int memfd = memfd_create("known", MFD_CLOEXEC);
	ck_assert_int_eq(classifier_init(&classifier, &call), 0);
	ck_assert_int_eq(classifier_know_memfds(&classifier, memfd), 0);
	close(memfd);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
}

static void teardown(void)
{
	classifier_finish(&classifier);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* A deleted file whose name stays visible while it is open. */
static int fd_named(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	unlink(name);
	return fd;
}

static int fd_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int fd_semaphore(void)
{
	return eventfd(7, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);
}

static int fd_duplicate(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	close(fd);
	return duplicate;
}

static int fd_regular(void)
{
	return fd_named("file");
}

/* A file named like an eventfd, in a directory that allows such a name. */
static int fd_regular_forged(void)
{
	return fd_named("anon_inode:[eventfd]");
}

static int fd_memfd(void)
{
	return memfd_create("plain", MFD_CLOEXEC);
}

static int fd_memfd_sync_file(void)
{
	return memfd_create("anon_inode:sync_file", MFD_CLOEXEC);
}

static int fd_memfd_eventfd(void)
{
	return memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC);
}

static int fd_memfd_dmabuf(void)
{
	return memfd_create("/dmabuf:", MFD_CLOEXEC);
}

static int fd_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int fd_pipe(void)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	return fds[1];
}

static int fd_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int fd_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int fd_path(void)
{
	return open("/dev/null", O_PATH | O_CLOEXEC);
}

static int fd_link(void)
{
	ck_assert_int_eq(symlink("nowhere", "link"), 0);
	int fd = open("link", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	unlink("link");
	return fd;
}

static int fd_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int fd_timer(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int fd_signal(void)
{
	sigset_t none;
	sigemptyset(&none);
	return signalfd(-1, &none, SFD_CLOEXEC);
}

static int fd_inotify(void)
{
	return inotify_init1(IN_CLOEXEC);
}

static int fd_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int fd_closed(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	close(fd);
	return fd;
}

static int fd_none(void)
{
	return -1;
}

static const struct {
	int (*make)(void);
	int kind;         /* 0: refused */
	const char *what; /* how the error starts */
} kinds[] = {
	{ fd_eventfd, FBK_FENCE_EVENTFD, "an eventfd" },
	{ fd_semaphore, FBK_FENCE_EVENTFD, "an eventfd" },
	{ fd_duplicate, FBK_FENCE_EVENTFD, "an eventfd" },
	{ fd_regular, 0, "a regular file" },
	{ fd_regular_forged, 0, "a regular file" },
	{ fd_memfd, 0, "a memfd" },
	{ fd_memfd_sync_file, 0, "a memfd" },
	{ fd_memfd_eventfd, 0, "a memfd" },
	{ fd_memfd_dmabuf, 0, "a memfd" },
	{ fd_socket, 0, "a socket" },
	{ fd_pipe, 0, "a pipe" },
	{ fd_directory, 0, "a directory" },
	{ fd_device, 0, "a character device" },
	{ fd_path, 0, "a character device" },
	{ fd_link, 0, "a symbolic link" },
	{ fd_epoll, 0, "an object of the kernel's ([eventpoll])" },
	{ fd_timer, 0, "an object of the kernel's ([timerfd])" },
	{ fd_signal, 0, "an object of the kernel's ([signalfd])" },
	{ fd_inotify, 0, "an object of the kernel's (inotify)" },
	{ fd_pidfd, 0, "a" }, /* of a file system of its own since Linux 6.9 */
	{ fd_closed, 0, "not open" },
	{ fd_none, 0, "not open" },
};

START_TEST(kind)
{
	char what[64] = "";
	int found = -1;
	int fd = kinds[_i].make();
	int flags = fcntl(fd, F_GETFL);
	int r = classify_fd(&classifier, fd, &found, what, sizeof(what));
	ck_assert_msg(strncmp(what, kinds[_i].what, strlen(kinds[_i].what)) == 0, "%s: %s",
		      kinds[_i].what, what);
	if (kinds[_i].kind) {
		ck_assert_int_eq(r, 0);
		ck_assert_int_eq(found, kinds[_i].kind);
	} else {
		ck_assert_int_eq(r, -EBADF);
		ck_assert_int_eq(found, -1); /* untouched */
	}
	ck_assert_int_eq(fcntl(fd, F_GETFL), flags);
	close(fd);
}
END_TEST

/* It only looks: the counter of the eventfd stays. */
START_TEST(not_touched)
{
	char what[64];
	int found;
	eventfd_t value;
	int fd = eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(classify_fd(&classifier, fd, &found, what, sizeof(what)), 0);
	ck_assert_int_eq(eventfd_read(fd, &value), 0);
	ck_assert_uint_eq(value, 3);
	close(fd);
}
END_TEST

START_TEST(short_room)
{
	char what[8] = "#######";
	int found;
	int fd = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_eq(classify_fd(&classifier, fd, &found, what, 6), -EBADF);
	ck_assert_str_eq(what, "an ob");
	ck_assert_int_eq(what[6], '#');
	close(fd);
}
END_TEST

START_TEST(finished_twice)
{
	struct classifier other = { .reference_fd = -1 };
	const char *call;
	classifier_finish(&other); /* never created */
	ck_assert_int_eq(classifier_init(&other, &call), 0);
	classifier_finish(&other);
	ck_assert_int_eq(other.reference_fd, -1);
	classifier_finish(&other);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, kind, kinds);
	tcase_add_test(tcase, not_touched);
	tcase_add_test(tcase, short_room);
	tcase_add_test(tcase, finished_twice);
}

int main(void)
{
	return suite_main("classify", add);
}
