// SPDX-License-Identifier: MIT
/*
 * The socket between two neighbours of the pipeline: one struct message a packet, with file
 * descriptors. It carries the offer of a link, once; everything else goes over the link. A channel
 * belongs to one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_FDS_MAX 8

enum message_type {
	MESSAGE_LINK = 1, /* to the consumer; fds: the link's offer, acquire board, release board */
	MESSAGE_BUFFERS = 2, /* to the producer, if only the consumer can make them; fds: buffers */
};

struct message {
	uint32_t type;
	uint32_t count;              /* of buffers, in MESSAGE_BUFFERS */
	uint32_t width, height, fps; /* of the pictures, or of the consumer's buffers */
	uint32_t stride;             /* in bytes, of a consumer's buffer */
	uint32_t stamped;            /* the picture carries its number */
};

struct channel {
	int fd;
	pid_t pid; /* of the peer, from the kernel */
};

int channel_listen(const char *path, int *ret_listener);
int channel_accept(int listener, uint64_t deadline_ns, struct channel *ret_channel);

/* Retries until the peer listens or the deadline passes (-ETIMEDOUT). */
int channel_connect(const char *path, uint64_t deadline_ns, struct channel *ret_channel);
void channel_close(struct channel *channel); /* no effect if never open (fd -1) */

/* Never sleeps. -EPIPE: the peer is gone; -EAGAIN: its socket is full. */
int channel_send(const struct channel *channel, const struct message *message, const int *fds,
		 size_t fd_count);

/*
 * The next message, of type `type`, with exactly `fd_count` fds, which it gives.
 *   -ETIMEDOUT  the deadline passed   -EPIPE  the peer is gone   -EPROTO  another message
 */
int channel_receive(const struct channel *channel, uint64_t deadline_ns, enum message_type type,
		    struct message *ret_message, int *ret_fds, size_t fd_count);
