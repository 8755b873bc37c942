// SPDX-License-Identifier: MIT
/* Structs of the program's that begin with their size, and may be of another version. Any thread. */
#pragma once

#include <stddef.h>

/* Copy one of `size` bytes in this version, zeros behind what the program's has; NULL gives zeros. -EINVAL: it is
 * smaller than the first version; -E2BIG: it says something that this version does not know. */
int struct_read(void *ret_struct, size_t size, size_t first, const void *given);

/* Fill in one of theirs, which begins with its size, from ours of `size` bytes; -EINVAL as above. */
int struct_fill(void *ret_struct, const void *ours, size_t size, size_t first);
