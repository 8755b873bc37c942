// SPDX-License-Identifier: MIT
/* TIMELINE_SIGNAL here, SYNCOBJ_EVENTFD in another process. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "host.h"
#include "member.h"
#include "raw.h"
#include "syncobj.h"

struct raw_mirror {
	struct meeting *meeting;
	struct member partner;
	struct syncobj syncobj;
	struct half half;
};

static int mirror_partner(int socket, void *arg)
{
	return syncobj_partner(socket, ((struct raw_mirror *)arg)->meeting);
}

static void mirror_close(void *state)
{
	struct raw_mirror *mirror = state;
	member_stop(&mirror->partner);
	syncobj_finish(&mirror->syncobj);
	host_unshare(mirror->meeting, sizeof(*mirror->meeting));
	free(mirror);
}

static int mirror_open(const struct row *row, void **ret_state)
{
	struct raw_mirror *mirror = calloc(1, sizeof(*mirror));
	int fd;
	(void)row;
	if (!mirror) {
		return bench_fail("no memory");
	}
	mirror->meeting = host_share(sizeof(*mirror->meeting));
	int r = syncobj_create(&mirror->syncobj, &fd);
	if (r == 0) {
		r = member_start(&mirror->partner, PLACE_PARTNER, 0, mirror_partner, mirror);
		if (r == 0) {
			r = note_send(mirror->partner.socket, 0, fd);
		}
		close(fd);
	}
	if (r < 0) {
		mirror_close(mirror);
		return r;
	}
	mirror->half = (struct half){ .arg = &mirror->syncobj, .signal = syncobj_signal };
	*ret_state = mirror;
	return 0;
}

static int mirror_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_mirror *mirror = state;
	return post_lead(mirror->partner.socket, mirror->meeting, &mirror->half, count, POST_WOKEN,
			 samples);
}

const struct side raw_syncobj = { "TIMELINE_SIGNAL, SYNCOBJ_EVENTFD", mirror_open, mirror_round,
				  mirror_close };
