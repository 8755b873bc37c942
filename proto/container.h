// SPDX-License-Identifier: MIT
/* From a member to what embeds it. */
#pragma once

#include <stddef.h>

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))
