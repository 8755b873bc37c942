// SPDX-License-Identifier: MIT
#include "admin.h"

int verb_evict(const struct options *options)
{
	return admin_run_about(ADMIN_EVICT, "evict", options);
}
