// SPDX-License-Identifier: MIT
/*
 * Requests. The cheapest that is waited for is the signal of a brokered timeline. What is not waited
 * for, so that many are under way, are watches: 32 points are watched, the last of them is signalled, and
 * all call back.
 */
#include <poll.h>

#include "ours.h"
#include "raw.h"

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

/* ------------------------------------------------------------------------------ 32 at a time -- */

static void watch_told(void *arg, struct fbk_point point, int result)
{
	unsigned int *told = arg;
	(void)point;
	*told += result == 0;
}

static int pipeline_turn(struct ours *ours)
{
	struct party *party = &ours->party;
	struct pollfd polled = { .fd = fbk_context_fd(party->context), .events = POLLIN };
	unsigned int told = 0;
	for (unsigned int i = 0; i < PIPELINE_DEPTH; i++) {
		struct fbk_point point = { party->mine, ++ours->meeting->value };
		if (fbk_point_watch(point, UINT64_MAX, watch_told, &told, NULL) < 0) {
			return ours_fail("watching");
		}
	}
	int r = party_signal(party, ours->meeting->value);
	while (r >= 0 && told < PIPELINE_DEPTH) {
		poll(&polled, 1, -1);
		r = fbk_dispatch(party->context);
	}
	return r < 0 ? ours_fail("dispatching") : 0;
}

static int pipeline_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, NULL, 0, &ours);
	if (r < 0) {
		return r;
	}
	if (fbk_timeline_create(ours->party.device, NULL, "bench", 0, &ours->party.mine) < 0) {
		r = ours_fail("making a timeline");
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int pipeline_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	unsigned int batch = ours->row->batch;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		for (unsigned int done = 0; r == 0 && done < batch; done += PIPELINE_DEPTH) {
			r = pipeline_turn(ours);
		}
		double seconds = (double)(host_now() - start) / 1e9;
		r = r == 0 ? samples_add(samples, batch / seconds) : r;
	}
	return r;
}

const struct side ours_pipeline = { "watches, called back", pipeline_open, pipeline_round,
				    ours_close };
