// SPDX-License-Identifier: MIT
/* Offers by name. */
#include <errno.h>
#include <string.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "link.h"

/* The daemon judges names; one that is too long for a request is refused here. */
static int name_check(const char *name)
{
	return strnlen(name, FBK_NAME_SIZE) < FBK_NAME_SIZE
		       ? 0
		       : error_set(-EINVAL, "a link's name has at most %d characters",
				   FBK_NAME_SIZE - 1);
}

int fbk_link_publish(struct fbk_link *link, const char *name)
{
	int r = name_check(name ? name : "");
	if (r < 0) {
		return r;
	}
	REQUEST(request, LINK_PUBLISH, link_publish, .handle = link->state->handle,
		.name = request_text(name));
	return request_do(link->context, &request);
}

int fbk_link_find(struct fbk_context *context, const char *name, int *ret_offer_fd)
{
	int r = name_check(name ? name : "");
	if (r < 0) {
		return r;
	}
	REQUEST(request, LINK_FIND, link_find, .name = request_text(name));
	return request_fd(context, &request, ret_offer_fd);
}
