// SPDX-License-Identifier: MIT
#include "page-map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "proto/fd.h"
#include "proto/fencebroker.pb-c.h"

/* Map `size` bytes at an address that is a multiple of it: devices import pages by their address. */
static void *map_aligned(uint64_t size, int protection, int fd)
{
	uint64_t room = 2 * size;
	char *reserved =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED) {
		return MAP_FAILED;
	}
	char *start = (char *)(((uintptr_t)reserved + size - 1) & ~(uintptr_t)(size - 1));
	void *memory = mmap(start, size, protection, MAP_SHARED | MAP_FIXED, fd, 0);
	if (memory == MAP_FAILED) {
		munmap(reserved, room);
		return MAP_FAILED;
	}
	if (start > reserved) {
		munmap(reserved, (size_t)(start - reserved));
	}
	munmap(start + size, room - size - (size_t)(start - reserved));
	return memory;
}

int page_slot_check(const Fbk__Wire__Page *page, uint64_t slot, uint32_t least)
{
	uint64_t end = page->header_size + (slot + 1) * page->stride;
	bool good = page->header_size >= sizeof(struct fbk_page_header) &&
		    page->header_size % 64 == 0 && page->stride >= least &&
		    page->stride % 64 == 0 && slot <= UINT32_MAX && end <= page->size;
	return good ? 0 : error_set(-EPROTO, "the daemon describes no memory of a timeline");
}

void *page_slot(void *memory, const Fbk__Wire__Page *page, uint32_t slot)
{
	return (char *)memory + page->header_size + (size_t)slot * page->stride;
}

static int page_map_check(uint64_t size, int fd)
{
	struct stat status;
	if (size < FBK_PAGE_SIZE_MIN || size > FBK_PAGE_SIZE_MAX || (size & (size - 1)) != 0) {
		return error_set(-EPROTO, "the daemon's page has %llu bytes",
				 (unsigned long long)size);
	}
	if (fstat(fd, &status) < 0 || (uint64_t)status.st_size < size) {
		return error_set(-EPROTO, "the daemon's page is shorter than it says");
	}
	return 0;
}

static struct page_map *page_map_find(struct fbk_context *context, uint64_t id, bool writable)
{
	struct page_map *map;
	LIST_FOREACH(map, &context->pages, links) {
		if (map->id == id && (map->writable || !writable)) {
			return map;
		}
	}
	return NULL;
}

/* Addresses of a peer page without references, or new ones. */
static struct page_map *page_map_spare(struct fbk_context *context)
{
	struct page_map *map;
	LIST_FOREACH(map, &context->pages, links) {
		if (map->peer && map->refs == 0) {
			return map;
		}
	}
	map = calloc(1, sizeof(*map));
	if (!map) {
		return NULL;
	}
	map->memory = mmap(NULL, FBK_PEER_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map->memory == MAP_FAILED) {
		free(map);
		return NULL;
	}
	map->size = FBK_PEER_SIZE;
	map->writable = true;
	map->peer = true;
	LIST_INSERT_HEAD(&context->pages, map, links);
	return map;
}

int page_map_get_peer(struct fbk_context *context, const Fbk__Wire__Page *page, int fd,
		      struct page_map **ret_map)
{
	struct page_map *map = page_map_find(context, page->id, true);
	int r = page_slot_check(page, page->slot, sizeof(struct fbk_pair_cell));
	if (r == 0 && (page->size != FBK_PEER_SIZE ||
		       (map && (map->first != page->header_size || map->stride != page->stride)))) {
		r = error_set(-EPROTO, "the daemon describes no peer page");
	}
	if (r == 0 && !map) {
		r = page_map_check(FBK_PEER_SIZE, fd);
		map = r == 0 ? page_map_spare(context) : NULL;
		if (r == 0 && !map) {
			r = error_plain(-ENOMEM);
		}
	}
	if (r == 0 && map->refs == 0) {
		void *memory = mmap(map->memory, FBK_PEER_SIZE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, fd, 0);
		if (memory == MAP_FAILED) {
			r = error_of_call("mmap", -errno);
		} else {
			map->id = page->id;
			map->first = page->header_size;
			map->stride = page->stride;
		}
	}
	if (fd >= 0) {
		fd_close(fd);
	}
	if (r == 0) {
		map->refs++;
		*ret_map = map;
	}
	return r;
}

/* Memory of our own in place of the page, for threads that still look. */
static void page_map_retire(struct page_map *map)
{
	map->id = 0;
	mmap(map->memory, map->size, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void page_maps_finish(struct fbk_context *context)
{
	while (!LIST_EMPTY(&context->pages)) {
		struct page_map *map = LIST_FIRST(&context->pages);
		LIST_REMOVE(map, links);
		munmap(map->memory, map->size);
		free(map);
	}
}

int page_map_get(struct fbk_context *context, uint64_t id, uint64_t size, int fd, bool writable,
		 struct page_map **ret_map)
{
	struct page_map *map = page_map_find(context, id, writable);
	int r = 0;
	if (map) {
		map->refs++;
	} else if (fd < 0) {
		r = error_set(-EPROTO, "the daemon names a page that it did not send");
	} else {
		r = page_map_check(size, fd);
		map = r == 0 ? calloc(1, sizeof(*map)) : NULL;
		if (r == 0 && !map) {
			r = error_plain(-ENOMEM);
		}
	}
	if (r == 0 && map->refs == 0) {
		int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
		map->memory = map_aligned(size, protection, fd);
		if (map->memory == MAP_FAILED) {
			r = error_of_call("mmap", -errno);
			free(map);
		} else {
			map->id = id;
			map->size = size;
			map->writable = writable;
			map->refs = 1;
			LIST_INSERT_HEAD(&context->pages, map, links);
		}
	}
	if (fd >= 0) {
		fd_close(fd);
	}
	if (r == 0) {
		*ret_map = map;
	}
	return r;
}

int page_map_adopt(struct fbk_context *context, uint64_t id, int dmabuf, uint64_t offset,
		   uint64_t size, const void *keeper)
{
	struct page_map *map = calloc(1, sizeof(*map));
	if (!map) {
		return error_plain(-ENOMEM);
	}
	map->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, (off_t)offset);
	if (map->memory == MAP_FAILED) {
		int r = error_of_call("mmap", -errno);
		free(map);
		return r;
	}
	map->id = id;
	map->size = size;
	map->writable = true;
	page_map_keep(map, keeper);
	LIST_INSERT_HEAD(&context->pages, map, links);
	return 0;
}

void page_map_put(struct page_map *map)
{
	if (!map || --map->refs > 0) {
		return;
	}
	if (map->peer) {
		page_map_retire(map);
		return;
	}
	LIST_REMOVE(map, links);
	munmap(map->memory, map->size);
	free(map);
}

void page_map_keep(struct page_map *map, const void *keeper)
{
	if (!map->keeper) {
		map->keeper = keeper;
		map->refs++;
	}
}

void page_maps_release(struct fbk_context *context, const void *keeper)
{
	struct page_map *map = LIST_FIRST(&context->pages);
	while (map) {
		struct page_map *next = LIST_NEXT(map, links);
		if (map->keeper == keeper) {
			map->keeper = NULL;
			page_map_put(map);
		}
		map = next;
	}
}
