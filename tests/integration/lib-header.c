// SPDX-License-Identifier: MIT
#include "lib-header.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void header_functions(const char *header, void (*fn)(const char *function, bool returns_int))
{
	char path[512], text[512], function[128];
	snprintf(path, sizeof(path), "%s/client/include/%s", getenv("FBK_SOURCE_DIR"), header);
	FILE *file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s", path);
	while (fgets(text, sizeof(text), file)) {
		const char *name = strstr(text, "fbk_");
		const char *paren = strchr(text, '(');
		while (name && paren && sscanf(name, "%127[a-z0-9_]", function) == 1 &&
		       name + strlen(function) != paren) {
			name = strstr(name + 1, "fbk_");
		}
		if (name && paren && !strchr(" \t*/#", text[0]) &&
		    strncmp(text, "typedef", 7) != 0) {
			fn(function, strncmp(text, "int ", 4) == 0);
		}
	}
	fclose(file);
}
