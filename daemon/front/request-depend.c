// SPDX-License-Identifier: MIT
/* The request that declares a wait of one point for another. */
#include <errno.h>
#include <stdio.h>

#include "broker.h"
#include "daemon/core/depend.h"
#include "daemon/core/handle.h"
#include "dispatch.h"

int request_point_depends(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__PointDepends *request = body;
	struct handle *on;
	int r = handle_check(client, request->on_handle, FBK_RIGHT_WAIT, &on, answer->detail);
	if (r == 0) {
		r = point_check(request->value, answer);
	}
	if (r == 0) {
		r = point_check(request->on_value, answer);
	}
	if (r < 0) {
		return r;
	}
	return depend_add(client->registry,
			  (struct graph_point){ handle->timeline, request->value },
			  (struct graph_point){ on->timeline, request->on_value }, client->user,
			  &client->waits, answer->detail);
}
