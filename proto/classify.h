// SPDX-License-Identifier: MIT
/*
 * What a file descriptor from a stranger is, found without touching the object behind it (rule R5):
 * a file on a stuck server would block fstat, ioctl, poll and close for ever. The device number says
 * whether it is an anonymous inode of the kernel's, which can't be forged; only then the text of its
 * /proc link, which else could be, says which kind. Both sides use it. Any thread, once made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct classifier {
	int reference_fd;                    /* an eventfd of our own; -1: not made */
	uint32_t device_major, device_minor; /* of anonymous inodes */
	bool knows_memfds;
	uint32_t memfd_major, memfd_minor; /* of memfds */
};

/* `ret_call` is the system call that failed. */
int classifier_init(struct classifier *classifier, const char **ret_call);

/* What memfds are: `memfd` is one that was made by the daemon. */
int classifier_know_memfds(struct classifier *classifier, int memfd);
void classifier_finish(struct classifier *classifier); /* takes one that was never made */

/*
 * 0 with `ret_kind`, one of enum fbk_fence_kind: FBK_FENCE_EVENTFD, FBK_FENCE_SYNC_FILE, FBK_FENCE_SYNCOBJ_TIMELINE
 * (a syncobj's fd) or FBK_FENCE_DMA_BUF_IMPLICIT; a sync_file or dma-buf is to be confirmed where that is
 * possible before it is used. -EBADF for all else. `ret_what` names it in both cases, with an
 * article: "a regular file".
 */
int classify_fd(const struct classifier *classifier, int fd, int *ret_kind, char *ret_what,
		size_t what_size);

/* What buffers are: FBK_MEMORY_DMABUF, or FBK_MEMORY_MEMFD for a memfd that can't shrink under who maps it. -EBADF for
 * all else, which `ret_what` names. */
int classify_buffer(const struct classifier *classifier, int fd, char *ret_what, size_t what_size);
