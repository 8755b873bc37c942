// SPDX-License-Identifier: MIT
/* Requests about points: signal, import, watch, export, promise, blame. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blame.h"
#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/core/handle.h"
#include "daemon/core/received.h"
#include "daemon/core/watch.h"
#include "daemon/translate/export.h"
#include "daemon/translate/import.h"
#include "daemon/translate/promise.h"
#include "dispatch.h"

/* A client's deadline, bounded by what policy allows. */
static uint64_t deadline_bounded(uint64_t deadline_ns, uint64_t longest_ms)
{
	uint64_t latest = clock_now_ns() + longest_ms * NS_PER_MS;
	return deadline_ns < latest ? deadline_ns : latest;
}

int point_check(uint64_t value, struct answer *answer)
{
	if (value == 0 || value > FBK_POINT_MAX) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "%llu is not a point: points are 1 to 2^62 - 1",
			 (unsigned long long)value);
		return -ERANGE;
	}
	return 0;
}

static int not_above(const struct timeline *timeline, uint64_t value, int error,
		     struct answer *answer)
{
	if (error == -EALREADY) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "%llu is not above %llu, the last point of %s", (unsigned long long)value,
			 (unsigned long long)timeline->brokered->given, timeline->name);
	} else if (error == -EBUSY) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "%s follows a syncobj: it takes no other signals", timeline->name);
	} else if (error < 0 && timeline->cause != FBK_CAUSE_NONE) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s", timeline_reason(timeline));
	}
	return error;
}

static int brokered_check(const struct timeline *timeline, struct answer *answer)
{
	if (timeline->brokered) {
		return 0;
	}
	snprintf(
		answer->detail, FBK_REASON_SIZE,
		"timeline %s is signalled in memory by its maker: only a brokered one is signalled "
		"by the daemon",
		timeline->name);
	return -EINVAL;
}

/* Who does not wait for the answer has told others of the point: it is decided by this. What was reached stays so. */
static void point_refused(struct handle *handle, uint64_t value, int error, const char *what,
			  struct answer *answer)
{
	const struct timeline *timeline = handle->timeline;
	char reason[2 * FBK_REASON_SIZE];
	if (!timeline->brokered || timeline->cause != FBK_CAUSE_NONE) {
		return;
	}
	if (!answer->detail[0]) {
		error_explain(handle->client, error, answer->detail);
	}
	snprintf(reason, sizeof(reason), "%s of point %llu was refused: %s", what,
		 (unsigned long long)value, answer->detail);
	import_refuse(handle, value, error, reason);
}

static int timeline_signal(struct handle *handle, uint64_t value, struct answer *answer)
{
	int r = brokered_check(handle->timeline, answer);
	if (r == 0) {
		r = point_check(value, answer);
	}
	return r < 0 ? r : not_above(handle->timeline, value, import_signal(handle, value), answer);
}

int request_timeline_signal(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)client;
	(void)fds;
	const Fbk__Wire__TimelineSignal *request = body;
	int r = timeline_signal(handle, request->value, answer);
	if (r < 0 && r != -EALREADY && answer->quiet) { /* that: another client was faster */
		point_refused(handle, request->value, r, "the signal", answer);
	}
	return r;
}

int request_point_blame(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)client;
	(void)fds;
	const Fbk__Wire__PointBlame *request = body;
	blame_describe(handle->timeline, request->value, answer->text_buffer,
		       sizeof(answer->text_buffer));
	fbk__wire__text__init(&answer->text);
	answer->text.text = answer->text_buffer;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_TEXT;
	answer->message.text = &answer->text;
	return 0;
}

int request_point_watch(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__PointWatch *request = body;
	const struct policy_settings *settings = policy_settings(client->registry->policy);
	int r = point_check(request->value, answer);
	if (r < 0) {
		return r;
	}
	r = watch_create(handle, request->watch, request->value,
			 deadline_bounded(request->deadline_ns, settings->max_wait_ms));
	if (r == -EEXIST) {
		snprintf(answer->detail, FBK_REASON_SIZE, "watch %llu exists already",
			 (unsigned long long)request->watch);
	}
	return r;
}

int request_watch_cancel(struct client *client, struct handle *handle, const void *body, int *fds,
			 struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__WatchCancel *request = body;
	int r = watch_cancel(client, request->watch);
	if (r < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "watch %llu does not exist, or has fired",
			 (unsigned long long)request->watch);
	}
	return r;
}

static struct export_wish wish_of(const struct client *client, uint32_t id, uint64_t value,
				  uint64_t deadline_ns)
{
	const struct policy_settings *settings = policy_settings(client->registry->policy);
	return (struct export_wish){
		.id = id,
		.value = value,
		.deadline_ns = deadline_bounded(deadline_ns, settings->max_wait_ms),
	};
}

int request_point_export(struct client *client, struct handle *handle, const void *body, int *fds,
			 struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__PointExport *request = body;
	struct export_wish wish =
		wish_of(client, request->export, request->value, request->deadline_ns);
	int fd;
	int r = point_check(request->value, answer);
	if (r < 0) {
		return r;
	}
	if ((uint32_t)request->kind == FBK_FENCE_SYNC_FILE) {
		r = export_reached(translator_of(client), handle, request->value, &fd,
				   answer->detail);
	} else {
		r = id_check(wish.id, answer->detail);
		if (r == 0) {
			r = export_create(translator_of(client), handle, &wish, request->kind, &fd,
					  answer->detail);
		}
	}
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

int request_point_export_to(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	const Fbk__Wire__PointExportTo *request = body;
	struct export_wish wish =
		wish_of(client, request->export, request->value, request->deadline_ns);
	int kind;
	int r = point_check(request->value, answer);
	if (r == 0) {
		r = id_check(wish.id, answer->detail);
	}
	if (r == 0) {
		r = received_fence(client->registry, fds[0], FBK_FENCE_SYNCOBJ_TIMELINE,
				   "a drm_syncobj", -EBADF, &kind, answer->detail);
	}
	return r < 0 ? r
		     : export_to_syncobj(translator_of(client), handle, &wish, &fds[0],
					 request->syncobj_point, answer->detail);
}

int request_export_cancel(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__ExportCancel *request = body;
	int r = export_cancel(client, request->export);
	if (r < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "export %u does not exist, or has fired",
			 request->export);
	}
	return r;
}

int request_point_promise(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)client;
	(void)fds;
	const Fbk__Wire__PointPromise *request = body;
	int fd;
	int r = point_check(request->value, answer);
	if (r == 0) {
		r = promise_make(translator_of(client), handle, request->value, request->implicit,
				 &fd, answer->detail);
	}
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

/* Classify each fd without touching it. */
static int fences_classify(struct client *client, struct import_fences *fences, int *kinds,
			   struct answer *answer)
{
	const uint32_t any = FBK_FENCE_EVENTFD | FBK_FENCE_SYNC_FILE | FBK_FENCE_SYNCOBJ_TIMELINE |
			     FBK_FENCE_DMA_BUF_IMPLICIT;
	for (; fences->fds[fences->count] >= 0; fences->count++) {
		int r = received_fence(client->registry, fences->fds[fences->count], any,
				       "a fence the daemon can follow; it follows eventfds, "
				       "sync_files and syncobjs",
				       -EBADF, &kinds[fences->count], answer->detail);
		if (r < 0) {
			return r;
		}
	}
	for (unsigned int i = 0; fences->count > 1 && i < fences->count; i++) {
		if (kinds[i] == FBK_FENCE_SYNCOBJ_TIMELINE) {
			snprintf(answer->detail, FBK_REASON_SIZE,
				 "a syncobj is followed alone, not with others");
			return -EINVAL;
		}
	}
	return 0;
}

static int point_signal_on(struct client *client, struct handle *handle,
			   const Fbk__Wire__PointSignalOn *request, int *fds, struct answer *answer)
{
	int kinds[FBK_FENCES_MAX];
	struct import_fences fences = { .fds = fds,
					.kinds = kinds,
					.syncobj_point = request->syncobj_point };
	int r = brokered_check(handle->timeline, answer);
	if (r == 0) {
		r = point_check(request->value, answer);
	}
	if (r == 0) {
		r = fences_classify(client, &fences, kinds, answer);
	}
	if (r < 0) {
		return r;
	}
	r = import_create(translator_of(client), handle, request->value, &fences, answer->detail);
	for (unsigned int i = 0; r == 0 && i < fences.count; i++) {
		fds[i] = -1; /* kept */
	}
	return not_above(handle->timeline, request->value, r, answer);
}

int request_point_signal_on(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	const Fbk__Wire__PointSignalOn *request = body;
	int r = point_signal_on(client, handle, request, fds, answer);
	if (r < 0 && answer->quiet) {
		point_refused(handle, request->value, r, "the fence", answer);
	}
	return r;
}
