// SPDX-License-Identifier: MIT
#include "flushing.h"

#include <errno.h>
#include <stddef.h>

#include "error.h"

static _Thread_local const struct flushing *scope;

const struct flushing *scope_enter(const struct flushing *flushing)
{
	const struct flushing *before = scope;
	scope = flushing;
	return before;
}

bool scope_is_flushing(void)
{
	return scope && flushing_is_on(scope);
}

int flushing_error(void)
{
	return error_set(-ECANCELED, "flushing: see fbk_context_set_flushing()");
}
