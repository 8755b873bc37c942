// SPDX-License-Identifier: MIT
/* The daemon is stopped while a kernel fence signals in time and a deadline passes after that. It
 * handles the timer first, and must not miss the fence. Also: promises in the list of waits. */
#include "../integration/lib-wire.h"
#include "lib-lab.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xf86drm.h>

#define FIRST_MS  200 /* some deadline, which makes the timer come first */
#define WATCH_MS  1500
#define IMPORT_MS 2000

static struct lab lab;
static int drm;
static int fences; /* the test driver's */

static void setup(void)
{
	lab_open(&lab, lab_policy(IMPORT_MS));
	drm = drm_render_open("virtio_gpu");
	ck_assert_int_ge(drm, 0);
	fences = test_fence_open();
	ck_assert_int_ge(fences, 0);
}

static void teardown(void)
{
	lab_close(&lab);
	close(drm);
	close(fences);
}

static void await_time(uint64_t ms)
{
	while (now_ms() <= ms) {
		yield_briefly();
	}
}

static void told(void *arg, struct fbk_point point, int result)
{
	int *ret = arg;
	(void)point;
	*ret = result;
}

/* What a point follows, and how that is signalled. */
struct source {
	struct fbk_point point;
	uint32_t fence;
	uint32_t syncobj;
};

static void sync_file_open(struct source *source)
{
	int fd = test_fence_create(fences, &source->fence);
	ck_assert_int_eq(fbk_point_signal_on(source->point, fd), 0);
}

static void sync_file_signal(const struct source *source)
{
	ck_assert_int_eq(test_fence_signal(fences, source->fence, 0), 0);
}

static int syncobj_open(struct source *source)
{
	int fd;
	ck_assert_int_eq(drmSyncobjCreate(drm, 0, &source->syncobj), 0);
	ck_assert_int_eq(drmSyncobjHandleToFD(drm, source->syncobj, &fd), 0);
	return fd;
}

static void point_open(struct source *source)
{
	int fd = syncobj_open(source);
	ck_assert_int_eq(fbk_point_signal_on_syncobj(source->point, fd, 5), 0);
	close(fd);
}

/* As above, with work submitted to it already. */
static void submitted_open(struct source *source)
{
	int fd = syncobj_open(source);
	int fence = test_fence_create(fences, &source->fence);
	ck_assert_int_eq(syncobj_import_point(drm, source->syncobj, 5, fence), 0);
	close(fence);
	ck_assert_int_eq(fbk_point_signal_on_syncobj(source->point, fd, 5), 0);
	close(fd);
}

static void mirror_open(struct source *source)
{
	struct fbk_mirror *mirror;
	int fd = syncobj_open(source);
	ck_assert_int_eq(fbk_mirror_from_syncobj(source->point.timeline, fd, &mirror), 0);
	close(fd);
}

static void point_signal(const struct source *source)
{
	uint64_t point = 5;
	ck_assert_int_eq(drmSyncobjTimelineSignal(drm, &source->syncobj, &point, 1), 0);
}

static const struct {
	void (*open)(struct source *source);
	void (*signal)(const struct source *source);
	bool import; /* its own deadline passes; else a watch's does */
} sources[] = {
	{ sync_file_open, sync_file_signal, true }, { sync_file_open, sync_file_signal, false },
	{ point_open, point_signal, true },         { point_open, point_signal, false },
	{ submitted_open, sync_file_signal, true }, { submitted_open, sync_file_signal, false },
	{ mirror_open, point_signal, false },
};

START_TEST(signalled_by_the_deadline)
{
	const char *why;
	if (sources[_i].open != sync_file_open &&
	    !fbk_feature(lab.waiter, FBK_FEATURE_MIRRORS, &why)) {
		printf("not run: syncobjs: %s\n", why);
		return;
	}
	int first = 1, last = 1;
	struct source source = { 0 };
	struct fbk_timeline *line = peer_timeline(lab.imports, "follows", FBK_TIMELINE_BROKERED);
	uint64_t start = now_ms();
	source.point = (struct fbk_point){ line, 5 };
	ck_assert_int_eq(fbk_point_watch(lab_point(&lab, 1), (start + FIRST_MS) * 1000000, told,
					 &first, NULL),
			 0);
	sources[_i].open(&source);
	/* The import's deadline is at this or later: it counts from when the daemon got it. */
	uint64_t deadline = sources[_i].import ? start + IMPORT_MS : start + WATCH_MS;
	uint64_t watched = sources[_i].import ? start + 60000 : deadline;
	ck_assert_int_eq(fbk_point_watch(source.point, watched * 1000000, told, &last, NULL), 0);
	ck_assert_int_ge(fbk_dispatch(lab.waiter), 0);
	lab_counter(&lab.daemon, "requests"); /* the daemon has got all of them */
	uint64_t delay = now_ms() - start;

	ck_assert_int_eq(kill(lab.daemon.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(lab.daemon.pid, NULL, WUNTRACED), lab.daemon.pid);
	await_time(start + FIRST_MS + 5);
	sources[_i].signal(&source);
	uint64_t signalled = now_ms();
	await_time(deadline + delay + 20);
	ck_assert_int_eq(kill(lab.daemon.pid, SIGCONT), 0);
	uint64_t end = now_ms() + PATIENCE_MS;
	while (first == 1 || last == 1) {
		ck_assert_uint_lt(now_ms(), end);
		ck_assert_int_ge(readable_within(fbk_context_fd(lab.waiter), 100), 0);
		ck_assert_int_ge(fbk_dispatch(lab.waiter), 0);
	}
	ck_assert_int_eq(first, -ETIMEDOUT);
	if (signalled < deadline) { /* else this machine was too slow for a result */
		ck_assert_int_eq(last, 0);
	}
}
END_TEST

/* The only one, or none any more. */
static void expect_promise(struct client *client, pid_t waiter)
{
	struct reply reply;
	REQUEST(request, INSPECT_STUCK, inspect_stuck);
	ck_assert_int_eq(client_call(client, &request, NULL, 0, &reply), 0);
	const Fbk__Wire__StuckList *list = reply.message->stuck;
	ck_assert_uint_eq(list->next, 0);
	if (list->n_stuck == 0) { /* this machine was too slow: it is broken already */
		ck_assert_uint_eq(client_counter(client, "promises_broken"), 1);
		reply_free(&reply);
		return;
	}
	ck_assert_uint_eq(list->n_stuck, 1);
	const Fbk__Wire__StuckEntry *entry = list->stuck[0];
	ck_assert_str_eq(entry->by, "promise");
	ck_assert_uint_eq(entry->point, 3);
	ck_assert_int_eq(entry->waiter_pid, waiter);
	ck_assert_uint_eq(entry->waiter_uid, getuid());
	ck_assert(entry->has_deadline && entry->deadline_ms <= LAB_PROMISE_MS);
	ck_assert_str_eq(entry->end, "silent");
	reply_free(&reply);
}

START_TEST(promised)
{
	struct client client;
	int fd;
	client_open(&client, &lab.daemon);
	ck_assert_int_eq(fbk_point_promise(lab_point(&lab, 3), &fd), 0);
	expect_promise(&client, getpid());
	fbk_disconnect(lab.waiter); /* it outlives the client that asked for it */
	lab.waiter = peer_connect(&lab.daemon);
	expect_promise(&client, 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	close(fd);
	client_close(&client);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, signalled_by_the_deadline, sources);
	tcase_add_test(tcase, promised);
}

int main(void)
{
	return lab_main("late", "virtio_gpu", add);
}
