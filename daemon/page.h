// SPDX-License-Identifier: MIT
/*
 * A page of shared memory: a memfd, mapped by the daemon for as long as it lives, with one writer
 * and one audience. Rule R1 in one place: what is sealed when, and which fd may leave.
 * Owned by a share set or a session; loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "proto/page.h"

struct page {
	uint64_t id;
	uint64_t size;
	enum fbk_page_kind kind;
	int fd;
	void *memory;
	bool sealed; /* payload pages: nobody can map it writable any more */
	uint32_t slots;
	uint32_t used;       /* slots given out; never given again */
	struct charge bytes; /* charged to who asked for it */
	struct charge fds;
};

int page_create(enum fbk_page_kind kind, uint64_t id, uint64_t set_id, uint64_t size,
		struct user *user, struct page **ret_page);
void page_destroy(struct page *page);

/* A fresh read-only fd; the caller closes it. -EAGAIN while a payload page is not sealed. */
int page_readonly_fd(const struct page *page, int *ret_fd);

/* The owner of a payload page has mapped it: from now on nobody maps it writable. */
int page_seal(struct page *page);
