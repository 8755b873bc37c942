// SPDX-License-Identifier: MIT
/* Kernel fences: DRM devices, syncobjs, and what could make a sync_file. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xf86drm.h>

#include "doctor.h"

#define DEVICES_MAX 16
#define SW_SYNC     "/sys/kernel/debug/sync/sw_sync"

/* As in the kernel's drm.h since Linux 6.6; the libdrm of Debian 12 does not have it. */
struct syncobj_eventfd {
	uint32_t handle, flags;
	uint64_t point;
	int32_t fd;
	uint32_t pad;
};
#define IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct syncobj_eventfd)

struct findings {
	int devices;
	bool opened, syncobj, timeline, eventfd, vgem;
	char names[CHECK_NOTE_SIZE];
};

/* A syncobj that is signalled already must raise the eventfd at once. */
static bool syncobj_eventfd_works(int fd)
{
	uint32_t handle;
	uint64_t count = 0;
	if (drmSyncobjCreate(fd, DRM_SYNCOBJ_CREATE_SIGNALED, &handle) < 0) {
		return false;
	}
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct syncobj_eventfd request = { .handle = handle, .fd = fence };
	bool works = drmIoctl(fd, IOCTL_SYNCOBJ_EVENTFD, &request) == 0 &&
		     read(fence, &count, sizeof(count)) == sizeof(count);
	close(fence);
	drmSyncobjDestroy(fd, handle);
	return works;
}

static void look_at(struct findings *findings, const char *node)
{
	uint64_t value = 0;
	int fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		return;
	}
	findings->opened = true;
	drmVersionPtr version = drmGetVersion(fd);
	if (version) {
		size_t used = strlen(findings->names);
		snprintf(findings->names + used, sizeof(findings->names) - used, "%s%s",
			 used > 0 ? ", " : "", version->name);
		findings->vgem |= strcmp(version->name, "vgem") == 0;
		drmFreeVersion(version);
	}
	if (drmGetCap(fd, DRM_CAP_SYNCOBJ, &value) == 0 && value) {
		findings->syncobj = true;
		findings->eventfd |= syncobj_eventfd_works(fd);
	}
	if (drmGetCap(fd, DRM_CAP_SYNCOBJ_TIMELINE, &value) == 0 && value) {
		findings->timeline = true;
	}
	close(fd);
}

static void find_devices(struct findings *findings)
{
	drmDevicePtr devices[DEVICES_MAX];
	int count = drmGetDevices2(0, devices, DEVICES_MAX);
	findings->devices = count > 0 ? count : 0;
	for (int i = 0; i < count; i++) {
		static const int nodes[] = { DRM_NODE_RENDER, DRM_NODE_PRIMARY };
		for (size_t j = 0; j < 2; j++) {
			if (devices[i]->available_nodes & (1 << nodes[j])) {
				look_at(findings, devices[i]->nodes[nodes[j]]);
				break;
			}
		}
	}
	if (count > 0) {
		drmFreeDevices(devices, count);
	}
}

void doctor_drm(struct doctor *doctor)
{
	struct findings found = { 0 };
	find_devices(&found);
	enum check_result devices = found.opened        ? CHECK_WORKS
				    : found.devices > 0 ? CHECK_LIMITED
							: CHECK_MISSING;
	doctor_add(doctor, "drm-devices", devices, false, "kernel fences of displays and GPUs",
		   found.opened        ? ""
		   : found.devices > 0 ? "add this user to the groups video and render"
				       : "none is needed for eventfds; a GPU's driver brings one",
		   "%d found%s%s", found.devices, found.names[0] ? ": " : "", found.names);
	doctor_add(doctor, "syncobj-timeline", found.timeline ? CHECK_WORKS : CHECK_MISSING, false,
		   "window systems with explicit sync",
		   found.timeline ? "" : "a driver that has them", "%s",
		   found.timeline  ? "a device has timeline syncobjs"
		   : found.syncobj ? "only binary syncobjs"
				   : "no device has syncobjs");
	doctor_add(doctor, "syncobj-eventfd", found.eventfd ? CHECK_WORKS : CHECK_MISSING, false,
		   "following a syncobj without a thread",
		   found.eventfd ? "" : "Linux 6.6, and a device with syncobjs", "%s",
		   found.eventfd ? "a signalled syncobj raises an eventfd" : "it was not raised");
	doctor_add(doctor, "vgem", found.vgem ? CHECK_WORKS : CHECK_MISSING, false,
		   "unsignalled sync_files in a lab",
		   found.vgem ? "" : "modprobe vgem; a test driver, never loaded silently", "%s",
		   found.vgem ? "the module is loaded" : "no device of that driver");
	bool sw_sync = access(SW_SYNC, R_OK | W_OK) == 0;
	doctor_add(doctor, "sw_sync", sw_sync ? CHECK_WORKS : CHECK_MISSING, false,
		   "unsignalled sync_files in a lab",
		   sw_sync ? "" : "a kernel with CONFIG_SW_SYNC and debugfs", SW_SYNC " %s",
		   sw_sync ? "can be opened" : "cannot be opened");
}
