// SPDX-License-Identifier: MIT
#include <errno.h>

#include "internal.h"
#include "request.h"

int fbk_point_depends(struct fbk_point point, struct fbk_point on)
{
	Fbk__Wire__PointDepends body = FBK__WIRE__POINT_DEPENDS__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point waits for nothing");
	}
	if (!on.timeline) {
		return 0; /* it is reached */
	}
	if (point.timeline->context != on.timeline->context) {
		return error_set(-EINVAL, "the two points belong to different contexts");
	}
	body.handle = point.timeline->handle;
	body.value = point.value;
	body.on_handle = on.timeline->handle;
	body.on_value = on.value;
	request.body_case = FBK__WIRE__REQUEST__BODY_POINT_DEPENDS;
	request.point_depends = &body;
	return request_do(point.timeline->context, &request);
}
