// SPDX-License-Identifier: MIT
/*
 * A page of shared memory: a memfd, or part of a dma-buf that a device's driver allocated. It has one writer and one
 * audience, and the daemon maps it for as long as it lives. Rule R1 in one place: what is sealed when, and which fd may
 * leave the daemon: none of a registered dma-buf, since it can't be handed out read-only. Owned by share sets, a
 * device or a client; loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/include/fencebroker.h"
#include "daemon/rules/account.h"
#include "proto/page.h"

struct foreign;

struct page {
	LIST_ENTRY(page) links; /* registered memory: of its device */
	unsigned int refs;
	uint64_t id;
	uint64_t size;
	enum fbk_page_kind kind;
	enum fbk_backing backing;
	int fd;                  /* -1: registered memory */
	int twin;                /* the same memory as a dma-buf, for the writer; -1: none */
	struct foreign *foreign; /* registered memory; else NULL */
	void *memory;
	bool sealed; /* payload pages: no process can map it writable any more */
	uint32_t slots;
	uint32_t used;            /* slots given out; never reused */
	struct charge bytes;      /* of the user that asked for the page */
	struct charge fds;        /* of the memfd and its twin */
	struct charge registered; /* registered memory */
};

/* `user` NULL: it is the daemon's own, and charged to nobody. */
int page_create(enum fbk_page_kind kind, uint64_t id, uint64_t set_id, uint64_t size,
		struct user *user, struct page **ret_page);

/*
 * Memory that a client registered for its device: `size` bytes from `offset` of a dma-buf, whose fd stays the
 * caller's. On an error `detail` says why.
 */
int page_adopt(int dmabuf, uint64_t id, uint64_t offset, uint64_t size, struct user *user,
	       struct page **ret_page, char *detail);

/* Make the page a dma-buf too, by the device of udmabuf.h; before any fd of it leaves the daemon. */
int page_make_twin(struct page *page, int udmabuf, struct user *user);

void page_unref(struct page *page); /* takes NULL */

/* Where the slots of that kind of page begin, and their distance. */
uint32_t page_header_size(enum fbk_page_kind kind);
uint32_t page_stride(enum fbk_page_kind kind);

/* Did the driver take the memory away? Ask after each read that counts. */
bool page_lost(const struct page *page);

/* A fresh read-only fd; the caller closes it. -EAGAIN while a payload page is not sealed. */
int page_readonly_fd(const struct page *page, int *ret_fd);

/* The owner of a payload page has mapped it, or the page is the daemon's: from now on no process can map it writable. */
int page_seal(struct page *page);
