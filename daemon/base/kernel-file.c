// SPDX-License-Identifier: MIT
#include "kernel-file.h"

#include <fcntl.h>
#include <unistd.h>

bool kernel_file_read(const char *path, char *ret_text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, ret_text, size - 1);
	if (fd >= 0) {
		close(fd);
	}
	ret_text[length > 0 ? length : 0] = '\0';
	return length > 0;
}
