// SPDX-License-Identifier: MIT
#include "sync-file.h"

#include <errno.h>
#include <linux/sync_file.h>
#include <unistd.h>

#include "fd.h"
#include "ioctl.h"

/* A merged sync_file of more fences is judged by its state as a whole, which the kernel makes. */
#define FENCES_LOOKED_AT 64

/* As in the kernel's sync_file.h since Linux 6.8. */
struct set_deadline {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	uint64_t pad;
};
#define IOCTL_SET_DEADLINE _IOW(SYNC_IOC_MAGIC, 5, struct set_deadline)

int sync_file_confirm(int own, int fd)
{
	struct sync_merge_data merge = { .name = "fencebroker", .fd2 = fd };
	if (ioctl_again(own, SYNC_IOC_MERGE, &merge) < 0) {
		return errno == ENOENT ? -EBADF : -errno;
	}
	fd_close(merge.fence); /* ours: close can't block */
	return 0;
}

int sync_file_state(int fd)
{
	struct sync_fence_info fences[FENCES_LOOKED_AT];
	struct sync_file_info info = { .num_fences = FENCES_LOOKED_AT,
				       .sync_fence_info = (uint64_t)(uintptr_t)fences };
	if (ioctl_again(fd, SYNC_IOC_FILE_INFO, &info) < 0) {
		info = (struct sync_file_info){ 0 }; /* more fences than we have room for */
		if (ioctl_again(fd, SYNC_IOC_FILE_INFO, &info) < 0) {
			return -errno;
		}
		info.num_fences = 0;
	}
	if (info.status == 0) {
		return FENCE_PENDING;
	}
	for (uint32_t i = 0; info.status > 0 && i < info.num_fences; i++) {
		if (fences[i].status < 0) {
			return fences[i].status;
		}
	}
	return info.status < 0 ? info.status : 0;
}

int sync_file_set_deadline(int fd, uint64_t deadline_ns)
{
	struct set_deadline request = { .deadline_ns = deadline_ns };
	return ioctl_again(fd, IOCTL_SET_DEADLINE, &request) < 0 ? -errno : 0;
}
