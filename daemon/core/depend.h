// SPDX-License-Identifier: MIT
/*
 * Waits of one point for another, declared by clients or found by the daemon: adds them to the graph after a look at
 * the timelines. Loop's thread only.
 */
#pragma once

#include "registry.h"

/*
 * Add: `point` is reached only after `on`. Looks at both timelines, which may complete or fail everything on them. The
 * search includes the waits of frames on the links of both signalers (link-wait.h). Before a cycle counts, each of its
 * timelines is looked at. If `on` is reached already: 0, and no edge. `detail` is FBK_REASON_SIZE.
 *   -EDEADLK   it would close a cycle, which `detail` names   -EALREADY  `point` is reached
 *   -ELOOP     too many edges to look at                      -EDQUOT, -ENOMEM
 *   else       the error that one of the timelines failed with
 */
int depend_add(struct registry *registry, struct graph_point point, struct graph_point on,
	       struct user *user, struct graph_edges *owner, char *detail);
