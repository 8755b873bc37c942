// SPDX-License-Identifier: MIT
/* Counts the daemon's allocations from the doorbell until it sleeps again after the delivery: for a wake,
 * a watch and an export. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ours.h"
#include "raw-loads.h"

#define DELIVERIES  50
#define THINK_NS    300000 /* long enough for the daemon to sleep again */
#define PATIENCE_MS 20000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum way { WAY_WAKE, WAY_WATCH, WAY_EXPORT, WAY_COUNT };

static const char *const way_names[] = { "wakes", "watches", "exports" };

static void told(void *arg, struct fbk_point point, int result)
{
	(void)point;
	(void)result;
	*(bool *)arg = true;
}

static int fd_await(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	return poll(&entry, 1, PATIENCE_MS) == 1 ? 0 : bench_fail("nothing became readable");
}

/* Arms a watch, sends a note that it is armed, and returns when it has fired. */
static int watch_take(struct party *party, struct fbk_point point, int socket)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	bool fired = false;
	/* PointWatch has no reply; requests are served in order, so after the next reply it is armed. */
	if (fbk_point_watch(point, FBK_DEADLINE_MAX, told, &fired, NULL) < 0 ||
	    fbk_timeline_info(point.timeline, &info) < 0) {
		return ours_fail("watching");
	}
	int r = note_send(socket, 0, -1);
	while (r == 0 && !fired) {
		r = fd_await(fbk_context_fd(party->context));
		if (r == 0 && fbk_dispatch(party->context) < 0) {
			r = ours_fail("dispatching");
		}
	}
	return r;
}

static int export_take(struct fbk_point point, int socket)
{
	int fd;
	if (fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd) < 0) {
		return ours_fail("exporting");
	}
	int r = note_send(socket, 0, -1);
	if (r == 0) {
		r = fd_await(fd);
	}
	close(fd);
	return r;
}

static int alloc_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	uint64_t value;
	setenv("FENCEBROKER_IO_URING", "no", 1); /* watches go through the daemon */
	int r = party_join(&party, &ours->daemon, "partner");
	if (r == 0) {
		r = party_receive(&party, socket, &party.theirs);
	}
	while (r == 0 && (r = note_await(socket, &value)) == 0) {
		struct fbk_point point = { party.theirs, value };
		switch ((enum way)(value / DELIVERIES % WAY_COUNT)) {
		case WAY_WATCH:
			r = watch_take(&party, point, socket);
			break;
		case WAY_EXPORT:
			r = export_take(point, socket);
			break;
		default:
			r = note_send(socket, 0, -1);
			if (r == 0) {
				r = party_wait(&party, value);
			}
		}
		if (r == 0) {
			r = note_send(socket, 0, -1);
		}
	}
	return r;
}

static int deliveries_count(struct ours *ours, _Atomic uint64_t *counter,
			    uint64_t counts[WAY_COUNT])
{
	int socket = ours->partners[0].socket;
	for (uint64_t value = DELIVERIES; value < DELIVERIES * (WAY_COUNT + 1); value++) {
		int r = note_send(socket, value, -1);
		if (r == 0) {
			r = note_receive(socket, NULL, NULL);
		}
		host_think(THINK_NS);
		/* relaxed: the daemon sleeps, nothing changes it now */
		uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
		if (r == 0) {
			r = party_signal(&ours->party, value);
		}
		if (r == 0) {
			r = note_receive(socket, NULL, NULL);
		}
		if (r < 0) {
			return r;
		}
		host_think(THINK_NS);
		counts[value / DELIVERIES % WAY_COUNT] +=
			atomic_load_explicit(counter, memory_order_relaxed) - before;
	}
	return 0;
}

/* In the directory of libfence-bench-loads.so, which is right for build and installation. */
static int preload_path(char *ret_path, size_t size)
{
	Dl_info info;
	if (!dladdr((void *)(uintptr_t)raw_check, &info) || !strrchr(info.dli_fname, '/')) {
		return bench_fail("where are the libraries of this bench?");
	}
	snprintf(ret_path, size, "%.*s/libfence-bench-count.so",
		 (int)(strrchr(info.dli_fname, '/') - info.dli_fname), info.dli_fname);
	return access(ret_path, F_OK) == 0 ? 0 : bench_fail("%s: %s", ret_path, strerror(errno));
}

static int alloc_run(const char *preload, const char *file, _Atomic uint64_t *counter,
		     uint64_t counts[WAY_COUNT])
{
	static const struct row row = { .name = "allocations" };
	struct daemon_setup setup = { .preload = preload, .count = file };
	struct ours *ours;
	int r = ours_open(&row, &setup, alloc_partner, 1, &ours);
	if (r < 0) {
		return r;
	}
	/* relaxed: a counter; it orders nothing */
	if (atomic_load_explicit(counter, memory_order_relaxed) == 0) {
		r = bench_fail("the daemon's allocations are not counted");
	} else if (fbk_timeline_create(ours->party.device, NULL, "bench", 0, &ours->party.mine) <
		   0) {
		r = ours_fail("making a timeline");
	}
	if (r == 0) {
		r = party_send(ours->party.mine, ours->partners[0].socket);
	}
	if (r == 0) {
		r = deliveries_count(ours, counter, counts);
	}
	ours_close(ours);
	return r;
}

int ours_allocations(double *ret_value, char *ret_note)
{
	char preload[512];
	char file[64];
	uint64_t counts[WAY_COUNT] = { 0 };
	if (SANITIZED) {
		return bench_skip("a sanitizer counts on its own allocator");
	}
	int r = preload_path(preload, sizeof(preload));
	int fd = r < 0 ? -1 : memfd_create("fence-bench", 0);
	void *memory = MAP_FAILED;
	if (fd >= 0 && ftruncate(fd, 4096) == 0) {
		memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (r == 0 && memory == MAP_FAILED) {
		r = bench_fail("memfd: %s", strerror(errno));
	}
	snprintf(file, sizeof(file), "/proc/%d/fd/%d", getpid(), fd);
	if (r == 0) {
		r = alloc_run(preload, file, memory, counts);
	}
	for (unsigned int way = 0; way < WAY_COUNT; way++) {
		*ret_value += (double)counts[way];
	}
	snprintf(ret_note, REASON_SIZE, "%llu in %d %s, %llu in %d %s, %llu in %d %s",
		 (unsigned long long)counts[0], DELIVERIES, way_names[0],
		 (unsigned long long)counts[1], DELIVERIES, way_names[1],
		 (unsigned long long)counts[2], DELIVERIES, way_names[2]);
	if (memory != MAP_FAILED) {
		munmap(memory, 4096);
	}
	if (fd >= 0) {
		close(fd);
	}
	return r;
}
