// SPDX-License-Identifier: MIT
/* What a program calls per frame, with the daemon stopped: the signal of a brokered timeline, until the next round. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "host.h"
#include "ours.h"

#define PATIENCE_NS UINT64_C(20000000000)

static int stalled_open(const struct row *row, void **ret_state)
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

static int stalled_measure(struct ours *ours, unsigned int count, struct samples *samples)
{
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

/* It has all of them before the next round. */
static int stalled_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	if (kill(ours->daemon.pid, SIGSTOP) < 0 ||
	    waitpid(ours->daemon.pid, NULL, WUNTRACED) != ours->daemon.pid) {
		return bench_fail("stopping the daemon: %s", strerror(errno));
	}
	int r = stalled_measure(ours, count, samples);
	kill(ours->daemon.pid, SIGCONT);
	struct fbk_point last = { ours->party.mine, ours->meeting->value };
	if (r == 0 && fbk_point_wait(last, host_now() + PATIENCE_NS) < 0) {
		r = ours_fail("waiting for the daemon");
	}
	return r;
}

const struct side ours_stalled = { "signal of a brokered timeline, the daemon stopped",
				   stalled_open, stalled_round, ours_close };
