// SPDX-License-Identifier: MIT
/* A request and its reply: the cheapest that a program waits for is the signal of a brokered timeline. */
#include "ours.h"

static int request_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, NULL, 0, &ours);
	if (r < 0) {
		return r;
	}
	if (fbk_timeline_create(ours->party.device, NULL, "bench", FBK_TIMELINE_BROKERED,
				&ours->party.mine) < 0) {
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
		r = party_signal(&ours->party, ++ours->meeting->value);
		uint64_t end = host_now();
		if (r == 0) {
			r = samples_add(samples, (double)(end - start));
		}
	}
	return r;
}

const struct side ours_request = { "signal of a brokered timeline", request_open, request_round,
				   ours_close };
