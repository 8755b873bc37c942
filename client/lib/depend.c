// SPDX-License-Identifier: MIT
#include <errno.h>

#include "context.h"
#include "error.h"
#include "request.h"
#include "timeline.h"

int fbk_point_depends(struct fbk_point point, struct fbk_point on)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point waits for nothing");
	}
	if (!on.timeline) {
		return 0; /* it is reached */
	}
	if (point.timeline->context != on.timeline->context) {
		return error_set(-EINVAL, "the two points belong to different contexts");
	}
	REQUEST(request, POINT_DEPENDS, point_depends, .handle = point.timeline->handle,
		.value = point.value, .on_handle = on.timeline->handle, .on_value = on.value);
	return request_do(point.timeline->context, &request);
}
