// SPDX-License-Identifier: MIT
#include "proc-stat.h"

#include <stdio.h>
#include <string.h>

char proc_state(pid_t task)
{
	char path[32], line[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", task);
	FILE *file = fopen(path, "re");
	if (!file) {
		return 0;
	}
	size_t size = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[size] = '\0';
	const char *end = strrchr(line, ')'); /* of its name, which may hold anything */
	return end && end[1] == ' ' ? end[2] : 0;
}
