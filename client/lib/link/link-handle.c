// SPDX-License-Identifier: MIT
#include "link-handle.h"

#include <errno.h>
#include <stdlib.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/watch-arm.h"

int link_handle_create(struct fbk_link *link, const struct handle_ops *ops,
		       struct fbk_watch **ret_handle)
{
	struct link_handle *handle = calloc(1, sizeof(*handle));
	if (!handle) {
		return error_plain(-ENOMEM);
	}
	link_ref(link);
	handle->link = link;
	handle_init(&handle->handle, link->context, ops);
	*ret_handle = &handle->handle;
	return 0;
}

void link_handle_free(struct fbk_watch *handle)
{
	link_unref(link_of_handle(handle));
	free(handle);
}

uint64_t link_call_number(const struct fbk_link *link, struct fbk_watch *handle)
{
	pthread_mutex_lock(&link->context->mutex);
	uint64_t number = watch_number(link->context);
	pthread_mutex_unlock(&link->context->mutex);
	if (handle) {
		handle->number = number;
	}
	return number;
}
