// SPDX-License-Identifier: MIT
/*
 * Pages of the daemon's that are mapped here, shared by the timelines on them: counted references, of the
 * timelines and of a keeper. All under the context's mutex; what `memory` points to is shared with others.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/page.h"

struct fbk_context;

struct page_map {
	LIST_ENTRY(page_map) links; /* of the context */
	uint64_t id;
	uint64_t size;
	bool writable;
	unsigned int refs;
	const void *keeper; /* its set or device, see page_map_keep */
	bool peer;          /* never unmapped, see page_map_get_peer */
	void *memory;
	uint32_t first, stride; /* of a peer page: its cells */
};

struct Fbk__Wire__Page;

/* Does a slot of `least` bytes at that number lie within the page, as the daemon describes it? -EPROTO */
int page_slot_check(const struct Fbk__Wire__Page *page, uint64_t slot, uint32_t least);

/* A slot that was checked. */
void *page_slot(void *memory, const struct Fbk__Wire__Page *page, uint32_t slot);

/* The page of that id, mapped from the fd unless it is mapped already. Takes the fd. */
int page_map_get(struct fbk_context *context, uint64_t id, uint64_t size, int fd, bool writable,
		 struct page_map **ret_map);
void page_map_put(struct page_map *map); /* takes NULL */

/* Registered memory: part of a dma-buf, with its device as keeper. Does not take the fd. */
int page_map_adopt(struct fbk_context *context, uint64_t id, int dmabuf, uint64_t offset,
		   uint64_t size, const void *keeper);

/*
 * A peer page, writable. A signaling thread may hold a pointer into one that another thread dropped: so
 * its addresses stay mapped until the end of the context, and are used again for the next such page. What
 * that thread then does to a wrong cell is a wake too many. Takes the fd.
 */
int page_map_get_peer(struct fbk_context *context, const struct Fbk__Wire__Page *page, int fd,
		      struct page_map **ret_map);

static inline struct fbk_pair_cell *page_map_cell(const struct page_map *map, uint32_t slot)
{
	char *cell = (char *)map->memory + map->first + (size_t)slot * map->stride;
	return (struct fbk_pair_cell *)(void *)cell;
}

/* Until its keeper, a set or a device, goes: the daemon hands a page out writable only once. */
void page_map_keep(struct page_map *map, const void *keeper);
void page_maps_release(struct fbk_context *context, const void *keeper);

void page_maps_finish(struct fbk_context *context); /* at the end of the context */
