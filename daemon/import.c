// SPDX-License-Identifier: MIT
#include "import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "clock.h"
#include "handle.h"
#include "session.h"
#include "timeline.h"

/* Stop listening and let go of the fence; the entry stays in its place in the order. */
static void import_release(struct import *import)
{
	struct broker *broker = import->timeline->broker;
	broker_disarm(broker, &import->deadline);
	if (import->notifier) {
		import->notifier->stop(import->notifier_state);
		import->notifier = NULL;
	}
	if (import->fd >= 0) {
		closer_close(&broker->closer, import->fd);
		import->fd = -1;
	}
	charge_release(&import->fd_charge);
}

static void import_destroy(struct import *import)
{
	import_release(import);
	TAILQ_REMOVE(&import->timeline->imports, import, links);
	charge_release(&import->charge);
	free(import);
}

static void import_advance(struct timeline *timeline)
{
	uint64_t value = 0;
	struct import *first;
	while ((first = TAILQ_FIRST(&timeline->imports)) && first->decided) {
		if (first->result < 0) {
			break;
		}
		value = first->value;
		import_destroy(first);
	}
	timeline_advance(timeline, value);
	if (timeline->cause != FBK_CAUSE_NONE) {
		return; /* it jumped too far: all imports are gone */
	}
	if (first && first->decided) {
		enum fbk_cause cause =
			first->result == -ETIME ? FBK_CAUSE_DEADLINE : FBK_CAUSE_FENCE_ERROR;
		timeline_fail(timeline, cause, first->result, NULL);
	}
}

static void import_decide(struct import *import, int result)
{
	struct timeline *timeline = import->timeline;
	struct broker_counters *counters = &timeline->broker->counters;
	if (result < 0) {
		counters->imports_failed++;
		timeline->counters.imports_failed++;
	} else {
		counters->imports_done++;
		timeline->counters.imports_done++;
	}
	import->decided = true;
	import->result = result;
	import_release(import);
	import_advance(timeline);
}

static void import_notified(void *arg, int result)
{
	import_decide(arg, result);
}

static void import_expired(struct wheel_timer *timer)
{
	import_decide(container_of(timer, struct import, deadline), -ETIME);
}

static int import_check_order(const struct timeline *timeline, uint64_t value)
{
	if (timeline->cause != FBK_CAUSE_NONE) {
		return timeline->error;
	}
	return value > timeline->given ? 0 : -EALREADY;
}

static int import_append(struct handle *handle, uint64_t value, struct import **ret_import)
{
	struct import *import = calloc(1, sizeof(*import));
	if (!import) {
		return -ENOMEM;
	}
	int r = charge_take(&import->charge, handle->session->user, ACCOUNT_IMPORTS, 1);
	if (r < 0) {
		free(import);
		return r;
	}
	import->timeline = handle->timeline;
	import->value = value;
	import->fd = -1;
	import->deadline.fire = import_expired;
	TAILQ_INSERT_TAIL(&handle->timeline->imports, import, links);
	*ret_import = import;
	return 0;
}

int import_create(struct handle *handle, uint64_t value, int fd, uint32_t kind, char *detail)
{
	struct timeline *timeline = handle->timeline;
	struct broker *broker = timeline->broker;
	const struct notifier *notifier = notifier_find(kind);
	struct import *import;

	if (!notifier) {
		snprintf(detail, FBK_REASON_SIZE,
			 "this daemon cannot confirm and follow a fence of kind 0x%x yet; it can "
			 "follow "
			 "an eventfd",
			 kind);
		return -EOPNOTSUPP;
	}
	int r = import_check_order(timeline, value);
	if (r < 0) {
		return r;
	}
	r = import_append(handle, value, &import);
	if (r < 0) {
		return r;
	}
	r = charge_take(&import->fd_charge, handle->session->user, ACCOUNT_FDS, 1);
	if (r == 0) {
		r = notifier->start(broker, fd, import_notified, import, &import->notifier_state,
				    detail);
	}
	if (r < 0) {
		import_destroy(import);
		return r;
	}
	import->notifier = notifier;
	import->fd = fd;
	timeline->given = value;
	broker->counters.imports++;
	timeline->counters.imports++;
	broker_arm(broker, &import->deadline,
		   clock_now_ns() + policy_settings(broker->policy)->max_import_ms * NS_PER_MS);
	return 0;
}

int import_signal(struct handle *handle, uint64_t value)
{
	struct timeline *timeline = handle->timeline;
	struct import *import;
	int r = import_check_order(timeline, value);
	if (r < 0) {
		return r;
	}
	if (TAILQ_EMPTY(&timeline->imports)) {
		timeline->given = value;
		timeline_advance(timeline, value);
		return 0;
	}
	r = import_append(handle, value, &import);
	if (r < 0) {
		return r;
	}
	timeline->given = value;
	import->decided = true;
	return 0;
}

void import_drop_all(struct timeline *timeline)
{
	while (!TAILQ_EMPTY(&timeline->imports)) {
		import_destroy(TAILQ_FIRST(&timeline->imports));
	}
}
