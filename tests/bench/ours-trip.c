// SPDX-License-Identifier: MIT
/* Round trips between two processes. */
#include <errno.h>
#include <stdlib.h>

#include "ours.h"
#include "raw.h"

static int trip_open(const struct row *row, member_fn *fn, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, fn, 1, &ours);
	if (r < 0) {
		return r;
	}
	r = party_swap(&ours->party, ours->partners[0].socket);
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	ours->half.signal = party_signal;
	ours->half.wait = party_wait;
	*ret_state = ours;
	return 0;
}

/* ---------------------------------------------------------------------- answering at once ---- */

static int spin_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	uint64_t trips;
	uint64_t value = 0;
	int r = party_join(&party, &ours->daemon, "partner");
	if (r == 0) {
		r = party_swap(&party, socket);
	}
	while (r == 0 && (r = note_await(socket, &trips)) == 0) {
		for (; r == 0 && trips > 0; trips--) {
			struct fbk_point point = { party.theirs, ++value };
			r = fbk_point_wait(point, FBK_DEADLINE_MAX);
			if (r == 0) {
				r = fbk_timeline_signal(party.mine, value);
			}
		}
	}
	return r;
}

static int spin_open(const struct row *row, void **ret_state)
{
	if (host_cpus() < 2) {
		return bench_skip("two that spin need two CPUs");
	}
	return trip_open(row, spin_partner, ret_state);
}

static int spin_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	struct party *party = &ours->party;
	unsigned int batch = ours->row->batch;
	uint64_t value = ours->meeting->value;
	int r = note_send(ours->partners[0].socket, (uint64_t)(count + 1) * batch, -1);
	for (unsigned int i = 0; r == 0 && i < count + 1; i++) {
		uint64_t start = host_now();
		for (unsigned int j = 0; j < batch; j++) {
			struct fbk_point point = { party->theirs, ++value };
			if (fbk_timeline_signal(party->mine, value) < 0 ||
			    fbk_point_wait(point, FBK_DEADLINE_MAX) < 0) {
				return ours_fail("a round trip");
			}
		}
		uint64_t end = host_now();
		if (i > 0) { /* the first trip only wakes the partner */
			r = samples_add(samples, (double)(end - start) / batch);
		}
	}
	ours->meeting->value = value;
	return r;
}

const struct side ours_spin_trip = { "signal and wait, spinning", spin_open, spin_round,
				     ours_close };

/* ------------------------------------------------------------------------------- thinking ---- */

static int think_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	struct half half = { .arg = &party, .signal = party_signal, .wait = party_wait };
	int r = party_join(&party, &ours->daemon, "partner");
	if (r == 0) {
		r = party_swap(&party, socket);
	}
	return r < 0 ? r : trip_follow(socket, ours->meeting, &half, ours->row->think_ns);
}

static int think_open(const struct row *row, void **ret_state)
{
	return trip_open(row, think_partner, ret_state);
}

static int think_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return trip_lead(ours->partners[0].socket, ours->meeting, &ours->half, count,
			 ours->row->think_ns, false, samples);
}

static int sleep_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return trip_lead(ours->partners[0].socket, ours->meeting, &ours->half, count,
			 ours->row->think_ns, true, samples);
}

const struct side ours_trip = { "signal and wait", think_open, think_round, ours_close };
const struct side ours_sleep_trip = { "signal and wait, sleeping", think_open, sleep_round,
				      ours_close };

/* ------------------------------------------------------------------------------- any of 64 --- */

/* The partner's timelines; value n is signalled on timeline n % 64. */
struct many {
	struct party *party;
	struct fbk_timeline *timelines[WAIT_ANY_COUNT];
	uint64_t values[WAIT_ANY_COUNT];
};

static int any_wait(void *arg, uint64_t value)
{
	struct many *many = arg;
	struct fbk_point points[WAIT_ANY_COUNT];
	size_t index;
	for (size_t i = 0; i < WAIT_ANY_COUNT; i++) {
		points[i] = (struct fbk_point){ many->timelines[i], many->values[i] + 1 };
	}
	if (fbk_point_wait_any(points, WAIT_ANY_COUNT, FBK_DEADLINE_MAX, &index) < 0) {
		return ours_fail("waiting for any");
	}
	if (index != value % WAIT_ANY_COUNT) {
		return bench_fail("the wrong one of many points was reached");
	}
	many->values[index]++;
	return 0;
}

static int many_signal(void *arg, uint64_t value)
{
	struct many *many = arg;
	size_t index = value % WAIT_ANY_COUNT;
	return fbk_timeline_signal(many->timelines[index], ++many->values[index]) < 0
		       ? ours_fail("signalling")
		       : 0;
}

static int many_forth_wait(void *arg, uint64_t value)
{
	return party_wait(((struct many *)arg)->party, value);
}

static int many_forth_signal(void *arg, uint64_t value)
{
	return party_signal(((struct many *)arg)->party, value);
}

static int many_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	struct many many = { .party = &party };
	struct half half = { .arg = &many, .signal = many_signal, .wait = many_forth_wait };
	int r = party_join(&party, &ours->daemon, "partner");
	if (r == 0) {
		r = party_receive(&party, socket, &party.theirs);
	}
	for (size_t i = 0; r == 0 && i < WAIT_ANY_COUNT; i++) {
		if (fbk_timeline_create(party.device, NULL, "bench", 0, &many.timelines[i]) < 0) {
			return ours_fail("making a timeline");
		}
		r = party_send(many.timelines[i], socket);
	}
	return r < 0 ? r : trip_follow(socket, ours->meeting, &half, ours->row->think_ns);
}

static int many_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, many_partner, 1, &ours);
	if (r < 0) {
		return r;
	}
	struct party *party = &ours->party;
	struct many *many = ours->more = calloc(1, sizeof(*many));
	if (!many) {
		r = bench_fail("no memory");
	} else if (fbk_timeline_create(party->device, NULL, "bench", 0, &party->mine) < 0) {
		r = ours_fail("making a timeline");
	}
	if (r == 0) {
		r = party_send(party->mine, ours->partners[0].socket);
	}
	for (size_t i = 0; r == 0 && i < WAIT_ANY_COUNT; i++) {
		r = party_receive(party, ours->partners[0].socket, &many->timelines[i]);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	many->party = party;
	ours->half = (struct half){ .arg = many, .signal = many_forth_signal, .wait = any_wait };
	*ret_state = ours;
	return 0;
}

const struct side ours_wait_any = { "fbk_point_wait_any", many_open, sleep_round, ours_close };
