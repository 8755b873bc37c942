// SPDX-License-Identifier: MIT
/* Points that follow kernel fences. */
#pragma once

#include "fencebroker.h"
#include "outbox.h"

/* fbk_point_signal_on_all() of a timeline, with fences that stay the caller's; `sent` and the result as in
 * request_quiet(). */
int signal_on(struct fbk_point point, const struct packet *fences);
