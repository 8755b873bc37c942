// SPDX-License-Identifier: MIT
/*
 * Preloaded into the daemon: replaces malloc() and its kin, and counts calls in a file that the bench
 * maps. An allocation served from the heap makes no system call, so it cannot be counted from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

/* glibc's allocator under the names that it exports for replacements of malloc(). */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t early; /* counts until the file is mapped */
static _Atomic uint64_t *counter = &early;

__attribute__((constructor)) static void counter_map(void)
{
	const char *path = getenv("FENCE_BENCH_COUNT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0) {
		return;
	}
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED) {
		counter = memory;
	}
}

static void count_one(void)
{
	/* relaxed: a counter; it orders nothing */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

EXPORTED void *malloc(size_t size)
{
	count_one();
	return __libc_malloc(size);
}

EXPORTED void *calloc(size_t count, size_t size)
{
	count_one();
	return __libc_calloc(count, size);
}

EXPORTED void *realloc(void *memory, size_t size)
{
	count_one();
	return __libc_realloc(memory, size);
}

EXPORTED void *reallocarray(void *memory, size_t count, size_t size)
{
	size_t bytes;
	count_one();
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(memory, bytes);
}

EXPORTED void *memalign(size_t alignment, size_t size)
{
	count_one();
	return __libc_memalign(alignment, size);
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
	count_one();
	return __libc_memalign(alignment, size);
}

EXPORTED int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	count_one();
	void *memory = __libc_memalign(alignment, size);
	if (!memory) {
		return ENOMEM;
	}
	*ret_memory = memory;
	return 0;
}
