// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "admin.h"

int verb_reload(const struct options *options)
{
	const struct admin_request request = { .what = ADMIN_RELOAD, .reason = "" };
	if (options->dry_run) {
		fputs("fencectl: reload: `fencebrokerd --policy FILE --check-policy` checks a "
		      "policy\n",
		      stderr);
		return EXIT_USAGE;
	}
	return admin_run(&request, "reload", options);
}
