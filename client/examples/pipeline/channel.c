// SPDX-License-Identifier: MIT
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

#define CONNECT_AGAIN_NS (10 * NS_PER_MS)

union control {
	struct cmsghdr header; /* aligns the buffer */
	char room[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
};

static int address_of(const char *path, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path));
	*ret_address = address;
	return 0;
}

static int channel_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int channel_adopt(int fd, struct channel *ret_channel)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	*ret_channel = (struct channel){ .fd = fd, .pid = peer.pid };
	return 0;
}

int channel_listen(const char *path, int *ret_listener)
{
	struct sockaddr_un address;
	int r = address_of(path, &address);
	if (r < 0) {
		return r;
	}
	int fd = channel_socket();
	if (fd < 0) {
		return fd;
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_listener = fd;
	return 0;
}

static int poll_until(int fd, uint64_t deadline_ns)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	int r;
	do {
		r = poll(&wanted, 1, clock_poll_ms(deadline_ns));
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		return -errno;
	}
	return r == 0 ? -ETIMEDOUT : 0;
}

int channel_accept(int listener, uint64_t deadline_ns, struct channel *ret_channel)
{
	int r = poll_until(listener, deadline_ns);
	if (r < 0) {
		return r;
	}
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : channel_adopt(fd, ret_channel);
}

static int connect_once(const struct sockaddr_un *address, struct channel *ret_channel)
{
	int fd = channel_socket();
	if (fd < 0) {
		return fd;
	}
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return channel_adopt(fd, ret_channel);
}

int channel_connect(const char *path, uint64_t deadline_ns, struct channel *ret_channel)
{
	struct sockaddr_un address;
	int r = address_of(path, &address);
	if (r < 0) {
		return r;
	}
	for (;;) {
		r = connect_once(&address, ret_channel);
		if (r != -ENOENT && r != -ECONNREFUSED) {
			return r;
		}
		uint64_t next = clock_now() + CONNECT_AGAIN_NS;
		if (next > deadline_ns) {
			return -ETIMEDOUT;
		}
		clock_sleep_until(next);
	}
}

void channel_close(struct channel *channel)
{
	if (channel->fd >= 0) {
		close(channel->fd);
		channel->fd = -1;
	}
}

int channel_send(const struct channel *channel, const struct message *message, const int *fds,
		 size_t fd_count)
{
	struct iovec data = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	union control control = { 0 };

	if (fd_count > MESSAGE_FDS_MAX) {
		return -E2BIG;
	}
	if (fd_count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
	}
	ssize_t sent = sendmsg(channel->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sent < 0 ? -errno : 0;
}

static size_t take_fds(struct msghdr *header, int *ret_fds)
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(header);
	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) {
		return 0;
	}
	size_t size = rights->cmsg_len - CMSG_LEN(0);
	memcpy(ret_fds, CMSG_DATA(rights), size);
	return size / sizeof(int);
}

int channel_receive(const struct channel *channel, uint64_t deadline_ns, enum message_type type,
		    struct message *ret_message, int *ret_fds, size_t fd_count)
{
	struct message message;
	struct iovec data = { .iov_base = &message, .iov_len = sizeof(message) };
	union control control = { 0 };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	int fds[MESSAGE_FDS_MAX +
		1]; /* alignment of the control data may leave room for one more */

	int r = poll_until(channel->fd, deadline_ns);
	if (r < 0) {
		return r;
	}
	ssize_t size = recvmsg(channel->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (size < 0) {
		return errno == ECONNRESET ? -EPIPE : -errno;
	}
	size_t count = take_fds(&header, fds);
	if (size != (ssize_t)sizeof(message) || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    message.type != type || count != fd_count) {
		while (count > 0) {
			close(fds[--count]);
		}
		return size == 0 ? -EPIPE : -EPROTO;
	}
	memcpy(ret_fds, fds, count * sizeof(int));
	*ret_message = message;
	return 0;
}
