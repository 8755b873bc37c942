// SPDX-License-Identifier: MIT
/*
 * The DRM devices that fences are made with, found by trying: one whose syncobj timelines it uses (a
 * syncobj is tied to no device, so any will do), and vgem, which makes unsignalled sync_files. Of the
 * render nodes only those up to the first with syncobjs are opened, and no card but vgem's: whoever opens a card first is its master, and what is on a display is
 * its master's.
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The payload that says "failed": poison, as in a fence page. */
#define SYNCOBJ_FAILED (UINT64_C(1) << 62)

struct drm {
	int syncobj;       /* a device with timeline syncobjs; -1: none */
	bool eventfd;      /* and it can raise an eventfd for a point */
	uint32_t scratch;  /* a binary syncobj: points become sync_files by way of it */
	char vgem[32];     /* vgem's card; "" where there is none */
	int own_sync_file; /* signalled, to confirm others with; -1: none can be made */
	int seen;          /* render nodes that may be opened */
	int present;       /* render nodes */
	char driver[32];   /* of `syncobj` */
};

void drm_open(struct drm *drm); /* what is not there is not there */

/* A device with syncobj timelines, its driver's name; or -ENODEV. Its file is the caller's. */
int drm_syncobj_open(char ret_driver[32]);
void drm_finish(struct drm *drm);

/* A file of a card whose master others may be: the first who opens one becomes that. */
int drm_open_beside(const char *card);

/* A sync_file that is signalled; ours to give away. -EOPNOTSUPP where nothing makes one. */
int drm_sync_file(struct drm *drm, int *ret_fd);

/* Can a dma-buf's fences be taken out as a sync_file? 0; -EOPNOTSUPP: there is no dma-buf to try it
 * with; else what the kernel says. */
int drm_dmabuf_fences(struct drm *drm);

/* Below: -EOPNOTSUPP without a device, -ENODEV once it is gone. */

int syncobj_create(struct drm *drm, uint32_t *ret_handle);
int syncobj_open(struct drm *drm, int fd, uint32_t *ret_handle); /* -EINVAL: not a syncobj */
int syncobj_fd(struct drm *drm, uint32_t handle, int *ret_fd);
void syncobj_close(struct drm *drm, uint32_t handle); /* 0: nothing */

/* Points must be given in rising order. */
int syncobj_signal(struct drm *drm, uint32_t handle, uint64_t point);
int syncobj_value(struct drm *drm, uint32_t handle, uint64_t *ret_value);

/* The highest point that a fence was submitted for, signalled or not; 0: none. */
int syncobj_submitted(struct drm *drm, uint32_t handle, uint64_t *ret_point);

/* The fence of a point, or (0) the one it holds now: a sync_file of our own. -ENOENT: none was
 * submitted yet. */
int syncobj_sync_file(struct drm *drm, uint32_t handle, uint64_t point, int *ret_fd);

/* Raise our eventfd when something is submitted for the point. It can't be taken back: the kernel
 * forgets it with the syncobj. */
int syncobj_arm_submit(struct drm *drm, uint32_t handle, uint64_t point, int eventfd);
