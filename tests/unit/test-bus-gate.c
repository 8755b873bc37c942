// SPDX-License-Identifier: MIT
/* The gate before sd-bus: messages in any pieces, of any size, with any fds; and addresses of buses. */
#include "daemon/front/bus-gate.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/front/bus-address.h"
#include "tests/suite.h"

static struct bus_gate gate;
static struct bus_message message;
static int bus[2];  /* the bus writes [1], the gate reads [0] */
static int feed[2]; /* the gate writes [1], sd-bus reads [0] */

static void setup(void)
{
	ck_assert_int_eq(bus_gate_init(&gate), 0);
	bus_gate_reset(&gate);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, bus),
			 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, feed),
			 0);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++) {
		close(bus[i]);
		close(feed[i]);
	}
	bus_gate_finish(&gate);
}

/* ----------------------------------------------------------------------- messages made by hand -- */

struct made {
	uint8_t bytes[200000];
	size_t size;
	bool big; /* endian */
};

static void put(struct made *made, const void *bytes, size_t size)
{
	memcpy(made->bytes + made->size, bytes, size);
	made->size += size;
}

static void put_number(struct made *made, uint32_t number)
{
	uint32_t there = made->big ? htobe32(number) : htole32(number);
	put(made, &there, sizeof(there));
}

static void align(struct made *made, size_t to)
{
	while (made->size % to != 0) {
		made->bytes[made->size++] = 0;
	}
}

static void put_field(struct made *made, uint8_t code, char type, const char *text, uint32_t number)
{
	align(made, 8);
	put(made, (const uint8_t[]){ code, 1, (uint8_t)type, 0 }, 4);
	if (type == 'u') {
		put_number(made, number);
	} else if (type == 'g') {
		made->bytes[made->size++] = (uint8_t)strlen(text);
		put(made, text, strlen(text) + 1);
	} else {
		put_number(made, (uint32_t)strlen(text));
		put(made, text, strlen(text) + 1);
	}
}

static void make(struct made *made, uint8_t type, const char *sender, uint32_t fds, uint32_t body)
{
	bool big = made->big;
	memset(made, 0, sizeof(*made));
	made->big = big;
	put(made, (const uint8_t[]){ big ? 'B' : 'l', type, 0, 1 }, 4);
	put_number(made, body);
	put_number(made, 7);
	put_number(made, 0); /* the fields' length, below */
	put_field(made, 1, 'o', "/org/fencebroker1", 0);
	put_field(made, 3, 's', "Ping", 0);
	if (sender) {
		put_field(made, 7, 's', sender, 0);
	}
	put_field(made, 8, 'g', "ay", 0);
	if (fds > 0) {
		put_field(made, 9, 'u', NULL, fds);
	}
	uint32_t length = (uint32_t)made->size - 16;
	length = big ? htobe32(length) : htole32(length);
	memcpy(made->bytes + 12, &length, sizeof(length));
	align(made, 8);
	made->size += body;
}

static void bus_send(const void *bytes, size_t size, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * BUS_FDS_ROOM)];
	} control = { 0 };
	struct iovec vector = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
	if (count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *part = CMSG_FIRSTHDR(&header);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(part), fds, sizeof(int) * count);
	}
	ck_assert_int_eq(sendmsg(bus[1], &header, MSG_NOSIGNAL), (ssize_t)size);
}

static int gate_read(void)
{
	return bus_gate_read(&gate, bus[0], &message);
}

static void authenticate(void)
{
	static const char lines[] = "DATA\r\nOK 0123\r\nAGREE_UNIX_FD\r\n";
	bus_send(lines, sizeof(lines) - 1, NULL, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(gate_read(), 1);
		ck_assert_int_eq(message.type, BUS_MESSAGE_TEXT);
		ck_assert_int_eq(message.bytes[message.size - 1], '\n');
	}
	ck_assert_int_eq(gate_read(), -EAGAIN);
}

static int open_fds(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

/* What sd-bus would get. */
static size_t fed(uint8_t *bytes, size_t size, int *fds, size_t *ret_count)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * BUS_FDS_ROOM)];
	} control;
	struct iovec vector = { .iov_base = bytes, .iov_len = size };
	struct msghdr header = { .msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(feed[0], &header, MSG_CMSG_CLOEXEC);
	ck_assert_int_gt(got, 0);
	struct cmsghdr *part = CMSG_FIRSTHDR(&header);
	*ret_count = part ? (part->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	if (part) {
		memcpy(fds, CMSG_DATA(part), *ret_count * sizeof(int));
	}
	return (size_t)got;
}

/* ---------------------------------------------------------------------------------- the tests -- */

START_TEST(each_byte_by_itself)
{
	static struct made made;
	for (int turn = 0; turn < 2; turn++) {
		made.big = turn == 1;
		make(&made, 1, ":1.42", 0, 100);
		if (turn == 0) {
			authenticate();
		}
		for (size_t i = 0; i + 1 < made.size; i++) {
			bus_send(made.bytes + i, 1, NULL, 0);
			ck_assert_int_eq(gate_read(), -EAGAIN);
		}
		bus_send(made.bytes + made.size - 1, 1, NULL, 0);
		ck_assert_int_eq(gate_read(), 1);
		ck_assert_int_eq(message.type, BUS_MESSAGE_CALL);
		ck_assert_str_eq(message.sender, ":1.42");
		ck_assert_uint_eq(message.size, made.size);
		ck_assert_mem_eq(message.bytes, made.bytes, made.size);
		ck_assert_ptr_null(message.refusal);
	}
}
END_TEST

START_TEST(many_at_once)
{
	static struct made made;
	authenticate();
	make(&made, 1, ":1.42", 0, 3);
	for (int i = 0; i < 50; i++) {
		bus_send(made.bytes, made.size, NULL, 0);
	}
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(gate_read(), 1);
		ck_assert_mem_eq(message.bytes, made.bytes, made.size);
	}
	ck_assert_int_eq(gate_read(), -EAGAIN);
	make(&made, 4, ":1.42", 0, 0);
	bus_send(made.bytes, made.size, NULL, 0);
	ck_assert_int_eq(gate_read(), 1);
	ck_assert_int_eq(message.type, BUS_MESSAGE_OTHER);
}
END_TEST

/* 65536 bytes pass, 65537 do not: then the head passes, with a body of no bytes, and the rest is skipped. */
START_TEST(the_largest)
{
	static struct made made;
	static uint8_t rest[BUS_MESSAGE_MAX];
	int fds[BUS_FDS_ROOM];
	size_t count;
	authenticate();
	make(&made, 1, ":1.42", 0, 0);
	size_t head = made.size;
	make(&made, 1, ":1.42", 0, (uint32_t)(BUS_MESSAGE_MAX - head));
	bus_send(made.bytes, made.size, NULL, 0);
	ck_assert_int_eq(gate_read(), 1);
	ck_assert_uint_eq(message.size, BUS_MESSAGE_MAX);
	ck_assert_ptr_null(message.refusal);
	ck_assert_int_eq(bus_gate_pass(&gate, feed[1], &message), 0);
	for (size_t got = 0; got < BUS_MESSAGE_MAX;) {
		got += fed(rest, sizeof(rest), fds, &count);
	}

	make(&made, 1, ":1.42", 0, (uint32_t)(BUS_MESSAGE_MAX - head + 1));
	bus_send(made.bytes, made.size, NULL, 0);
	ck_assert_int_eq(gate_read(), 1);
	ck_assert_ptr_nonnull(message.refusal);
	ck_assert_uint_eq(message.size, head);
	ck_assert_str_eq(message.sender, ":1.42");
	ck_assert_mem_eq(message.bytes + 4, "\0\0\0\0", 4);
	make(&made, 1, ":1.43", 0, 5);
	bus_send(made.bytes, made.size, NULL, 0);
	ck_assert_int_eq(gate_read(), 1);
	ck_assert_str_eq(message.sender, ":1.43");
	ck_assert_ptr_null(message.refusal);
}
END_TEST

START_TEST(fds_have_placeholders)
{
	static struct made made;
	uint8_t bytes[512];
	int given[BUS_FDS_MAX], fds[BUS_FDS_ROOM];
	size_t count;
	int before = open_fds();
	authenticate();
	make(&made, 1, ":1.42", BUS_FDS_MAX, 4);
	for (int i = 0; i < BUS_FDS_MAX; i++) {
		given[i] = eventfd((unsigned int)i + 1, EFD_NONBLOCK);
	}
	bus_send(made.bytes, made.size, given, BUS_FDS_MAX);
	make(&made, 1, ":1.43", 0, 4); /* the next one has none of them */
	bus_send(made.bytes, made.size, NULL, 0);
	ck_assert_int_eq(gate_read(), 1);
	ck_assert_ptr_null(message.refusal);
	ck_assert_uint_eq(message.fd_count, BUS_FDS_MAX);
	ck_assert_int_eq(bus_gate_pass(&gate, feed[1], &message), 0);
	ck_assert_uint_eq(fed(bytes, sizeof(bytes), fds, &count), message.size);
	ck_assert_uint_eq(count, BUS_FDS_MAX);
	gate.current = &message;
	for (int i = BUS_FDS_MAX - 1; i >= 0; i--) {
		eventfd_t value;
		int *real = bus_gate_fd(&gate, fds[i]);
		ck_assert_ptr_nonnull(real);
		ck_assert_int_eq(eventfd_read(*real, &value), 0);
		ck_assert_uint_eq(value, (eventfd_t)i + 1);
		ck_assert_ptr_null(bus_gate_fd(&gate, given[i])); /* no placeholder */
	}
	gate.current = NULL;
	ck_assert_ptr_null(bus_gate_fd(&gate, fds[0]));
	for (int i = 0; i < BUS_FDS_MAX; i++) {
		close(fds[i]);
		close(given[i]);
		close(message.fds[i]);
	}
	ck_assert_int_eq(gate_read(), 1);
	ck_assert_str_eq(message.sender, ":1.43");
	ck_assert_uint_eq(message.fd_count, 0);
	ck_assert_int_eq(open_fds(), before);
}
END_TEST

/* 17 and 253: refused, with as many placeholders as the message says, or sd-bus would hang up. */
START_TEST(too_many_fds)
{
	static struct made made;
	uint8_t bytes[512];
	int given[BUS_FDS_ROOM], fds[BUS_FDS_ROOM];
	size_t counts[] = { BUS_FDS_MAX + 1, BUS_FDS_ROOM };
	size_t count;
	authenticate();
	for (int i = 0; i < BUS_FDS_ROOM; i++) {
		given[i] = bus[0];
	}
	for (size_t turn = 0; turn < 2; turn++) {
		make(&made, 1, ":1.42", (uint32_t)counts[turn], 4);
		bus_send(made.bytes, made.size, given, counts[turn]);
		ck_assert_int_eq(gate_read(), 1);
		ck_assert_ptr_nonnull(message.refusal);
		ck_assert_uint_eq(message.fd_count, counts[turn]);
		for (size_t i = 0; i < message.fd_count; i++) {
			close(message.fds[i]);
		}
		ck_assert_int_eq(bus_gate_pass(&gate, feed[1], &message), 0);
		fed(bytes, sizeof(bytes), fds, &count);
		ck_assert_uint_eq(count, counts[turn]);
		for (size_t i = 0; i < count; i++) {
			close(fds[i]);
		}
	}
}
END_TEST

START_TEST(not_a_bus)
{
	static struct made made;
	uint8_t lie[16] = { 'l', 1, 0, 1 };
	authenticate();
	make(&made, 1, ":1.42", 0, 4);
	bus_send(made.bytes, made.size, NULL, 0);
	ck_assert_int_eq(gate_read(), 1);
	bus_send("OK now it is text again\r\n", 25, NULL, 0);
	ck_assert_int_eq(gate_read(), -EBADMSG);

	for (size_t at = 4; at <= 12; at += 8) { /* of the body, of the fields */
		bus_gate_reset(&gate);
		uint32_t huge = htole32(UINT32_MAX);
		memset(lie + 4, 0, 12);
		memcpy(lie + at, &huge, sizeof(huge));
		close(bus[0]);
		close(bus[1]);
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, bus), 0);
		bus_send(lie, sizeof(lie), NULL, 0);
		ck_assert_int_eq(gate_read(), -EBADMSG);
	}
	shutdown(bus[1], SHUT_WR);
	bus_gate_reset(&gate);
	ck_assert_int_eq(gate_read(), -ECONNRESET);
}
END_TEST

/* Fields that a bus never sends: no sender is found, and nothing outside of the message is read. */
START_TEST(fields_that_lie)
{
	static struct made made;
	make(&made, 1, ":1.42", 0, 0);
	authenticate();
	for (size_t at = 16; at < made.size; at++) {
		for (int byte = 0; byte < 256; byte += 15) {
			static struct made changed;
			changed = made;
			changed.bytes[at] = (uint8_t)byte;
			bus_send(changed.bytes, changed.size, NULL, 0);
			int r = gate_read();
			ck_assert(r == 1 || r == -EBADMSG);
			ck_assert_uint_lt(strlen(message.sender), BUS_NAME_SIZE);
			bus_gate_reset(&gate);
		}
	}
}
END_TEST

START_TEST(addresses)
{
	static const char *const bad[] = {
		"",
		"unix:",
		"unix:path=",
		"tcp:host=localhost,port=1",
		"unix:path=%2",
		"unix:path=%zz",
		"unix:path=%00x",
		"unix:dir=/tmp",
		"path=/x",
		"unix:runtime=yes",
	};
	char text[300] = "unix:path=/";
	struct bus_address address;
	ck_assert_int_eq(bus_address_parse("unix:path=/run/dbus/system_bus_socket", &address), 0);
	ck_assert_str_eq(address.socket.sun_path, "/run/dbus/system_bus_socket");
	ck_assert(address.in_files);
	ck_assert_int_eq(
		bus_address_parse("tcp:host=x;unix:guid=12,path=/a%20b;unix:path=/c", &address), 0);
	ck_assert_str_eq(address.socket.sun_path, "/a b");
	ck_assert_int_eq(bus_address_parse("unix:abstract=/tmp/x,guid=1", &address), 0);
	ck_assert(!address.in_files);
	ck_assert_mem_eq(address.socket.sun_path, "\0/tmp/x", 7);
	ck_assert_uint_eq(address.size, offsetof(struct sockaddr_un, sun_path) + 7);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(bus_address_parse(bad[i], &address) == -EINVAL, "%s", bad[i]);
	}
	ck_assert_int_eq(bus_address_parse(NULL, &address), -EINVAL);
	memset(text + strlen(text), 'x', 106);
	ck_assert_int_eq(bus_address_parse(text, &address), 0); /* 107 bytes and the NUL */
	strcat(text, "x");
	ck_assert_int_eq(bus_address_parse(text, &address), -EINVAL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, each_byte_by_itself);
	tcase_add_test(tcase, many_at_once);
	tcase_add_test(tcase, the_largest);
	tcase_add_test(tcase, fds_have_placeholders);
	tcase_add_test(tcase, too_many_fds);
	tcase_add_test(tcase, not_a_bus);
	tcase_add_test(tcase, fields_that_lie);
	tcase_add_test(tcase, addresses);
}

int main(void)
{
	return suite_main("bus-gate", add);
}
