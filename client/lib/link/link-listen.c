// SPDX-License-Identifier: MIT
/* fbk_link_listen(): a callback with each change of phase. */
#include <errno.h>

#include "client/lib/call.h"
#include "client/lib/context.h"
#include "client/lib/watch-arm.h"
#include "link-handle.h"
#include "link.h"

static void link_changed(void *arg, struct fbk_point point, int result);

/* Under the lock. The first call comes at once. */
static int link_listen(struct fbk_link *link, struct fbk_point change)
{
	if (!link->notified && change.value > 1) {
		change.value--;
	}
	watch_end(link->context, &link->listener);
	return watch_point(link, change, link_changed, link, &link->listener);
}

/* With its call, which runs until it is left. Unlocks. */
static void listener_call(struct fbk_link *link, enum fbk_link_phase phase)
{
	struct fbk_context *context = link->context;
	fbk_link_fn *fn = link->fn;
	void *arg = link->arg;
	struct call call;
	call_enter(&context->calls, &call, link->listening, link);
	link_unlock(link);
	fn(arg, link, phase); /* which may close it */
	call_leave(&context->calls, &call);
}

static void link_changed(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct fbk_link_info info;
	struct fbk_point change;
	(void)point;
	link_lock(link);
	if (!link->fn) {
		link_unlock(link);
		return; /* cancelled, or it closes */
	}
	int r = link_look(link, &info, &change);
	bool news = info.phase != link->notified;
	link->notified = info.phase;
	watch_end(link->context, &link->listener);
	if (r == -ECANCELED) { /* not asked: the change is still to be seen */
		watch_flushed(link->context, &(struct callback){ link, link_changed, link },
			      &link->listener);
	} else if (info.phase != FBK_PHASE_ENDED && result != -ENOTCONN) {
		link_listen(link, change);
	}
	if (news) {
		listener_call(link, info.phase);
	} else {
		link_unlock(link);
	}
}

/* Under the lock. */
void listener_end(struct fbk_link *link)
{
	link->fn = NULL;
	watch_end(link->context, &link->listener);
}

static void listener_stop(struct fbk_watch *handle)
{
	struct fbk_link *link = link_of_handle(handle);
	link_lock(link);
	if (link->listening == handle->number) { /* else another took its place */
		listener_end(link);
	}
	link_unlock(link);
}

static const struct handle_ops listener_handle = {
	.stop = listener_stop,
	.free = link_handle_free,
};

int fbk_link_listen(struct fbk_link *link, fbk_link_fn *fn, void *arg, struct fbk_watch **ret_watch)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	struct fbk_watch *handle = NULL;
	struct fbk_link_info info;
	struct fbk_point change;
	int r = ret_watch ? link_handle_create(link, &listener_handle, &handle) : 0;
	if (r < 0) {
		return r;
	}
	link_lock(link);
	r = link_look(link, &info, &change);
	if (r == 0) {
		link->listening = link_call_number(link, handle);
		link->fn = fn;
		link->arg = arg;
		link->notified = 0; /* of nothing: the present phase is news */
		r = link_listen(link, change);
	}
	if (r == 0 && ret_watch) {
		*ret_watch = handle; /* none is called under the lock */
	}
	link_unlock(link);
	if (r < 0) {
		handle_cancel(handle);
	}
	return r;
}
