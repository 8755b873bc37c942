// SPDX-License-Identifier: MIT
/*
 * The smallest hand-over between two processes: -> acquire, <- release. The producer has memory fences;
 * the consumer knows eventfds only. Besides the timelines' tokens they share a socketpair and one page.
 */
#include <fencebroker.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 5

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + UINT64_C(2000000000);
}

static int fd_send(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int fd_receive(int socket)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	int fd = -1;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message)) {
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	}
	return fd;
}

/* Make a timeline, send its token, open the peer's timeline by the token that comes back. */
static int introduce(struct fbk_context *ctx, const struct fbk_device_desc *desc, uint32_t flags,
		     int socket, struct fbk_timeline **ret_own, struct fbk_timeline **ret_other)
{
	struct fbk_device *device;
	int token, r;
	if ((r = fbk_device_register(ctx, desc, &device)) < 0 ||
	    (r = fbk_timeline_create(device, NULL, desc->name, flags, ret_own)) < 0 ||
	    (r = fbk_timeline_share(*ret_own, FBK_RIGHT_WAIT, &token)) < 0) {
		return r;
	}
	fd_send(socket, token);
	close(token);
	token = fd_receive(socket);
	r = fbk_timeline_open(ctx, token, ret_other);
	close(token);
	return r;
}

static int produce(int socket, volatile uint64_t *buffer)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "producer",
					.device_class = FBK_CLASS_GPU,
					.waits = FBK_FENCE_MEMORY64,
					.signals = FBK_FENCE_MEMORY64 };
	struct fbk_timeline *ready, *released;
	struct fbk_context *ctx;
	int r = fbk_connect(NULL, &ctx);
	if (r < 0 || (r = introduce(ctx, &desc, 0, socket, &ready, &released)) < 0) {
		return r;
	}
	for (uint64_t n = 1; n <= FRAMES && r == 0; n++) {
		*buffer = n * n;
		r = fbk_timeline_signal(ready, n); /* a store, as a device would make it */
		if (r == 0) {
			r = fbk_point_wait((struct fbk_point){ released, n }, deadline());
		}
	}
	fbk_disconnect(ctx);
	return r;
}

static int consume(int socket, volatile uint64_t *buffer)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "consumer",
					.device_class = FBK_CLASS_ENCODER,
					.waits = FBK_FENCE_EVENTFD,
					.signals = FBK_FENCE_EVENTFD };
	struct fbk_timeline *released, *ready;
	struct fbk_context *ctx;
	int r = fbk_connect(NULL, &ctx);
	if (r < 0 ||
	    (r = introduce(ctx, &desc, FBK_TIMELINE_BROKERED, socket, &released, &ready)) < 0) {
		return r;
	}
	for (uint64_t n = 1; n <= FRAMES && r == 0; n++) {
		struct fbk_point acquire = { ready, n }, release = { released, n };
		struct pollfd entry = { .events = POLLIN };
		r = fbk_point_export(acquire, FBK_FENCE_EVENTFD, deadline(), &entry.fd);
		if (r < 0) {
			break;
		}
		poll(&entry, 1, -1); /* the export has a deadline */
		close(entry.fd);
		r = fbk_point_check(acquire);
		if (r == 0) {
			int fence = eventfd(0, EFD_CLOEXEC), device = dup(fence);
			r = fbk_point_signal_on(release, fence); /* follows the device's fence */
			printf("frame %llu holds %llu\n", (unsigned long long)n,
			       (unsigned long long)*buffer);
			eventfd_write(device, 1); /* the device has finished */
			close(device);
		}
	}
	if (r == 0) {
		r = fbk_point_wait((struct fbk_point){ released, FRAMES }, deadline());
	}
	fbk_disconnect(ctx);
	return r;
}

int main(int argc, char **argv)
{
	int ends[2], status = 0;
	uint64_t *buffer = mmap(NULL, sizeof(*buffer), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc > 1) {
		printf("Usage: %s\nHands %d values from one process to another.\n", argv[0],
		       FRAMES);
		return strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	if (buffer == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		perror(argv[0]);
		return EXIT_FAILURE;
	}
	pid_t child = fork();
	close(ends[child != 0]);
	int r = child == 0 ? consume(ends[1], buffer) : produce(ends[0], buffer);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", child == 0 ? "consumer" : "producer",
			fbk_error_detail()[0] ? fbk_error_detail() : strerror(-r));
	}
	if (child == 0) {
		fflush(stdout);
		_exit(r < 0);
	}
	waitpid(child, &status, 0);
	return r < 0 || status != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
