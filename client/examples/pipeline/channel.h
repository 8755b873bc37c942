// SPDX-License-Identifier: MIT
/*
 * The socket between two neighbours of the pipeline: one struct message a packet, with file
 * descriptors. It carries the offer of a link, or, where none is used, buffers and tokens, once,
 * before the first frame; after that links and timelines say everything. A channel belongs to one
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_FDS_MAX 8

enum message_type {
	MESSAGE_OFFER = 1,  /* to the consumer: buffers; fds: theirs, token to wait, board */
	MESSAGE_ACCEPT = 2, /* back; fds: token and board of what releases the buffers */
	MESSAGE_LINK =
		3, /* to a consumer of pictures; fds: the link's offer, board of when they are
			     * done, board for when they are given back. Nothing goes back. */
};

/* Frame n (from 1) is in buffer n % count, ready at point n of the offered timeline, and given back
 * at point n of the accepted one. The buffers come with the offer, or, where only the consumer can
 * make them (the offer has none then), with what is sent back: before token and board. */
struct message {
	uint32_t type;
	uint32_t count;  /* of buffers */
	uint64_t frames; /* that will come */
	uint64_t size;   /* of a buffer, in bytes */
	uint32_t width, height, fps;
	uint32_t stride;  /* in bytes, of a buffer that the consumer made */
	uint32_t stamped; /* frame n's number is in the picture */
};

struct channel {
	int fd;
	pid_t pid; /* of the process at the other end, as the kernel says */
};

int channel_listen(const char *path, int *ret_listener);
int channel_accept(int listener, uint64_t deadline_ns, struct channel *ret_channel);

/* Tries until somebody listens there or the deadline passes (-ETIMEDOUT). */
int channel_connect(const char *path, uint64_t deadline_ns, struct channel *ret_channel);
void channel_close(struct channel *channel); /* of one that was never open (fd -1): nothing */

/* Never sleeps. -EPIPE: the other end is gone; -EAGAIN: it has not read for long. */
int channel_send(const struct channel *channel, const struct message *message, const int *fds,
		 size_t fd_count);

/*
 * The next message, of type `type`, with exactly `fd_count` fds, which it gives.
 *   -ETIMEDOUT  the deadline passed   -EPIPE  the other end is gone   -EPROTO  something else came
 */
int channel_receive(const struct channel *channel, uint64_t deadline_ns, enum message_type type,
		    struct message *ret_message, int *ret_fds, size_t fd_count);
