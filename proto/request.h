// SPDX-License-Identifier: MIT
/* A request in one line, for whoever makes one. */
#pragma once

#include "proto/fencebroker.pb-c.h"

/*
 * Declare `request` with a body of the field `member`, which is the lower-case name of BODY, and set the
 * fields of the body that follow: REQUEST(request, TIMELINE_CLOSE, timeline_close, .handle = 1).
 * Fields that are not set are zero; the body lives as long as the block.
 */
#define REQUEST(request, BODY, member, ...)                                       \
	Fbk__Wire__Request request = {                                            \
		.base = PROTOBUF_C_MESSAGE_INIT(&fbk__wire__request__descriptor), \
		.body_case = FBK__WIRE__REQUEST__BODY_##BODY,                     \
		.member =                                                         \
			&(__typeof__(*((Fbk__Wire__Request *)NULL)->member)){     \
				.base = PROTOBUF_C_MESSAGE_INIT(                  \
					&fbk__wire__##member##__descriptor),      \
				__VA_ARGS__ },                                    \
	}
