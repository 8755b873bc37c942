// SPDX-License-Identifier: MIT
#include "classify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "client/include/fencebroker.h"

#define LINK_SIZE   128
#define FDINFO_SIZE 1024

/* DONT_SYNC: answered from memory, also for a file whose server hangs. */
static int fd_status(int fd, struct statx *ret_status)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, ret_status) < 0) {
		return -errno;
	}
	return 0;
}

int classifier_init(struct classifier *classifier, const char **ret_call)
{
	struct statx status;
	*classifier = (struct classifier){ .reference_fd = eventfd(0, EFD_CLOEXEC) };
	if (classifier->reference_fd < 0) {
		*ret_call = "eventfd2";
		return -errno;
	}
	int r = fd_status(classifier->reference_fd, &status);
	if (r < 0) {
		*ret_call = "statx";
		classifier_finish(classifier);
		return r;
	}
	classifier->device_major = status.stx_dev_major;
	classifier->device_minor = status.stx_dev_minor;
	return 0;
}

int classifier_know_memfds(struct classifier *classifier, int memfd)
{
	struct statx status;
	int r = fd_status(memfd, &status);
	if (r == 0) {
		classifier->knows_memfds = true;
		classifier->memfd_major = status.stx_dev_major;
		classifier->memfd_minor = status.stx_dev_minor;
	}
	return r;
}

void classifier_finish(struct classifier *classifier)
{
	if (classifier->reference_fd >= 0) {
		fd_close(classifier->reference_fd);
		classifier->reference_fd = -1;
	}
}

static bool fd_link(int fd, char ret_link[LINK_SIZE])
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t size = readlink(path, ret_link, LINK_SIZE - 1);
	ret_link[size > 0 ? size : 0] = '\0';
	return size > 0;
}

static int anonymous_kind(const char *link)
{
	static const struct {
		const char *link;
		int kind;
	} kinds[] = {
		{ "anon_inode:[eventfd]", FBK_FENCE_EVENTFD },
		{ "anon_inode:sync_file", FBK_FENCE_SYNC_FILE },
		{ "anon_inode:syncobj_file", FBK_FENCE_SYNCOBJ_TIMELINE },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(link, kinds[i].link) == 0) {
			return kinds[i].kind;
		}
	}
	return 0;
}

/* A dma-buf is on a file system of its own; its fdinfo, which the kernel writes, names its maker. */
static bool is_dmabuf(int fd, const char *link)
{
	char path[32];
	char text[FDINFO_SIZE];
	if (strncmp(link, "/dmabuf:", 8) != 0) {
		return false;
	}
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int file = fd_open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		return false;
	}
	long size = syscall(SYS_read, file, text, sizeof(text) - 1);
	fd_close(file);
	text[size > 0 ? size : 0] = '\0';
	return strstr(text, "\nexp_name:") != NULL;
}

static const char *mode_name(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFSOCK:
		return "a socket";
	case S_IFIFO:
		return "a pipe";
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFLNK:
		return "a symbolic link";
	default:
		return "an object of the kernel's";
	}
}

static void describe_other(char *ret_what, size_t size, const struct statx *status,
			   const char *link, bool anonymous)
{
	if (anonymous && strncmp(link, "anon_inode:", 11) == 0) {
		snprintf(ret_what, size, "an object of the kernel's (%.40s)", link + 11);
	} else if (strncmp(link, "/memfd:", 7) == 0) {
		snprintf(ret_what, size, "a memfd");
	} else {
		snprintf(ret_what, size, "%s", mode_name(status->stx_mode));
	}
}

int classify_fd(const struct classifier *classifier, int fd, int *ret_kind, char *ret_what,
		size_t what_size)
{
	struct statx status;
	char link[LINK_SIZE];
	int kind = 0;
	int r = fd < 0 ? -EBADF : fd_status(fd, &status);
	if (r < 0 || !fd_link(fd, link)) {
		snprintf(ret_what, what_size, "not open");
		return -EBADF;
	}
	bool anonymous = status.stx_dev_major == classifier->device_major &&
			 status.stx_dev_minor == classifier->device_minor;
	if (anonymous) {
		kind = anonymous_kind(link);
	} else if (is_dmabuf(fd, link)) {
		kind = FBK_FENCE_DMA_BUF_IMPLICIT;
	}
	switch (kind) {
	case FBK_FENCE_EVENTFD:
		snprintf(ret_what, what_size, "an eventfd");
		break;
	case FBK_FENCE_SYNC_FILE:
		snprintf(ret_what, what_size, "a sync_file");
		break;
	case FBK_FENCE_SYNCOBJ_TIMELINE:
		snprintf(ret_what, what_size, "a drm_syncobj");
		break;
	case FBK_FENCE_DMA_BUF_IMPLICIT:
		snprintf(ret_what, what_size, "a dma-buf");
		break;
	default:
		describe_other(ret_what, what_size, &status, link, anonymous);
		return -EBADF;
	}
	*ret_kind = kind;
	return 0;
}

/* The text of the link can be forged by a file of that name, the device number can't. */
static bool is_memfd(const struct classifier *classifier, int fd)
{
	struct statx status;
	char link[LINK_SIZE];
	return classifier->knows_memfds && fd_status(fd, &status) == 0 &&
	       status.stx_dev_major == classifier->memfd_major &&
	       status.stx_dev_minor == classifier->memfd_minor && fd_link(fd, link) &&
	       strncmp(link, "/memfd:", 7) == 0;
}

int classify_buffer(const struct classifier *classifier, int fd, char *ret_what, size_t what_size)
{
	int kind;
	if (classify_fd(classifier, fd, &kind, ret_what, what_size) == 0) {
		return kind == FBK_FENCE_DMA_BUF_IMPLICIT ? FBK_MEMORY_DMABUF : -EBADF;
	}
	if (!is_memfd(classifier, fd)) {
		return -EBADF;
	}
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
		snprintf(ret_what, what_size, "a memfd without F_SEAL_SHRINK");
		return -EBADF;
	}
	return FBK_MEMORY_MEMFD;
}
