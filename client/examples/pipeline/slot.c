// SPDX-License-Identifier: MIT
#include "slot.h"

#include <errno.h>
#include <stdatomic.h>

#define PAGE     4096
#define SLOT_MIN (128 * 1024)

struct slot_header {
	_Atomic uint64_t frame; /* 0: being written */
	_Atomic uint64_t size;
	_Atomic uint32_t key;
	uint32_t unused[11]; /* pads to a cache line */
};
_Static_assert(sizeof(struct slot_header) == 64, "the data starts on a cache line");

struct slot_trailer {
	_Atomic uint64_t frame;
};

static struct slot_header *header_of(struct slot slot)
{
	return (struct slot_header *)(void *)slot.start;
}

static struct slot_trailer *trailer_of(struct slot slot)
{
	return (struct slot_trailer *)(void *)(slot.start + slot.size -
					       sizeof(struct slot_trailer));
}

size_t slot_bytes(unsigned int width, unsigned int height)
{
	size_t bytes = (size_t)width * height / 2; /* a third of the picture's size */
	return bytes < SLOT_MIN ? SLOT_MIN : (bytes + PAGE - 1) / PAGE * PAGE;
}

struct slot slot_at(void *ring, size_t slot_size, uint64_t frame)
{
	return (struct slot){ .start = (uint8_t *)ring + frame % SLOT_COUNT * slot_size,
			      .size = slot_size };
}

uint8_t *slot_data(struct slot slot)
{
	return slot.start + sizeof(struct slot_header);
}

size_t slot_capacity(struct slot slot)
{
	return slot.size - sizeof(struct slot_header) - sizeof(struct slot_trailer);
}

void slot_begin(struct slot slot)
{
	/* release, here and below: a reader in the middle sees it before it sees other data */
	atomic_store_explicit(&trailer_of(slot)->frame, 0, memory_order_release);
	atomic_store_explicit(&header_of(slot)->frame, 0, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
}

void slot_end(struct slot slot, uint64_t frame, size_t size, bool key)
{
	struct slot_header *header = header_of(slot);
	atomic_store_explicit(&header->size, size, memory_order_release);
	atomic_store_explicit(&header->key, key, memory_order_release);
	atomic_store_explicit(&header->frame, frame, memory_order_release);
	atomic_store_explicit(&trailer_of(slot)->frame, frame, memory_order_release);
}

int slot_check(struct slot slot, uint64_t frame)
{
	/* what was read before is read before these */
	atomic_thread_fence(memory_order_seq_cst);
	uint64_t last = atomic_load_explicit(&trailer_of(slot)->frame, memory_order_acquire);
	uint64_t first = atomic_load_explicit(&header_of(slot)->frame, memory_order_acquire);
	return first == frame && last == frame ? 0 : -EBADMSG;
}

size_t slot_data_size(struct slot slot)
{
	uint64_t size = atomic_load_explicit(&header_of(slot)->size, memory_order_acquire);
	size_t capacity = slot_capacity(slot);
	return size > capacity ? capacity : (size_t)size;
}

bool slot_key(struct slot slot)
{
	return atomic_load_explicit(&header_of(slot)->key, memory_order_acquire) != 0;
}
