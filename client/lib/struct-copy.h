// SPDX-License-Identifier: MIT
/*
 * Structs of the program's that begin with their size, and may be of another version: how they are read and filled in.
 * Also for the libraries beside this one, each of which has sentences of its own. Any thread.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* No version will be longer: what says so was not set, and its tail is not there to be read. */
#define STRUCT_SIZE_MAX 4096

/* 0; -EINVAL: smaller than in the first version, or not set; -E2BIG: longer than any version. */
static inline int struct_size_check(const void *given, size_t first, size_t *ret_size)
{
	memcpy(ret_size, given, sizeof(*ret_size));
	return *ret_size < first ? -EINVAL : *ret_size > STRUCT_SIZE_MAX ? -E2BIG : 0;
}

/* Copy one of `size` bytes in this version, zeros behind what the program's has; NULL gives zeros. Errors as above;
 * -E2BIG also: it says something that this version does not know. `*ret_size` is what it says, 0 of NULL. */
static inline int struct_copy_in(void *ret_struct, size_t size, size_t first, const void *given,
				 size_t *ret_size)
{
	*ret_size = 0;
	int r = given ? struct_size_check(given, first, ret_size) : 0;
	for (size_t i = size; r == 0 && i < *ret_size; i++) {
		r = ((const char *)given)[i] != 0 ? -E2BIG : 0;
	}
	if (r == 0) {
		memset(ret_struct, 0, size);
		if (given) {
			memcpy(ret_struct, given, *ret_size < size ? *ret_size : size);
		}
	}
	return r;
}

/* Fill in the program's from ours of `size` bytes, as far as it goes; its size stays. Errors as of the first. */
static inline int struct_copy_out(void *ret_struct, const void *ours, size_t size, size_t first,
				  size_t *ret_size)
{
	int r = struct_size_check(ret_struct, first, ret_size);
	if (r == 0) {
		size_t both = *ret_size < size ? *ret_size : size;
		memcpy((char *)ret_struct + sizeof(size_t), (const char *)ours + sizeof(size_t),
		       both - sizeof(size_t));
	}
	return r;
}
