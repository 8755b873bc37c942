// SPDX-License-Identifier: MIT
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fencebroker.h"
#include "proto/wire.h"

static _Thread_local char detail[2 * FBK_REASON_SIZE];

int error_set(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return error;
}

int error_plain(int error)
{
	return error_set(error, "%s", strerrordesc_np(-error));
}

const char *fbk_error_detail(void)
{
	return detail;
}
