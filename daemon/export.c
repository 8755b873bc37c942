// SPDX-License-Identifier: MIT
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "log.h"
#include "session.h"

static void export_destroy(struct export *export)
{
	arm_remove(&export->arm);
	broker_disarm(export->session->broker, &export->deadline);
	LIST_REMOVE(export, links);
	if (export->fd >= 0) {
		close(export->fd); /* our own object: close can't block */
	}
	charge_release(&export->fd_charge);
	charge_release(&export->charge);
	free(export);
}

static void export_fire(struct export *export, int result)
{
	struct broker *broker = export->session->broker;
	int r = export->provider->fire(broker, export->fd, result);
	if (r < 0) {
		log_error(
			"an exported %s could not be signalled: %s; its holder waits until its own "
			"deadline",
			export->provider->name, strerrordesc_np(-r));
	}
	export_destroy(export);
}

static void export_finish(struct export *export, struct timeline *timeline, int result)
{
	struct broker_counters *counters = &export->session->broker->counters;
	if (result == -ETIMEDOUT) {
		timeline->counters.exports_expired++;
		counters->exports_expired++;
	} else {
		timeline->counters.exports_fired++;
		counters->exports_fired++;
	}
	export_fire(export, result);
}

static void export_decided(struct arm *arm, struct timeline *timeline, int result)
{
	export_finish(container_of(arm, struct export, arm), timeline, result);
}

static void export_expired(struct wheel_timer *timer)
{
	struct export *export = container_of(timer, struct export, deadline);
	struct timeline *timeline = export->arm.timeline;
	int state = arm_expire(&export->arm);
	export_finish(export, timeline, state == -EAGAIN ? -ETIMEDOUT : state);
}

int export_create(struct handle *handle, uint64_t value, uint32_t kind, uint64_t deadline_ns,
		  int *ret_fd, char *detail)
{
	struct session *session = handle->session;
	struct broker *broker = session->broker;
	const struct provider *provider = provider_find(kind);
	if (!provider) {
		snprintf(detail, FBK_REASON_SIZE,
			 "this daemon cannot export a fence of kind 0x%x; it can export an eventfd",
			 kind);
		return -EOPNOTSUPP;
	}
	int r = provider->probe(broker, detail);
	if (r < 0) {
		return -EOPNOTSUPP;
	}
	struct export *export = calloc(1, sizeof(*export));
	if (!export) {
		return -ENOMEM;
	}
	export->session = session;
	export->provider = provider;
	export->fd = -1;
	export->arm.done = export_decided;
	export->deadline.fire = export_expired;
	LIST_INSERT_HEAD(&session->exports, export, links);

	int fd = -1;
	r = charge_take(&export->charge, session->user, ACCOUNT_EXPORTS, 1);
	if (r == 0) {
		/* ours, and the duplicate until it is sent */
		r = charge_take(&export->fd_charge, session->user, ACCOUNT_FDS, 2);
	}
	if (r == 0) {
		r = provider->create(broker, &export->fd);
	}
	if (r == 0) {
		fd = fcntl(export->fd, F_DUPFD_CLOEXEC, 0);
		r = fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		export_destroy(export);
		return r;
	}
	broker->counters.exports++;
	handle->timeline->counters.exports++;
	broker_arm(broker, &export->deadline, deadline_ns);
	arm_add(&export->arm, handle->timeline, value); /* may fire and free it */
	*ret_fd = fd;
	return 0;
}

void export_drop_all(struct session *session)
{
	while (!LIST_EMPTY(&session->exports)) {
		struct export *export = LIST_FIRST(&session->exports);
		struct timeline *timeline = export->arm.timeline;
		export_finish(export, timeline, arm_expire(&export->arm));
	}
}
