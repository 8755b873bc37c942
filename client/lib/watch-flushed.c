// SPDX-License-Identifier: MIT
/* Watches of no point, for who had to ask the daemon, in a dispatch, and could not wait for the answer. */
#include <errno.h>

#include "context.h"
#include "error.h"
#include "watch-arm.h"
#include "watch.h"

int watch_flushed(struct fbk_context *context, const struct callback *callback,
		  uint64_t *ret_number)
{
	struct watch *watch = watch_alloc(callback);
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	pthread_mutex_lock(&context->mutex);
	watch_enlist(context, watch);
	*ret_number = watch->number;
	if (context_flushing(context)) { /* its end takes the mutex too */
		watch_park(context, watch);
	} else {
		watch_queue(context, watch, 0);
	}
	pthread_mutex_unlock(&context->mutex);
	return 0;
}
