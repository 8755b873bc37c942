// SPDX-License-Identifier: MIT
/*
 * The graph of declared waits. There are 64 timelines; point n of each waits for point n of the next. One
 * side declares 10,000 of these waits beforehand, the other none. What is measured is to declare that a
 * point of one more timeline waits for one of these points; the point is then signalled, which removes
 * the edge.
 */
#include <stdlib.h>
#include <unistd.h>

#include "ours.h"

#define TIMELINES 64
#define EDGES     10000
#define AHEAD     ((EDGES + TIMELINES - 2) / (TIMELINES - 1)) /* points per timeline */

struct line {
	struct fbk_timeline *timelines[TIMELINES];
};

static int depends(struct fbk_timeline *timeline, uint64_t value, struct fbk_timeline *on,
		   uint64_t on_value)
{
	return fbk_point_depends((struct fbk_point){ timeline, value },
				 (struct fbk_point){ on, on_value }) < 0
		       ? ours_fail("declaring a wait")
		       : 0;
}

static int line_create(struct ours *ours, unsigned int edges)
{
	struct line *line = calloc(1, sizeof(*line));
	struct fbk_device *device = ours->party.device;
	if (!line) {
		return bench_fail("no memory");
	}
	ours->more = line;
	for (unsigned int i = 0; i < TIMELINES; i++) {
		if (fbk_timeline_create(device, NULL, "line", 0, &line->timelines[i]) < 0) {
			return ours_fail("making a timeline");
		}
	}
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < edges; i++) {
		struct fbk_timeline **at = &line->timelines[i % (TIMELINES - 1)];
		uint64_t value = 1 + i / (TIMELINES - 1);
		r = depends(at[0], value, at[1], value);
	}
	return r;
}

static int edges_open(const struct row *row, const struct daemon_setup *setup, unsigned int edges,
		      void **ret_state)
{
	struct ours *ours;
	const char *why = "";
	int r = ours_open(row, setup, NULL, 0, &ours);
	if (r < 0) {
		return r;
	}
	if (setup && !fbk_feature(ours->party.context, FBK_FEATURE_PROMISE, &why)) {
		ours_close(ours);
		return bench_skip("nothing here makes promises: %s", why);
	}
	if (fbk_timeline_create(ours->party.device, NULL, "bench", 0, &ours->party.mine) < 0) {
		r = ours_fail("making a timeline");
	}
	if (r == 0) {
		r = line_create(ours, edges);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int edges_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	const struct line *line = ours->more;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t value = ++ours->meeting->value;
		struct fbk_timeline *on = line->timelines[value % TIMELINES];
		uint64_t start = host_now();
		r = depends(ours->party.mine, value, on, 1 + value % AHEAD);
		uint64_t end = host_now();
		if (r == 0) {
			r = samples_add(samples, (double)(end - start));
		}
		if (r == 0) {
			r = party_signal(&ours->party, value); /* removes the edge */
		}
	}
	return r;
}

static int edges_many_open(const struct row *row, void **ret_state)
{
	return edges_open(row, NULL, EDGES, ret_state);
}

static int edges_none_open(const struct row *row, void **ret_state)
{
	return edges_open(row, NULL, 0, ret_state);
}

const struct side ours_edges_many = { "fbk_point_depends, one of 10,000", edges_many_open,
				      edges_round, ours_close };
const struct side ours_edges_none = { "fbk_point_depends, the only one", edges_none_open,
				      edges_round, ours_close };

/* ------------------------------------------------------------------------------------- promises --- */

static const struct daemon_setup promising = {
	.policy = "version = 1;\n"
		  "settings: { promises = true; };\n"
		  "limits: { page_bytes = 1073741824; };\n"
		  "rules: ( { user = \"*\"; connect = true; register = true; promise = true;\n"
		  "  class = \"*\"; } );\n",
};

static int promise_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		struct fbk_point point = { ours->party.mine, ++ours->meeting->value };
		int fence;
		uint64_t start = host_now();
		if (fbk_point_promise(point, &fence) < 0) {
			return ours_fail("promising");
		}
		uint64_t end = host_now();
		close(fence);
		r = samples_add(samples, (double)(end - start));
		if (r == 0) {
			r = party_signal(&ours->party, point.value);
		}
	}
	return r;
}

static int promise_many_open(const struct row *row, void **ret_state)
{
	return edges_open(row, &promising, EDGES, ret_state);
}

static int promise_none_open(const struct row *row, void **ret_state)
{
	return edges_open(row, &promising, 0, ret_state);
}

const struct side ours_promise_many = { "fbk_point_promise, 10,000 waits declared",
					promise_many_open, promise_round, ours_close };
const struct side ours_promise_none = { "fbk_point_promise, none declared", promise_none_open,
					promise_round, ours_close };
