// SPDX-License-Identifier: MIT
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "fd.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04 /* Linux 6.5 */
#endif

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)) +
		      CMSG_SPACE(sizeof(int) * WIRE_FDS_ROOM)];
};

static void packet_take_part(struct wire_packet *packet, const struct cmsghdr *part)
{
	struct wire_sender *sender = &packet->sender;
	struct ucred credentials;
	size_t count;
	switch (part->cmsg_type) {
	case SCM_RIGHTS:
		count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(packet->fds + packet->fd_count, CMSG_DATA(part), count * sizeof(int));
		packet->fd_count += count;
		break;
	case SCM_CREDENTIALS:
		memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
		sender->pid = credentials.pid;
		sender->uid = credentials.uid;
		break;
	case SCM_PIDFD:
		memcpy(&sender->pidfd, CMSG_DATA(part), sizeof(sender->pidfd));
		break;
	default:
		break;
	}
}

static void packet_take_parts(struct wire_packet *packet, struct msghdr *header)
{
	packet->sender = (struct wire_sender){ .pidfd = -1 };
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level == SOL_SOCKET) {
			packet_take_part(packet, part);
		}
	}
}

int wire_receive(int socket, struct wire_packet *packet)
{
	union control control;
	struct iovec vector = { .iov_base = packet->bytes, .iov_len = sizeof(packet->bytes) };
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	packet->size = 0;
	packet->fd_count = 0;

	/* A peer that closed with our words unread is reported once, before what it had said. */
	bool reset = false;
	bool again;
	ssize_t size;
	do {
		size = syscall(SYS_recvmsg, socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		again = size < 0 && (errno == EINTR || (errno == ECONNRESET && !reset));
		reset = size < 0 && errno == ECONNRESET;
	} while (again);
	if (size < 0) {
		return errno == ECONNRESET ? 0 : -errno;
	}
	packet_take_parts(packet, &header);
	if (header.msg_flags & MSG_TRUNC) {
		return -EMSGSIZE;
	}
	packet->size = (size_t)size;
	if (header.msg_flags & MSG_CTRUNC) {
		return -EMFILE;
	}
	/* An empty packet and the end of the file look alike; no message of ours is empty. */
	return size > 0 || packet->fd_count > 0 ? 1 : 0;
}

int wire_send(int socket, const void *bytes, size_t size, const int *fds, size_t fd_count)
{
	union control control;
	struct iovec vector = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };

	if (fd_count > WIRE_FDS_ROOM) {
		return -EINVAL;
	}
	if (fd_count > 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *part = CMSG_FIRSTHDR(&header);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
	}
	ssize_t sent;
	do {
		sent = syscall(SYS_sendmsg, socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		return -errno;
	}
	return 0;
}

ssize_t wire_pack(const ProtobufCMessage *message, uint8_t *bytes)
{
	if (protobuf_c_message_get_packed_size(message) > WIRE_PACKET_MAX) {
		return -EMSGSIZE;
	}
	return (ssize_t)protobuf_c_message_pack(message, bytes);
}

static void *arena_alloc(void *data, size_t size)
{
	struct wire_arena *arena = data;
	size_t rounded = (size + 15) & ~(size_t)15;
	if (rounded < size || rounded > arena->size - arena->used) {
		return NULL;
	}
	void *memory = arena->memory + arena->used;
	arena->used += rounded;
	return memory;
}

static void arena_free(void *data, void *memory)
{
	(void)data; /* freed as a whole */
	(void)memory;
}

void wire_arena_init(struct wire_arena *arena, void *memory, size_t size)
{
	*arena = (struct wire_arena){
		.allocator = { .alloc = arena_alloc, .free = arena_free, .allocator_data = arena },
		.memory = memory,
		.size = size,
	};
}

void wire_arena_reset(struct wire_arena *arena)
{
	arena->used = 0;
}

void wire_text_copy(char *ret_text, size_t size, const char *text)
{
	size_t length = 0;
	for (; text && text[length] && length + 1 < size; length++) {
		char c = text[length];
		ret_text[length] = c >= ' ' && c <= '~' ? c : '?';
	}
	ret_text[length] = '\0';
}
