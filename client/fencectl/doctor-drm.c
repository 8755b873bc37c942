// SPDX-License-Identifier: MIT
/* Kernel fences: what makes, follows and holds them here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "doctor-promise.h"
#include "proto/drm.h"
#include "proto/sync-file.h"
#include "way.h"

/* The first that is there. */
static const char *render_node(void)
{
	static char path[32];
	for (int number = 128; number < 192; number++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", number);
		if (access(path, F_OK) == 0) {
			break;
		}
	}
	return path;
}

static void check_devices(struct doctor *doctor, const struct drm *drm)
{
	doctor_add(doctor, "drm-devices",
		   drm->seen > 0      ? CHECK_WORKS
		   : drm->present > 0 ? CHECK_LIMITED
				      : CHECK_MISSING,
		   false, "kernel fences of displays and GPUs",
		   drm->seen > 0      ? ""
		   : drm->present > 0 ? way_open(render_node())
				      : "not needed for eventfds; a GPU driver provides one",
		   "%d render nodes, %d of them can be opened", drm->present, drm->seen);
}

static void check_sync_files(struct doctor *doctor, struct drm *drm)
{
	int own = drm->own_sync_file;
	int other = -1;
	bool made = own >= 0 && sync_file_state(own) == 0;
	bool confirmed = made && drm_sync_file(drm, &other) == 0 &&
			 sync_file_confirm(own, other) == 0 &&
			 sync_file_confirm(own, STDERR_FILENO) == -EBADF;
	doctor_add(doctor, "sync-file", confirmed ? CHECK_WORKS : CHECK_MISSING, false,
		   "late exports as sync_files, imports of sync_files",
		   confirmed ? ""
			     : way_say("use a GPU whose driver has syncobjs, or %s (Linux 6.0 or "
				       "later)",
				       way_module("udmabuf")),
		   "%s%s",
		   confirmed ? "made by "
		   : made ? "made, but SYNC_IOC_MERGE does not tell a sync_file from another file"
			  : "nothing here makes sync_files",
		   !confirmed     ? ""
		   : drm->file    ? "a syncobj"
		   : drm->vgem[0] ? "a dma-buf of vgem"
				  : "a dma-buf of udmabuf");
	int r = made ? sync_file_set_deadline(own, 1) : -ENOTTY;
	doctor_add(doctor, "sync-file-deadline", r == 0 ? CHECK_WORKS : CHECK_MISSING, false,
		   "deadline hints to drivers", r == 0 ? "" : "use Linux 6.8 or later", "%s%s",
		   made ? "SYNC_IOC_SET_DEADLINE: " : "no sync_file to try it on",
		   r == 0 ? "accepted"
		   : made ? strerrordesc_np(-r)
			  : "");
	if (other >= 0) {
		close(other);
	}
}

static void check_dmabufs(struct doctor *doctor, struct drm *drm)
{
	int r = drm_dmabuf_fences(drm);
	doctor_add(doctor, "dma-buf-fences", r == 0 ? CHECK_WORKS : CHECK_MISSING, false,
		   "imports of the implicit fences of a dma-buf",
		   r == 0 ? ""
			  : way_say("use Linux 6.0 or later; to try it, %s", way_module("udmabuf")),
		   "%s%s",
		   r == 0             ? "exported as a sync_file"
		   : r == -EOPNOTSUPP ? "no dma-buf to try it on"
				      : "DMA_BUF_IOCTL_EXPORT_SYNC_FILE: ",
		   r == 0 || r == -EOPNOTSUPP ? "" : strerrordesc_np(-r));
}

static void check_syncobjs(struct doctor *doctor, const struct drm *drm)
{
	bool timeline = drm->file;
	bool eventfd = timeline && drm->file->eventfd;
	doctor_add(doctor, "syncobj-timeline", timeline ? CHECK_WORKS : CHECK_MISSING, false,
		   "window systems with explicit sync, mirrors",
		   timeline ? "" : "use a GPU whose driver has timeline syncobjs", "%s%s",
		   timeline ? "by the driver " : "no device has timeline syncobjs",
		   timeline ? drm->file->driver : "");
	doctor_add(doctor, "syncobj-eventfd", eventfd ? CHECK_WORKS : CHECK_MISSING, false,
		   "imports of a syncobj point before its fence is submitted, mirrors",
		   eventfd ? "" : "use Linux 6.6 or later, and a device with syncobjs", "%s",
		   eventfd    ? "a signalled point raises an eventfd"
		   : timeline ? "DRM_IOCTL_SYNCOBJ_EVENTFD does not work"
			      : "no device to try it on");
}

void doctor_drm(struct doctor *doctor)
{
	struct drm drm;
	drm_open(&drm, &DRM_NONE);
	check_devices(doctor, &drm);
	check_sync_files(doctor, &drm);
	check_dmabufs(doctor, &drm);
	check_syncobjs(doctor, &drm);
	doctor_promises(doctor, &drm);
	drm_finish(&drm);
}
