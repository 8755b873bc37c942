// SPDX-License-Identifier: MIT
#include "admin.h"

int verb_fail(const struct options *options)
{
	return admin_run_about(ADMIN_FAIL, "fail", options);
}
