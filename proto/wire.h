// SPDX-License-Identifier: MIT
/*
 * The framing that both sides of the socket share: one protobuf-c message per SOCK_SEQPACKET
 * packet, fds by SCM_RIGHTS. Nothing here blocks, logs, or keeps state; fds that arrive belong to
 * the caller, whatever else was wrong with the packet.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_VERSION_MIN 1
#define WIRE_VERSION_MAX 1

#define WIRE_PACKET_MAX 16384
/* An abstract address that begins so, of the client's socket: it only inspects and administers. */
#define WIRE_INSPECTS_ADDRESS "fencebroker-inspect-"

#define WIRE_FDS_ROOM 253 /* SCM_MAX_FD: the kernel passes no more in one packet */

/* Who sent a packet, where the receiving socket has SO_PASSCRED. */
struct wire_sender {
	pid_t pid; /* 0: not known */
	uid_t uid;
	int pidfd; /* with SO_PASSPIDFD, the receiver's to close; else -1 */
};

struct wire_packet {
	size_t size;
	size_t fd_count;
	int fds[WIRE_FDS_ROOM];
	struct wire_sender sender;
	_Alignas(16) uint8_t bytes[WIRE_PACKET_MAX];
};

/*
 * Receive one packet. Returns 1, 0 at end of file, or
 *   -EAGAIN    nothing there
 *   -EMSGSIZE  longer than WIRE_PACKET_MAX: what fits was dropped
 *   -EMFILE    fds were cut off (MSG_CTRUNC); the rest of the packet is there
 *   else       the socket is broken
 * packet->fds holds packet->fd_count fds in all cases; the caller disposes of them.
 */
int wire_receive(int socket, struct wire_packet *packet);

/*
 * Send packed bytes with fds (which stay the caller's). 0, -EAGAIN when the peer's queue is full,
 * -EPIPE when it is gone.
 */
int wire_send(int socket, const void *bytes, size_t size, const int *fds, size_t fd_count);

/* Pack `message` into `bytes` of WIRE_PACKET_MAX; returns the size or -EMSGSIZE. */
ssize_t wire_pack(const ProtobufCMessage *message, uint8_t *bytes);

/*
 * Memory for unpacking: a bump allocator over a buffer of the caller's, so that what a packet can
 * make us allocate is bounded by its size, and freeing is wire_arena_reset().
 */
struct wire_arena {
	ProtobufCAllocator allocator;
	uint8_t *memory;
	size_t size;
	size_t used;
};

/* Enough for any packet that uses each element once: unpacking needs at most a struct of about 80
 * bytes for 2 bytes of input; what needs more is refused as malformed. */
#define WIRE_ARENA_SIZE (16 * WIRE_PACKET_MAX)

void wire_arena_init(struct wire_arena *arena, void *memory, size_t size);
void wire_arena_reset(struct wire_arena *arena);

/* Copy `text` to `ret_text` as something safe to show: at most size - 1 bytes, what is not printable
 * ASCII as '?'. */
void wire_text_copy(char *ret_text, size_t size, const char *text);
