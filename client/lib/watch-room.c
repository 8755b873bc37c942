// SPDX-License-Identifier: MIT
/* Watches for room on the socket, for who has requests left that it could not send. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "context.h"
#include "error.h"
#include "watch-arm.h"
#include "watch.h"

/* While somebody wants room the pollable fd is ready when there is some. */
static void room_poll(struct fbk_context *context, uint32_t events)
{
	struct epoll_event event = { .events = events };
	epoll_ctl(context->epoll, EPOLL_CTL_MOD, context->socket, &event);
}

int watch_room(struct fbk_context *context, fbk_point_fn *fn, void *arg, uint64_t *ret_number)
{
	struct fbk_watch *watch = calloc(1, sizeof(*watch));
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	watch->fn = fn;
	watch->arg = arg;
	watch->wants_room = true;
	pthread_mutex_lock(&context->mutex);
	watch_enlist(context, watch);
	TAILQ_INSERT_TAIL(&context->watches->roomless, watch, unsent_links);
	*ret_number = watch->number;
	if (context_lost(context)) {
		watch_queue(context, watch, -ENOTCONN);
	} else {
		room_poll(context, EPOLLIN | EPOLLOUT);
	}
	pthread_mutex_unlock(&context->mutex);
	return 0;
}

void watch_leave_room(struct fbk_context *context, struct fbk_watch *watch)
{
	watch->wants_room = false;
	TAILQ_REMOVE(&context->watches->roomless, watch, unsent_links);
	if (TAILQ_EMPTY(&context->watches->roomless) && !context_lost(context)) {
		room_poll(context, EPOLLIN);
	}
}

void watches_find_room(struct fbk_context *context)
{
	struct pollfd entry = { .fd = context->socket, .events = POLLOUT };
	if (TAILQ_EMPTY(&context->watches->roomless) || poll(&entry, 1, 0) < 1 ||
	    !(entry.revents & POLLOUT)) {
		return;
	}
	while (!TAILQ_EMPTY(&context->watches->roomless)) {
		watch_queue(context, TAILQ_FIRST(&context->watches->roomless), 0);
	}
}
