// SPDX-License-Identifier: MIT
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sealed, so that no other process can shrink it and cause SIGBUS. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int shared_map(struct shared *shared, int fd, size_t size, int protection)
{
	void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		int r = -errno;
		close(fd);
		return r;
	}
	*shared = (struct shared){ .memory = memory, .size = size, .fd = fd };
	return 0;
}

int shared_create(struct shared *shared, const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		return -errno;
	}
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return shared_map(shared, fd, size, PROT_READ | PROT_WRITE);
}

static int shared_check(struct shared *shared, int fd, size_t size, int protection)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);
	if (size == 0 || seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &status) < 0 ||
	    status.st_size < 0 || (size_t)status.st_size < size) {
		close(fd);
		return -EPROTO;
	}
	return shared_map(shared, fd, size, protection);
}

int shared_open(struct shared *shared, int fd, size_t size)
{
	return shared_check(shared, fd, size, PROT_READ);
}

int shared_adopt(struct shared *shared, int fd, size_t size)
{
	return shared_check(shared, fd, size, PROT_READ | PROT_WRITE);
}

void shared_finish(struct shared *shared)
{
	if (!shared->memory) {
		return;
	}
	munmap(shared->memory, shared->size);
	close(shared->fd);
	*shared = (struct shared){ 0 };
}
