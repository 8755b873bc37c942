// SPDX-License-Identifier: MIT
#include "bus-gate.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The fixed part of a message: D-Bus specification, "Message Format". */
#define FIXED_SIZE     16
#define TYPE_CALL      1
#define FIELD_SENDER   7
#define FIELD_UNIX_FDS 9
#define BUS_TOTAL_MAX  (UINT32_C(1) << 27) /* of the specification */
#define SKIP_AT_ONCE   16384

static const char too_large[] = "a message on the bus has at most 65536 bytes";
static const char too_many_fds[] = "a message on the bus has at most 16 file descriptors";

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(int) * BUS_FDS_ROOM)];
};

int bus_gate_init(struct bus_gate *gate)
{
	*gate = (struct bus_gate){ 0 };
	for (size_t i = 0; i < BUS_FDS_MAX; i++) {
		gate->placeholders[i] = -1;
	}
	gate->buffer = malloc(BUS_MESSAGE_MAX);
	if (!gate->buffer) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < BUS_FDS_MAX; i++) {
		struct stat status;
		gate->placeholders[i] = memfd_create("fencebroker-placeholder", MFD_CLOEXEC);
		if (gate->placeholders[i] < 0 || fstat(gate->placeholders[i], &status) < 0) {
			return -errno;
		}
		gate->inodes[i] = status.st_ino;
	}
	return 0;
}

void bus_gate_finish(struct bus_gate *gate)
{
	for (size_t i = 0; gate->buffer && i < BUS_FDS_MAX; i++) {
		if (gate->placeholders[i] >= 0) {
			close(gate->placeholders[i]);
		}
	}
	free(gate->buffer);
	gate->buffer = NULL;
}

static void gate_next(struct bus_gate *gate)
{
	gate->have = 0;
	gate->total = 0;
	gate->kept = 0;
	gate->fd_count = 0;
	gate->fds_lost = false;
}

void bus_gate_reset(struct bus_gate *gate)
{
	gate_next(gate);
	gate->text = true;
	gate->current = NULL;
}

/* ----------------------------------------------------------------------------------- reading -- */

static void gate_take_fds(struct bus_gate *gate, struct msghdr *header)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(gate->fds + gate->fd_count, CMSG_DATA(part), count * sizeof(int));
		gate->fd_count += count;
	}
	gate->fds_lost |= (header->msg_flags & MSG_CTRUNC) != 0;
}

/* Bytes that were read; never past the end of a message, so that fds stay with theirs. */
static ssize_t gate_receive(struct bus_gate *gate, int socket, void *bytes, size_t size)
{
	union control control;
	struct iovec vector = { .iov_base = bytes, .iov_len = size };
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * (BUS_FDS_ROOM - gate->fd_count)),
	};
	ssize_t got;
	do {
		got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return -errno;
	}
	gate_take_fds(gate, &header);
	return got == 0 ? -ECONNRESET : got;
}

static uint32_t gate_number(const struct bus_gate *gate, size_t at)
{
	uint32_t number;
	memcpy(&number, gate->buffer + at, sizeof(number));
	return gate->buffer[0] == 'B' ? be32toh(number) : le32toh(number);
}

static size_t aligned(size_t at, size_t to)
{
	return (at + to - 1) / to * to;
}

/* The fixed part is there: how long is the message, and how much of it is kept? */
static int gate_measure(struct bus_gate *gate)
{
	if (gate->buffer[0] != 'l' && gate->buffer[0] != 'B') {
		return -EBADMSG;
	}
	uint32_t body = gate_number(gate, 4);
	uint32_t fields = gate_number(gate, 12);
	if (body > BUS_TOTAL_MAX || fields > BUS_TOTAL_MAX) {
		return -EBADMSG;
	}
	size_t head = aligned(FIXED_SIZE + (size_t)fields, 8);
	if (head > BUS_MESSAGE_MAX) {
		return -EBADMSG; /* the bus bounds names and paths, so the fields can't be that long */
	}
	gate->total = head + body;
	gate->kept = gate->total;
	if (gate->total > BUS_MESSAGE_MAX) {
		gate->kept = head;
		memset(gate->buffer + 4, 0, sizeof(body)); /* it passes without a body */
	}
	return 0;
}

static int gate_read_text(struct bus_gate *gate, int socket)
{
	do {
		if (gate->have == BUS_MESSAGE_MAX) {
			return -EBADMSG;
		}
		ssize_t got = gate_receive(gate, socket, gate->buffer + gate->have, 1);
		if (got < 0) {
			return (int)got;
		}
		gate->have++;
	} while (gate->buffer[gate->have - 1] != '\n');
	return 1;
}

/* Until `size` bytes of the message were read; those above `kept` are dropped. */
static int gate_read_until(struct bus_gate *gate, int socket, size_t size)
{
	static uint8_t dropped[SKIP_AT_ONCE];
	while (gate->have < size) {
		bool keep = gate->kept == 0 || gate->have < gate->kept;
		size_t end = keep && gate->kept > 0 && gate->kept < size ? gate->kept : size;
		size_t want = end - gate->have;
		if (!keep && want > sizeof(dropped)) {
			want = sizeof(dropped);
		}
		ssize_t got = gate_receive(gate, socket, keep ? gate->buffer + gate->have : dropped,
					   want);
		if (got < 0) {
			return (int)got;
		}
		gate->have += (size_t)got;
	}
	return 1;
}

/* ----------------------------------------------------------------------------- what a message says -- */

/* The end of a field's value at `at`, or 0 for one that can't be read. `ret_text` and `ret_number`: the value. */
static size_t field_read(const struct bus_gate *gate, char type, size_t at, size_t end,
			 const char **ret_text, uint32_t *ret_number)
{
	size_t length;
	if (type == 'g') {
		if (at >= end) {
			return 0;
		}
		length = gate->buffer[at];
		at += 1;
	} else if (type == 's' || type == 'o' || type == 'u') {
		at = aligned(at, 4);
		if (at + 4 > end) {
			return 0;
		}
		*ret_number = gate_number(gate, at);
		length = *ret_number;
		at += 4;
		if (type == 'u') {
			return at;
		}
	} else {
		return 0;
	}
	if (at >= end || length >= end - at || gate->buffer[at + length] != '\0') {
		return 0;
	}
	*ret_text = (const char *)gate->buffer + at;
	return at + length + 1;
}

/* The fields that matter here. The bus has checked them all; what is not understood ends the search. */
static void message_read_fields(const struct bus_gate *gate, struct bus_message *message)
{
	size_t end = FIXED_SIZE + (size_t)gate_number(gate, 12);
	size_t at = FIXED_SIZE;
	while (at > 0 && (at = aligned(at, 8)) + 4 <= end) {
		const char *text = "";
		uint32_t number = 0;
		uint8_t code = gate->buffer[at];
		if (gate->buffer[at + 1] != 1 || gate->buffer[at + 3] != '\0') {
			return; /* not a type of one letter */
		}
		at = field_read(gate, (char)gate->buffer[at + 2], at + 4, end, &text, &number);
		if (code == FIELD_SENDER && at > 0 && strlen(text) < sizeof(message->sender)) {
			strcpy(message->sender, text);
		} else if (code == FIELD_UNIX_FDS && at > 0) {
			message->placeholders = number;
		}
	}
}

static int gate_message(struct bus_gate *gate, struct bus_message *message)
{
	*message = (struct bus_message){
		.type = gate->text                     ? BUS_MESSAGE_TEXT
			: gate->buffer[1] == TYPE_CALL ? BUS_MESSAGE_CALL
						       : BUS_MESSAGE_OTHER,
		.bytes = gate->buffer,
		.size = gate->text ? gate->have : gate->kept,
		.fds = gate->fds,
		.fd_count = gate->fd_count,
	};
	if (!gate->text) {
		message_read_fields(gate, message);
	}
	if (message->placeholders > BUS_FDS_ROOM) {
		return -EBADMSG;
	}
	if (message->placeholders > BUS_FDS_MAX || gate->fds_lost) {
		message->refusal = too_many_fds;
	} else if (!gate->text && gate->kept < gate->total) {
		message->refusal = too_large;
	}
	return 1;
}

int bus_gate_read(struct bus_gate *gate, int socket, struct bus_message *ret_message)
{
	int r = 1;
	if (gate->have == 0) {
		/* The authentication is lines of text, none of which begins like a message. */
		r = gate_read_until(gate, socket, gate->text ? 1 : FIXED_SIZE);
		gate->text &= gate->have == 0 || (gate->buffer[0] != 'l' && gate->buffer[0] != 'B');
	}
	if (r > 0 && gate->text) {
		r = gate_read_text(gate, socket);
	} else if (r > 0) {
		if (gate->total == 0) {
			r = gate_read_until(gate, socket, FIXED_SIZE);
			r = r < 0 ? r : gate_measure(gate);
		}
		r = r < 0 ? r : gate_read_until(gate, socket, gate->total);
	}
	if (r < 0) {
		return r;
	}
	r = gate_message(gate, ret_message);
	gate_next(gate); /* the bytes and fds stay where they are until the next call */
	return r;
}

/* ----------------------------------------------------------------------------------- passing -- */

int bus_gate_pass(struct bus_gate *gate, int feed, const struct bus_message *message)
{
	union control control;
	struct iovec vector = { .iov_base = (void *)(uintptr_t)message->bytes,
				.iov_len = message->size };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
	if (message->placeholders > 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * message->placeholders);
		struct cmsghdr *part = CMSG_FIRSTHDR(&header);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(sizeof(int) * message->placeholders);
		int *fds = (int *)CMSG_DATA(part);
		for (uint32_t i = 0; i < message->placeholders; i++) {
			fds[i] = gate->placeholders[i % BUS_FDS_MAX];
		}
	}
	ssize_t sent = sendmsg(feed, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) {
		return -errno;
	}
	return (size_t)sent == message->size ? 0 : -ENOBUFS;
}

int *bus_gate_fd(const struct bus_gate *gate, int placeholder)
{
	struct stat status;
	const struct bus_message *message = gate->current;
	if (!message || fstat(placeholder, &status) < 0) { /* our own memfd: never blocks */
		return NULL;
	}
	for (size_t i = 0; i < message->fd_count && i < BUS_FDS_MAX; i++) {
		if (gate->inodes[i] == status.st_ino) {
			return &message->fds[i];
		}
	}
	return NULL;
}
