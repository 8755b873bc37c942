// SPDX-License-Identifier: MIT
#include "import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/core/depend.h"
#include "export.h"
#include "proto/container.h"
#include "translator.h"

#define HINTS_MAX 64 /* one deadline is passed on to this many fences */
#define LOOKS_MAX 64 /* one deadline looks at this many points */

static void part_release(struct import_part *part)
{
	struct registry *registry = timeline_registry(part->import->timeline);
	bool at_once = part->notifier && part->notifier->closes_at_once;
	if (part->notifier) {
		part->notifier->stop(part->notifier_state);
		part->notifier = NULL;
	}
	if (part->fd >= 0 && at_once) {
		close(part->fd);
	} else if (part->fd >= 0) {
		closer_close(&registry->closer, part->fd);
	}
	part->fd = -1;
}

/* Stop the notifiers and close the fences. */
static void import_release(struct import *import)
{
	struct registry *registry = timeline_registry(import->timeline);
	loop_disarm(&registry->loop, &import->deadline);
	graph_drop(&registry->graph, &import->waits);
	for (unsigned int i = 0; i < import->count; i++) {
		part_release(&import->parts[i]);
	}
	charge_release(&import->fd_charge);
}

/* It must be off its timeline's list. */
static void import_free(struct import *import)
{
	import_release(import);
	charge_release(&import->charge);
	free(import->reason);
	free(import);
}

static const struct source_ops import_ops;

static struct import *import_of(struct source *source)
{
	return source && source->ops == &import_ops ? container_of(source, struct import, source)
						    : NULL;
}

static struct import *import_first(const struct timeline *timeline)
{
	return import_of(TAILQ_FIRST(&timeline->brokered->sources));
}

static struct import *import_next(const struct import *import)
{
	return import_of(TAILQ_NEXT(&import->source, links));
}

/* The timeline failed. */
static void import_drop(struct source *source)
{
	struct import *import = import_of(source);
	TAILQ_REMOVE(&import->timeline->brokered->sources, source, links);
	import_free(import);
}

/*
 * Of a buffer's release: a fence in error says that its device is done, and nothing more. Failing the timeline would decide
 * later releases with it, which follow where a buffer was taken early, and whose fences are pending.
 */
static bool import_reaches(const struct import *import)
{
	return import->result == 0 || (import->timeline->releases && !import->refused);
}

/* The first import is decided. Wake the waiters before the cleanup, which takes as long. */
static void import_advance(struct timeline *timeline)
{
	struct source_queue *sources = &timeline->brokered->sources;
	struct source_queue over = TAILQ_HEAD_INITIALIZER(over);
	uint64_t value = 0;
	struct import *first;
	while ((first = import_first(timeline)) && first->decided && import_reaches(first)) {
		value = first->value;
		TAILQ_REMOVE(sources, &first->source, links);
		TAILQ_INSERT_TAIL(&over, &first->source, links);
	}
	timeline_advance(timeline,
			 value); /* may fail the timeline: then the other imports are gone */
	first = import_first(timeline);
	if (first && first->decided) {
		enum fbk_cause cause =
			first->result == -ETIME ? FBK_CAUSE_DEADLINE : FBK_CAUSE_FENCE_ERROR;
		timeline_fail(timeline, cause, first->result, first->reason);
	}
	for (struct source *source; (source = TAILQ_FIRST(&over));) {
		TAILQ_REMOVE(&over, source, links);
		import_free(import_of(source));
	}
}

static void import_decide(struct import *import, int result)
{
	struct timeline *timeline = import->timeline;
	struct counters *counters = &timeline_registry(timeline)->counters;
	if (result < 0) {
		counters->imports_failed++;
		timeline_count(timeline)->imports_failed++;
	} else {
		counters->imports_done++;
		timeline_count(timeline)->imports_done++;
	}
	import->decided = true;
	import->result = result;
	if (import == import_first(timeline)) {
		import_advance(timeline);
	} else {
		import_release(import); /* it keeps its place in the order */
	}
}

/* One fence is done. The point waits for all fences, also when one failed: the others' devices may still use the
 * data. */
static void import_notified(void *arg, int result)
{
	struct import_part *part = arg;
	struct import *import = part->import;
	if (result < 0 && import->result == 0) {
		const struct notifier *notifier = part->notifier;
		const char *reason =
			notifier->reason ? notifier->reason(part->notifier_state) : NULL;
		import->result = result;
		import->reason = reason ? strdup(reason) : NULL; /* NULL: the error says enough */
	}
	if (--import->waiting > 0) {
		part_release(part);
	} else {
		import_decide(import, import->result);
	}
}

/* True: the import is decided now, and may be freed. */
static bool import_look(struct import *import)
{
	unsigned int count = import->count;
	for (unsigned int i = 0; i < count; i++) {
		struct import_part *part = &import->parts[i];
		int r = part->notifier ? part->notifier->look(part->notifier_state) : FENCE_PENDING;
		if (r == FENCE_PENDING) {
			continue;
		}
		bool last = import->waiting == 1;
		import_notified(part, r);
		if (last) {
			return true;
		}
	}
	return false;
}

static bool part_signals(const struct import_part *part)
{
	const struct notifier *notifier = part->notifier;
	return notifier && !(notifier->promised && notifier->promised(part->notifier_state));
}

/* Late is not over: while its client lives, or a kernel fence is pending, which signals some day. What a dead client itself
 * had to raise may never come; only the release of a buffer outlives its client. */
static bool import_stays(const struct import *import)
{
	bool stays = timeline_signaler(import->timeline);
	for (unsigned int i = 0; !stays && i < import->count; i++) {
		stays = part_signals(&import->parts[i]);
	}
	return stays;
}

static void import_arm(struct import *import)
{
	struct registry *registry = timeline_registry(import->timeline);
	loop_arm(&registry->loop, &import->deadline,
		 clock_now_ns() + policy_settings(registry->policy)->max_import_ms * NS_PER_MS);
}

static struct wait import_record(const struct import *import)
{
	const struct client *client = timeline_signaler(import->timeline);
	return (struct wait){ .way = WAIT_IMPORT,
			      .waiter = client,
			      .uid = client ? client->subject.uid : 0,
			      .timeline = import->timeline,
			      .value = import->value,
			      .since_ns = import->since_ns,
			      .deadline_ns = import->deadline.deadline_ns };
}

/* Said once. Of a buffer that is not released, the exchange's deadlines tell. */
static void import_tell_late(const struct import *import)
{
	struct registry *registry = timeline_registry(import->timeline);
	const struct wait wait = import_record(import);
	registry->counters.imports_late++;
	if (import ==
	    import_pending(import->timeline, import->value)) { /* the others wait for that one */
		registry->blame->late(&wait);
	}
}

/* When this process did not run, the loop may serve the timer before fences that signalled earlier: look first. */
static void import_expired(struct wheel_timer *timer)
{
	struct import *import = container_of(timer, struct import, deadline);
	if (import_look(import)) {
		return;
	}
	if (!import_stays(import)) {
		import_decide(import, -ETIME);
	} else if (import->timeline->releases) {
		import_arm(import); /* its client may be dead by then */
	} else {
		import_tell_late(import);
	}
}

static int import_check_order(const struct timeline *timeline, uint64_t value)
{
	if (timeline->cause != FBK_CAUSE_NONE) {
		return timeline_error(timeline);
	}
	const struct source *first = TAILQ_FIRST(&timeline->brokered->sources);
	if (first && first->ops != &import_ops) {
		return -EBUSY;
	}
	return value > timeline->brokered->given ? 0 : -EALREADY;
}

/* Makes an import that is not on its timeline's list yet. */
static int import_make(struct handle *handle, uint64_t value, unsigned int count,
		       struct import **ret_import)
{
	struct import *import = calloc(1, sizeof(*import) + count * sizeof(import->parts[0]));
	if (!import) {
		return -ENOMEM;
	}
	import->reserved = timeline_has_reserve(handle->timeline) &&
			   TAILQ_EMPTY(&handle->timeline->brokered->sources);
	int r = import->reserved
			? 0
			: charge_take(&import->charge, handle->client->user, ACCOUNT_IMPORTS, 1);
	if (r < 0) {
		free(import);
		return r;
	}
	import->source.ops = &import_ops;
	import->timeline = handle->timeline;
	import->value = value;
	import->since_ns = clock_now_ns();
	import->count = count;
	import->waiting = count;
	import->deadline.fire = import_expired;
	for (unsigned int i = 0; i < count; i++) {
		import->parts[i] = (struct import_part){ .import = import, .fd = -1 };
	}
	*ret_import = import;
	return 0;
}

static void import_append(struct import *import)
{
	TAILQ_INSERT_TAIL(&import->timeline->brokered->sources, &import->source, links);
	import->timeline->brokered->given = import->value;
}

/* Does this fence say one thing with the point? Others may signal other points of a syncobj. */
static bool export_is_fence(const struct export *export, uint64_t syncobj_point)
{
	return export->provider->kind != FBK_FENCE_SYNCOBJ_TIMELINE || export->at == syncobj_point;
}

/* Add the waits for points behind fences that this daemon exported, and tell which to follow. A fence that fired meanwhile,
 * or whose timeline failed, is imported all the same. */
static int import_find_waits(struct translator *translator, struct import *import,
			     const struct import_fences *fences, struct user *user,
			     struct graph_point *ret_behind, char *detail)
{
	struct timeline *timeline = import->timeline;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < fences->count; i++) {
		const struct export *export =
			export_find(translator, fences->fds[i], fences->syncobj_point);
		if (!export) {
			continue;
		}
		struct graph_point on = { export->arm.timeline, export->value };
		if (export_is_fence(export, fences->syncobj_point)) {
			ret_behind[i] = on;
		}
		r = depend_add(translator->registry,
			       (struct graph_point){ timeline, import->value }, on, user,
			       &import->waits, detail);
		if (r < 0 && timeline_point_state(on.timeline, on.value) != -EAGAIN) {
			r = 0;
		}
	}
	return r;
}

static int part_start(struct translator *translator, struct import_part *part,
		      const struct notifier *notifier, const struct fence *fence, char *detail)
{
	if (!notifier) {
		snprintf(detail, FBK_REASON_SIZE,
			 "a dma-buf is no fence: export its fences as a sync_file");
		return -EBADF;
	}
	int r = notifier->start(translator, fence, import_notified, part, &part->notifier_state,
				detail);
	if (r == 0) {
		part->notifier = notifier;
	}
	return r;
}

int import_create(struct translator *translator, struct handle *handle, uint64_t value,
		  const struct import_fences *fences, char *detail)
{
	struct timeline *timeline = handle->timeline;
	struct registry *registry = translator->registry;
	struct user *user = handle->client->user;
	struct graph_point behind[FBK_FENCES_MAX] = { 0 };
	struct import *import;

	int r = import_check_order(timeline, value);
	if (r < 0) {
		return r;
	}
	r = import_make(handle, value, fences->count, &import);
	if (r < 0) {
		return r;
	}
	r = import_find_waits(translator, import, fences, user, behind, detail);
	if (r == 0) {
		r = import_check_order(timeline, value); /* a look may have failed the timeline */
	}
	/* A syncobj's point takes a second fd: its fence. */
	unsigned int fds = fences->count + (fences->kinds[0] == FBK_FENCE_SYNCOBJ_TIMELINE);
	if (r == 0 && !(import->reserved && fds <= TIMELINE_RESERVED_FDS)) {
		r = charge_take(&import->fd_charge, user, ACCOUNT_FDS, fds);
	}
	for (unsigned int i = 0; r == 0 && i < fences->count; i++) {
		struct fence fence = { .fd = fences->fds[i],
				       .point = fences->syncobj_point,
				       .user = user,
				       .behind = behind[i] };
		r = part_start(translator, &import->parts[i],
			       behind[i].timeline ? &notifier_point
						  : notifier_find((uint32_t)fences->kinds[i]),
			       &fence, detail);
	}
	if (r < 0) {
		import_free(import);
		return r;
	}
	for (unsigned int i = 0; i < fences->count; i++) {
		import->parts[i].fd = fences->fds[i];
	}
	import_append(import);
	registry->counters.imports++;
	timeline_count(timeline)->imports++;
	import_arm(import);
	return 0;
}

static void import_hint(struct source *source, uint64_t value, uint64_t deadline_ns)
{
	unsigned int hints = 0;
	struct import *import = import_of(source);
	for (; import; import = import_next(import)) {
		for (unsigned int i = 0; i < import->count && hints < HINTS_MAX; i++) {
			struct import_part *part = &import->parts[i];
			if (part->notifier && part->notifier->hint) {
				part->notifier->hint(part->notifier_state, deadline_ns);
				hints++;
			}
		}
		if (import->value >= value || hints == HINTS_MAX) {
			return;
		}
	}
}

static void import_catch_up(struct source *source, uint64_t value)
{
	struct import *import = import_of(source);
	struct timeline *timeline = import->timeline;
	for (unsigned int looks = 0; import && looks < LOOKS_MAX; looks++) {
		bool last = import->value >= value;
		bool gone = !import->decided && import_look(import);
		if (last) {
			return;
		}
		import = gone ? import_first(timeline) : import_next(import);
	}
}

static const struct source_ops import_ops = {
	.catch_up = import_catch_up,
	.hint = import_hint,
	.drop = import_drop,
};

const struct import *import_pending(const struct timeline *timeline, uint64_t value)
{
	const struct import *import;
	if (!timeline->brokered || value <= timeline->seen) {
		return NULL;
	}
	for (import = import_first(timeline); import; import = import_next(import)) {
		if (!import->decided) {
			return value <= timeline->brokered->given ? import : NULL;
		}
	}
	return NULL;
}

struct graph_point import_behind(const struct import *import)
{
	for (unsigned int i = 0; i < import->count; i++) {
		const struct import_part *part = &import->parts[i];
		if (part->notifier) {
			return part->notifier->behind ? part->notifier->behind(part->notifier_state)
						      : (struct graph_point){ 0 };
		}
	}
	return (struct graph_point){ 0 };
}

int import_signal(struct handle *handle, uint64_t value)
{
	struct timeline *timeline = handle->timeline;
	struct import *import;
	int r = import_check_order(timeline, value);
	if (r < 0) {
		return r;
	}
	if (TAILQ_EMPTY(&timeline->brokered->sources)) {
		timeline->brokered->given = value;
		timeline_advance(timeline, value);
		return 0;
	}
	r = import_make(handle, value, 0, &import);
	if (r < 0) {
		return r;
	}
	import_append(import);
	import->decided = true;
	return 0;
}

/* Not charged: a timeline has one, since no point is given after it. NULL: no memory. */
static struct import *refusal_make(struct timeline *timeline, uint64_t value, int error,
				   const char *reason)
{
	struct import *import = calloc(1, sizeof(*import));
	if (!import) {
		return NULL;
	}
	import->refused = true;
	import->reason = strdup(reason);
	if (!import->reason) {
		free(import);
		return NULL;
	}
	import->source.ops = &import_ops;
	import->timeline = timeline;
	import->value = value;
	import->since_ns = clock_now_ns();
	import->decided = true;
	import->result = error;
	return import;
}

void import_refuse(struct handle *handle, uint64_t value, int error, const char *reason)
{
	struct timeline *timeline = handle->timeline;
	struct import *import = NULL;
	if (timeline->brokered->given == FBK_POINT_MAX) {
		return; /* one was refused before */
	}
	if (import_first(timeline)) {
		import = refusal_make(timeline, value, error, reason);
	}
	if (!import) {
		timeline_fail(timeline, FBK_CAUSE_FENCE_ERROR, error, reason);
		return;
	}
	import_append(import);
	timeline->brokered->given = FBK_POINT_MAX;
}

struct wait import_wait(const struct handle *handle)
{
	struct timeline *timeline = handle->timeline;
	const struct import *import = timeline_signaler(timeline) == handle->client
					      ? import_pending(timeline, timeline->seen + 1)
					      : NULL;
	return import ? import_record(import)
		      : (struct wait){ .way = WAIT_IMPORT, .waiter = handle->client };
}
