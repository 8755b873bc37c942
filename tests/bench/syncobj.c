// SPDX-License-Identifier: MIT
#include "syncobj.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xf86drm.h>

#include "member.h"

#define PATIENCE_MS 20000
#define MINORS      16
#define PROBE_POINT (UINT64_C(1) << 40) /* never reached */

/* libdrm 2.4.114 has no wrapper for it. */
struct eventfd_request {
	uint32_t handle;
	uint32_t flags;
	uint64_t point;
	int32_t fd;
	uint32_t pad;
};
#define IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct eventfd_request)

static int device_open(void)
{
	static const char *const forms[] = { "/dev/dri/renderD%d", "/dev/dri/card%d" };
	for (int minor = 0; minor < 2 * MINORS; minor++) {
		char path[32];
		uint64_t value = 0;
		int base = minor < MINORS ? 128 : -MINORS;
		snprintf(path, sizeof(path), forms[minor / MINORS], base + minor);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			continue;
		}
		if (drmGetCap(fd, DRM_CAP_SYNCOBJ_TIMELINE, &value) == 0 && value == 1) {
			return fd;
		}
		close(fd);
	}
	return bench_skip(
		"no DRM device here has syncobj timelines (tests/vm has a guest with one)");
}

static int event_arm(struct syncobj *syncobj, uint64_t value)
{
	syncobj->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct eventfd_request request = { .handle = syncobj->handle,
					   .point = value,
					   .fd = syncobj->event };
	if (syncobj->event < 0 || drmIoctl(syncobj->drm, IOCTL_SYNCOBJ_EVENTFD, &request) < 0) {
		return bench_skip("SYNCOBJ_EVENTFD: %s (it takes Linux 6.6)", strerror(errno));
	}
	return 0;
}

int syncobj_probe_event(struct syncobj *syncobj)
{
	int r = event_arm(syncobj, PROBE_POINT);
	close(syncobj->event);
	return r;
}

int syncobj_create(struct syncobj *syncobj, int *ret_fd)
{
	*syncobj = (struct syncobj){ .drm = -1, .event = -1 };
	int drm = device_open();
	if (drm < 0) {
		return drm;
	}
	syncobj->drm = drm;
	if (drmSyncobjCreate(drm, 0, &syncobj->handle) < 0 ||
	    drmSyncobjHandleToFD(drm, syncobj->handle, ret_fd) < 0) {
		return bench_fail("making a syncobj: %s", strerror(errno));
	}
	return 0;
}

int syncobj_open(struct syncobj *syncobj, int fd)
{
	*syncobj = (struct syncobj){ .drm = device_open(), .event = -1 };
	int r = syncobj->drm < 0 ? syncobj->drm : 0;
	if (r == 0 && drmSyncobjFDToHandle(syncobj->drm, fd, &syncobj->handle) < 0) {
		r = bench_fail("opening a syncobj: %s", strerror(errno));
	}
	close(fd);
	return r;
}

void syncobj_finish(struct syncobj *syncobj)
{
	if (syncobj->drm >= 0) {
		close(syncobj->drm); /* closes the handle as well */
	}
	syncobj->drm = -1;
}

int syncobj_signal(void *arg, uint64_t value)
{
	struct syncobj *syncobj = arg;
	return drmSyncobjTimelineSignal(syncobj->drm, &syncobj->handle, &value, 1) < 0
		       ? bench_fail("TIMELINE_SIGNAL: %s", strerror(errno))
		       : 0;
}

static int event_prepare(void *arg, uint64_t value)
{
	return event_arm(arg, value);
}

static int event_wait(void *arg, uint64_t value)
{
	struct pollfd entry = { .fd = ((struct syncobj *)arg)->event, .events = POLLIN };
	(void)value;
	return poll(&entry, 1, PATIENCE_MS) == 1 ? 0 : bench_fail("no point of the syncobj came");
}

static int event_settle(void *arg, uint64_t value)
{
	(void)value;
	close(((struct syncobj *)arg)->event);
	return 0;
}

int syncobj_partner(int socket, struct meeting *meeting)
{
	struct syncobj syncobj;
	struct half half = { .arg = &syncobj,
			     .prepare = event_prepare,
			     .wait = event_wait,
			     .settle = event_settle };
	int fd;
	int r = note_receive(socket, NULL, &fd);
	if (r == 0) {
		r = syncobj_open(&syncobj, fd);
	}
	return r < 0 ? r : post_follow(socket, meeting, &half);
}
