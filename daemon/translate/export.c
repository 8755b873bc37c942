// SPDX-License-Identifier: MIT
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/core/client-log.h"
#include "daemon/core/client.h"
#include "proto/container.h"

static int export_compare(const struct export *a, const struct export *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE_INTERNAL(export_tree, export, id_links, export_compare, __attribute__((unused)) static)

static struct export *export_by_id(struct client *client, uint32_t id)
{
	struct export key = { .id = id };
	return RB_FIND(export_tree, &client->export_ids, &key);
}

static void promise_forget_asker(struct export *export)
{
	if (export->promise && export->asker) {
		LIST_REMOVE(export, asked_links);
		export->asker = NULL;
	}
}

/* A fence that went out may come back as an import. To find it then, keep an fd of its description: the provider's own,
 * or a duplicate. */
static int export_keep(struct export *export, int fd)
{
	bool kept = export->provider->keeps_fd;
	int ours = kept ? export->provided.fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (ours < 0) {
		return -errno;
	}
	export->duplicate = kept ? -1 : ours;
	origin_keep(&export->translator->origins, &export->origin, ours);
	return 0;
}

static void export_forget(struct export *export)
{
	origin_forget(&export->origin);
	if (export->duplicate >= 0) {
		close(export->duplicate);
	}
}

static void export_destroy(struct export *export)
{
	struct translator *translator = export->translator;
	arm_remove(&export->arm);
	loop_disarm(&translator->registry->loop, &export->deadline);
	LIST_REMOVE(export, links);
	if (!export->promise) {
		RB_REMOVE(export_tree, &export->asker->export_ids, export);
	}
	promise_forget_asker(export);
	export_forget(export);
	export->provider->destroy(translator, &export->provided);
	charge_release(&export->fd_charge);
	charge_release(&export->charge);
	if (export->promise && --translator->promise_count == 0 && translator->stopping) {
		translator->promises_over(translator);
	}
	free(export);
}

/* Count how an export or a promise ended, for reports. */
static void export_count(const struct export *export, struct timeline *timeline, bool decided,
			 bool reached)
{
	struct counters *all = &export->translator->registry->counters;
	struct timeline_counters *own = timeline_count(timeline);
	uint64_t *in_all, *in_own;
	if (export->promise) {
		in_all = reached ? &all->promises_kept : &all->promises_broken;
		in_own = reached ? &own->promises_kept : &own->promises_broken;
	} else {
		in_all = decided ? &all->exports_fired : &all->exports_expired;
		in_own = decided ? &own->exports_fired : &own->exports_expired;
	}
	++*in_all;
	++*in_own;
}

static void export_finish(struct export *export, struct timeline *timeline, int result)
{
	int r = export->provider->fire(export->translator, &export->provided, export->at, result);
	bool say = r < 0 && log_claim(export->translator->registry, export->charge.user);
	if (say && r == -ETIME) {
		log_error("the kernel signalled a promise as success: this daemon was stopped for "
			  "longer than vgem's timeout");
	} else if (say) {
		log_error(
			"an exported %s could not be signalled: %s; its holder waits until its own "
			"deadline",
			export->provider->name, strerrordesc_np(-r));
	}
	export_count(export, timeline, result != -ETIMEDOUT, result == 0 && r == 0);
	export_destroy(export);
}

/* By the release point of a buffer: if that failed, the buffer is free all the same, and the syncobj is its producer's. */
static bool export_frees(const struct export *export, const struct timeline *timeline)
{
	return timeline->releases && export->provider == &provider_syncobj_point &&
	       timeline->cause != FBK_CAUSE_DAEMON_LOST;
}

static void export_decided(struct arm *arm, struct timeline *timeline, int result)
{
	struct export *export = container_of(arm, struct export, arm);
	export_finish(export, timeline, export_frees(export, timeline) ? 0 : result);
}

/* A promise was not kept: blame the device, and refuse new promises until it reaches a point. */
static void promise_break(struct export *export, struct timeline *timeline)
{
	const struct registry *registry = export->translator->registry;
	char reason[2 * FBK_REASON_SIZE];
	int length = snprintf(reason, sizeof(reason), "not reached in %llu ms, as promised: ",
			      (unsigned long long)policy_settings(registry->policy)->promise_ms);
	registry->blame->describe(timeline, export->value, reason + length,
				  sizeof(reason) - (size_t)length);
	if (!timeline->device->client || client_log_claim(timeline->device->client)) {
		log_warning_about(&(struct log_subject){ .message_id = LOG_MESSAGE_PROMISE,
							 .has_client = true,
							 .uid = timeline->device->uid,
							 .pid = timeline->device->pid,
							 .timeline = timeline->name,
							 .device = timeline->device->name },
				  "%s; waiters in the kernel saw success", reason);
	}
	timeline->device->promise_broken = true;
	/* Fail the timeline first: a waiter that the fence wakes, and that asks, must see the failure. */
	timeline_fail(timeline, FBK_CAUSE_DEADLINE, -ETIME, reason);
	export_finish(export, timeline, -ETIME);
}

static void export_expired(struct wheel_timer *timer)
{
	struct export *export = container_of(timer, struct export, deadline);
	struct timeline *timeline = export->arm.timeline;
	struct wait wait = export_wait(export);
	int state = arm_expire(&export->arm);
	if (state != -EAGAIN) {
		export_finish(export, timeline, state);
	} else if (export->promise) {
		promise_break(export, timeline);
	} else {
		export->translator->registry->blame->expired(&wait);
		export_finish(export, timeline, -ETIMEDOUT);
	}
}

static void export_free(struct export *export)
{
	charge_release(&export->fd_charge);
	charge_release(&export->charge);
	free(export);
}

/* An export that is charged, and has no primitive yet. */
static int export_alloc(struct translator *translator, struct client *client,
			const struct provider *provider, bool promise, uint64_t value,
			struct export **ret_export)
{
	struct export *export = calloc(1, sizeof(*export));
	if (!export) {
		return -ENOMEM;
	}
	export->translator = translator;
	export->provider = provider;
	export->duplicate = -1;
	export->promise = promise;
	export->value = value;
	export->at = value;
	export->arm.done = export_decided;
	export->deadline.fire = export_expired;
	int r = charge_take(&export->charge, client->user,
			    promise ? ACCOUNT_PROMISES : ACCOUNT_EXPORTS, 1);
	if (r == 0) {
		r = charge_take(&export->fd_charge, client->user, ACCOUNT_FDS, provider->fds);
	}
	if (r < 0) {
		export_free(export);
		return r;
	}
	*ret_export = export;
	return 0;
}

/* Not armed yet. */
static int export_make(struct translator *translator, struct client *client,
		       const struct provider *provider, bool promise, uint64_t value, int *ret_fd,
		       struct export **ret_export)
{
	struct export *export;
	int r = export_alloc(translator, client, provider, promise, value, &export);
	if (r < 0) {
		return r;
	}
	r = provider->create(translator, ret_fd, &export->provided);
	if (r == 0) {
		r = export_keep(export, *ret_fd);
		if (r < 0) {
			close(*ret_fd);
			provider->fire(translator, &export->provided, value, 0);
			provider->destroy(translator, &export->provided);
		}
	}
	if (r < 0) {
		export_free(export);
		return r;
	}
	*ret_export = export;
	return 0;
}

/* Is it what the client asks for once more? */
static int export_again(const struct export *export, const struct handle *handle, uint64_t value,
			uint64_t at, uint32_t kind, char *detail)
{
	const struct timeline *timeline = export->arm.timeline;
	if (timeline == handle->timeline && export->value == value && export->at == at &&
	    (uint32_t) export->provider->kind == kind) {
		return 0;
	}
	snprintf(detail, FBK_REASON_SIZE,
		 "export %u of this client is another, of point %llu of %s", export->id,
		 (unsigned long long)export->value, timeline->name);
	return -EEXIST;
}

static void export_arm(struct export *export, struct handle *handle, uint32_t id,
		       uint64_t deadline_ns)
{
	export->id = id;
	RB_INSERT(export_tree, &handle->client->export_ids, export);
	struct translator *translator = export->translator;
	LIST_INSERT_HEAD(&handle->client->exports, export, links);
	export->asker = handle->client;
	translator->registry->counters.exports++;
	timeline_count(handle->timeline)->exports++;
	timeline_hint(handle->timeline, export->value, deadline_ns);
	loop_arm(&translator->registry->loop, &export->deadline, deadline_ns);
	arm_add(&export->arm, handle->timeline, export->value); /* may fire and free it */
}

int export_create(struct translator *translator, struct handle *handle,
		  const struct export_wish *wish, uint32_t kind, int *ret_fd, char *detail)
{
	struct client *client = handle->client;
	const struct provider *provider = provider_find(kind);
	struct export *export = export_by_id(client, wish->id);
	if (export) {
		int again = export_again(export, handle, wish->value, wish->value, kind, detail);
		if (again == 0) {
			*ret_fd = fcntl(export->origin.fd, F_DUPFD_CLOEXEC, 0);
		}
		return again < 0 ? again : *ret_fd < 0 ? -errno : 0;
	}
	if (!provider) {
		snprintf(
			detail, FBK_REASON_SIZE,
			"this daemon cannot export a fence of kind 0x%x; it can export an eventfd, "
			"a sync_file or a syncobj",
			kind);
		return -EOPNOTSUPP;
	}
	if (provider->probe(translator, detail) < 0) {
		return -EOPNOTSUPP;
	}
	int r = export_make(translator, client, provider, false, wish->value, ret_fd, &export);
	if (r == 0) {
		export_arm(export, handle, wish->id, wish->deadline_ns);
	}
	return r;
}

static int syncobj_point_check(const struct syncobj *syncobj, uint64_t point, char *detail)
{
	uint64_t submitted;
	int r = syncobj_submitted(syncobj, &submitted);
	if (r == 0 && (point == 0 || point <= submitted)) {
		snprintf(
			detail, FBK_REASON_SIZE,
			point ? "point %llu of that syncobj has a fence, or a later one has: its "
				"last "
				"is %llu"
			      : "points of a syncobj begin with 1, not with %llu; its last is %llu",
			(unsigned long long)point, (unsigned long long)submitted);
		r = -EINVAL;
	}
	return r;
}

int export_to_syncobj(struct translator *translator, struct handle *handle,
		      const struct export_wish *wish, int *fd, uint64_t syncobj_point, char *detail)
{
	const struct provider *provider = &provider_syncobj_point;
	struct export *export = export_by_id(handle->client, wish->id);
	if (export) {
		return export_again(export, handle, wish->value, syncobj_point,
				    (uint32_t)provider->kind, detail);
	}
	if (provider->probe(translator, detail) < 0) {
		return -EOPNOTSUPP;
	}
	int r = export_alloc(translator, handle->client, provider, false, wish->value, &export);
	if (r < 0) {
		return r;
	}
	r = syncobj_open(&translator->drm, *fd, &export->provided.syncobj);
	if (r == 0) {
		r = syncobj_point_check(&export->provided.syncobj, syncobj_point, detail);
	}
	if (r < 0) {
		syncobj_close(&export->provided.syncobj);
		export_free(export);
		return r;
	}
	export->at = syncobj_point;
	export->duplicate = *fd;
	origin_keep(&translator->origins, &export->origin, *fd);
	*fd = -1;
	export_arm(export, handle, wish->id, wish->deadline_ns);
	return 0;
}

int export_reached(struct translator *translator, struct handle *handle, uint64_t value,
		   int *ret_fd, char *detail)
{
	struct timeline *timeline = handle->timeline;
	if (!translator->drm.sync_files) {
		snprintf(detail, FBK_REASON_SIZE,
			 "nothing here makes a sync_file; eventfds can be exported: see "
			 "`fencectl doctor`");
		return -EOPNOTSUPP;
	}
	timeline_refresh(timeline);
	int r = timeline_point_state(timeline, value);
	if (r < 0) {
		snprintf(detail, FBK_REASON_SIZE, "%s",
			 r == -EAGAIN ? "the point is not reached, and a late sync_file is a "
					"signalled one: wait first"
				      : timeline_reason(timeline));
		return r;
	}
	r = drm_sync_file(&translator->drm, ret_fd);
	if (r < 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "no sync_file can be made here (%s): see `fencectl doctor`",
			 strerrordesc_np(-r));
		return r;
	}
	/* It goes out signalled, so it counts as made and fired. */
	struct counters *all = &translator->registry->counters;
	struct timeline_counters *own = timeline_count(timeline);
	all->exports++;
	all->exports_fired++;
	own->exports++;
	own->exports_fired++;
	return 0;
}

int export_promise(struct translator *translator, struct handle *handle,
		   const struct provider *provider, uint64_t value, int *ret_fd)
{
	struct timeline *timeline = handle->timeline;
	struct export *export;
	int r = export_make(translator, handle->client, provider, true, value, ret_fd, &export);
	if (r < 0) {
		return r;
	}
	uint64_t deadline_ns =
		clock_now_ns() +
		policy_settings(translator->registry->policy)->promise_ms * NS_PER_MS;
	LIST_INSERT_HEAD(&translator->promises, export, links);
	LIST_INSERT_HEAD(&handle->client->promises, export, asked_links);
	export->asker = handle->client;
	translator->promise_count++;
	translator->registry->counters.promises++;
	timeline_count(timeline)->promises++;
	timeline_hint(timeline, value, deadline_ns);
	loop_arm(&translator->registry->loop, &export->deadline, deadline_ns);
	arm_add(&export->arm, timeline, value); /* may fire and free it */
	return 0;
}

int export_cancel(struct client *client, uint32_t id)
{
	struct export *export = export_by_id(client, id);
	if (!export) {
		return -ENOENT;
	}
	struct timeline *timeline = export->arm.timeline;
	int state = arm_expire(&export->arm);
	export_finish(export, timeline, state == -EAGAIN ? -ECANCELED : state);
	return 0;
}

const struct export *export_find(const struct translator *translator, int fd,
				 uint64_t syncobj_point)
{
	struct origin *origin = origin_find(&translator->origins, fd);
	if (!origin) {
		return NULL;
	}
	const struct export *export = container_of(origin, struct export, origin);
	bool other = export->provider->kind == FBK_FENCE_SYNCOBJ_TIMELINE &&
		     (syncobj_point == 0 || syncobj_point > export->at);
	return other ? NULL : export;
}

struct wait export_wait(const struct export *export)
{
	struct wait wait = wait_of_arm(&export->arm, export->promise ? WAIT_PROMISE : WAIT_EXPORT,
				       export->asker);
	wait.uid = user_uid(export->charge.user); /* also when the asker is gone */
	wait.deadline_ns = export->deadline.deadline_ns;
	return wait;
}

static void export_client_ended(struct client *client, enum fbk_cause cause)
{
	(void)cause;
	while (!LIST_EMPTY(&client->exports)) {
		struct export *export = LIST_FIRST(&client->exports);
		struct timeline *timeline = export->arm.timeline;
		export_finish(export, timeline, arm_expire(&export->arm));
	}
	while (!LIST_EMPTY(&client->promises)) {
		promise_forget_asker(LIST_FIRST(&client->promises));
	}
}

const struct observer export_observer = {
	.client_ended = export_client_ended,
};
