// SPDX-License-Identifier: MIT
#include "vulkan.h"

#include <assert.h>

#include "client/lib/struct-copy.h"

static_assert(sizeof(struct fbk_vk_handles) >= VK_FIRST_HANDLES &&
		      sizeof(struct fbk_vk_choice) >= VK_FIRST_CHOICE &&
		      sizeof(struct fbk_vk_memory) >= VK_FIRST_MEMORY,
	      "they only grow");
static_assert(sizeof(struct fbk_vk_buffer) == 16 && offsetof(struct fbk_vk_buffer, memory) == 8,
	      "it never changes");

static int size_wrong(int error, size_t size)
{
	return vk_error_set(error,
			    "struct_size is %zu: set it to sizeof(struct), and the tail that this "
			    "library does not know to zeros",
			    size);
}

int vk_struct_read(void *ret_struct, size_t size, size_t first, const void *given)
{
	size_t theirs;
	int r = struct_copy_in(ret_struct, size, first, given, &theirs);
	return r < 0 ? size_wrong(r, theirs) : 0;
}

int vk_struct_fill(void *ret_struct, const void *ours, size_t size, size_t first)
{
	size_t theirs;
	int r = struct_copy_out(ret_struct, ours, size, first, &theirs);
	return r < 0 ? size_wrong(r, theirs) : 0;
}
