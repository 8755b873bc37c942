// SPDX-License-Identifier: MIT
/* Shared by the rows of our side. */
#include "ours.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(20000000000)

int ours_fail(const char *what)
{
	return bench_fail("%s: %s", what, fbk_error_detail());
}

int party_join(struct party *party, const struct daemon *daemon, const char *name)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = name,
					.device_class = FBK_CLASS_CPU,
					.waits = FBK_FENCE_MEMORY64,
					.signals = FBK_FENCE_MEMORY64 };
	*party = (struct party){ 0 };
	if (fbk_connect(daemon->socket, &party->context) < 0) {
		return ours_fail("connecting");
	}
	if (fbk_device_register(party->context, &desc, &party->device) < 0) {
		int r = ours_fail("registering");
		party_leave(party);
		return r;
	}
	return 0;
}

void party_leave(struct party *party)
{
	fbk_disconnect(party->context);
	*party = (struct party){ 0 };
}

int party_send(struct fbk_timeline *timeline, int socket)
{
	int token;
	if (fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token) < 0) {
		return ours_fail("sharing");
	}
	int r = note_send(socket, 0, token);
	close(token);
	return r;
}

int party_receive(struct party *party, int socket, struct fbk_timeline **ret_timeline)
{
	int token;
	int r = note_receive(socket, NULL, &token);
	if (r < 0) {
		return r;
	}
	r = fbk_timeline_open(party->context, token, ret_timeline);
	close(token);
	return r < 0 ? ours_fail("opening") : 0;
}

int party_swap(struct party *party, int socket)
{
	if (fbk_timeline_create(party->device, NULL, "bench", 0, &party->mine) < 0) {
		return ours_fail("making a timeline");
	}
	int r = party_send(party->mine, socket);
	return r < 0 ? r : party_receive(party, socket, &party->theirs);
}

int party_signal(void *arg, uint64_t value)
{
	struct party *party = arg;
	return fbk_timeline_signal(party->mine, value) < 0 ? ours_fail("signalling") : 0;
}

int party_wait(void *arg, uint64_t value)
{
	struct party *party = arg;
	struct fbk_point point = { party->theirs, value };
	return fbk_point_wait(point, host_now() + PATIENCE_NS) < 0 ? ours_fail("waiting") : 0;
}

int ours_open(const struct row *row, const struct daemon_setup *setup, member_fn *fn,
	      unsigned int partners, struct ours **ret_ours)
{
	static const struct daemon_setup other = { .policy = daemon_policy_open };
	struct ours *ours = calloc(1, sizeof(*ours));
	if (!ours) {
		return bench_fail("no memory");
	}
	ours->row = row;
	int r = 0;
	if (row->other_uid) {
		setup = setup ? setup : &other;
		r = geteuid() == 0 ? 0 : bench_skip("only root has a partner of another user");
	}
	ours->meeting = host_share(sizeof(*ours->meeting));
	if (r == 0 && !ours->meeting) {
		r = bench_fail("no memory");
	}
	if (r == 0) {
		r = daemon_start(&ours->daemon, setup);
	}
	/* Forked before the leader connects, so that they inherit no connection. */
	for (; r == 0 && ours->partner_count < partners; ours->partner_count++) {
		r = member_start(&ours->partners[ours->partner_count], PLACE_PARTNER,
				 row->other_uid ? NOBODY - ours->partner_count : 0, fn, ours);
	}
	if (r == 0) {
		r = party_join(&ours->party, &ours->daemon, "leader");
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	ours->half.arg = &ours->party;
	*ret_ours = ours;
	return 0;
}

void ours_close(void *state)
{
	struct ours *ours = state;
	for (unsigned int i = 0; i < PARTNERS_MAX; i++) {
		member_stop(&ours->partners[i]);
	}
	party_leave(&ours->party);
	daemon_stop(&ours->daemon);
	host_unshare(ours->meeting, sizeof(*ours->meeting));
	free(ours->more);
	free(ours);
}
