// SPDX-License-Identifier: MIT
/* Offers by name. */
#include <errno.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "link.h"

int fbk_link_publish(struct fbk_link *link, const char *name)
{
	int r = error_of_name("a link", name);
	if (r < 0) {
		return r;
	}
	REQUEST(request, LINK_PUBLISH, link_publish, .handle = link->state->handle,
		.name = request_text(name));
	return request_do(link->context, &request);
}

int fbk_link_find(struct fbk_context *context, const char *name, int *ret_offer_fd)
{
	int r = error_of_name("a link", name);
	if (r < 0) {
		return r;
	}
	REQUEST(request, LINK_FIND, link_find, .name = request_text(name));
	return request_fd(context, &request, ret_offer_fd);
}
