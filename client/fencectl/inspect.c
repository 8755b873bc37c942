// SPDX-License-Identifier: MIT
#include "inspect.h"

#include <errno.h>

static int inspect(struct fbk_context *context, Fbk__Wire__Request *request,
		   Fbk__Wire__Message__BodyCase wanted, struct reply *ret_reply)
{
	int r = request_call(context, request, NULL, 0, 0, ret_reply);
	if (r == 0 && ret_reply->message->body_case != wanted) {
		reply_finish(ret_reply);
		r = error_set(-EPROTO, "the daemon answered something else");
	}
	return r;
}

int inspect_status(struct fbk_context *context, struct reply *ret_reply)
{
	Fbk__Wire__InspectStatus body = FBK__WIRE__INSPECT_STATUS__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	request.body_case = FBK__WIRE__REQUEST__BODY_INSPECT_STATUS;
	request.inspect_status = &body;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_STATUS, ret_reply);
}

int inspect_devices(struct fbk_context *context, uint64_t after, struct reply *ret_reply)
{
	Fbk__Wire__InspectDevices body = FBK__WIRE__INSPECT_DEVICES__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.after_id = after;
	request.body_case = FBK__WIRE__REQUEST__BODY_INSPECT_DEVICES;
	request.inspect_devices = &body;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_DEVICES, ret_reply);
}

int inspect_timelines(struct fbk_context *context, uint64_t after, struct reply *ret_reply)
{
	Fbk__Wire__InspectTimelines body = FBK__WIRE__INSPECT_TIMELINES__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.after_id = after;
	request.body_case = FBK__WIRE__REQUEST__BODY_INSPECT_TIMELINES;
	request.inspect_timelines = &body;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_TIMELINES, ret_reply);
}

int inspect_links(struct fbk_context *context, uint64_t after, struct reply *ret_reply)
{
	Fbk__Wire__InspectLinks body = FBK__WIRE__INSPECT_LINKS__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.after_id = after;
	request.body_case = FBK__WIRE__REQUEST__BODY_INSPECT_LINKS;
	request.inspect_links = &body;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_LINKS, ret_reply);
}

int inspect_route(struct fbk_context *context, const char *from, const char *to,
		  struct reply *ret_reply)
{
	Fbk__Wire__InspectRoute body = FBK__WIRE__INSPECT_ROUTE__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.from = (char *)(uintptr_t)from; /* only packed */
	body.to = (char *)(uintptr_t)to;
	request.body_case = FBK__WIRE__REQUEST__BODY_INSPECT_ROUTE;
	request.inspect_route = &body;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_ROUTES, ret_reply);
}

int inspect_stuck(struct fbk_context *context, uint64_t older_ms, const Fbk__Wire__StuckList *after,
		  struct reply *ret_reply)
{
	Fbk__Wire__InspectStuck body = FBK__WIRE__INSPECT_STUCK__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.older_ms = older_ms;
	if (after) {
		body.after_id = after->next;
		body.after_part = after->next_part;
		body.after_wait = after->next_wait;
	}
	request.body_case = FBK__WIRE__REQUEST__BODY_INSPECT_STUCK;
	request.inspect_stuck = &body;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_STUCK, ret_reply);
}
