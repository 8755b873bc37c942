// SPDX-License-Identifier: MIT
/*
 * More work than CPUs: twice as many pipelines of two processes as there are CPUs, placed by the
 * scheduler. Each process waits for the other and then computes. A waiter that spins takes CPU time from
 * processes that have work: this compares hand-overs per second at defaults with spin_us = 0.
 */
#include <errno.h>
#include <stdlib.h>

#include "ours.h"

static const char policy_no_spin[] = "version = 1;\nsettings: { spin_us = 0; };\n"
				     "rules: ( { user = \"*\"; connect = true; register = true;\n"
				     "  class = \"*\"; } );\n";

static int second_run(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	host_unpin();
	int r = party_join(&party, &ours->daemon, "second");
	if (r == 0) {
		r = party_swap(&party, socket);
	}
	for (uint64_t value = 1; r == 0; value++) { /* until the first process ends */
		r = party_wait(&party, value);
		host_think(ours->row->think_ns);
		r = r == 0 ? party_signal(&party, value) : r;
	}
	return r;
}

static int trips_run(struct party *party, uint64_t think_ns, uint64_t *value, uint64_t trips)
{
	int r = 0;
	for (; r == 0 && trips > 0; trips--) {
		host_think(think_ns);
		r = party_signal(party, ++*value);
		r = r == 0 ? party_wait(party, *value) : r;
	}
	return r;
}

static int first_run(int socket, void *arg)
{
	struct ours *ours = arg;
	struct member second;
	struct party party;
	uint64_t trips;
	uint64_t value = 0;
	/* Forked before this process connects, so that it inherits no connection. Killed when this process ends. */
	int r = member_start(&second, PLACE_PARTNER, 0, second_run, ours);
	host_unpin();
	if (r == 0) {
		r = party_join(&party, &ours->daemon, "first");
	}
	if (r == 0) {
		r = party_swap(&party, second.socket);
	}
	while (r == 0 && (r = note_await(socket, &trips)) == 0) {
		r = trips_run(&party, ours->row->think_ns, &value, trips);
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
	}
	return r;
}

static int commit_open(const struct row *row, const struct daemon_setup *setup, void **ret_state)
{
	struct ours *ours;
	unsigned int pipelines = 2 * host_cpus();
	if (pipelines > PARTNERS_MAX) {
		return bench_skip("%u CPUs: it over-commits %d at most", host_cpus(),
				  PARTNERS_MAX / 2);
	}
	int r = ours_open(row, setup, first_run, pipelines, &ours);
	*ret_state = ours;
	return r;
}

static int commit_open_default(const struct row *row, void **ret_state)
{
	return commit_open(row, NULL, ret_state);
}

static int commit_open_no_spin(const struct row *row, void **ret_state)
{
	static const struct daemon_setup setup = { .policy = policy_no_spin };
	return commit_open(row, &setup, ret_state);
}

static int commit_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	unsigned int batch = ours->row->batch;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		for (unsigned int j = 0; r == 0 && j < ours->partner_count; j++) {
			r = note_send(ours->partners[j].socket, batch, -1);
		}
		for (unsigned int j = 0; r == 0 && j < ours->partner_count; j++) {
			r = note_receive(ours->partners[j].socket, NULL, NULL);
		}
		double seconds = (double)(host_now() - start) / 1e9;
		if (r == 0) {
			r = samples_add(samples, batch * ours->partner_count / seconds);
		}
	}
	return r;
}

const struct side ours_commit = { "pipelines at defaults", commit_open_default, commit_round,
				  ours_close };
const struct side ours_commit_no_spin = { "pipelines, spin_us = 0", commit_open_no_spin,
					  commit_round, ours_close };
