// SPDX-License-Identifier: MIT
/* Offers by name. */
#include <errno.h>
#include <string.h>

#include "link.h"
#include "request.h"

/* The daemon knows what a name is; but one that is far too long is told it by its size. */
static int name_check(const char *name)
{
	return strnlen(name, FBK_NAME_SIZE) < FBK_NAME_SIZE
		       ? 0
		       : error_set(-EINVAL, "a link's name has at most %d characters",
				   FBK_NAME_SIZE - 1);
}

int fbk_link_publish(struct fbk_link *link, const char *name)
{
	Fbk__Wire__LinkPublish body = FBK__WIRE__LINK_PUBLISH__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	int r = name_check(name ? name : "");
	if (r < 0) {
		return r;
	}
	body.handle = link->state->handle;
	body.name = (char *)(uintptr_t)(name ? name : "");
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_PUBLISH;
	request.link_publish = &body;
	return request_do(link->context, &request);
}

int fbk_link_find(struct fbk_context *context, const char *name, int *ret_offer_fd)
{
	Fbk__Wire__LinkFind body = FBK__WIRE__LINK_FIND__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	int r = name_check(name);
	if (r < 0) {
		return r;
	}
	body.name = (char *)(uintptr_t)name;
	request.body_case = FBK__WIRE__REQUEST__BODY_LINK_FIND;
	request.link_find = &body;
	r = request_call(context, &request, NULL, 0, 1, &reply);
	if (r == 0) {
		*ret_offer_fd = reply.fds[0];
		reply.fds[0] = -1;
		reply_finish(&reply);
	}
	return r;
}
