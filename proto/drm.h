// SPDX-License-Identifier: MIT
/*
 * The DRM devices that fences are made with, found by trying: one whose syncobj timelines it uses (a
 * syncobj is tied to no device, so any will do), and vgem, which makes unsignalled sync_files. Of the
 * render nodes only those up to the first with syncobjs are opened, and no card but vgem's: whoever opens a card first is its
 * master, and what is on a display is its master's.
 * One thread at a time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The payload that says "failed": poison, as in a fence page. */
#define SYNCOBJ_FAILED (UINT64_C(1) << 62)

/* A file of a device with timeline syncobjs. Handles belong to their file: each holds it, so a device that is no longer used
 * lasts as long as they do. */
struct drm_file {
	_Atomic unsigned int refs; /* may be dropped in any thread */
	int fd;
	bool eventfd;     /* it can raise an eventfd for a point */
	uint32_t scratch; /* a binary syncobj: points become sync_files by way of it */
	char driver[32];
};

struct syncobj {
	struct drm_file *file; /* NULL: closed */
	uint32_t handle;
};

struct drm {
	struct drm_file *file; /* NULL: no device has syncobjs */
	char vgem[32];         /* vgem's card; "" where there is none */
	bool sync_files;       /* drm_sync_file() works */
	int own_sync_file;     /* signalled, to confirm others with; -1: there was never one */
	int seen;              /* render nodes that may be opened */
	int present;           /* render nodes */
};

#define DRM_NONE ((struct drm){ .own_sync_file = -1 })

/* What is there now; what is not there is not there. May block. The file of `before` stays if its device is still there, else
 * another is opened; and its sync_file stays if no other can be made. */
void drm_open(struct drm *ret_drm, const struct drm *before);
void drm_finish(struct drm *drm);

/* How many fds it holds. */
unsigned int drm_fds(const struct drm *drm);

/* A device with syncobj timelines, its driver's name; or -ENODEV. Its file is the caller's. */
int drm_syncobj_open(char ret_driver[32]);

/* The device is gone for good: unplugged, or its driver unloaded. */
bool drm_file_gone(const struct drm_file *file);
struct drm_file *drm_file_ref(struct drm_file *file); /* takes NULL */
void drm_file_unref(struct drm_file *file);           /* takes NULL */

/* A file of a card whose master others may be: the first who opens one becomes that. */
int drm_open_beside(const char *card);

/* A sync_file that is signalled; ours to give away. -EOPNOTSUPP where nothing makes one. */
int drm_sync_file(const struct drm *drm, int *ret_fd);

/* Can a dma-buf's fences be taken out as a sync_file? 0; -EOPNOTSUPP: there is no dma-buf to try it
 * with; else what the kernel says. */
int drm_dmabuf_fences(const struct drm *drm);

/* Below: -EOPNOTSUPP without a device, -ENODEV once it is gone. */

int syncobj_create(const struct drm *drm, struct syncobj *ret_syncobj);
int syncobj_open(const struct drm *drm, int fd,
		 struct syncobj *ret_syncobj); /* -EINVAL: not a syncobj */
int syncobj_fd(const struct syncobj *syncobj, int *ret_fd);
void syncobj_close(struct syncobj *syncobj); /* takes one that is closed */

/* Points must be given in rising order. */
int syncobj_signal(const struct syncobj *syncobj, uint64_t point);
int syncobj_value(const struct syncobj *syncobj, uint64_t *ret_value);

/* The highest point that a fence was submitted for, signalled or not; 0: none. */
int syncobj_submitted(const struct syncobj *syncobj, uint64_t *ret_point);

/* The fence of a point, or (0) the one it holds now: a sync_file of our own. -ENOENT: none was
 * submitted yet. */
int syncobj_sync_file(const struct syncobj *syncobj, uint64_t point, int *ret_fd);

/* Raise our eventfd when something is submitted for the point. It can't be taken back: the kernel
 * forgets it with the syncobj. */
int syncobj_arm_submit(const struct syncobj *syncobj, uint64_t point, int eventfd);
