// SPDX-License-Identifier: MIT
/* The daemon's memory per timeline and per point; the time and memory of its start. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "ours.h"
#include "raw.h"

#define TIMELINES     4000 /* a context has room for 4095 */
#define SET_TIMELINES 500  /* a page of 64 KiB has 511 slots */
#define PAGE_ALIGN    65536
#define POINTS        100000
#define FAR           (UINT64_C(1) << 40)

static int daemon_party(struct daemon *daemon, struct party *party)
{
	/* Large pages, so that no further ones are allocated: shared pages are not what is measured. */
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "bench",
					.device_class = FBK_CLASS_CPU,
					.waits = FBK_FENCE_MEMORY64,
					.signals = FBK_FENCE_MEMORY64,
					.page_align = PAGE_ALIGN };
	*party = (struct party){ 0 };
	*daemon = (struct daemon){ 0 };
	int r = daemon_start(daemon, NULL);
	if (r == 0 && fbk_connect(daemon->socket, &party->context) < 0) {
		r = ours_fail("connecting");
	}
	if (r == 0 && fbk_device_register(party->context, &desc, &party->device) < 0) {
		r = ours_fail("registering");
	}
	return r;
}

static int timelines_add(struct party *party, unsigned int count)
{
	struct fbk_set *set = NULL;
	for (unsigned int i = 0; i < count; i++) {
		struct fbk_timeline *timeline;
		if (i % SET_TIMELINES == 0 && fbk_set_create(party->context, &set) < 0) {
			return ours_fail("making a set");
		}
		if (fbk_timeline_create(party->device, set, "bench", 0, &timeline) < 0) {
			return ours_fail("making a timeline");
		}
	}
	return 0;
}

int ours_heap_timeline(double *ret_value, char *ret_note)
{
	struct daemon daemon;
	struct party party;
	int r = daemon_party(&daemon, &party);
	if (r == 0) {
		r = timelines_add(&party, 1); /* one-time costs of the first timeline */
	}
	long before = r == 0 ? daemon_anonymous(&daemon) : 0;
	struct mallinfo2 here = mallinfo2();
	if (r == 0) {
		r = timelines_add(&party, TIMELINES);
	}
	if (r == 0) {
		*ret_value = (double)(daemon_anonymous(&daemon) - before) / TIMELINES;
		snprintf(ret_note, REASON_SIZE, "the library's own: %zu bytes each",
			 (mallinfo2().uordblks - here.uordblks) / TIMELINES);
	}
	party_leave(&party);
	daemon_stop(&daemon);
	return r;
}

static void point_told(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	(void)result;
}

static int points_add(struct party *party, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		struct fbk_point point = { party->mine, FAR + i };
		if (fbk_point_watch(point, FBK_DEADLINE_MAX, point_told, NULL, NULL) < 0) {
			return ours_fail("watching");
		}
	}
	return 0;
}

int ours_heap_point(double *ret_value, char *ret_note)
{
	struct daemon daemon;
	struct party party;
	int r = daemon_party(&daemon, &party);
	if (r == 0 && fbk_timeline_create(party.device, NULL, "bench", 0, &party.mine) < 0) {
		r = ours_fail("making a timeline");
	}
	if (r == 0) {
		r = points_add(&party, 0, 1);
	}
	long before = r == 0 ? daemon_anonymous(&daemon) : 0;
	struct mallinfo2 here = mallinfo2();
	if (r == 0) {
		r = points_add(&party, 1, POINTS);
	}
	if (r == 0) {
		*ret_value = (double)(daemon_anonymous(&daemon) - before) / POINTS;
		snprintf(ret_note, REASON_SIZE, "the library's own: %zu bytes each",
			 (mallinfo2().uordblks - here.uordblks) / POINTS);
	}
	party_leave(&party);
	daemon_stop(&daemon);
	return r;
}

/* ------------------------------------------------------------------------------------ start -- */
/* A round starts the daemon `count` times; rounds share no state. */

static int nothing_open(const struct row *row, void **ret_state)
{
	(void)row;
	*ret_state = NULL;
	return 0;
}

static void nothing_close(void *state)
{
	(void)state;
}

static int start_sample(int (*start)(struct daemon *daemon), bool memory, unsigned int count,
			struct samples *samples)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		struct daemon daemon = { 0 };
		r = start(&daemon);
		if (r < 0) {
			return r;
		}
		long bytes = memory ? daemon_anonymous(&daemon) : 0;
		r = bytes < 0 ? bench_fail("no smaps_rollup")
			      : samples_add(samples,
					    memory ? (double)bytes : (double)daemon.start_ns);
		daemon_stop(&daemon);
	}
	return r;
}

static int ours_start_one(struct daemon *daemon)
{
	return daemon_start(daemon, NULL);
}

static int ours_start_round(void *state, unsigned int count, struct samples *samples)
{
	(void)state;
	return start_sample(ours_start_one, false, count, samples);
}

static int ours_memory_round(void *state, unsigned int count, struct samples *samples)
{
	(void)state;
	return start_sample(ours_start_one, true, count, samples);
}

static int dbus_start_round(void *state, unsigned int count, struct samples *samples)
{
	(void)state;
	return start_sample(daemon_start_dbus, false, count, samples);
}

static int dbus_memory_round(void *state, unsigned int count, struct samples *samples)
{
	(void)state;
	return start_sample(daemon_start_dbus, true, count, samples);
}

const struct side ours_start = { "fencebrokerd", nothing_open, ours_start_round, nothing_close };
const struct side ours_memory = { "fencebrokerd", nothing_open, ours_memory_round, nothing_close };
const struct side raw_dbus_start = { "dbus-daemon", nothing_open, dbus_start_round, nothing_close };
const struct side raw_dbus_memory = { "dbus-daemon", nothing_open, dbus_memory_round,
				      nothing_close };
