// SPDX-License-Identifier: MIT
/*
 * The kernel's own fences, raw, for the tests that run in a guest: DRM devices found by the name of
 * their driver, fences of vgem and of the test driver in module/, sync_files, dma-bufs and
 * syncobjs. Nothing here knows the daemon or the library. Functions that return int give 0, a fd or
 * a negative errno; the others fail the running test when the kernel refuses. All fds are close-on-
 * exec and the caller's. Any thread, one at a time for each struct.
 */
#pragma once

#include "module/fbk-test-fence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ----------------------------------------------------------------------------------- the guest -- */

/* Which kernel the guest was asked for ("6.12", "6.1"), or NULL outside of a guest. */
const char *guest_kernel(void);

/* Whether the running kernel is that new. */
bool kernel_is(unsigned int major, unsigned int minor);

/* For main(): `return skip("why")`. Says so, and gives the exit status that ctest takes for a skip. */
int skip(const char *reason, ...) __attribute__((format(printf, 1, 2)));

/* For main(): skips tests that must not run on the building machine. True inside a guest. */
bool in_guest(void);

/* --------------------------------------------------------------------------------- DRM devices -- */

/* A new file of the first device of that driver ("vgem", "virtio_gpu"): its primary node
 * (/dev/dri/cardN) or its render node. -ENODEV when there is none. */
int drm_card_open(const char *driver);
int drm_render_open(const char *driver);

/* Also fails the test if there is none. */
int drm_card_must_open(const char *driver);

/* A drmGetCap() value; 0 also when the kernel does not know it. */
uint64_t drm_cap(int fd, uint64_t capability);

/* ---------------------------------------------------------------------------------- vgem fences -- */

/* One fence in the dma-buf of a buffer of its own, and a sync_file taken from it. The kernel signals
 * it by itself, as success, 10 s after it was made or when the vgem file is closed. */
struct vgem_fence {
	int card;        /* borrowed */
	uint32_t buffer; /* GEM handle on `card` */
	uint32_t id;
	int dmabuf;
	int sync_file;
};

/* `card`: from drm_card_must_open("vgem"). A write fence: whoever reads the buffer waits for it. */
void vgem_fence_create(int card, struct vgem_fence *ret_fence);
int vgem_fence_signal(struct vgem_fence *fence); /* -ETIMEDOUT: the kernel signalled it before */
void vgem_fence_destroy(
	struct vgem_fence *fence); /* its fds and buffer; NULL and zeroed: nothing */

/* The parts: a small buffer with its dma-buf fd; a fence put into it, for reading or writing; that
 * same fence signalled. -EBUSY: the buffer has a conflicting one. */
int vgem_buffer_create(int card, uint32_t *ret_buffer, int *ret_dmabuf);
int vgem_fence_attach(int card, uint32_t buffer, bool write, uint32_t *ret_id);
int vgem_signal(int card, uint32_t id);
void drm_buffer_close(int card, uint32_t buffer);

/* ------------------------------------------------------------------------ the test driver's own -- */

/* A new file of /dev/fbk-test-fence, which signals what it made with -ENOENT when it is closed.
 * -ENOENT: the module is not loaded. */
int test_fence_open(void);

/* A sync_file that is signalled by test_fence_signal() and by nothing else. */
int test_fence_create(int device, uint32_t *ret_id);
int test_fence_signal(int device, uint32_t id, int error); /* 0, or a negative errno */
int test_fence_deadline(int device, uint32_t id, uint64_t *ret_deadline_ns);

/* A dma-buf of the test driver; `unmapped`: mmap refuses it. And one that takes its memory away. */
int test_buffer_create(int device, uint64_t size, bool unmapped);
int test_buffer_revoke(int device, int dmabuf);

/* ------------------------------------------------------------------------ sync_files, dma-bufs -- */

/* 1: signalled; 0: not yet; negative: signalled with that error. Fails the test on what is no
 * sync_file. */
int sync_file_status(int fd);

/* What SYNC_IOC_FILE_INFO says, with the first fence in it. */
struct sync_file_state {
	char name[33];
	int status;
	unsigned int fences;
	char driver[33];
	char timeline[33];
	int fence_status;
	uint64_t timestamp_ns; /* of the signal, CLOCK_MONOTONIC */
};

int sync_file_info(int fd, struct sync_file_state *ret_state); /* -ENOTTY: not a sync_file */

/* Waits until it is signalled, with or without an error; false: not within that time. */
bool sync_file_wait(int fd, unsigned int timeout_ms);

int sync_file_merge(int first, int second);
int sync_file_set_deadline(int fd, uint64_t deadline_ns); /* -ENOTTY: a kernel before 6.8 */

/* The implicit fences of a dma-buf: `write` asks for what a writer must wait for, or adds as one. */
int dmabuf_export_sync_file(int dmabuf, bool write);
int dmabuf_import_sync_file(int dmabuf, int sync_file, bool write);

/* ------------------------------------------------------------------------------------ syncobjs -- */

/* Calls that libdrm lacks, at least in some versions. */
int syncobj_eventfd(int drm, uint32_t handle, uint64_t point, int eventfd); /* 6.6 and later */

/* The last signalled point of a timeline. */
int syncobj_query(int drm, uint32_t handle, uint64_t *ret_point);

/* Put the fence of a sync_file at a point of a timeline, and take one out. */
int syncobj_import_point(int drm, uint32_t handle, uint64_t point, int sync_file);
int syncobj_export_point(int drm, uint32_t handle, uint64_t point); /* a sync_file */
