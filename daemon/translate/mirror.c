// SPDX-License-Identifier: MIT
#include "mirror.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/client-log.h"
#include "proto/container.h"
#include "translator.h"

/* Go on in a callback of its own, with the priority of requests: else a signaler that never pauses would keep the loop
 * in here, or starve the requests. */
static void mirror_go_on(struct mirror *mirror)
{
	event_active(mirror->again, EV_TIMEOUT, 0);
}

static void mirror_end(struct mirror *mirror)
{
	if (mirror->from && !mirror->ended) {
		syncobj_follow_finish(&mirror->follow);
		struct source_queue *sources = &mirror->timeline->brokered->sources;
		if (TAILQ_FIRST(sources) == &mirror->source) {
			TAILQ_REMOVE(sources, &mirror->source, links);
		}
	}
	mirror->ended = true;
	arm_remove(&mirror->arm);
}

/* --------------------------------------------------------------------- timeline to syncobj ----- */

static void mirror_signal(struct mirror *mirror, uint64_t value)
{
	struct translator *translator = mirror->follow.translator;
	int r = syncobj_signal(&mirror->syncobj, value);
	if (r < 0) {
		client_log(mirror->handle->client, "its mirror of %s can't signal the syncobj: %s",
			   mirror->timeline->name, strerrordesc_np(-r));
		mirror_end(mirror);
		return;
	}
	mirror->signalled = value;
	translator->registry->counters.mirror_signals++;
}

static void mirror_decided(struct arm *arm, struct timeline *timeline, int result)
{
	struct mirror *mirror = container_of(arm, struct mirror, arm);
	if (result < 0) {
		mirror_signal(mirror, SYNCOBJ_FAILED);
		mirror_end(mirror);
		return;
	}
	mirror_signal(mirror, timeline->seen);
	if (!mirror->ended) {
		mirror_go_on(mirror);
	}
}

static void mirror_to_next(struct mirror *mirror)
{
	/* A client that signals the syncobj itself needs the daemon only when the timeline fails. */
	uint64_t next = mirror->direct ? FBK_POINT_MAX : mirror->signalled + 1;
	arm_add(&mirror->arm, mirror->timeline, next);
}

/* --------------------------------------------------------------------- syncobj to timeline ----- */

static void mirror_fail(struct mirror *mirror, enum fbk_cause cause, int error, const char *what)
{
	char reason[FBK_REASON_SIZE];
	snprintf(reason, sizeof(reason), "the syncobj that %s follows %s", mirror->timeline->name,
		 what);
	mirror_end(mirror);
	timeline_fail(mirror->timeline, cause, error, reason);
}

/* Advance the timeline to the value of the syncobj. */
static void mirror_take(struct mirror *mirror, uint64_t at_least)
{
	struct timeline *timeline = mirror->timeline;
	uint64_t value;
	int r = syncobj_value(&mirror->follow.syncobj, &value);
	if (r < 0) {
		mirror_fail(mirror, FBK_CAUSE_FENCE_ERROR, r, "can't be read any more");
		return;
	}
	if (value > FBK_POINT_MAX) {
		mirror_fail(mirror, FBK_CAUSE_FENCE_ERROR, -EIO, "was set to the value for failed");
		return;
	}
	value = value > at_least ? value
				 : at_least; /* counts even if the syncobj was reset since */
	if (value > timeline->brokered->given) {
		timeline->brokered->given = value;
	}
	timeline_advance(timeline, value);
}

static void mirror_followed(void *arg, int result)
{
	struct mirror *mirror = arg;
	if (result < 0) {
		bool gone = drm_file_gone(mirror->follow.syncobj.file);
		mirror_fail(mirror, FBK_CAUSE_FENCE_ERROR, result,
			    gone ? "can't be read any more" : "holds a fence that failed");
		return;
	}
	mirror_take(mirror, mirror->follow.point);
	if (!mirror->ended) {
		mirror_go_on(mirror);
	}
}

static void mirror_from_next(struct mirror *mirror)
{
	char detail[FBK_REASON_SIZE] = "";
	int r = syncobj_follow_next(&mirror->follow, mirror->timeline->brokered->given + 1, detail);
	if (r < 0) {
		mirror_fail(mirror, FBK_CAUSE_FENCE_ERROR, r,
			    detail[0] ? detail : "can't be followed any more");
	}
}

/* The timeline is being looked at: was the syncobj reset? */
static void mirror_look(struct source *source)
{
	struct mirror *mirror = container_of(source, struct mirror, source);
	uint64_t value = 0;
	if (mirror->ended) {
		return;
	}
	int r = syncobj_value(&mirror->follow.syncobj, &value);
	if (r < 0) {
		mirror_fail(mirror, FBK_CAUSE_FENCE_ERROR, r, "can't be read any more");
	} else if (value < mirror->timeline->seen) {
		mirror_fail(mirror, FBK_CAUSE_POLICING, -EPROTO,
			    "was reset or stepped back by another holder");
	}
}

static void mirror_catch_up(struct source *source, uint64_t value)
{
	struct mirror *mirror = container_of(source, struct mirror, source);
	(void)value;
	mirror_look(source);
	if (!mirror->ended) {
		mirror_take(mirror, 0);
	}
}

static void mirror_drop(struct source *source)
{
	mirror_end(container_of(source, struct mirror, source));
}

static const struct source_ops mirror_ops = {
	.look = mirror_look,
	.catch_up = mirror_catch_up,
	.drop = mirror_drop,
};

bool mirror_follows(const struct timeline *timeline)
{
	const struct source *source =
		timeline->brokered ? TAILQ_FIRST(&timeline->brokered->sources) : NULL;
	return source && source->ops == &mirror_ops;
}

/* --------------------------------------------------------------------------- birth and death --- */

static void mirror_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct mirror *mirror = arg;
	if (mirror->ended) {
		return;
	}
	if (!mirror->from) {
		mirror_to_next(mirror); /* passes on at once that the timeline failed meanwhile */
	} else if (mirror->timeline->cause == FBK_CAUSE_NONE) {
		mirror_from_next(mirror);
	} else {
		mirror_end(mirror);
	}
}

/* Points that the syncobj has already would be waited for in vain: whoever waits was satisfied at once. */
static int mirror_check_behind(const struct mirror *mirror, char *detail)
{
	uint64_t submitted;
	timeline_refresh(mirror->timeline); /* its signaler may have signalled both already */
	int r = syncobj_submitted(&mirror->syncobj, &submitted);
	if (r == 0 && submitted > mirror->timeline->seen) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the syncobj has fences up to point %llu, and %s is at %llu: mirror to a "
			 "new one",
			 (unsigned long long)submitted, mirror->timeline->name,
			 (unsigned long long)mirror->timeline->seen);
		r = -EINVAL;
	}
	return r;
}

static int mirror_start(struct mirror *mirror, struct translator *translator, int fd, char *detail)
{
	struct fence fence = { .fd = fd, .user = mirror->handle->client->user };
	mirror->again =
		loop_trigger(&translator->registry->loop, PRIORITY_REQUEST, mirror_again, mirror);
	if (!mirror->again) {
		return -ENOMEM;
	}
	if (!mirror->from) {
		int opened = syncobj_open(&translator->drm, fd, &mirror->syncobj);
		return opened < 0 ? opened : mirror_check_behind(mirror, detail);
	}
	int r = syncobj_follow_init(&mirror->follow, translator, &fence, mirror_followed, mirror,
				    detail);
	if (r == 0) {
		TAILQ_INSERT_TAIL(&mirror->timeline->brokered->sources, &mirror->source, links);
		r = syncobj_follow_next(&mirror->follow, mirror->timeline->brokered->given + 1,
					detail);
	}
	return r;
}

static int mirror_check(const struct translator *translator, const struct timeline *timeline,
			bool from, char *detail)
{
	if (!translator->drm.file) {
		snprintf(detail, FBK_REASON_SIZE,
			 "no DRM device here has syncobj timelines: see `fencectl doctor`");
		return -EOPNOTSUPP;
	}
	if (timeline->cause != FBK_CAUSE_NONE) {
		snprintf(detail, FBK_REASON_SIZE, "%s", timeline_reason(timeline));
		return timeline_error(timeline);
	}
	if (from && !TAILQ_EMPTY(&timeline->brokered->sources)) {
		snprintf(detail, FBK_REASON_SIZE, "%s follows other fences already",
			 timeline->name);
		return -EBUSY;
	}
	return 0;
}

/* The one of that number, if it is the same: its syncobj can't be compared. */
static int mirror_again_check(const struct mirror *mirror, const struct handle *handle, bool from,
			      bool direct, char *detail)
{
	if (mirror->handle == handle && mirror->from == from && mirror->direct == direct) {
		return 0;
	}
	snprintf(detail, FBK_REASON_SIZE, "mirror %u of this client is another, of %s",
		 mirror->number, mirror->timeline->name);
	return -EEXIST;
}

int mirror_create(struct translator *translator, struct handle *handle, int fd, uint32_t number,
		  bool from, bool direct, char *detail)
{
	struct client *client = handle->client;
	struct mirror *mirror = mirror_find(client, number);
	if (mirror) {
		return mirror_again_check(mirror, handle, from, direct, detail);
	}
	int r = mirror_check(translator, handle->timeline, from, detail);
	if (r < 0) {
		return r;
	}
	mirror = calloc(1, sizeof(*mirror));
	if (!mirror) {
		return -ENOMEM;
	}
	mirror->handle = handle;
	mirror->timeline = handle->timeline;
	mirror->from = from;
	mirror->direct = direct;
	mirror->arm.done = mirror_decided;
	mirror->source.ops = &mirror_ops;
	mirror->follow.translator = translator;
	mirror->follow.sync_file = -1;
	LIST_INSERT_HEAD(&client->mirrors, mirror, links);
	mirror->timeline->mirror_count++;
	r = charge_take(&mirror->charge, client->user, ACCOUNT_MIRRORS, 1);
	if (r == 0) {
		r = charge_take(&mirror->fd_charge, client->user, ACCOUNT_FDS, from ? 1 : 0);
	}
	if (r == 0) {
		r = mirror_start(mirror, translator, fd, detail);
	}
	if (r < 0) {
		mirror_destroy(mirror, true);
		return r;
	}
	mirror->number = number;
	client->registry->counters.mirrors++;
	if (!from && !direct && mirror->timeline->seen > 0) {
		mirror_signal(mirror, mirror->timeline->seen); /* points that are reached already */
	}
	if (!from && !mirror->ended) {
		mirror_go_on(mirror);
	}
	return 0;
}

void mirror_destroy(struct mirror *mirror, bool silent)
{
	if (!silent && !mirror->from && !mirror->ended) {
		mirror_signal(mirror, SYNCOBJ_FAILED);
	}
	mirror_end(mirror);
	syncobj_close(&mirror->syncobj);
	event_drop(mirror->again);
	LIST_REMOVE(mirror, links);
	mirror->timeline->mirror_count--;
	charge_release(&mirror->fd_charge);
	charge_release(&mirror->charge);
	free(mirror);
}

/* If the client was the signaler, the timeline has failed before this, and the mirror has passed that on. */
static void mirror_handle_closed(struct handle *handle, enum fbk_cause cause)
{
	(void)cause;
	struct mirror *mirror, *next;
	LIST_FOREACH_SAFE(mirror, &handle->client->mirrors, links, next) {
		if (mirror->handle == handle) {
			mirror_destroy(mirror, false);
		}
	}
}

const struct observer mirror_observer = {
	.handle_closed = mirror_handle_closed,
};

struct mirror *mirror_find(const struct client *client, uint32_t number)
{
	struct mirror *mirror;
	LIST_FOREACH(mirror, &client->mirrors, links) {
		if (mirror->number == number) {
			break;
		}
	}
	return mirror;
}
