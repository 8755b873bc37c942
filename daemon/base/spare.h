// SPDX-License-Identifier: MIT
/*
 * File descriptors that are held open to be given up when no other is free: so that an administrator gets in then. What is
 * lent has to be taken back in the same callback, else clients would use it up. Loop's thread only.
 */
#pragma once

#define SPARE_FDS 16 /* an inspecting connection holds 4, and its Hello needs 3 more for a moment */

struct spare {
	int fds[SPARE_FDS]; /* -1: not held */
};

void spare_init(struct spare *spare); /* holds nothing */
void spare_fill(struct spare *spare); /* hold as many as there are */
void spare_lend(struct spare *spare); /* hold none */
