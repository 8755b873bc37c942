// SPDX-License-Identifier: MIT
#include "struct-size.h"

#include <errno.h>
#include <string.h>

#include "error.h"

/* No version will be longer: what says so was not set, and its tail is not there to be read. */
#define STRUCT_SIZE_MAX 4096

static int size_check(const void *given, size_t first, size_t *ret_size)
{
	memcpy(ret_size, given, sizeof(*ret_size));
	return *ret_size >= first && *ret_size <= STRUCT_SIZE_MAX
		       ? 0
		       : error_set(*ret_size < first ? -EINVAL : -E2BIG,
				   "struct_size is %zu: set it to sizeof(struct)", *ret_size);
}

int struct_read(void *ret_struct, size_t size, size_t first, const void *given)
{
	size_t theirs = 0;
	if (given) {
		int r = size_check(given, first, &theirs);
		if (r < 0) {
			return r;
		}
	}
	for (size_t i = size; i < theirs; i++) {
		if (((const char *)given)[i] != 0) {
			return error_set(-E2BIG, "the struct says more than this library knows");
		}
	}
	memset(ret_struct, 0, size);
	if (given) {
		memcpy(ret_struct, given, theirs < size ? theirs : size);
	}
	return 0;
}

int struct_fill(void *ret_struct, const void *ours, size_t size, size_t first)
{
	size_t theirs;
	int r = size_check(ret_struct, first, &theirs);
	if (r < 0) {
		return r;
	}
	size_t both = theirs < size ? theirs : size;
	memcpy((char *)ret_struct + sizeof(theirs), (const char *)ours + sizeof(theirs),
	       both - sizeof(theirs));
	return 0;
}
