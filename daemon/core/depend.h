// SPDX-License-Identifier: MIT
/*
 * Waits that the daemon is told of, or finds: edges of the graph between timelines as they are now.
 * Loop's thread only.
 */
#pragma once

#include "registry.h"

/*
 * `point` is reached only after `on`. Looks at both timelines, which may complete or fail all that is
 * on them, and at those of a cycle before one is believed; and at what frames wait for that those who signal them
 * handed over (link-wait.h). Where `on` is reached there is nothing to wait for: 0, and no edge. `detail` is
 * FBK_REASON_SIZE.
 *   -EDEADLK   it would close a cycle: the detail names it    -EALREADY  `point` is reached
 *   -ELOOP     too many edges to look at                      -EDQUOT, -ENOMEM
 *   else       the error that one of them failed with
 */
int depend_add(struct registry *registry, struct graph_point point, struct graph_point on,
	       struct user *user, struct graph_edges *owner, char *detail);
