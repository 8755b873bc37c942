// SPDX-License-Identifier: MIT
/*
 * Requests on their way to the daemon, in the order in which they were made. What the socket has no room for waits here,
 * packed, with duplicates of its fds, and everything later waits behind it; the guard thread (guard.h) sends it once there
 * is room. So no call waits for the daemon to take a request.
 *
 * Any thread. The lock is a leaf; nothing but `begin` is called back under it.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox_entry;

/* Of requests that nobody waits for. fencebroker.h names both. */
#define OUTBOX_REQUESTS_MAX 65536
#define OUTBOX_FDS_MAX      256

struct outbox {
	int socket;
	/* The first begins to wait: who sends it is woken. Under the lock. */
	int (*begin)(struct outbox *outbox);
	bool begun;
	pthread_mutex_t lock;
	TAILQ_HEAD(, outbox_entry) entries;
	size_t requests, fds; /* that wait, and that nobody waits for */
	_Atomic bool waits;   /* there are entries */
};

void outbox_init(struct outbox *outbox);   /* `socket` and `begin` are set by the caller, later */
void outbox_finish(struct outbox *outbox); /* it is empty: outbox_drop() */

/* When it has waited: it was sent (0), or never will be. Without a lock, on the thread that sends or drops. */
typedef void outbox_sent_fn(void *arg, int result);

struct packet {
	const uint8_t *bytes;
	size_t size;
	const int *fds; /* stay the caller's */
	size_t fd_count;
	uint64_t serial;
	enum {
		PACKET_NOW,     /* -EAGAIN where it would have to wait */
		PACKET_BOUNDED, /* -EAGAIN where as many wait as may */
		PACKET_ALWAYS,  /* it is waited for, or ends what was bounded itself */
	} room;
	outbox_sent_fn *sent; /* may be NULL */
	void *arg;
};

/* 0: it was sent. 1: it waits, and `sent` is called. -EPIPE: the daemon is gone. */
int outbox_put(struct outbox *outbox, const struct packet *packet);

/* Is there anything that waits? A hint. */
bool outbox_waits(const struct outbox *outbox);

/* Send what there is room for. 0: nothing is left. -EAGAIN: no room. -ENOBUFS: there is, but the kernel has too little
 * memory, or too many fds are on their way. */
int outbox_flush(struct outbox *outbox);

/* Its caller waits for the answer no more: if it was not sent, it never is. */
void outbox_withdraw(struct outbox *outbox, uint64_t serial);

/* The daemon is gone, or the context ends. */
void outbox_drop(struct outbox *outbox, int error);
