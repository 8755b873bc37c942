// SPDX-License-Identifier: MIT
/*
 * A sync_file, polled for its edge. Polling does not tell success from failure, so the state is read once it has
 * signalled. A client's sync_file is confirmed first, by means of one that the daemon made.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/include/fencebroker.h"
#include "daemon/core/received.h"
#include "notifier.h"
#include "proto/sync-file.h"
#include "translator.h"

struct sync_file_follow {
	struct event *event;
	int fd;
	notifier_fn *fn;
	void *arg;
};

static void sync_file_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct sync_file_follow *state = arg;
	int result = sync_file_state(fd);
	if (result != FENCE_PENDING) {         /* else a spurious edge */
		state->fn(state->arg, result); /* frees the state */
	}
}

static void sync_file_stop(void *opaque)
{
	struct sync_file_follow *state = opaque;
	if (state) {
		event_drop(state->event);
		free(state);
	}
}

static int sync_file_start(struct translator *translator, const struct fence *fence,
			   notifier_fn *fn, void *arg, void **ret_state, char *detail)
{
	if (translator->drm.own_sync_file < 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the daemon has no sync_file of its own to confirm that one with: see "
			 "`fencectl doctor`");
		return -EOPNOTSUPP;
	}
	int r = sync_file_confirm(translator->drm.own_sync_file, fence->fd);
	if (r < 0) {
		snprintf(detail, FBK_REASON_SIZE, "that fd is not a sync_file: %s",
			 strerrordesc_np(-r));
		return received_refuse(translator->registry, r);
	}
	struct sync_file_follow *state = calloc(1, sizeof(*state));
	if (!state) {
		return -ENOMEM;
	}
	state->fd = fence->fd;
	state->fn = fn;
	state->arg = arg;
	state->event =
		loop_listen(&translator->registry->loop, fence->fd, EV_READ | EV_ET | EV_PERSIST,
			    PRIORITY_FENCE, sync_file_readable, state);
	if (!state->event) {
		sync_file_stop(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static int sync_file_look(void *opaque)
{
	const struct sync_file_follow *state = opaque;
	return sync_file_state(state->fd);
}

static void sync_file_hint(void *opaque, uint64_t deadline_ns)
{
	struct sync_file_follow *state = opaque;
	sync_file_set_deadline(state->fd, deadline_ns); /* older kernels refuse the ioctl */
}

const struct notifier notifier_sync_file = {
	.name = "sync_file",
	.kind = FBK_FENCE_SYNC_FILE,
	.start = sync_file_start,
	.stop = sync_file_stop,
	.look = sync_file_look,
	.hint = sync_file_hint,
};
