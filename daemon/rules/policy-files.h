// SPDX-License-Identifier: MIT
/*
 * The text of the files that a policy is read from: found in their directories, or in the one file in which the daemon keeps
 * those of the last good policy. Any thread, one at a time.
 */
#pragma once

#include <stddef.h>

#include "policy-paths.h"
#include "policy.h"

#define POLICY_FILE_MAX  (256 * 1024)  /* bytes of a file */
#define POLICY_TOTAL_MAX (1024 * 1024) /* bytes of all of them, with their names */
#define POLICY_FILES_MAX 256

/* All zero: none. */
struct policy_files {
	struct policy_part parts[POLICY_FILES_MAX + 1];
	size_t count;
	size_t total; /* bytes */
};

/* The text of a regular file, to be freed. 0, or a negative errno with a message. */
int policy_file_read(const char *path, char **ret_text, char *ret_error, size_t error_size);

/* Find and read them. 0, or a negative errno with a message; either way policy_files_clear(). */
int policy_files_collect(struct policy_files *files, const struct policy_source *source,
			 char *ret_error, size_t error_size);

/* Keep their text in that directory, at once or not at all. 0 or a negative errno. */
int policy_files_keep(const struct policy_files *files, const char *directory);

/* What was kept there. 0, or with none: -ENOENT, -EBADMSG: the file is damaged, or another errno. */
int policy_files_recall(struct policy_files *files, const struct policy_source *source);

void policy_files_clear(struct policy_files *files);
