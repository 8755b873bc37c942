// SPDX-License-Identifier: MIT
#include "syncobj-follow.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/include/fencebroker.h"
#include "daemon/base/clock.h"
#include "proto/container.h"
#include "proto/sync-file.h"
#include "translator.h"

#define ABANDONED_NS (60 * NS_PER_S)

/* A wait for a submission: an eventfd of ours, which the kernel raises once a fence is submitted for a point. */
struct submit_arm {
	LIST_ENTRY(submit_arm) links; /* of the translator */
	struct translator *translator;
	struct syncobj_follow *follow; /* NULL: abandoned */
	int eventfd;
	struct event *event;
	struct wheel_timer forget;
	struct charge charge;
	struct charge fd_charge;
};

static void submit_destroy(struct submit_arm *arm)
{
	loop_disarm(&arm->translator->registry->loop, &arm->forget);
	event_drop(arm->event);
	if (arm->eventfd >= 0) {
		close(arm->eventfd);
	}
	charge_release(&arm->fd_charge);
	charge_release(&arm->charge);
	LIST_REMOVE(arm, links);
	free(arm);
}

static void submit_forget(struct wheel_timer *timer)
{
	submit_destroy(container_of(timer, struct submit_arm, forget));
}

/* The kernel keeps the armed eventfd for as long as the syncobj lives, and does not report the end of the syncobj. So
 * the charge stays for a while, which bounds how fast a client can pile up such waits. */
static void submit_abandon(struct submit_arm *arm)
{
	if (arm) {
		arm->follow = NULL;
		loop_arm(&arm->translator->registry->loop, &arm->forget,
			 clock_now_ns() + ABANDONED_NS);
	}
}

/* The kernel forgets waits of a file whose device is gone. */
void submit_arms_gone(struct translator *translator, const struct drm_file *file)
{
	struct submit_arm *arm;
	LIST_FOREACH(arm, &translator->submit_arms, links) {
		if (arm->follow && arm->follow->syncobj.file == file) {
			event_active(arm->event, EV_READ, 0);
		}
	}
}

void submit_arms_finish(struct translator *translator)
{
	while (!LIST_EMPTY(&translator->submit_arms)) {
		submit_destroy(LIST_FIRST(&translator->submit_arms));
	}
}

/* ---------------------------------------------------------------------------------- following -- */

static void follow_done(struct syncobj_follow *follow, int result)
{
	if (follow->sync_file >= 0) {
		event_del(follow->signalled);
		close(follow->sync_file); /* our own sync_file: close never blocks */
		follow->sync_file = -1;
	}
	follow->fn(follow->arg, result); /* may free `follow` */
}

static void follow_signalled(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct syncobj_follow *follow = arg;
	int state = sync_file_state(fd);
	if (state == FENCE_PENDING) {
		event_add(follow->signalled, NULL);
	} else {
		follow_done(follow, state);
	}
}

/* Wait for the fence of the point. -ENOENT: none was submitted yet. */
static int follow_fence(struct syncobj_follow *follow)
{
	int fd;
	int r = syncobj_sync_file(&follow->syncobj, follow->point, &fd);
	if (r < 0) {
		return r;
	}
	follow->sync_file = fd;
	if (event_assign(follow->signalled, follow->translator->registry->loop.base, fd, EV_READ,
			 follow_signalled, follow) < 0 ||
	    event_priority_set(follow->signalled, PRIORITY_FENCE) < 0 ||
	    event_add(follow->signalled, NULL) < 0) {
		close(fd);
		follow->sync_file = -1;
		return -ENOMEM;
	}
	return 0;
}

static void submit_raised(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct submit_arm *arm = arg;
	struct syncobj_follow *follow = arm->follow;
	submit_destroy(arm);
	if (!follow) {
		return;
	}
	follow->submit = NULL;
	int r = follow_fence(follow);
	if (r < 0) {
		/* -ENOENT: a holder reset the syncobj in between, which withdrew the fence. */
		follow_done(follow, r == -ENOENT ? -ECANCELED : r);
	}
}

static int follow_submit(struct syncobj_follow *follow)
{
	struct translator *translator = follow->translator;
	struct submit_arm *arm = calloc(1, sizeof(*arm));
	if (!arm) {
		return -ENOMEM;
	}
	arm->translator = translator;
	arm->follow = follow;
	arm->eventfd = -1;
	arm->forget.fire = submit_forget;
	LIST_INSERT_HEAD(&translator->submit_arms, arm, links);
	int r = charge_take(&arm->charge, follow->user, ACCOUNT_SYNCOBJ_ARMS, 1);
	if (r == 0) {
		r = charge_take(&arm->fd_charge, follow->user, ACCOUNT_FDS, 1);
	}
	if (r == 0) {
		arm->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = arm->eventfd < 0 ? -errno : 0;
	}
	if (r == 0) {
		arm->event = loop_listen(&translator->registry->loop, arm->eventfd, EV_READ,
					 PRIORITY_FENCE, submit_raised, arm);
		r = arm->event ? 0 : -ENOMEM;
	}
	if (r == 0) {
		r = syncobj_arm_submit(&follow->syncobj, follow->point, arm->eventfd);
	}
	if (r < 0) {
		submit_destroy(arm);
		return r;
	}
	follow->submit = arm;
	return 0;
}

int syncobj_follow_next(struct syncobj_follow *follow, uint64_t point, char *detail)
{
	follow->point = point;
	int r = follow_fence(follow);
	if (r != -ENOENT) {
		return r;
	}
	if (point == 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "that syncobj holds no fence: submit first, or use a timeline point");
		return r;
	}
	if (!follow->syncobj.file->eventfd) {
		snprintf(detail, FBK_REASON_SIZE,
			 "nothing was submitted for point %llu yet, and this kernel can't wait for "
			 "that without a thread: it needs DRM_IOCTL_SYNCOBJ_EVENTFD (Linux 6.6)",
			 (unsigned long long)point);
		return -EOPNOTSUPP;
	}
	return follow_submit(follow);
}

int syncobj_follow_init(struct syncobj_follow *follow, struct translator *translator,
			const struct fence *fence, notifier_fn *fn, void *arg, char *detail)
{
	*follow = (struct syncobj_follow){
		.translator = translator, .user = fence->user, .fn = fn, .arg = arg, .sync_file = -1
	};
	if (!translator->drm.file) {
		snprintf(detail, FBK_REASON_SIZE,
			 "no DRM device here has syncobj timelines: see `fencectl doctor`");
		return -EOPNOTSUPP;
	}
	follow->signalled =
		event_new(translator->registry->loop.base, -1, 0, follow_signalled, follow);
	if (!follow->signalled) {
		return -ENOMEM;
	}
	int r = syncobj_open(&translator->drm, fence->fd, &follow->syncobj);
	if (r < 0) {
		syncobj_follow_finish(follow);
	}
	return r;
}

void syncobj_follow_finish(struct syncobj_follow *follow)
{
	submit_abandon(follow->submit);
	follow->submit = NULL;
	event_drop(follow->signalled);
	follow->signalled = NULL;
	if (follow->sync_file >= 0) {
		close(follow->sync_file);
		follow->sync_file = -1;
	}
	syncobj_close(&follow->syncobj);
}

int syncobj_follow_look(struct syncobj_follow *follow)
{
	if (follow->sync_file >= 0) {
		return sync_file_state(follow->sync_file);
	}
	int fd;
	if (!follow->submit || syncobj_sync_file(&follow->syncobj, follow->point, &fd) < 0) {
		return FENCE_PENDING;
	}
	int state = sync_file_state(fd);
	close(fd); /* our own sync_file: close never blocks */
	return state;
}

void syncobj_follow_hint(struct syncobj_follow *follow, uint64_t deadline_ns)
{
	if (follow->sync_file >= 0) {
		sync_file_set_deadline(follow->sync_file, deadline_ns);
	}
}
