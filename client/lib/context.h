// SPDX-License-Identifier: MIT
/*
 * A context: the connection to the daemon, and the lock and the list of what is made of it. Created and
 * ended by connect.c. Nouns that need a place of their own in it have a pointer here, which they alone
 * look behind; all others are its children (child.h).
 *
 * Lock order: `opening`, then `mutex`, then that of the outbox; a lock of a link or an exchange comes before all. Nothing of the
 * program's is called, and no thread sleeps in a futex, while `mutex` is held. What the hot paths
 * (signal, check, wait) touch is either constant once the context is handed out, or atomic.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "child.h"
#include "crowd.h"
#include "ids.h"
#include "fencebroker.h"
#include "flushing.h"
#include "outbox.h"
#include "proto/classify.h"
#include "proto/page.h"

struct exports;
struct page_map;
struct pending;
struct uring;
struct watches;
struct wire_packet;
struct Fbk__Wire__Message;

#define CONTEXT_MARK_SIZE  4096 /* of the page at `ours` */
#define CONTEXT_TIMEOUT_NS UINT64_C(5000000000)

struct fbk_context {
	int socket;
	int epoll; /* the pollable fd: of the socket, of `local`, of a timer */
	int local; /* an eventfd: something to dispatch that is not on the socket */
	int doorbell;
	int wake;      /* an eventfd: the thread that reads the socket is to look again */
	bool inspects; /* it says so: an administrator's gets in where no other would */
	bool *ours;    /* a page that the kernel wipes in a forked child: false there */
	const struct fbk_life_slot
		*life; /* the daemon's; of a life that never ends until it is mapped */
	struct fbk_pair_page *pair;
	uint64_t pair_size;
	uint32_t pair_first, pair_stride; /* of its cells */
	struct classifier classifier;
	_Atomic uint64_t features; /* by the daemon's last word */
	uint64_t spin_ns;
	uint64_t max_wait_ns;
	_Atomic uint64_t
		timeout_ns;  /* how long a request waits for its answer: set by the program */
	_Atomic bool closed; /* the daemon hung up, and everybody heard of it; never false again */
	_Atomic bool stopping; /* the daemon announced that it stops; never false again */
	struct flushing flushing;
	struct crowd any; /* on cell 0 of `pair` */

	pthread_mutex_t opening; /* one open or close of a timeline at a time */
	pthread_mutex_t mutex;
	struct child_list children;
	struct ids ids;
	struct fbk_device *device;   /* one of them: that was registered over D-Bus, or NULL */
	LIST_HEAD(, page_map) pages; /* page-map.c */
	struct watches *watches;     /* watch.c */
	struct calls calls;
	LIST_HEAD(, fbk_watch) handles; /* handle.c */
	struct uring *uring;            /* uring.c; NULL until one was asked for */
	struct exports *exports;        /* export.c */

	/* request.c */
	struct wire_packet *packet; /* the reading thread's */
	pthread_cond_t answered;    /* a reply came, or the reading thread stopped reading */
	bool reading;               /* a thread reads the socket */
	const char
		*broken_call; /* the system call that ended the connection; NULL: the daemon did */
	int broken_error;
	uint64_t next_serial;
	LIST_HEAD(, pending) pendings;
	/* takes each message that is no reply, or one that no thread waits for; under the mutex */
	void (*event)(struct fbk_context *context, const struct Fbk__Wire__Message *message);

	struct outbox outbox;

	/* guard.c; set under the outbox's lock */
	_Atomic bool guarded; /* the guard thread runs */
	pthread_t guard;
	int guard_bell; /* an eventfd */
	_Atomic bool guard_ends;
};

/* NULL: no memory. Nothing in it is open yet; context_destroy() takes what is half made. */
struct fbk_context *context_create(void);
void context_destroy(struct fbk_context *context);

/* connect.c: the socket that fbk_connect() connects to, given the same path or NULL. */
#define CONTEXT_SYSTEM_SOCKET "/run/fencebroker/socket"
int context_socket_path(const char *given, char *ret_path, size_t size);

/* connect.c: fbk_connect() for a program that only inspects and administers. */
int context_connect_to_inspect(const char *path, struct fbk_context **ret_context);

int context_check(struct fbk_context *context); /* 0; -EBADF in a forked child */

/* Has the end of the socket been read? Later than its end, and not by all: see context_lose(). */
static inline bool context_closed(const struct fbk_context *context)
{
	/* acquire: pairs with context_lose */
	return atomic_load_explicit(&context->closed, memory_order_acquire);
}

/* Is the daemon gone? True as soon as it is. */
static inline bool context_lost(const struct fbk_context *context)
{
	/* acquire: what it did is visible to who sees its end, so a second look is the last */
	return atomic_load_explicit(&context->life->holder, memory_order_acquire) & FBK_LIFE_OVER ||
	       context_closed(context);
}
void context_rouse(struct fbk_context *context); /* make the pollable fd readable */

/* Wake all threads that wait, to look again. Under the mutex. */
void context_wake(struct fbk_context *context);

/* May this thread not sleep? Then the error of a call that would is flushing_error(). */
bool context_flushing(const struct fbk_context *context);

/* The context's own flag, or that of a link or an exchange. Any thread; not under the mutex. */
void context_set_flushing(struct fbk_context *context, struct flushing *flushing, bool on);

/* The cell of a handle in the pair page. */
static inline struct fbk_pair_cell *context_cell(const struct fbk_context *context, uint32_t handle)
{
	char *cell =
		(char *)context->pair + context->pair_first + (size_t)handle * context->pair_stride;
	return (struct fbk_pair_cell *)(void *)cell;
}

/* The daemon is gone: notifies the children, and wakes all threads that wait. Under the mutex. */
void context_lose(struct fbk_context *context);

/* The deadline, within the longest wait that policy allows. */
static inline uint64_t deadline_bound(const struct fbk_context *context, uint64_t deadline_ns,
				      uint64_t now)
{
	return deadline_ns > now && deadline_ns - now > context->max_wait_ns
		       ? now + context->max_wait_ns
		       : deadline_ns;
}
