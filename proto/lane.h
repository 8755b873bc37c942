// SPDX-License-Identifier: MIT
/*
 * Entries of a lane's ring (proto/page.h): written by the process whose lane it is, read by its peer, and by the daemon
 * when somebody asks. What is read may be a lie: who reads checks what it needs. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What is said of one frame, in either direction. */
struct lane_entry {
	uint64_t sequence;
	uint64_t value; /* of the point, of timeline number `timeline`; 0: reached */
	uint32_t timeline;
	uint32_t index;
	uint32_t generation;
	int32_t result;
	uint64_t deadline_ns;
};

/* Where its number puts it. The lane's payload is raised to that after this. */
void lane_entry_write(void *page, const struct lane_entry *entry);

/* The entry of that number, each word read once. False: the ring holds another there, which came later or before. */
bool lane_entry_read(void *page, uint64_t sequence, struct lane_entry *ret_entry);
