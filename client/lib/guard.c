// SPDX-License-Identifier: MIT
#include "guard.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "proto/container.h"
#include "proto/fd.h"
#include "proto/thread.h"
#include "request.h"

#define GUARD_STACK    (64 * 1024) /* beyond thread storage */
#define GUARD_RETRY_MS 2           /* no poll(2) reports that the kernel has memory again */

static void guard_lose(struct fbk_context *context)
{
	pthread_mutex_lock(&context->mutex);
	if (!context->reading) {
		request_read(context); /* its last messages; ends in context_lose */
	}
	context_lose(context);
	pthread_mutex_unlock(&context->mutex);
	outbox_drop(&context->outbox, -ENOTCONN);
}

/* What was read is passed on, and rouses who waits or dispatches. */
static void guard_read(struct fbk_context *context)
{
	pthread_mutex_lock(&context->mutex);
	if (!context->reading) {
		request_read(context);
	}
	pthread_mutex_unlock(&context->mutex);
}

static void *guard_run(void *arg)
{
	struct fbk_context *context = arg;
	int full = -EAGAIN;
	prctl(PR_SET_NAME, "fbk-guard");
	for (;;) {
		bool waits = outbox_waits(&context->outbox);
		bool later = waits && full == -ENOBUFS;
		struct pollfd entries[] = {
			/* POLLHUP and POLLERR come unasked */
			{ .fd = context->socket,
			  .events = later   ? POLLIN
				    : waits ? POLLIN | POLLOUT
					    : 0 },
			{ .fd = context->guard_bell, .events = POLLIN },
		};
		int r = fd_poll(entries, 2, later ? GUARD_RETRY_MS : -1);
		if (entries[1].revents && r > 0) {
			event_clear(context->guard_bell);
		}
		/* acquire: pairs with guard_end */
		if (atomic_load_explicit(&context->guard_ends, memory_order_acquire)) {
			return NULL;
		}
		if (r > 0 && entries[0].revents & (POLLHUP | POLLERR)) {
			guard_lose(context);
			return NULL;
		}
		if (r > 0 && entries[0].revents & POLLIN) {
			guard_read(context);
		}
		if (r >= 0) {
			full = outbox_flush(&context->outbox);
		}
	}
}

static int guard_create(struct fbk_context *context)
{
	context->guard_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (context->guard_bell < 0) {
		return -errno;
	}
	int r = thread_start(&context->guard, GUARD_STACK, 0, guard_run, context);
	if (r < 0) {
		fd_close(context->guard_bell);
		context->guard_bell = -1;
	}
	return r;
}

/* Under the outbox's lock. */
static int guard_ensure(struct fbk_context *context)
{
	int r = 0;
	if (!context->guarded) {
		r = guard_create(context);
		/* release: pairs with the acquire in guard_start; the guard is there then */
		atomic_store_explicit(&context->guarded, r == 0, memory_order_release);
	}
	return r;
}

int guard_start(struct fbk_context *context)
{
	/* acquire: see above */
	if (atomic_load_explicit(&context->guarded, memory_order_acquire)) {
		return 0;
	}
	pthread_mutex_lock(&context->outbox.lock);
	int r = guard_ensure(context);
	pthread_mutex_unlock(&context->outbox.lock);
	if (r == -EAGAIN) {
		return error_set(-ENOMEM,
				 "cannot start the thread that watches the daemon: %s (memory, or "
				 "the limit of threads)",
				 strerrordesc_np(-r));
	}
	return r < 0 ? error_of_call(r == -EMFILE || r == -ENFILE ? "eventfd2" : "clone3", r) : 0;
}

int guard_begin(struct outbox *outbox)
{
	struct fbk_context *context = container_of(outbox, struct fbk_context, outbox);
	int r = guard_ensure(context);
	if (r == 0) {
		event_raise(context->guard_bell);
	}
	return r;
}

void guard_end(struct fbk_context *context)
{
	if (context->guarded) {
		/* release: pairs with the acquire in guard_run */
		atomic_store_explicit(&context->guard_ends, true, memory_order_release);
		event_raise(context->guard_bell);
		int before = cancelling_hold();
		pthread_join(context->guard, NULL);
		cancelling_resume(before);
	}
}
