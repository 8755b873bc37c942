// SPDX-License-Identifier: MIT
/* TIMELINE_SIGNAL with SYNCOBJ_EVENTFD in another process; and the ioctl alone. */
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
		r = syncobj_probe_event(&mirror->syncobj);
		if (r == 0) {
			r = member_start(&mirror->partner, PLACE_PARTNER, 0, mirror_partner,
					 mirror);
		}
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

/* ------------------------------------------------------------------------------ nobody asleep -- */

struct raw_timeline {
	struct syncobj syncobj;
	uint64_t value;
	unsigned int batch;
};

static void timeline_close(void *state)
{
	struct raw_timeline *timeline = state;
	syncobj_finish(&timeline->syncobj);
	free(timeline);
}

static int timeline_open(const struct row *row, void **ret_state)
{
	struct raw_timeline *timeline = calloc(1, sizeof(*timeline));
	int fd;
	if (!timeline) {
		return bench_fail("no memory");
	}
	timeline->batch = row->batch ? row->batch : 1;
	int r = syncobj_create(&timeline->syncobj, &fd);
	if (r < 0) {
		timeline_close(timeline);
		return r;
	}
	close(fd);
	*ret_state = timeline;
	return 0;
}

static int timeline_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_timeline *timeline = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		host_now(); /* the clock itself is warm */
		uint64_t start = host_now();
		for (unsigned int j = 0; r == 0 && j < timeline->batch; j++) {
			r = syncobj_signal(&timeline->syncobj, ++timeline->value);
		}
		double ns = (double)(host_now() - start) / timeline->batch;
		r = r == 0 ? samples_add(samples, ns) : r;
	}
	return r;
}

const struct side raw_syncobj_signal = { "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL", timeline_open,
					 timeline_round, timeline_close };
