// SPDX-License-Identifier: MIT
#include "policy-source.h"

#include <errno.h>
#include <sys/stat.h>

#include "policy.h"

int policy_source_load(const struct policy_source *source, struct policy **ret_policy,
		       const char **ret_name, char *ret_error, size_t error_size)
{
	struct stat status;
	if (source->required || stat(source->path, &status) == 0 ||
	    (errno != ENOENT && errno != ENOTDIR)) {
		*ret_name = source->path;
		return policy_load_file(source->path, ret_policy, ret_error, error_size);
	}
	*ret_name = POLICY_BUILT_IN;
	return policy_load_string(POLICY_BUILT_IN, source->built_in, ret_policy, ret_error,
				  error_size);
}
