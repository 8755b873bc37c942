// SPDX-License-Identifier: MIT
/*
 * Two socket clients that hand points over and back until SIGTERM, and ask the daemon all the time:
 *   hand-over SOCKET
 * The leader signals a point; the follower waits for it by an exported eventfd, answers with a point of
 * its own, and the leader sleeps until that is reached. Once a second the leader prints the number of
 * hand-overs, the errors, and the longest in milliseconds.
 */
#include <errno.h>
#include <fencebroker.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(10000000000)
#define SECOND_NS   UINT64_C(1000000000)
#define PACE_US     500

struct end {
	struct fbk_context *context;
	struct fbk_timeline *mine;
	struct fbk_timeline *theirs;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void must(const char *what, int r)
{
	if (r < 0) {
		fprintf(stderr, "hand-over: %s: %s: %s\n", what, strerror(-r), fbk_error_detail());
		exit(EXIT_FAILURE);
	}
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * SECOND_NS + (uint64_t)time.tv_nsec;
}

union fd_room {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static void fd_send(int socket, int fd)
{
	union fd_room control = { .header = { .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS,
					      .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	must("sending a token", sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno);
}

static int fd_receive(int socket)
{
	union fd_room control;
	char byte;
	int fd = -1;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message)) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	}
	must("receiving a token", fd >= 0 ? 0 : -EPIPE);
	return fd;
}

static void end_meet(struct end *end, const char *path, const char *name, int socket)
{
	const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					      .name = name,
					      .device_class = FBK_CLASS_CPU,
					      .waits = FBK_FENCE_MEMORY64,
					      .signals = FBK_FENCE_MEMORY64 };
	struct fbk_device *device;
	int token;
	must("connecting", fbk_connect(path, &end->context));
	must("registering", fbk_device_register(end->context, &desc, &device));
	must("a timeline", fbk_timeline_create(device, NULL, name, 0, &end->mine));
	must("sharing", fbk_timeline_share(end->mine, FBK_RIGHT_WAIT, &token));
	fd_send(socket, token);
	close(token);
	token = fd_receive(socket);
	must("opening", fbk_timeline_open(end->context, token, &end->theirs));
	close(token);
}

/* One request a point: a daemon that does not answer stops the hand-over. */
static void point_await_exported(struct fbk_point point)
{
	struct pollfd entry = { .events = POLLIN };
	must("an export",
	     fbk_point_export(point, FBK_FENCE_EVENTFD, now() + PATIENCE_NS, &entry.fd));
	must("poll", poll(&entry, 1, (int)(2 * PATIENCE_NS / 1000000)) == 1 ? 0 : -ETIMEDOUT);
	close(entry.fd);
	must("the leader's point", fbk_point_check(point));
}

static _Noreturn void follow(const char *path, int socket)
{
	struct end end;
	end_meet(&end, path, "follower", socket);
	for (uint64_t value = 1;; value++) {
		point_await_exported((struct fbk_point){ end.theirs, value });
		must("answering", fbk_timeline_signal(end.mine, value));
	}
}

/* Did the follower live until the end? It ends before the leader leaves, for it would call that an error. */
static bool lead(const char *path, int socket, pid_t follower)
{
	struct end end;
	uint64_t said = now(), longest = 0, errors = 0, value = 0;
	end_meet(&end, path, "leader", socket);
	while (!stopped) {
		uint64_t start = now();
		must("signalling", fbk_timeline_signal(end.mine, ++value));
		struct fbk_point answer = { end.theirs, value };
		int r = fbk_point_wait(answer, start + PATIENCE_NS);
		errors += r < 0;
		must("waiting", r);
		uint64_t end_ns = now();
		longest = end_ns - start > longest ? end_ns - start : longest;
		if (end_ns - said > SECOND_NS / 10) {
			said = end_ns;
			printf("%llu %llu %llu\n", (unsigned long long)value,
			       (unsigned long long)errors, (unsigned long long)(longest / 1000000));
			fflush(stdout);
		}
		usleep(PACE_US);
	}
	bool alive = waitpid(follower, NULL, WNOHANG) == 0;
	if (alive) {
		kill(follower, SIGKILL);
		waitpid(follower, NULL, 0);
	}
	fbk_disconnect(end.context);
	return alive;
}

int main(int argc, char **argv)
{
	int sockets[2];
	if (argc != 2) {
		fprintf(stderr, "usage: hand-over SOCKET\n");
		return 2;
	}
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	pid_t follower = fork();
	must("fork", follower);
	if (follower == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sockets[0]);
		follow(argv[1], sockets[1]);
	}
	close(sockets[1]);
	signal(SIGTERM, stop);
	return lead(argv[1], sockets[0], follower) ? EXIT_SUCCESS : EXIT_FAILURE;
}
