// SPDX-License-Identifier: MIT
/*
 * Errors of others. An owner fails a timeline with any errno, and a kernel fence may carry any. Those that the library
 * itself uses ("not yet", "the deadline passed", "the daemon is gone") would say something else where they come out of a
 * call. Page and infos keep the original.
 */
#pragma once

#include <errno.h>

/* What a call returns for it. */
static inline int error_foreign(int error)
{
	switch (error) {
	case -EAGAIN:
	case -ETIMEDOUT:
	case -ENOTCONN:
	case -EBADF:
	case -EALREADY:
	case -ECANCELED:
		return -EREMOTEIO;
	default:
		return error;
	}
}
