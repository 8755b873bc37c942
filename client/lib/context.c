// SPDX-License-Identifier: MIT
#include "context.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "proto/cells.h"
#include "proto/fd.h"
#include "proto/wire.h"

int context_check(struct fbk_context *context)
{
	if (!*context->ours) {
		return error_child();
	}
	return 0;
}

void context_rouse(struct fbk_context *context)
{
	/* Our own eventfd; at its maximum it is readable anyway. */
	event_raise(context->local);
}

void context_wake(struct fbk_context *context)
{
	if (context->pair) { /* else the daemon refused the connection */
		cell_wake_all(context_cell(context, 0));
	}
	children_wake(&context->children);
	pthread_cond_broadcast(&context->answered);
	event_raise(context->wake);
}

bool context_flushing(const struct fbk_context *context)
{
	return flushing_is_on(&context->flushing) || scope_is_flushing();
}

void context_set_flushing(struct fbk_context *context, struct flushing *flushing, bool on)
{
	/* release: before the sequences are bumped, which whoever sleeps has loaded before it looked at this */
	atomic_store_explicit(&flushing->on, on, memory_order_release);
	pthread_mutex_lock(&context->mutex);
	context_wake(context);
	pthread_mutex_unlock(&context->mutex);
}

int fbk_context_set_flushing(struct fbk_context *context, bool flushing)
{
	int r = context_check(context);
	if (r == 0) {
		context_set_flushing(context, &context->flushing, flushing);
	}
	return r;
}

void context_lose(struct fbk_context *context)
{
	if (context_closed(context)) {
		return;
	}
	/* seq_cst: before the cells are bumped. A waiter loads the sequence, then this, then sleeps
	 * while the sequence is unchanged: it sees one or the other. */
	atomic_store_explicit(&context->closed, true, memory_order_seq_cst);
	context_wake(context);
	children_lost(&context->children);
	epoll_ctl(context->epoll, EPOLL_CTL_DEL, context->socket, NULL);
	context_rouse(context);
}

static const struct fbk_life_slot unknown_life;

struct fbk_context *context_create(void)
{
	pthread_condattr_t attributes;
	struct fbk_context *context = calloc(1, sizeof(*context));
	if (!context) {
		return NULL;
	}
	context->packet = malloc(sizeof(*context->packet));
	if (!context->packet) {
		free(context);
		return NULL;
	}
	context->life = &unknown_life;
	context->socket = -1;
	context->epoll = -1;
	context->local = -1;
	context->wake = -1;
	context->doorbell = -1;
	context->guard_bell = -1;
	context->classifier.reference_fd = -1;
	atomic_init(&context->timeout_ns, CONTEXT_TIMEOUT_NS);
	outbox_init(&context->outbox);
	ids_init(&context->ids);
	pthread_mutex_init(&context->opening, NULL);
	pthread_mutex_init(&context->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&context->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	calls_init(&context->calls, &context->mutex);
	return context;
}

static void close_if_open(int fd)
{
	if (fd >= 0) {
		fd_close(fd);
	}
}

void context_destroy(struct fbk_context *context)
{
	if (context->pair) {
		munmap(context->pair, context->pair_size);
	}
	if (context->ours) {
		munmap(context->ours, CONTEXT_MARK_SIZE);
	}
	classifier_finish(&context->classifier);
	close_if_open(context->socket);
	close_if_open(context->epoll);
	close_if_open(context->local);
	close_if_open(context->wake);
	close_if_open(context->doorbell);
	close_if_open(context->guard_bell);
	outbox_finish(&context->outbox);
	calls_finish(&context->calls);
	pthread_cond_destroy(&context->answered);
	pthread_mutex_destroy(&context->mutex);
	pthread_mutex_destroy(&context->opening);
	ids_finish(&context->ids);
	free(context->packet);
	free(context);
}

bool fbk_context_stopping(struct fbk_context *context)
{
	/* relaxed: publishes nothing else */
	return atomic_load_explicit(&context->stopping, memory_order_relaxed);
}

int fbk_context_set_timeout(struct fbk_context *context, uint64_t timeout_ns)
{
	if (timeout_ns == 0) {
		return error_set(-EINVAL, "a timeout of 0: no request could be answered");
	}
	/* relaxed: publishes nothing else */
	atomic_store_explicit(&context->timeout_ns, timeout_ns, memory_order_relaxed);
	return context_check(context);
}

int fbk_context_fd(struct fbk_context *context)
{
	int r = context_check(context);
	return r < 0 ? r : context->epoll;
}
