// SPDX-License-Identifier: MIT
#include "inspect.h"

#include <errno.h>

#include "client/lib/error.h"

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
	REQUEST(request, INSPECT_STATUS, inspect_status);
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_STATUS, ret_reply);
}

/* NULL: all. */
static Fbk__Wire__Filter *filter_of(const struct options *options, Fbk__Wire__Filter *ret_filter)
{
	bool any = options->has_uid || options->client || options->device || options->name;
	ret_filter->has_uid = options->has_uid;
	ret_filter->uid = options->uid;
	ret_filter->client = options->client;
	ret_filter->device = request_text(options->device ? options->device : "");
	ret_filter->name = request_text(options->name ? options->name : "");
	return any ? ret_filter : NULL;
}

int inspect_devices(struct fbk_context *context, uint64_t after, const struct options *options,
		    uint32_t limit, struct reply *ret_reply)
{
	Fbk__Wire__Filter filter = FBK__WIRE__FILTER__INIT;
	REQUEST(request, INSPECT_DEVICES, inspect_devices, .after_id = after,
		.filter = filter_of(options, &filter), .limit = limit);
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_DEVICES, ret_reply);
}

int inspect_timelines(struct fbk_context *context, uint64_t after, const struct options *options,
		      uint32_t limit, struct reply *ret_reply)
{
	Fbk__Wire__Filter filter = FBK__WIRE__FILTER__INIT;
	REQUEST(request, INSPECT_TIMELINES, inspect_timelines, .after_id = after,
		.filter = filter_of(options, &filter), .limit = limit);
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_TIMELINES, ret_reply);
}

int inspect_links(struct fbk_context *context, uint64_t after, const struct options *options,
		  uint32_t limit, struct reply *ret_reply)
{
	Fbk__Wire__Filter filter = FBK__WIRE__FILTER__INIT;
	REQUEST(request, INSPECT_LINKS, inspect_links, .after_id = after,
		.filter = filter_of(options, &filter), .limit = limit);
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_LINKS, ret_reply);
}

int inspect_clients(struct fbk_context *context, uint64_t after, const struct options *options,
		    uint32_t limit, struct reply *ret_reply)
{
	Fbk__Wire__Filter filter = FBK__WIRE__FILTER__INIT;
	REQUEST(request, INSPECT_CLIENTS, inspect_clients, .after_id = after,
		.filter = filter_of(options, &filter), .limit = limit);
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_CLIENTS, ret_reply);
}

int inspect_route(struct fbk_context *context, const char *from, const char *to,
		  struct reply *ret_reply)
{
	REQUEST(request, INSPECT_ROUTE, inspect_route, .from = request_text(from),
		.to = request_text(to));
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_ROUTES, ret_reply);
}

int inspect_policy(struct fbk_context *context, Fbk__Wire__InspectPolicy *about,
		   struct reply *ret_reply)
{
	REQUEST(request, INSPECT_POLICY, inspect_policy);
	request.inspect_policy = about;
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_POLICY, ret_reply);
}

int inspect_stuck(struct fbk_context *context, uint64_t older_ms, const Fbk__Wire__StuckList *after,
		  struct reply *ret_reply)
{
	REQUEST(request, INSPECT_STUCK, inspect_stuck, .older_ms = older_ms,
		.after_id = after ? after->next : 0, .after_part = after ? after->next_part : 0,
		.after_wait = after ? after->next_wait : 0);
	return inspect(context, &request, FBK__WIRE__MESSAGE__BODY_STUCK, ret_reply);
}
