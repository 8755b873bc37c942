// SPDX-License-Identifier: MIT
#include <CL/cl_ext.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "opencl.h"

static _Thread_local char detail[8 * FBK_REASON_SIZE];

int cl_error_set(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return error;
}

int cl_error_core(int error)
{
	return cl_error_set(error, "%s", fbk_error_detail());
}

const char *fbk_cl_error_detail(void)
{
	return detail;
}

#define R(result, error)               \
	{                              \
		result, #result, error \
	}
static const struct {
	cl_int result;
	const char *name;
	int error;
} results[] = {
	R(CL_PLATFORM_NOT_FOUND_KHR, -ENOENT),
	R(CL_DEVICE_NOT_FOUND, -ENOENT),
	R(CL_DEVICE_NOT_AVAILABLE, -EIO),
	R(CL_COMPILER_NOT_AVAILABLE, -EOPNOTSUPP),
	R(CL_MEM_OBJECT_ALLOCATION_FAILURE, -ENOMEM),
	R(CL_OUT_OF_RESOURCES, -EIO), /* a lost device reports it too */
	R(CL_OUT_OF_HOST_MEMORY, -ENOMEM),
	R(CL_BUILD_PROGRAM_FAILURE, -EOPNOTSUPP),
	R(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, -EIO),
	R(CL_INVALID_VALUE, -EINVAL),
	R(CL_INVALID_DEVICE, -EINVAL),
	R(CL_INVALID_CONTEXT, -EINVAL),
	R(CL_INVALID_COMMAND_QUEUE, -EINVAL),
	R(CL_INVALID_HOST_PTR, -EOPNOTSUPP),
	R(CL_INVALID_EVENT_WAIT_LIST, -EINVAL),
	R(CL_INVALID_OPERATION, -EOPNOTSUPP),
	R(CL_INVALID_BUFFER_SIZE, -EOPNOTSUPP),
};

int cl_error_result(cl_int result, const char *what)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		if (results[i].result == result) {
			return cl_error_set(results[i].error, "%s: %s", what, results[i].name);
		}
	}
	return cl_error_set(-EIO, "%s: OpenCL error %d", what, result);
}
