// SPDX-License-Identifier: MIT
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/fencebroker.pb-c.h"
#include "tests/suite.h"

static int ends[2];
static struct wire_packet packet;
static uint8_t bytes[WIRE_PACKET_MAX + 1];

static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void teardown(void)
{
	close(ends[0]);
	close(ends[1]);
}

static void packet_close(void)
{
	for (size_t i = 0; i < packet.fd_count; i++) {
		ck_assert(fcntl(packet.fds[i], F_GETFD) & FD_CLOEXEC);
		ck_assert_int_eq(close(packet.fds[i]), 0);
	}
}

/* ---------------------------------------------------------------------------------- framing --- */

static const size_t sizes[] = { 1, 2, 100, WIRE_PACKET_MAX - 1, WIRE_PACKET_MAX };

START_TEST(sized)
{
	memset(bytes, 0x5a, sizeof(bytes));
	ck_assert_int_eq(wire_send(ends[0], bytes, sizes[_i], NULL, 0), 0);
	ck_assert_int_eq(wire_send(ends[0], "next", 4, NULL, 0), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	ck_assert_uint_eq(packet.size, sizes[_i]);
	ck_assert_uint_eq(packet.fd_count, 0);
	ck_assert_int_eq(memcmp(packet.bytes, bytes, packet.size), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	ck_assert_uint_eq(packet.size, 4);
	ck_assert_int_eq(wire_receive(ends[1], &packet), -EAGAIN);
}
END_TEST

START_TEST(oversized)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(wire_send(ends[0], bytes, WIRE_PACKET_MAX + 1, &fd, 1), 0);
	ck_assert_int_eq(wire_send(ends[0], "next", 4, NULL, 0), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), -EMSGSIZE);
	ck_assert_uint_eq(packet.fd_count, 1); /* the caller must close it nevertheless */
	packet_close();
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	ck_assert_uint_eq(packet.size, 4);
	close(fd);
}
END_TEST

START_TEST(ended)
{
	ck_assert_int_eq(wire_send(ends[0], "last", 4, NULL, 0), 0);
	close(ends[0]);
	ends[0] = -1;
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1); /* it was sent before */
	ck_assert_int_eq(wire_receive(ends[1], &packet), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 0);
	ck_assert_int_eq(wire_send(ends[1], "x", 1, NULL, 0), -EPIPE); /* and no SIGPIPE */
}
END_TEST

/* The peer hung up while something was queued for it: the same as the end. */
START_TEST(reset)
{
	ck_assert_int_eq(wire_send(ends[1], "never read", 10, NULL, 0), 0);
	close(ends[0]);
	ends[0] = -1;
	ck_assert_int_eq(wire_receive(ends[1], &packet), 0);
	ck_assert_uint_eq(packet.fd_count, 0);
}
END_TEST

START_TEST(empty)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(wire_send(ends[0], "", 0, NULL, 0), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 0); /* looks like the end */
	ck_assert_int_eq(wire_send(ends[0], "", 0, &fd, 1), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	ck_assert_uint_eq(packet.size, 0);
	ck_assert_uint_eq(packet.fd_count, 1);
	packet_close();
	close(fd);
}
END_TEST

START_TEST(full)
{
	size_t sent = 0;
	int r;
	while ((r = wire_send(ends[0], bytes, 1000, NULL, 0)) == 0) {
		sent++;
	}
	ck_assert_int_eq(r, -EAGAIN); /* though the socket is a blocking one */
	for (size_t i = 0; i < sent; i++) {
		ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	}
	ck_assert_int_eq(wire_receive(ends[1], &packet), -EAGAIN);
	ck_assert_int_eq(wire_send(ends[0], bytes, 1000, NULL, 0), 0);
}
END_TEST

START_TEST(no_socket)
{
	ck_assert_int_eq(wire_receive(-1, &packet), -EBADF);
	ck_assert_uint_eq(packet.fd_count, 0);
	ck_assert_int_eq(wire_send(-1, "x", 1, NULL, 0), -EBADF);
}
END_TEST

/* -------------------------------------------------------------------------------------- fds --- */

static const size_t fd_counts[] = { 1, 2, 3, 252, WIRE_FDS_ROOM };

/* Fds come in the order in which they were sent: each has its number in it. */
START_TEST(fds_passed)
{
	int fds[WIRE_FDS_ROOM];
	for (size_t i = 0; i < fd_counts[_i]; i++) {
		fds[i] = eventfd((unsigned int)i + 1, EFD_CLOEXEC);
		ck_assert_int_ge(fds[i], 0);
	}
	ck_assert_int_eq(wire_send(ends[0], "x", 1, fds, fd_counts[_i]), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	ck_assert_uint_eq(packet.fd_count, fd_counts[_i]);
	for (size_t i = 0; i < packet.fd_count; i++) {
		eventfd_t number;
		ck_assert_int_eq(eventfd_read(packet.fds[i], &number), 0);
		ck_assert_uint_eq(number, i + 1);
		ck_assert_int_eq(close(fds[i]), 0); /* the sender's own: still open */
	}
	packet_close();
}
END_TEST

START_TEST(too_many_fds)
{
	int fds[WIRE_FDS_ROOM + 1] = { 0 };
	ck_assert_int_eq(wire_send(ends[0], "x", 1, fds, WIRE_FDS_ROOM + 1), -EINVAL);
	ck_assert_int_eq(wire_receive(ends[1], &packet), -EAGAIN); /* nothing left */
}
END_TEST

/* The receiver's table has no room for all: the caller must close those that came. */
START_TEST(fds_cut_off)
{
	struct rlimit limit, low;
	int fds[8];
	int fd = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < 8; i++) {
		fds[i] = fd;
	}
	ck_assert_int_eq(wire_send(ends[0], "x", 1, fds, 8), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 0;
	for (int room = 0; room < 3; low.rlim_cur++) { /* three numbers are free below it */
		room += fcntl((int)low.rlim_cur, F_GETFD) < 0;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(packet.fd_count, 3);
	packet_close();
	ck_assert_int_eq(wire_send(ends[0], "x", 1, fds, 8), 0);
	ck_assert_int_eq(wire_receive(ends[1], &packet), 1);
	ck_assert_uint_eq(packet.fd_count, 8);
	packet_close();
	close(fd);
}
END_TEST

/* --------------------------------------------------------------------------------- messages --- */

START_TEST(packed)
{
	static char name[2 * WIRE_PACKET_MAX];
	Fbk__Wire__Hello hello = FBK__WIRE__HELLO__INIT;
	hello.name = name;
	memset(name, 'x', sizeof(name) - 1);
	for (size_t size = sizeof(name) - 1;; size--) {
		name[size] = '\0';
		if (protobuf_c_message_get_packed_size(&hello.base) == WIRE_PACKET_MAX + 1) {
			ck_assert_int_eq(wire_pack(&hello.base, bytes), -EMSGSIZE);
			name[size - 1] = '\0';
			break;
		}
	}
	bytes[WIRE_PACKET_MAX] = 0xee;
	ck_assert_int_eq(wire_pack(&hello.base, bytes), WIRE_PACKET_MAX);
	ck_assert_uint_eq(bytes[WIRE_PACKET_MAX], 0xee);
}
END_TEST

START_TEST(arena_filled)
{
	_Alignas(16) static uint8_t memory[64];
	struct wire_arena arena;
	wire_arena_init(&arena, memory, sizeof(memory));
	ProtobufCAllocator *from = &arena.allocator;
	ck_assert_ptr_eq(from->alloc(from->allocator_data, 1), memory);
	ck_assert_ptr_eq(from->alloc(from->allocator_data, 17), memory + 16); /* aligned */
	ck_assert_ptr_null(from->alloc(from->allocator_data, 17));
	ck_assert_ptr_null(from->alloc(from->allocator_data, SIZE_MAX));
	ck_assert_ptr_eq(from->alloc(from->allocator_data, 16), memory + 48); /* exactly full */
	ck_assert_ptr_null(from->alloc(from->allocator_data, 1));
	from->free(from->allocator_data, memory); /* nothing: freed as a whole */
	ck_assert_ptr_null(from->alloc(from->allocator_data, 1));
	wire_arena_reset(&arena);
	ck_assert_ptr_eq(from->alloc(from->allocator_data, 64), memory);
}
END_TEST

/* The memory for a packet is bounded: a packed list of many elements needs more than the arena. */
START_TEST(arena_bounds_unpacking)
{
	static uint8_t memory[WIRE_ARENA_SIZE];
	struct wire_arena arena;
	for (size_t i = 0; i < WIRE_PACKET_MAX; i += 2) {
		bytes[i] = 0x0a; /* DeviceList.devices, empty: two bytes for a struct of 100 */
		bytes[i + 1] = 0;
	}
	wire_arena_init(&arena, memory, sizeof(memory));
	ck_assert_ptr_null(
		fbk__wire__device_list__unpack(&arena.allocator, WIRE_PACKET_MAX, bytes));
	ck_assert_uint_le(arena.used, arena.size);
	wire_arena_reset(&arena);
	ck_assert_ptr_nonnull(fbk__wire__device_list__unpack(&arena.allocator, 256, bytes));
}
END_TEST

static const struct {
	const char *text;
	size_t size;
	const char *copy;
} texts[] = {
	{ "plain", 32, "plain" },
	{ "", 32, "" },
	{ NULL, 32, "" },
	{ "exactly", 8, "exactly" },
	{ "one more", 8, "one mor" },
	{ "anything", 1, "" },
	{ "a\nb\tc\x1b[0m\x7f", 32, "a?b?c?[0m?" },
	{ "\xc3\xa4 \xff", 32, "?? ?" },
	{ " ~", 32, " ~" },
};

START_TEST(text_copied)
{
	char copy[33];
	memset(copy, '#', sizeof(copy));
	wire_text_copy(copy, texts[_i].size, texts[_i].text);
	ck_assert_str_eq(copy, texts[_i].copy);
	ck_assert_int_eq(copy[texts[_i].size], '#');
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, sized, sizes);
	tcase_add_test(tcase, oversized);
	tcase_add_test(tcase, ended);
	tcase_add_test(tcase, reset);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, full);
	tcase_add_test(tcase, no_socket);
	ADD_LOOP(tcase, fds_passed, fd_counts);
	tcase_add_test(tcase, too_many_fds);
	tcase_add_test(tcase, fds_cut_off);
	tcase_add_test(tcase, packed);
	tcase_add_test(tcase, arena_filled);
	tcase_add_test(tcase, arena_bounds_unpacking);
	ADD_LOOP(tcase, text_copied, texts);
}

int main(void)
{
	return suite_main("wire", add);
}
