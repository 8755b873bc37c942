// SPDX-License-Identifier: MIT
/*
 * The socket between two neighbours of the pipeline: one struct message a packet, with file
 * descriptors. Before the first frame it carries, once, the offer of a link, or, without a link, buffers
 * and tokens. Afterwards links and timelines carry everything. A channel belongs to one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_FDS_MAX 8

enum message_type {
	MESSAGE_OFFER = 1,  /* to the consumer: buffers; fds: buffers, wait token, board */
	MESSAGE_ACCEPT = 2, /* to the producer; fds: token and board of the release timeline */
	MESSAGE_LINK =
		3, /* to a consumer of pictures; fds: the link's offer, acquire board, release
			     * board. No reply. */
};

/* Frame n (from 1) is in buffer n % count: -> at point n of the offered timeline, <- at point n of the
 * accepted one. The buffers come with the offer. If only the consumer can make them, the offer has none
 * and the reply carries them, before token and board. */
struct message {
	uint32_t type;
	uint32_t count;  /* of buffers */
	uint64_t frames; /* total */
	uint64_t size;   /* of a buffer, in bytes */
	uint32_t width, height, fps;
	uint32_t stride;  /* in bytes, of a consumer's buffer */
	uint32_t stamped; /* the picture carries frame n's number */
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
