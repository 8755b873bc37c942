// SPDX-License-Identifier: MIT
/* A request and its reply: the cheapest that a program waits for is a dependency on a point that is reached. */
#include "ours.h"

static int request_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, NULL, 0, &ours);
	if (r < 0) {
		return r;
	}
	if (fbk_timeline_create(ours->party.device, NULL, "bench", FBK_TIMELINE_BROKERED,
				&ours->party.mine) < 0 ||
	    fbk_timeline_signal(ours->party.mine, 1) < 0) {
		r = ours_fail("making a timeline");
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int request_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = fbk_point_depends((struct fbk_point){ ours->party.mine, 2 },
				      (struct fbk_point){ ours->party.mine, 1 });
		uint64_t end = host_now();
		r = r < 0 ? ours_fail("declaring a dependency") : 0;
		if (r == 0) {
			r = samples_add(samples, (double)(end - start));
		}
	}
	return r;
}

const struct side ours_request = { "dependency on a reached point", request_open, request_round,
				   ours_close };
