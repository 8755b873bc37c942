// SPDX-License-Identifier: MIT
#include "robust.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel finds the word at a distance from its list entry. The entry is private: in the word's page others could
 * read addresses of this process, or change what the kernel follows. */
static struct robust_list entry;
static struct robust_list_head head;

int robust_hold(_Atomic uint32_t *word)
{
	/* relaxed: nobody else has the word yet */
	atomic_store_explicit(word, (uint32_t)gettid(), memory_order_relaxed);
	entry.next = &head.list;
	head.list.next = &entry;
	head.futex_offset = (long)((intptr_t)word - (intptr_t)&entry);
	return syscall(SYS_set_robust_list, &head, sizeof(head)) < 0 ? -errno : 0;
}

void robust_release(_Atomic uint32_t *word)
{
	head.list.next = &head.list; /* the kernel looks at it when the thread ends */
	/* release: what this process said before is visible to who sees it */
	atomic_fetch_or_explicit(word, FUTEX_OWNER_DIED, memory_order_release);
}
