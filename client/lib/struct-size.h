// SPDX-License-Identifier: MIT
/*
 * The structs of fencebroker.h: those that begin with their size, which the program's version of the header decides, and
 * those that never change. Any thread.
 */
#pragma once

#include "fencebroker.h"

/* How long each was in the first version: what is shorter was not set. These numbers never change; docs/abi.md. */
#define STRUCT_FIRST(object)                                                                      \
	((size_t) _Generic((object), struct fbk_device_desc : 48, struct fbk_timeline_info : 288, \
			   struct fbk_memory : 48, struct fbk_format : 152,                       \
			   struct fbk_consumer_desc : 16, struct fbk_link_desc : 40,              \
			   struct fbk_link_info : 752, struct fbk_buffer_desc : 136,              \
			   struct fbk_frame_meta : 440))

/* Copy `given` of the program's, of its version, to `*ret_struct` of this one; NULL gives zeros. -EINVAL: it is smaller
 * than the first version; -E2BIG: it says something that this version does not know. */
#define STRUCT_READ(ret_struct, given) \
	struct_read((ret_struct), sizeof(*(ret_struct)), STRUCT_FIRST(*(ret_struct)), (given))
int struct_read(void *ret_struct, size_t size, size_t first, const void *given);

/* Fill in one of theirs, which begins with its size, from `*ours`; -EINVAL and -E2BIG as above. */
#define STRUCT_FILL(ret_struct, ours) \
	struct_fill((ret_struct), (ours), sizeof(*(ours)), STRUCT_FIRST(*(ours)))
int struct_fill(void *ret_struct, const void *ours, size_t size, size_t first);
