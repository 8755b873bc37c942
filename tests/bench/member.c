// SPDX-License-Identifier: MIT
#include "member.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static _Noreturn void member_run(enum place place, uid_t uid, member_fn *fn, int socket, void *arg)
{
	host_pin(place);
	if (uid != 0 && (setgid(uid) < 0 || setuid(uid) < 0)) {
		_exit(1);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid(), which clears it */
	int r = fn(socket, arg);
	if (r < 0) {
		fprintf(stderr, "fence-bench: a partner failed: %s\n", bench_reason());
	}
	_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

int member_start(struct member *member, enum place place, uid_t uid, member_fn *fn, void *arg)
{
	int sockets[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		return bench_fail("socketpair: %s", strerror(errno));
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(sockets[0]);
		member_run(place, uid, fn, sockets[1], arg);
	}
	close(sockets[1]);
	if (pid < 0) {
		close(sockets[0]);
		return bench_fail("fork: %s", strerror(errno));
	}
	*member = (struct member){ .pid = pid, .socket = sockets[0] };
	return 0;
}

void member_stop(struct member *member)
{
	if (member->pid > 0) {
		kill(member->pid, SIGKILL);
		waitpid(member->pid, NULL, 0);
		close(member->socket);
		member->pid = 0;
	}
}

int note_send(int socket, uint64_t number, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = &number, .iov_len = sizeof(number) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
		return bench_fail("a partner is gone: %s", strerror(errno));
	}
	return 0;
}

static int note_take(int socket, int patience_ms, uint64_t *ret_number, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	uint64_t number;
	struct iovec part = { .iov_base = &number, .iov_len = sizeof(number) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct pollfd entry = { .fd = socket, .events = POLLIN };
	int r = poll(&entry, 1, patience_ms);
	if (r == 0) {
		return bench_fail("a partner did not answer in %d seconds", patience_ms / 1000);
	}
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(number)) {
		return bench_fail("a partner ended");
	}
	int fd = -1;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	}
	if (ret_fd) {
		*ret_fd = fd;
	} else if (fd >= 0) {
		close(fd);
	}
	if (ret_number) {
		*ret_number = number;
	}
	return 0;
}

int note_receive(int socket, uint64_t *ret_number, int *ret_fd)
{
	return note_take(socket, NOTE_PATIENCE_MS, ret_number, ret_fd);
}

int note_await(int socket, uint64_t *ret_number)
{
	return note_take(socket, -1, ret_number, NULL);
}
