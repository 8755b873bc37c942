// SPDX-License-Identifier: MIT
#include "policy-source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy-files.h"
#include "policy-rule.h"

static struct policy_files *files_create(char *ret_error, size_t error_size)
{
	struct policy_files *files = calloc(1, sizeof(*files));
	if (!files) {
		snprintf(ret_error, error_size, "%s", strerror(ENOMEM));
	}
	return files;
}

static void files_destroy(struct policy_files *files)
{
	policy_files_clear(files);
	free(files);
}

static int files_load(const struct policy_source *source, bool keep, struct policy **ret_policy,
		      char *ret_error, size_t error_size)
{
	struct policy *policy;
	struct policy_files *files = files_create(ret_error, error_size);
	if (!files) {
		return -ENOMEM;
	}
	int r = policy_files_collect(files, source, ret_error, error_size);
	if (r == 0) {
		r = policy_load_parts(files->parts, files->count, &policy, ret_error, error_size);
	}
	if (r == 0) {
		policy->keep_error =
			keep && source->state ? policy_files_keep(files, source->state) : 0;
		*ret_policy = policy;
	}
	files_destroy(files);
	return r;
}

int policy_source_load(const struct policy_source *source, struct policy **ret_policy,
		       char *ret_error, size_t error_size)
{
	return files_load(source, true, ret_policy, ret_error, error_size);
}

int policy_source_check(const struct policy_source *source, struct policy **ret_policy,
			char *ret_error, size_t error_size)
{
	return files_load(source, false, ret_policy, ret_error, error_size);
}

/* It was good once, but users may be gone since. */
static int last_good_load(const struct policy_source *source, struct policy **ret_policy)
{
	char error[512];
	struct policy_files *files = source->state ? files_create(error, sizeof(error)) : NULL;
	if (!files) {
		return -ENOENT;
	}
	int r = policy_files_recall(files, source);
	if (r == 0) {
		r = policy_load_parts(files->parts, files->count, ret_policy, error, sizeof(error));
	}
	if (r == 0) {
		(*ret_policy)->name = POLICY_LAST_GOOD;
	}
	files_destroy(files);
	return r;
}

int policy_source_start(const struct policy_source *source, struct policy **ret_policy,
			char *ret_error, size_t error_size)
{
	char error[512];
	int r = policy_source_load(source, ret_policy, ret_error, error_size);
	if (r == 0) {
		ret_error[0] = '\0';
		return 0;
	}
	if (source->alone || last_good_load(source, ret_policy) == 0) {
		return source->alone ? r : 0;
	}
	return policy_load_string(POLICY_BUILT_IN, source->built_in, ret_policy, error,
				  sizeof(error));
}
