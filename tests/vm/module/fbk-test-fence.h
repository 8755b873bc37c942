/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The interface of /dev/fbk-test-fence, of the test driver fbk_test_fence.c. It gives real kernel
 * fences: they are signalled when the test says so, and may carry an error, which no driver of a
 * stock kernel lets a test choose.
 */
#ifndef FBK_TEST_FENCE_H
#define FBK_TEST_FENCE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define FBK_TEST_FENCE_DRIVER "fbk-test"

/* An unsignalled fence, and a sync_file on it (close-on-exec). */
struct fbk_test_fence_create {
	__u32 id; /* out: for the calls below, on this open file only */
	__s32 fd; /* out */
};

/* ENOENT: no such fence, or signalled before. EINVAL: `error` is not 0 and not a negative errno. */
struct fbk_test_fence_signal {
	__u32 id;
	__s32 error;
};

/* The last deadline that a waiter set on it (CLOCK_MONOTONIC), or 0; known until the file is closed.
 * EOPNOTSUPP: the kernel has no fence deadlines (before 6.4). */
struct fbk_test_fence_deadline {
	__u32 id;
	__u32 pad;         /* 0 */
	__u64 deadline_ns; /* out */
};

/* Memory as a driver has it: a dma-buf (close-on-exec) of zeroed pages, which may refuse to be mapped. */
struct fbk_test_buffer_create {
	__u64 size;     /* of whole pages, at most 2 MiB */
	__u32 unmapped; /* 1: mmap fails with ENODEV */
	__s32 fd;       /* out */
};

/* Its memory goes away, as after a reset: access to a mapping of it gives SIGBUS. EINVAL: not one
 * of these. */
struct fbk_test_buffer_revoke {
	__s32 fd;
};

#define FBK_TEST_FENCE_CREATE   _IOR('f', 0x60, struct fbk_test_fence_create)
#define FBK_TEST_FENCE_SIGNAL   _IOW('f', 0x61, struct fbk_test_fence_signal)
#define FBK_TEST_FENCE_DEADLINE _IOWR('f', 0x62, struct fbk_test_fence_deadline)
#define FBK_TEST_BUFFER_CREATE  _IOWR('f', 0x63, struct fbk_test_buffer_create)
#define FBK_TEST_BUFFER_REVOKE  _IOW('f', 0x64, struct fbk_test_buffer_revoke)

#endif
