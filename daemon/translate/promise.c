// SPDX-License-Identifier: MIT
#include "promise.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/memory.h"
#include "export.h"

void promises_prepare(struct translator *translator)
{
	if (policy_settings(translator->registry->policy)->promises &&
	    translator->memory_lock < 0) {
		translator->memory_lock = memory_lock();
	}
}

int promises_work(struct translator *translator, char *detail)
{
	if (!policy_settings(translator->registry->policy)->promises) {
		snprintf(detail, FBK_REASON_SIZE,
			 "promises are off: the administrator would have to set `promises` and add "
			 "a rule with `promise` (see fencebroker-policy(5) for what that breaks)");
		return -EPERM;
	}
	if (translator->memory_lock < 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the daemon's memory could not be locked (%s), and a process that signals "
			 "for the kernel must not wait for memory: raise LimitMEMLOCK=",
			 strerrordesc_np(-translator->memory_lock));
		return -EPERM;
	}
	return provider_vgem.probe(translator, detail);
}

static int promise_check(struct translator *translator, const struct timeline *timeline,
			 bool implicit, char *detail)
{
	/* No search for a cycle here: the daemon refuses the declared wait that would close one. */
	int r = promises_work(translator, detail);
	if (r < 0) {
		return r;
	}
	if (implicit && !policy_settings(translator->registry->policy)->implicit_promises) {
		snprintf(
			detail, FBK_REASON_SIZE,
			"promises for implicit fences are off: the administrator would have to set "
			"`implicit_promises`");
		return -EPERM;
	}
	if (translator->stopping) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the daemon is stopping: it promises nothing more");
		return -ESHUTDOWN;
	}
	if (!timeline->device->may_promise) {
		snprintf(detail, FBK_REASON_SIZE,
			 "policy does not let points of %s (class %s, uid %u) be promised: the "
			 "administrator would have to add a rule with `promise`",
			 timeline->device->name, device_class_name(timeline->device->class),
			 timeline->device->uid);
		return -EPERM;
	}
	if (timeline->device->promise_broken) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s (pid %d) broke its last promise: no new promise until one of its "
			 "points is reached",
			 timeline->device->name, timeline->device->pid);
		return -ETIME;
	}
	return 0;
}

int promise_make(struct translator *translator, struct handle *handle, uint64_t value,
		 bool implicit, int *ret_fd, char *detail)
{
	struct timeline *timeline = handle->timeline;
	timeline_refresh(timeline);
	if (timeline_point_state(timeline, value) != -EAGAIN) {
		return export_reached(translator, handle, value, ret_fd, detail);
	}
	int r = promise_check(translator, timeline, implicit, detail);
	if (r < 0) {
		return r;
	}
	r = export_promise(translator, handle, &provider_vgem, value, ret_fd);
	if (r == -ENOSPC) {
		snprintf(detail, FBK_REASON_SIZE, "the daemon's limit of promises is reached");
	}
	return r;
}
