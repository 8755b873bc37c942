// SPDX-License-Identifier: MIT
#include "struct-size.h"

#include <errno.h>
#include <string.h>

#include "client/lib/error.h"

/* No version will be longer: what says so was not set, and its tail is not there to be read. */
#define STRUCT_SIZE_MAX 4096

int struct_check_out(size_t size, size_t first)
{
	return size >= first
		       ? 0
		       : error_set(-EINVAL, "struct_size is %zu: set it to sizeof(struct)", size);
}

int struct_read(void *ret_struct, size_t size, size_t first, const void *given)
{
	size_t theirs = 0;
	if (given) {
		memcpy(&theirs, given, sizeof(theirs));
		int r = struct_check_out(theirs, first);
		if (r < 0) {
			return r;
		}
	}
	if (theirs > STRUCT_SIZE_MAX) {
		return error_set(-E2BIG, "struct_size is %zu: set it to sizeof(struct)", theirs);
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
