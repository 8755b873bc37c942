// SPDX-License-Identifier: MIT
/*
 * Requests to the daemon and their replies. Any thread; several may be in request_call() at once: one of
 * those that wait reads the socket for all. Not under the context's mutex but where it says so. A reply is
 * owned by the caller, until reply_finish().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "outbox.h"
#include "proto/request.h"

#define REPLY_FDS_MAX 4

struct fbk_context;

struct reply {
	Fbk__Wire__Message *message; /* never an error: that is request_call's result */
	int fds[REPLY_FDS_MAX];      /* set to -1 what is kept */
	size_t fd_count;
};

/*
 * Send a request (its serial is filled in) with fds, which stay the caller's, and wait for the
 * reply. `fds_wanted` is how many the reply carries. Returns the daemon's error, -ENOTCONN, or
 * -ETIMEDOUT; the error's detail is set. reply_finish() is owed only on success.
 */
int request_call(struct fbk_context *context, Fbk__Wire__Request *request, const int *fds,
		 size_t fd_count, size_t fds_wanted, struct reply *ret_reply);

/* The same without fds, for a request that may take longer than others: -ETIMEDOUT after that time. */
int request_call_within(struct fbk_context *context, Fbk__Wire__Request *request,
			uint64_t timeout_ns, struct reply *ret_reply);

/* The requests of this thread end by `deadline_ns`, until this is called again with FBK_DEADLINE_MAX. */
void request_limit(uint64_t deadline_ns);

/* How many fds the reply carries depends on what it says: then they are counted with reply_check_fds(). */
#define FDS_MAY_DIFFER SIZE_MAX
int reply_check_fds(const struct reply *reply, size_t fds_wanted);

/* The same where nothing but success or failure comes back. */
int request_do(struct fbk_context *context, Fbk__Wire__Request *request);
int request_do_fds(struct fbk_context *context, Fbk__Wire__Request *request, const int *fds,
		   size_t fd_count);

/* The same where the reply is one fd. */
int request_fd(struct fbk_context *context, Fbk__Wire__Request *request, int *ret_fd);

/* The same where the reply is an Object; -EPROTO if it is not. Its backing is of interest to devices only:
 * `ret_backing` may be NULL. */
int request_object(struct fbk_context *context, Fbk__Wire__Request *request, uint32_t *ret_id,
		   uint32_t *ret_backing);

/* A string of a request: messages that are only packed do not change it. NULL: empty. */
static inline char *request_text(const char *string)
{
	return (char *)(uintptr_t)(string ? string : "");
}

void reply_finish(struct reply *reply);

/*
 * Send a request without waiting for its reply; under the mutex, and never blocking: -EAGAIN where it would wait. When the reply is read, on
 * any thread, `posted` is called under the mutex, unless it was forgotten by then. An error of the daemon
 * is a message without a body. It may take fds of the reply, by setting them to -1. Not called when the
 * connection ends before.
 */
typedef void posted_fn(void *arg, struct reply *reply);
int request_post(struct fbk_context *context, Fbk__Wire__Request *request, posted_fn *posted,
		 void *arg);

/* What was posted with that `arg`, which goes. Under the mutex. */
void requests_forget(struct fbk_context *context, const void *arg);

void requests_free(struct fbk_context *context); /* at the end of the context */

/*
 * Quiet requests: the daemon answers none, and no call waits: what the socket has no room for waits in the outbox, before
 * everything that is sent later. `packet` may be NULL: it has the fds, which stay the caller's, and `sent`. 0: it was sent,
 * or waits with nobody to hear of it. 1: it waits, and `sent` is called once it was sent. -EAGAIN: as much waits as may.
 * -ENOTCONN: the daemon is gone. Also under the mutex.
 */
int request_quiet(struct fbk_context *context, Fbk__Wire__Request *request,
		  const struct packet *packet);

/* For the end of something, of which there is a bounded number: it waits behind any number of others. */
void request_quiet_end(struct fbk_context *context, Fbk__Wire__Request *request);

/* The same, and wait for the daemon to have done it, but not when flushing. */
void request_part(struct fbk_context *context, Fbk__Wire__Request *request);

/* Before the context ends: wait until the daemon has taken what waits, for as long as a request may take. */
void requests_drain(struct fbk_context *context);

/* Read what is there and pass it on; under the mutex, with `reading` not set by another thread.
 * Ends in context_lose() at the end of the socket. */
void request_read(struct fbk_context *context);
