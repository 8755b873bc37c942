// SPDX-License-Identifier: MIT
/* Signals and checks while nobody sleeps; signals while eight sleep. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "ours.h"

#define FAR           (UINT64_C(1) << 40) /* a point that is never reached */
#define PAIR_SLEEPS   4     /* sleeping waits after which a waiter has its cell in the pair page */
#define PAIR_PATIENCE 10000 /* ms */

/* Signals every 2 ms until each partner has reported that it slept PAIR_SLEEPS times. */
static int partners_sleep(struct ours *ours)
{
	uint64_t end = host_now() + PAIR_PATIENCE * UINT64_C(1000000);
	for (unsigned int i = 0; i < ours->partner_count; i++) {
		struct pollfd entry = { .fd = ours->partners[i].socket, .events = POLLIN };
		while (poll(&entry, 1, 2) == 0) {
			int r = party_signal(&ours->party, ++ours->meeting->value);
			if (r < 0) {
				return r;
			}
			if (host_now() > end) {
				return bench_fail("a waiter does not come to sleep");
			}
		}
		int r = note_receive(entry.fd, NULL, NULL);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int sleeper_join(struct party *party, const struct ours *ours, int socket)
{
	int r = party_join(party, &ours->daemon, "waiter");
	return r < 0 ? r : party_receive(party, socket, &party->theirs);
}

static int sleeper_sleep(struct party *party, int socket)
{
	for (unsigned int slept = 0; slept < PAIR_SLEEPS;) {
		long before = host_sleeps();
		int r = party_wait(party, fbk_timeline_value(party->theirs) + 1);
		if (r < 0) {
			return r;
		}
		slept += host_sleeps() > before;
	}
	return note_send(socket, 0, -1);
}

static int signal_partner(int socket, void *arg)
{
	struct party party;
	int r = sleeper_join(&party, arg, socket);
	if (r == 0) {
		r = sleeper_sleep(&party, socket);
	}
	return r < 0 ? r : note_await(socket, NULL); /* stay connected, without a wait */
}

static int signal_open_with(const struct row *row, member_fn *fn, struct ours **ret_ours)
{
	struct ours *ours;
	int r = ours_open(row, NULL, fn, row->pairs, &ours);
	if (r < 0) {
		return r;
	}
	struct party *party = &ours->party;
	if (fbk_timeline_create(party->device, NULL, "bench", 0, &party->mine) < 0) {
		r = ours_fail("making a timeline");
	}
	for (unsigned int i = 0; r == 0 && i < row->pairs; i++) {
		r = party_send(party->mine, ours->partners[i].socket);
	}
	if (r == 0) {
		r = partners_sleep(ours);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	*ret_ours = ours;
	return 0;
}

static int signal_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = signal_open_with(row, signal_partner, &ours);
	if (r == 0) {
		*ret_state = ours;
	}
	return r;
}

static int signal_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	struct fbk_timeline *timeline = ours->party.mine;
	unsigned int batch = ours->row->batch ? ours->row->batch : 1;
	uint64_t value = ours->meeting->value;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		if (ours->row->cold && host_stream() < 0) {
			return bench_fail("no memory");
		}
		host_now(); /* the clock itself is warm */
		uint64_t start = host_now();
		for (unsigned int j = 0; j < batch; j++) {
			if (fbk_timeline_signal(timeline, ++value) < 0) {
				return ours_fail("signalling");
			}
		}
		r = samples_add(samples, (double)(host_now() - start) / batch);
	}
	ours->meeting->value = value;
	return r;
}

const struct side ours_signal = { "fbk_timeline_signal", signal_open, signal_round, ours_close };

/* ------------------------------------------------------------------------------------ check -- */

static int check_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, NULL, 0, &ours);
	if (r < 0) {
		return r;
	}
	if (fbk_timeline_create(ours->party.device, NULL, "bench", 0, &ours->party.mine) < 0) {
		r = ours_fail("making a timeline");
	}
	if (r == 0) {
		r = party_signal(&ours->party, 10);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int check_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	struct fbk_point point = { ours->party.mine, 10 };
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		int missing = 0;
		uint64_t start = host_now();
		for (unsigned int j = 0; j < ours->row->batch; j++) {
			missing |= fbk_point_check(point);
		}
		uint64_t end = host_now();
		if (missing) {
			return bench_fail("a point that is reached was not");
		}
		r = samples_add(samples, (double)(end - start) / ours->row->batch);
	}
	return r;
}

const struct side ours_check = { "fbk_point_check", check_open, check_round, ours_close };

/* --------------------------------------------------------------- eight asleep, one concerned -- */

/* The first note says whether this partner waits for the points that are signalled; the others wait for FAR. */
static int asleep_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	uint64_t concerned;
	struct half half = { .arg = &party, .wait = party_wait };
	int r = sleeper_join(&party, ours, socket);
	if (r == 0) {
		r = sleeper_sleep(&party, socket);
	}
	if (r == 0) {
		r = note_await(socket, &concerned);
	}
	if (r < 0) {
		return r;
	}
	if (concerned) {
		return post_follow(socket, ours->meeting, &half);
	}
	struct fbk_point point = { party.theirs, FAR };
	return fbk_point_wait(point, FBK_DEADLINE_MAX) < 0 ? ours_fail("waiting") : 0;
}

static int asleep_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = signal_open_with(row, asleep_partner, &ours);
	for (unsigned int i = 0; r == 0 && i < row->pairs; i++) {
		r = note_send(ours->partners[i].socket, i == 0, -1);
		if (r < 0) {
			ours_close(ours);
		}
	}
	if (r == 0) {
		ours->half.signal = party_signal;
		*ret_state = ours;
	}
	return r;
}

static int asleep_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return post_lead(ours->partners[0].socket, ours->meeting, &ours->half, count, POST_CALL,
			 samples);
}

const struct side ours_signal_asleep = { "fbk_timeline_signal", asleep_open, asleep_round,
					 ours_close };
