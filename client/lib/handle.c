// SPDX-License-Identifier: MIT
#include "handle.h"

#include <errno.h>
#include <stdlib.h>

#include "context.h"
#include "error.h"
#include "timeline.h"
#include "watch-arm.h"

void handle_init(struct fbk_watch *handle, struct fbk_context *context,
		 const struct handle_ops *ops)
{
	handle->context = context;
	handle->ops = ops;
	pthread_mutex_lock(&context->mutex);
	LIST_INSERT_HEAD(&context->handles, handle, links);
	pthread_mutex_unlock(&context->mutex);
}

void handle_cancel(struct fbk_watch *handle)
{
	if (!handle || context_check(handle->context) < 0) {
		return; /* a forked child has it until fbk_disconnect() */
	}
	struct fbk_context *context = handle->context;
	handle->ops->stop(handle);
	calls_wait_number(&context->calls, handle->number);
	pthread_mutex_lock(&context->mutex);
	LIST_REMOVE(handle, links);
	pthread_mutex_unlock(&context->mutex);
	handle->ops->free(handle);
}

void handle_stop_watch(struct fbk_watch *handle)
{
	uint64_t number = handle->number;
	watch_end(handle->context, &number);
}

void handles_free(struct fbk_context *context)
{
	struct fbk_watch *handle;
	while ((handle = LIST_FIRST(&context->handles))) {
		LIST_REMOVE(handle, links);
		handle->ops->free(handle);
	}
}

/* ------------------------------------------------------------------------------------- of a point -- */

static void point_handle_free(struct fbk_watch *handle)
{
	free(handle);
}

static const struct handle_ops point_handle = {
	.stop = handle_stop_watch,
	.free = point_handle_free,
};

int fbk_point_watch(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		    struct fbk_watch **ret_watch)
{
	struct watch *watch;
	uint64_t number;
	int r = watch_new(point, deadline_ns, fn, arg, &watch);
	if (r < 0) {
		return r;
	}
	if (!ret_watch) {
		watch_begin(watch, &number);
		return 0;
	}
	struct fbk_watch *handle = calloc(1, sizeof(*handle));
	if (!handle) {
		free(watch);
		return error_plain(-ENOMEM);
	}
	handle_init(handle, point.timeline->context, &point_handle);
	*ret_watch = handle;
	watch_begin(watch, &handle->number);
	return 0;
}

void fbk_watch_cancel(struct fbk_watch *watch)
{
	handle_cancel(watch);
}
