// SPDX-License-Identifier: MIT
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/suite.h"

uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int journal_create(struct journal *journal, const char *directory, uint32_t instance, uint32_t slot,
		   size_t capacity)
{
	char path[256];
	size_t size = sizeof(struct record_header) + capacity * sizeof(struct record);
	snprintf(path, sizeof(path), "%s/%06u", directory, instance);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		int r = -errno;
		if (fd >= 0) {
			close(fd);
		}
		return r;
	}
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int r = memory == MAP_FAILED ? -errno : 0;
	close(fd);
	if (r < 0) {
		return r;
	}
	journal->header = memory;
	journal->records = (struct record *)(journal->header + 1);
	journal->size = size;
	journal->header->instance = instance;
	journal->header->slot = slot;
	journal->header->capacity = capacity;
	journal->header->magic = RECORD_MAGIC;
	return 0;
}

void journal_finish(struct journal *journal)
{
	if (journal->header) {
		munmap(journal->header, journal->size);
		journal->header = NULL;
	}
}

struct record *journal_take(struct journal *journal, size_t count)
{
	/* relaxed: only assigns records; the file is read after its writer has ended */
	uint64_t first =
		atomic_fetch_add_explicit(&journal->header->count, count, memory_order_relaxed);
	return first + count <= journal->header->capacity ? &journal->records[first] : NULL;
}

struct record *journal_begin(struct journal *journal, size_t count)
{
	struct record *record = journal_take(journal, count);
	if (!record) {
		ck_abort_msg("the log of instance %u is full", journal->header->instance);
	}
	record->begin = clock_ns();
	return record;
}

void record_publish(struct record *record, unsigned int kind)
{
	/* release: a writer that is killed afterwards has stored everything before it */
	atomic_store_explicit(&record->kind, (uint8_t)kind, memory_order_release);
}

void record_end(struct record *record, int result)
{
	record->result = result;
	/* release: as in record_publish */
	atomic_store_explicit(&record->end, clock_ns(), memory_order_release);
}
