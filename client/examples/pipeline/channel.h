// SPDX-License-Identifier: MIT
/*
 * The socket between two neighbours of the pipeline: one struct message a packet, with file
 * descriptors. It carries buffers, tokens and announcements once; what a frame has to wait for goes
 * through timelines. A channel belongs to one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_FDS_MAX 8

enum message_type {
	MESSAGE_OFFER = 1,  /* to the consumer: buffers; fds: theirs, board, token to wait */
	MESSAGE_ACCEPT = 2, /* back: fds: board and token of what releases the buffers */
	MESSAGE_FRAME = 3,  /* `frame` will be in buffer frame % count: wait for that point */
	MESSAGE_END = 4,    /* `frame` was the last one */
	MESSAGE_DONE = 5,   /* back: all up to `frame` is done with */
};

struct message {
	uint32_t type;
	uint32_t count; /* of buffers */
	uint64_t frame;
	uint64_t size; /* of a buffer, in bytes */
	uint32_t width, height, fps;
	uint32_t unused;
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
 * The next message. `other` (may be NULL) is watched meanwhile for a hang-up.
 *   -ETIMEDOUT   the deadline passed         -EPIPE      the other end is gone
 *   -ECONNRESET  `other` is gone             -EPROTO     something that is no message came
 * Gives `ret_fds`, which has room for MESSAGE_FDS_MAX.
 */
int channel_receive(const struct channel *channel, const struct channel *other,
		    uint64_t deadline_ns, struct message *ret_message, int *ret_fds,
		    size_t *ret_fd_count);
