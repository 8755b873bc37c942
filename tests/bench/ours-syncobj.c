// SPDX-License-Identifier: MIT
/* A direct mirror: fbk_timeline_signal() signals the syncobj as well. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ours.h"
#include "syncobj.h"

static int mirror_partner(int socket, void *arg)
{
	return syncobj_partner(socket, ((struct ours *)arg)->meeting);
}

static int mirror_join(struct ours *ours, struct syncobj *syncobj)
{
	struct party *party = &ours->party;
	struct fbk_mirror *mirror;
	int fd;
	int r = syncobj_create(syncobj, &fd);
	if (r < 0) {
		return r;
	}
	r = syncobj_probe_event(syncobj);
	if (r == 0 && (fbk_timeline_create(party->device, NULL, "bench", 0, &party->mine) < 0 ||
		       fbk_mirror_to_syncobj(party->mine, fd, &mirror) < 0)) {
		r = ours_fail("mirroring");
	}
	if (r == 0) {
		r = note_send(ours->partners[0].socket, 0, fd);
	}
	close(fd);
	return r;
}

static void mirror_close(void *state)
{
	struct ours *ours = state;
	syncobj_finish(ours->more);
	ours_close(ours);
}

static int mirror_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, mirror_partner, 1, &ours);
	if (r < 0) {
		return r;
	}
	struct syncobj *syncobj = ours->more = calloc(1, sizeof(*syncobj));
	if (!syncobj) {
		ours_close(ours);
		return bench_fail("no memory");
	}
	r = mirror_join(ours, syncobj);
	if (r < 0) {
		mirror_close(ours);
		return r;
	}
	ours->half.signal = party_signal;
	*ret_state = ours;
	return 0;
}

static int mirror_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return post_lead(ours->partners[0].socket, ours->meeting, &ours->half, count, POST_WOKEN,
			 samples);
}

const struct side ours_syncobj = { "signal of a mirrored timeline", mirror_open, mirror_round,
				   mirror_close };
