// SPDX-License-Identifier: MIT
#include "lib-peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/lib/uring.h"

uint64_t deadline_ms(uint64_t ms)
{
	return (now_ms() + ms) * 1000000;
}

int readable_within(int fd, int ms)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	int r;
	do {
		r = poll(&entry, 1, ms);
	} while (r < 0 && errno == EINTR);
	return r;
}

int loop_turn(struct fbk_context *context)
{
	EXPECT(readable_within(fbk_context_fd(context), PATIENCE_MS) == 1);
	int r = fbk_dispatch(context);
	EXPECT(r >= 0);
	return r;
}

bool kernel_naps(void)
{
	return uring_probe() == 0;
}

struct fbk_context *peer_connect(const struct daemon *daemon)
{
	struct fbk_context *context = NULL;
	int r = fbk_connect(daemon->socket, &context);
	if (r < 0) {
		ck_abort_msg("fbk_connect: %s", fbk_error_detail());
	}
	return context;
}

struct fbk_device *peer_device(struct fbk_context *context, const char *name)
{
	struct fbk_device *device = NULL;
	struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = name,
		.device_class = FBK_CLASS_CPU,
		.waits = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD,
		.signals = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD,
	};
	int r = fbk_device_register(context, &desc, &device);
	if (r < 0) {
		ck_abort_msg("fbk_device_register: %s", fbk_error_detail());
	}
	return device;
}

struct fbk_timeline *peer_timeline(struct fbk_device *device, const char *name, uint32_t flags)
{
	struct fbk_timeline *timeline = NULL;
	int r = fbk_timeline_create(device, NULL, name, flags, &timeline);
	if (r < 0) {
		ck_abort_msg("fbk_timeline_create: %s", fbk_error_detail());
	}
	return timeline;
}

struct fbk_timeline *peer_open(struct fbk_context *context, struct fbk_timeline *timeline,
			       uint32_t rights)
{
	struct fbk_timeline *opened = NULL;
	int token = -1;
	int r = fbk_timeline_share(timeline, rights, &token);
	ck_assert_msg(r == 0, "fbk_timeline_share: %s", fbk_error_detail());
	r = fbk_timeline_open(context, token, &opened);
	ck_assert_msg(r == 0, "fbk_timeline_open: %s", fbk_error_detail());
	close(token);
	return opened;
}

struct served {
	int socket;
	int (*fn)(int socket, void *arg);
	void *arg;
};

static int peer_serve(void *arg)
{
	const struct served *served = arg;
	return served->fn(served->socket, served->arg);
}

void peer_start(struct peer *peer, int (*fn)(int socket, void *arg), void *arg)
{
	int ends[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	struct served served = { .socket = ends[1], .fn = fn, .arg = arg };
	peer->pid = child_start(peer_serve, &served);
	peer->socket = ends[0];
	close(ends[1]);
}

int peer_wait(struct peer *peer)
{
	int status = child_wait(peer->pid);
	close(peer->socket);
	return status;
}

static int word_send(int socket, uint64_t word, int fd, int flags)
{
	struct iovec vector = { .iov_base = &word, .iov_len = sizeof(word) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	memset(&control, 0, sizeof(control));
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

void send_word(int socket, uint64_t word, int fd)
{
	EXPECT(word_send(socket, word, fd, 0) == 0);
}

int try_send_word(int socket, uint64_t word, int fd)
{
	return word_send(socket, word, fd, MSG_DONTWAIT);
}

uint64_t receive_word(int socket, int *ret_fd)
{
	uint64_t word = 0;
	struct iovec vector = { .iov_base = &word, .iov_len = sizeof(word) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct pollfd entry = { .fd = socket, .events = POLLIN };
	EXPECT(poll(&entry, 1, PATIENCE_MS) == 1);
	EXPECT(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof(word));
	if (ret_fd) {
		EXPECT(message.msg_controllen >= CMSG_LEN(sizeof(int)));
		memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(*ret_fd));
	}
	return word;
}
