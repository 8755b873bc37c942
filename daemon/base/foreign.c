// SPDX-License-Identifier: MIT
#include "foreign.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

/* A fixed table: the signal handler walks it, and must not meet a list that changes under it. */
struct foreign {
	_Atomic uintptr_t start; /* 0: free */
	size_t size;             /* set before `start` */
	_Atomic bool lost;
};

static struct foreign foreigns[FOREIGN_MAX];

static bool foreign_replace(uintptr_t address)
{
	for (size_t i = 0; i < FOREIGN_MAX; i++) {
		struct foreign *foreign = &foreigns[i];
		/* acquire: makes the size visible with `start` */
		uintptr_t start = atomic_load_explicit(&foreign->start, memory_order_acquire);
		if (start == 0 || address < start || address - start >= foreign->size) {
			continue;
		}
		/* release: a thread that reads the zeros below finds the mapping lost */
		atomic_store_explicit(&foreign->lost, true, memory_order_release);
		return mmap((void *)start, foreign->size, PROT_READ | PROT_WRITE,
			    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
	}
	return false;
}

/* Async-signal-safe: mmap is its only call. */
static void foreign_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	int kept = errno;
	if (!foreign_replace((uintptr_t)info->si_addr)) {
		signal(number, SIG_DFL); /* no mapping of ours: the retried access kills us */
	}
	errno = kept;
}

void foreign_init(void)
{
	struct sigaction action = { .sa_sigaction = foreign_fault,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigaction(SIGBUS, &action, NULL);
}

int foreign_map(int dmabuf, uint64_t offset, uint64_t size, struct foreign **ret_foreign)
{
	for (size_t i = 0; i < FOREIGN_MAX; i++) {
		struct foreign *foreign = &foreigns[i];
		/* relaxed: only the loop takes and frees entries */
		if (atomic_load_explicit(&foreign->start, memory_order_relaxed) != 0) {
			continue;
		}
		void *memory =
			mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, (off_t)offset);
		if (memory == MAP_FAILED) {
			return -errno;
		}
		foreign->size = size;
		/* relaxed: the store of `start` below publishes it */
		atomic_store_explicit(&foreign->lost, false, memory_order_relaxed);
		/* release: the handler finds the entry filled in */
		atomic_store_explicit(&foreign->start, (uintptr_t)memory, memory_order_release);
		*ret_foreign = foreign;
		return 0;
	}
	return -ENFILE;
}

void foreign_unmap(struct foreign *foreign)
{
	if (foreign) {
		munmap(foreign_memory(foreign), foreign->size);
		/* relaxed: no thread accesses the mapping any more */
		atomic_store_explicit(&foreign->start, 0, memory_order_relaxed);
	}
}

void *foreign_memory(const struct foreign *foreign)
{
	/* relaxed: the loop's thread set it, and calls this */
	return (void *)atomic_load_explicit(&foreign->start, memory_order_relaxed);
}

bool foreign_lost(const struct foreign *foreign)
{
	/* acquire: pairs with the release in foreign_replace */
	return atomic_load_explicit(&foreign->lost, memory_order_acquire);
}
