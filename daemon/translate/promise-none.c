// SPDX-License-Identifier: MIT
/* A build without promises: who asks for one is told, and so is an administrator who allows them. */
#include "promise.h"

#include <errno.h>
#include <stdio.h>

#include "client/include/fencebroker.h"
#include "daemon/base/log.h"
#include "provider.h"

void promises_prepare(struct translator *translator)
{
	if (policy_settings(translator->registry->policy)->promises) {
		log_warning(
			"policy sets `promises`, and this daemon makes none: they are a lab's "
			"tool, for builds with -DFBK_PROMISES=ON; the rest of the policy holds");
	}
}

int promises_work(struct translator *translator, char *detail)
{
	(void)translator;
	snprintf(detail, FBK_REASON_SIZE,
		 "this daemon makes no promises: they are a lab's tool, for builds with "
		 "-DFBK_PROMISES=ON");
	return -EOPNOTSUPP;
}

int promise_make(struct translator *translator, struct handle *handle, uint64_t value,
		 bool implicit, int *ret_fd, char *detail)
{
	(void)handle;
	(void)value;
	(void)implicit;
	(void)ret_fd;
	return promises_work(translator, detail);
}

/* The pool of vgem's objects, which is not there either. */

void vgem_let_go(struct translator *translator)
{
	(void)translator;
}

void vgem_finish(struct translator *translator)
{
	(void)translator;
}
