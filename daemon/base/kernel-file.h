// SPDX-License-Identifier: MIT
/* Small files of the kernel's, in /proc and /sys. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The begin of it, always terminated; false, and "", when it can't be read. */
bool kernel_file_read(const char *path, char *ret_text, size_t size);
