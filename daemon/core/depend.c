// SPDX-License-Identifier: MIT
#include "depend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "link-wait.h"
#include "timeline.h"

#define TRIES_MAX 16

static void point_look(const struct graph_point *point)
{
	timeline_refresh(point->timeline);
}

static int point_state(const struct graph_point *point)
{
	return timeline_point_state(point->timeline, point->value);
}

/* Points in memory may be reached while the daemon does not know: a look then removes their edges. */
static bool cycle_is_over(struct registry *registry, const struct graph_cycle *cycle)
{
	size_t edges = registry->graph.edge_count;
	for (unsigned int i = 0; i < cycle->count; i++) {
		point_look(&cycle->points[i]);
	}
	return registry->graph.edge_count != edges;
}

/* "a.3 waits for b.2, which waits for a.3", as far as there is room. */
static void cycle_describe(const struct graph_cycle *cycle, char *detail)
{
	static const char rest[] = ", and so on";
	size_t used = 0;
	for (unsigned int i = 0; i <= cycle->count; i++) {
		char text[128] = "";
		bool last = i == cycle->count;
		if (!last) {
			snprintf(text, sizeof(text), "%s%s.%llu",
				 i == 0   ? ""
				 : i == 1 ? " waits for "
					  : ", which waits for ",
				 cycle->points[i].timeline->name,
				 (unsigned long long)cycle->points[i].value);
		} else if (cycle->more) {
			snprintf(text, sizeof(text), "%s", rest);
		}
		size_t length = strlen(text);
		size_t kept = i + 1 < cycle->count || (i + 1 == cycle->count && cycle->more)
				      ? sizeof(rest)
				      : 1;
		if (used + length + kept > FBK_REASON_SIZE) {
			snprintf(detail + used, FBK_REASON_SIZE - used, "%s", rest);
			return;
		}
		memcpy(detail + used, text, length + 1);
		used += length;
	}
}

static int point_explain(const struct graph_point *point, int state, char *detail)
{
	if (state < 0) {
		snprintf(detail, FBK_REASON_SIZE, "%s", timeline_reason(point->timeline));
		return state;
	}
	snprintf(detail, FBK_REASON_SIZE, "%s.%llu is reached already: it waits for nothing more",
		 point->timeline->name, (unsigned long long)point->value);
	return -EALREADY;
}

static int depend_try(struct registry *registry, struct graph_point point, struct graph_point on,
		      struct user *user, struct graph_edges *owner, char *detail)
{
	struct graph_cycle cycle;
	int r = -EDEADLK;
	for (int i = 0; r == -EDEADLK && i < TRIES_MAX; i++) {
		point_look(&on);
		point_look(&point);
		if (point_state(&point) != -EAGAIN) {
			return point_explain(&point, point_state(&point), detail);
		}
		if (point_state(&on) != -EAGAIN) {
			return point_state(&on) < 0 ? point_explain(&on, point_state(&on), detail)
						    : 0;
		}
		r = graph_add(&registry->graph, point, on, user, owner, &cycle);
		if (r == -EDEADLK && !cycle_is_over(registry, &cycle)) {
			break;
		}
	}
	if (r == -EDEADLK) {
		registry->counters.cycles_refused++;
		cycle_describe(&cycle, detail);
	} else if (r == -ELOOP) {
		snprintf(detail, FBK_REASON_SIZE,
			 "more than %u waits would have to be looked at to tell that %s.%llu does "
			 "not wait for itself",
			 registry->graph.search_max, point.timeline->name,
			 (unsigned long long)point.value);
	}
	return r;
}

int depend_add(struct registry *registry, struct graph_point point, struct graph_point on,
	       struct user *user, struct graph_edges *owner, char *detail)
{
	struct graph_edges waits = { 0 };
	link_waits(registry, point.timeline, on.timeline, user, &waits);
	int r = depend_try(registry, point, on, user, owner, detail);
	graph_drop(&registry->graph, &waits);
	return r;
}
