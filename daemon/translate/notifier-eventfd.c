// SPDX-License-Identifier: MIT
/*
 * An imported eventfd is one point: its first readable edge signals the point. The daemon never reads it: the
 * description is shared, and a read could block once the other side cleared O_NONBLOCK.
 */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>

#include "client/include/fencebroker.h"
#include "notifier.h"
#include "translator.h"

struct eventfd_state {
	struct event *event;
	notifier_fn *fn;
	void *arg;
};

static void eventfd_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct eventfd_state *state = arg;
	state->fn(state->arg, 0); /* frees the state */
}

static void eventfd_stop(void *opaque)
{
	struct eventfd_state *state = opaque;
	if (!state) {
		return;
	}
	if (state->event) {
		event_free(state->event);
	}
	free(state);
}

static int eventfd_start(struct translator *translator, const struct fence *fence, notifier_fn *fn,
			 void *arg, void **ret_state, char *detail)
{
	(void)detail;
	struct eventfd_state *state = calloc(1, sizeof(*state));
	if (!state) {
		return -ENOMEM;
	}
	state->fn = fn;
	state->arg = arg;
	/* Persistent, so that waiters are woken before the event is deleted, which is a system call. */
	state->event =
		loop_listen(&translator->registry->loop, fence->fd, EV_READ | EV_ET | EV_PERSIST,
			    PRIORITY_FENCE, eventfd_readable, state);
	if (!state->event) {
		eventfd_stop(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static int eventfd_look(void *opaque)
{
	const struct eventfd_state *state = opaque;
	struct pollfd entry = { .fd = event_get_fd(state->event), .events = POLLIN };
	/* Never blocks: the poll function of an eventfd takes no lock. */
	return poll(&entry, 1, 0) == 1 && entry.revents & POLLIN ? 0 : FENCE_PENDING;
}

static bool eventfd_promised(const void *opaque)
{
	(void)opaque;
	return true;
}

const struct notifier notifier_eventfd = {
	.name = "eventfd",
	.kind = FBK_FENCE_EVENTFD,
	.closes_at_once = true,
	.start = eventfd_start,
	.stop = eventfd_stop,
	.look = eventfd_look,
	.promised = eventfd_promised,
};
