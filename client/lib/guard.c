// SPDX-License-Identifier: MIT
#include "guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "request.h"

#define GUARD_STACK (64 * 1024)

static void *guard_run(void *arg)
{
	struct fbk_context *context = arg;
	struct pollfd entries[] = {
		{ .fd = context->socket, .events = 0 }, /* POLLHUP and POLLERR come unasked */
		{ .fd = context->guard_stop, .events = POLLIN },
	};
	prctl(PR_SET_NAME, "fbk-guard");
	while (poll(entries, 2, -1) < 0 && errno == EINTR) {
	}
	if (entries[0].revents) {
		pthread_mutex_lock(&context->mutex);
		if (!context->reading) {
			request_read(context); /* its last messages; ends in context_lose */
		}
		context_lose(context);
		pthread_mutex_unlock(&context->mutex);
	}
	return NULL;
}

static int guard_create(struct fbk_context *context)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t old;
	context->guard_stop = eventfd(0, EFD_CLOEXEC);
	if (context->guard_stop < 0) {
		return -errno;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, GUARD_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the program's, not ours */
	int r = -pthread_create(&context->guard, &attributes, guard_run, context);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	if (r < 0) {
		close(context->guard_stop);
		context->guard_stop = -1;
	}
	return r;
}

int guard_start(struct fbk_context *context)
{
	int r = 0;
	/* acquire: pairs with the release below; the guard is there then */
	if (atomic_load_explicit(&context->guarded, memory_order_acquire)) {
		return 0;
	}
	pthread_mutex_lock(&context->mutex);
	if (!context->guarded) {
		r = guard_create(context);
		/* release: see above */
		atomic_store_explicit(&context->guarded, r == 0, memory_order_release);
	}
	pthread_mutex_unlock(&context->mutex);
	return r < 0 ? error_set(r, "cannot start the thread that watches the daemon: %s",
				 strerrordesc_np(-r))
		     : 0;
}

void guard_end(struct fbk_context *context)
{
	if (context->guarded) {
		eventfd_write(context->guard_stop, 1);
		pthread_join(context->guard, NULL);
	}
}
