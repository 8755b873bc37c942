// SPDX-License-Identifier: MIT
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/foreign.h"
#include "daemon/base/udmabuf.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static const char *page_names[] = {
	[FBK_PAGE_PAYLOAD] = "fencebroker-payload", [FBK_PAGE_CONTROL] = "fencebroker-control",
	[FBK_PAGE_DAEMON] = "fencebroker-daemon",   [FBK_PAGE_PAIR] = "fencebroker-pair",
	[FBK_PAGE_PEER] = "fencebroker-peer",       [FBK_PAGE_CLAIM] = "fencebroker-claim",
	[FBK_PAGE_LIFE] = "fencebroker-life",
};

/*
 * The seals before an fd leaves. A client that holds a writable fd must not shrink the page under our
 * mapping. Pages that only the daemon writes are not sealed against shrinking: no other process can
 * truncate them; udmabuf refuses them (it asks for that seal and never looks at the fd's mode); and
 * a later daemon can still map them writable.
 */
static const int page_seals[] = {
	[FBK_PAGE_PAYLOAD] = F_SEAL_SHRINK | F_SEAL_GROW,
	[FBK_PAGE_CONTROL] = F_SEAL_SEAL,
	[FBK_PAGE_DAEMON] = F_SEAL_SEAL,
	[FBK_PAGE_PAIR] = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	[FBK_PAGE_PEER] = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	[FBK_PAGE_CLAIM] = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	[FBK_PAGE_LIFE] = F_SEAL_SHRINK | F_SEAL_GROW,
};

/* Where slots begin, their distance, their number. */
struct page_geometry {
	uint32_t header, stride, slots;
};

static struct page_geometry page_geometry(enum fbk_page_kind kind, uint64_t size)
{
	switch (kind) {
	case FBK_PAGE_PAIR:
		return (struct page_geometry){ offsetof(struct fbk_pair_page, cells),
					       sizeof(struct fbk_pair_cell), FBK_PAIR_CELLS };
	case FBK_PAGE_PEER:
		return (struct page_geometry){ offsetof(struct fbk_peer_page, cells),
					       sizeof(struct fbk_pair_cell), FBK_PEER_CELLS };
	case FBK_PAGE_CLAIM:
		return (struct page_geometry){ sizeof(struct fbk_page_header), FBK_CLAIM_STRIDE,
					       (uint32_t)((size - sizeof(struct fbk_page_header)) /
							  FBK_CLAIM_STRIDE) };
	default:
		return (struct page_geometry){ sizeof(struct fbk_page_header), FBK_SLOT_STRIDE,
					       fbk_page_slots(size) };
	}
}

uint32_t page_header_size(enum fbk_page_kind kind)
{
	return page_geometry(kind, FBK_PAGE_SIZE_MIN).header;
}

uint32_t page_stride(enum fbk_page_kind kind)
{
	return page_geometry(kind, FBK_PAGE_SIZE_MIN).stride;
}

static int page_memfd(enum fbk_page_kind kind)
{
	int fd = memfd_create(page_names[kind], MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) { /* before Linux 6.3 */
		fd = memfd_create(page_names[kind], MFD_CLOEXEC | MFD_ALLOW_SEALING);
	}
	return fd < 0 ? -errno : fd;
}

static void page_write_header(struct page *page, uint64_t set_id)
{
	struct page_geometry geometry = page_geometry(page->kind, page->size);
	*(struct fbk_page_header *)page->memory = (struct fbk_page_header){
		.magic = FBK_PAGE_MAGIC,
		.version = FBK_PAGE_VERSION,
		.kind = (uint16_t)page->kind,
		.header_size = geometry.header,
		.stride = geometry.stride,
		.slot_count = page->slots,
		.size = page->size,
		.page_id = page->id,
		.set_id = set_id,
	};
}

static int page_map(struct page *page, uint64_t set_id)
{
	int fd = page_memfd(page->kind);
	if (fd < 0) {
		return fd;
	}
	page->fd = fd;
	/* 0600 before anything else: memfds are born 0777 or 0666, and any process could re-open a
	 * read-only fd for writing through /proc. */
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)page->size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, page_seals[page->kind]) < 0) {
		return -errno;
	}
	void *memory = mmap(NULL, page->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		return -errno;
	}
	page->memory = memory;
	page_write_header(page, set_id);
	return 0;
}

static struct page *page_new(enum fbk_page_kind kind, enum fbk_backing backing, uint64_t id,
			     uint64_t size)
{
	struct page *page = calloc(1, sizeof(*page));
	if (page) {
		page->refs = 1;
		page->id = id;
		page->kind = kind;
		page->backing = backing;
		page->size = size;
		page->fd = -1;
		page->twin = -1;
		page->slots = page_geometry(kind, size).slots;
	}
	return page;
}

int page_create(enum fbk_page_kind kind, uint64_t id, uint64_t set_id, uint64_t size,
		struct user *user, struct page **ret_page)
{
	struct page *page = page_new(kind, FBK_BACKING_HOST, id, size);
	if (!page) {
		return -ENOMEM;
	}
	int r = user ? charge_take(&page->bytes, user, ACCOUNT_PAGE_BYTES, size) : 0;
	if (r == 0 && user) {
		r = charge_take(&page->fds, user, ACCOUNT_FDS, 1);
	}
	if (r == 0) {
		r = page_map(page, set_id);
	}
	if (r < 0) {
		page_unref(page);
		return r;
	}
	*ret_page = page;
	return 0;
}

int page_make_twin(struct page *page, int udmabuf, struct user *user)
{
	int r = charge_grow(&page->fds, user, ACCOUNT_FDS, 1);
	if (r < 0) {
		return r;
	}
	page->twin = udmabuf_create(udmabuf, page->fd, page->size);
	if (page->twin < 0) {
		charge_shrink(&page->fds, 1);
		return page->twin;
	}
	page->backing = FBK_BACKING_DMABUF;
	return 0;
}

static int adopt_check(int dmabuf, uint64_t offset, uint64_t size, char *detail)
{
	if (size < FBK_PAGE_SIZE_MIN || size > FBK_PAGE_SIZE_MAX || (size & (size - 1)) != 0 ||
	    offset % FBK_PAGE_SIZE_MIN != 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%llu bytes from %llu: fence memory is a power of two of bytes from %d to "
			 "%d, from a multiple of %d",
			 (unsigned long long)size, (unsigned long long)offset, FBK_PAGE_SIZE_MIN,
			 FBK_PAGE_SIZE_MAX, FBK_PAGE_SIZE_MIN);
		return -EINVAL;
	}
	off_t end = lseek(dmabuf, 0, SEEK_END);
	if (end < 0 || (uint64_t)end < size || (uint64_t)end - size < offset) {
		snprintf(detail, FBK_REASON_SIZE,
			 "that dma-buf has %lld bytes: too small for %llu from %llu",
			 (long long)end, (unsigned long long)size, (unsigned long long)offset);
		return -EINVAL;
	}
	return 0;
}

int page_adopt(int dmabuf, uint64_t id, uint64_t offset, uint64_t size, struct user *user,
	       struct page **ret_page, char *detail)
{
	int r = adopt_check(dmabuf, offset, size, detail);
	if (r < 0) {
		return r;
	}
	struct page *page = page_new(FBK_PAGE_PAYLOAD, FBK_BACKING_OWN, id, size);
	if (!page) {
		return -ENOMEM;
	}
	r = charge_take(&page->bytes, user, ACCOUNT_PAGE_BYTES, size);
	if (r == 0) {
		r = charge_take(&page->registered, user, ACCOUNT_REGISTERED_PAGES, 1);
	}
	if (r < 0) {
		page_unref(page);
		return r;
	}
	r = foreign_map(dmabuf, offset, size, &page->foreign);
	if (r == 0) {
		page->memory = foreign_memory(page->foreign);
		page->sealed = true; /* no fd of it leaves, so no process maps it through us */
		page_write_header(page, 0);
		r = page_lost(page) ? -EFAULT : 0;
	}
	if (r < 0) {
		page_unref(page);
		snprintf(detail, FBK_REASON_SIZE,
			 "the driver of that dma-buf does not let it be mapped (%s): fence memory "
			 "must be, by the CPU",
			 strerrordesc_np(-r));
		return -ENODEV;
	}
	*ret_page = page;
	return 0;
}

bool page_lost(const struct page *page)
{
	return page->foreign && foreign_lost(page->foreign);
}

void page_unref(struct page *page)
{
	if (!page || --page->refs > 0) {
		return;
	}
	if (page->foreign) {
		foreign_unmap(page->foreign);
	} else if (page->memory) {
		munmap(page->memory, page->size);
	}
	if (page->fd >= 0) {
		close(page->fd);
	}
	if (page->twin >= 0) {
		close(page->twin);
	}
	charge_release(&page->registered);
	charge_release(&page->fds);
	charge_release(&page->bytes);
	free(page);
}

int page_readonly_fd(const struct page *page, int *ret_fd)
{
	if (page->kind == FBK_PAGE_PAYLOAD && !page->sealed) {
		return -EAGAIN;
	}
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", page->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	*ret_fd = fd;
	return 0;
}

int page_seal(struct page *page)
{
	if (page->sealed) {
		return 0;
	}
	if (fcntl(page->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		return -errno;
	}
	page->sealed = true;
	return 0;
}
