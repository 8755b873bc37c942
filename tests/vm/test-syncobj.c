// SPDX-License-Identifier: MIT
/* drm_syncobjs: exported points, imported points, mirrors in both directions, and misbehaving
 * holders. The other side is plain libdrm, as a compositor with linux-drm-syncobj-v1 uses it. */
#include "lib-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#define FAILED FBK_SYNCOBJ_FAILED

static struct lab lab;
static int drm;
static int fences; /* the test driver's */

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
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

/* A syncobj of the test's own, and a fd of it. */
static uint32_t syncobj(int *ret_fd)
{
	uint32_t handle;
	ck_assert_int_eq(drmSyncobjCreate(drm, 0, &handle), 0);
	ck_assert_int_eq(drmSyncobjHandleToFD(drm, handle, ret_fd), 0);
	return handle;
}

static uint32_t opened(int fd)
{
	uint32_t handle;
	ck_assert_int_eq(drmSyncobjFDToHandle(drm, fd, &handle), 0);
	return handle;
}

static uint64_t query(uint32_t handle)
{
	uint64_t value = 0;
	ck_assert_int_eq(syncobj_query(drm, handle, &value), 0);
	return value;
}

static void signal_point(uint32_t handle, uint64_t point)
{
	ck_assert_int_eq(drmSyncobjTimelineSignal(drm, &handle, &point, 1), 0);
}

/* As a consumer that waits before the producer has submitted. */
static int wait_point(uint32_t handle, uint64_t point, unsigned int ms)
{
	int64_t until = (int64_t)(now_ms() + ms) * 1000000;
	int r = drmSyncobjTimelineWait(drm, &handle, &point, 1, until,
				       DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL);
	return r == -1 ? -errno : r;
}

static int armed_eventfd(uint32_t handle, uint64_t point)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(syncobj_eventfd(drm, handle, point, fd), 0);
	return fd;
}

static struct fbk_timeline *brokered(void)
{
	return peer_timeline(lab.imports, "follows", FBK_TIMELINE_BROKERED);
}

static int wait_for(struct fbk_timeline *timeline, uint64_t value)
{
	return fbk_point_wait((struct fbk_point){ timeline, value }, deadline_ms(PATIENCE_MS));
}

static int fence_at(uint32_t handle, uint64_t point, uint32_t *ret_id)
{
	int fd = test_fence_create(fences, ret_id);
	int r = syncobj_import_point(drm, handle, point, fd);
	close(fd);
	return r;
}

/* -------------------------------------------------------------------------------------- exports -- */

/* The daemon has heard of it: what is answered comes after that. */
static void mirror_end(struct fbk_mirror *mirror, struct fbk_timeline *timeline)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	fbk_mirror_destroy(mirror);
	ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
}

START_TEST(export_wakes_who_waits_before)
{
	int fd;
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 5), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(fbk_fence_classify(lab.waiter, fd), FBK_FENCE_SYNCOBJ_TIMELINE);
	uint32_t handle = opened(fd);
	int event = armed_eventfd(handle, 5);
	ck_assert_int_eq(wait_point(handle, 5, 60), -ETIME);
	ck_assert_int_eq(readable_within(event, 0), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 5), 0);
	ck_assert_int_eq(wait_point(handle, 5, PATIENCE_MS), 0);
	ck_assert_int_eq(readable_within(event, PATIENCE_MS), 1);
	ck_assert_uint_eq(query(handle), 5);
	close(event);
	close(fd);
}
END_TEST

START_TEST(export_failed)
{
	int fd;
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 5), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	uint32_t handle = opened(fd);
	ck_assert_int_eq(fbk_timeline_fail(lab.timeline, -EIO, "broken"), 0);
	ck_assert_int_eq(wait_point(handle, 5, PATIENCE_MS), 0); /* every wait ends ... */
	ck_assert_uint_ge(query(handle), FAILED);                /* ... and a query shows it */
	close(fd);
}
END_TEST

START_TEST(export_expired)
{
	int fd;
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 5), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(50), &fd),
			 0);
	uint32_t handle = opened(fd);
	ck_assert_int_eq(wait_point(handle, 5, PATIENCE_MS), 0);
	ck_assert_uint_ge(query(handle), FAILED);
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 5)),
			 -EAGAIN); /* only the export is over */
	close(fd);
}
END_TEST

/* -------------------------------------------------------------------------------- single points -- */

/* A point of a syncobj of ours: signalled when the point is reached, in any order with others. */
START_TEST(export_at_a_point)
{
	int fd;
	struct fbk_timeline *timeline = brokered();
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_point_export_to_syncobj((struct fbk_point){ timeline, 3 }, fd, 70,
						     deadline_ms(10000)),
			 0);
	ck_assert_int_eq(fbk_point_export_to_syncobj((struct fbk_point){ timeline, 5 }, fd, 80,
						     deadline_ms(10000)),
			 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 2), 0);
	ck_assert_int_eq(wait_point(handle, 70, 50), -ETIME);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 3), 0);
	ck_assert_int_eq(wait_point(handle, 70, 10000), 0);
	ck_assert_int_eq(wait_point(handle, 80, 50), -ETIME);
	ck_assert_uint_eq(query(handle), 70);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 9), 0);
	ck_assert_int_eq(wait_point(handle, 80, 10000), 0);
	ck_assert_uint_eq(query(handle), 80);
	close(fd);
}
END_TEST

/* Where it fails or expires, the point has no fence, and no other point of that syncobj is touched. */
START_TEST(export_at_a_point_that_fails)
{
	int fd;
	struct fbk_timeline *timeline = brokered();
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_point_export_to_syncobj((struct fbk_point){ timeline, 1 }, fd, 10,
						     deadline_ms(10000)),
			 0);
	ck_assert_int_eq(fbk_point_export_to_syncobj((struct fbk_point){ timeline, 2 }, fd, 20,
						     deadline_ms(50)),
			 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(wait_point(handle, 10, 10000), 0);
	ck_assert_int_eq(wait_point(handle, 20, 300), -ETIME); /* its deadline passed meanwhile */
	ck_assert_int_eq(fbk_point_export_to_syncobj((struct fbk_point){ timeline, 3 }, fd, 30,
						     deadline_ms(10000)),
			 0);
	ck_assert_int_eq(fbk_timeline_fail(timeline, -EIO, "a trial"), 0);
	ck_assert_int_eq(wait_point(handle, 30, 300), -ETIME);
	ck_assert_uint_eq(query(handle), 10);
	signal_point(handle, 30); /* its owner goes on */
	ck_assert_uint_eq(query(handle), 30);
	close(fd);
}
END_TEST

START_TEST(export_at_a_wrong_point)
{
	int fd, pipes[2];
	struct fbk_timeline *timeline = brokered();
	struct fbk_point point = { timeline, 1 };
	uint32_t handle = syncobj(&fd);
	uint64_t never = deadline_ms(10000);
	signal_point(handle, 10);
	ck_assert_int_eq(fbk_point_export_to_syncobj(point, fd, 0, never), -EINVAL);
	ck_assert_int_eq(fbk_point_export_to_syncobj(point, fd, 9, never), -EINVAL);
	ck_assert_int_eq(fbk_point_export_to_syncobj(point, fd, 10, never), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "10"));
	ck_assert_int_eq(fbk_point_export_to_syncobj(FBK_POINT_SIGNALLED, fd, 11, never), -EINVAL);
	ck_assert_int_eq(fbk_point_export_to_syncobj(point, 999, 11, never), -EBADF);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(fbk_point_export_to_syncobj(point, pipes[0], 11, never), -EBADF);
	ck_assert_int_eq(fbk_point_export_to_syncobj(point, fd, 11, never), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(wait_point(handle, 11, 10000), 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}
END_TEST

/* What the kernel does with points out of order, and why each buffer's releases have a syncobj of their own: a later point
 * that is submitted makes earlier ones without a fence reached, and one with a pending fence holds it back. */
START_TEST(points_of_one_syncobj_depend)
{
	int fd;
	uint32_t id;
	uint32_t handle = syncobj(&fd);
	signal_point(handle, 5);
	ck_assert_int_eq(wait_point(handle, 3, 10000), 0);
	ck_assert_int_eq(fence_at(handle, 6, &id), 0);
	signal_point(handle, 7);
	ck_assert_int_eq(wait_point(handle, 7, 200), -ETIME);
	close(fd);
}
END_TEST

/* Who waits on a mirror would be satisfied by points that the syncobj had before. */
START_TEST(mirror_to_a_syncobj_that_is_ahead)
{
	int fd;
	struct fbk_mirror *mirror;
	struct fbk_timeline *timeline = brokered();
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 4), 0);
	signal_point(handle, 5);
	ck_assert_int_eq(fbk_mirror_to_syncobj(timeline, fd, &mirror), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "point 5"));
	ck_assert_int_eq(fbk_timeline_signal(timeline, 5), 0);
	ck_assert_int_eq(fbk_mirror_to_syncobj(timeline, fd, &mirror), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 6), 0);
	ck_assert_int_eq(wait_point(handle, 6, 10000), 0);
	close(fd);
}
END_TEST

START_TEST(import_before_anything_is_submitted)
{
	int fd;
	uint32_t handle = syncobj(&fd);
	struct fbk_timeline *line = brokered();
	struct fbk_point point = { line, 1 };
	ck_assert_int_eq(fbk_point_signal_on_syncobj(point, fd, 10), 0);
	ck_assert_int_eq(fbk_point_wait(point, deadline_ms(60)), -ETIMEDOUT);
	signal_point(handle, 9);
	ck_assert_int_eq(fbk_point_wait(point, deadline_ms(60)), -ETIMEDOUT);
	signal_point(handle, 10);
	ck_assert_int_eq(wait_for(line, 1), 0);
	close(fd);
}
END_TEST

START_TEST(import_of_a_fence_in_error)
{
	int fd;
	uint32_t id;
	uint32_t handle = syncobj(&fd);
	struct fbk_timeline *line = brokered();
	ck_assert_int_eq(fence_at(handle, 3, &id), 0);
	ck_assert_int_eq(fbk_point_signal_on_syncobj((struct fbk_point){ line, 1 }, fd, 3), 0);
	ck_assert_int_eq(test_fence_signal(fences, id, -EIO), 0);
	ck_assert_int_eq(wait_for(line, 1), -EIO); /* the kernel's own waits do not tell */
	ck_assert_int_eq(wait_point(handle, 3, PATIENCE_MS), 0);
	close(fd);
}
END_TEST

START_TEST(binary)
{
	int fd;
	uint32_t id;
	uint32_t handle = syncobj(&fd);
	struct fbk_timeline *line = brokered();
	struct fbk_point point = { line, 1 };
	ck_assert_int_eq(fbk_point_signal_on_syncobj(point, fd, 0), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "holds no fence"));
	int sync_file = test_fence_create(fences, &id);
	ck_assert_int_eq(drmSyncobjImportSyncFile(drm, handle, sync_file), 0);
	ck_assert_int_eq(fbk_point_signal_on_syncobj(point, fd, 0), 0);
	ck_assert_int_eq(fbk_point_wait(point, deadline_ms(60)), -ETIMEDOUT);
	ck_assert_int_eq(test_fence_signal(fences, id, 0), 0);
	ck_assert_int_eq(wait_for(line, 1), 0);
	close(sync_file);
	close(fd);
}
END_TEST

START_TEST(what_is_no_syncobj)
{
	struct fbk_mirror *mirror = NULL;
	int event = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(fbk_mirror_to_syncobj(lab.timeline, event, &mirror), -EBADF);
	ck_assert_int_eq(fbk_mirror_to_syncobj(lab.timeline, -1, &mirror), -EBADF);
	ck_assert_int_eq(fbk_point_signal_on_syncobj((struct fbk_point){ brokered(), 1 }, event, 1),
			 -EBADF);
	ck_assert_ptr_null(mirror);
	close(event);
}
END_TEST

/* --------------------------------------------------------------------------- mirrors to a syncobj -- */

/* By the library of its signaler (0) or, for a timeline of another process, by the daemon (1). */
START_TEST(mirror_to)
{
	struct fbk_mirror *mirror;
	int fd;
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 3), 0);
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), 0);
	uint32_t handle = opened(fd);
	struct fbk_timeline *timeline = _i == 0 ? lab.timeline : lab.opened;
	ck_assert_int_eq(fbk_mirror_to_syncobj(timeline, fd, &mirror), 0);
	ck_assert_int_eq(wait_point(handle, 3, PATIENCE_MS), 0); /* what was reached before */
	int event = armed_eventfd(handle, 4);
	uint64_t before = lab_counter(&lab.daemon, "requests");
	for (uint64_t value = 4; value < 200; value++) {
		EXPECT(fbk_timeline_signal(lab.timeline, value) == 0);
		int r = wait_point(handle, value, PATIENCE_MS);
		if (r != 0) {
			ck_abort_msg("point %llu: %d, at %llu", (unsigned long long)value, r,
				     (unsigned long long)query(handle));
		}
	}
	ck_assert_int_eq(readable_within(event, PATIENCE_MS), 1);
	ck_assert_uint_eq(query(handle), 199);
	/* No request per point: two of them are Hello and the question. */
	ck_assert_uint_le(lab_counter(&lab.daemon, "requests") - before, 4);
	uint64_t signals = lab_counter(&lab.daemon, "mirror_signals");
	ck_assert_msg(_i == 0 ? signals == 0 : signals > 0, "%llu", (unsigned long long)signals);

	mirror_end(mirror, timeline);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1000), 0);
	ck_assert_int_eq(wait_point(handle, 1000, 60), -ETIME);
	ck_assert_uint_eq(query(handle), 199);
	close(event);
	close(fd);
}
END_TEST

START_TEST(mirror_to_ends_with_its_timeline)
{
	struct fbk_mirror *mirror;
	int fd;
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), 0);
	uint32_t handle = opened(fd);
	struct fbk_timeline *timeline = _i == 0 ? lab.timeline : lab.opened;
	ck_assert_int_eq(fbk_mirror_to_syncobj(timeline, fd, &mirror), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert_int_eq(wait_point(handle, 1, PATIENCE_MS), 0);
	ck_assert_int_eq(fbk_timeline_fail(lab.timeline, -EIO, "broken"), 0);
	ck_assert_int_eq(wait_point(handle, 2, PATIENCE_MS), 0);
	ck_assert_uint_ge(query(handle), FAILED);
	fbk_mirror_destroy(mirror);
	close(fd);
}
END_TEST

static int mirror_and_die(int socket, void *arg)
{
	(void)arg;
	struct fbk_mirror *mirror;
	struct fbk_timeline *timeline;
	int token, fd;
	struct fbk_context *context = peer_connect(&lab.daemon);
	receive_word(socket, &token);
	receive_word(socket, &fd);
	EXPECT(fbk_timeline_open(context, token, &timeline) == 0);
	EXPECT(fbk_mirror_to_syncobj(timeline, fd, &mirror) == 0);
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* killed here */
	return 1;
}

/* The mirror's creator dies; waiters for the syncobj must not wait for ever. */
START_TEST(mirror_to_ends_with_its_maker)
{
	struct peer peer;
	int fd, token;
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_timeline_share(lab.timeline, FBK_RIGHT_WAIT, &token), 0);
	peer_start(&peer, mirror_and_die, NULL);
	send_word(peer.socket, 0, token);
	send_word(peer.socket, 0, fd);
	receive_word(peer.socket, NULL);
	kill(peer.pid, SIGKILL);
	ck_assert_int_eq(wait_point(handle, 1, PATIENCE_MS), 0);
	ck_assert_uint_ge(query(handle), FAILED);
	ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
	close(fd);
	close(token);
}
END_TEST

static _Atomic uint64_t next_value;

static void *signal_some(void *arg)
{
	const unsigned int *count = arg;
	for (unsigned int i = 0; i < *count; i++) {
		/* relaxed: only distinct values are wanted; the library orders the signals */
		uint64_t value =
			atomic_fetch_add_explicit(&next_value, 1, memory_order_relaxed) + 1;
		int r = fbk_timeline_signal(lab.timeline, value);
		EXPECT(r == 0 || r == -EALREADY);
	}
	return NULL;
}

/* Several threads signal at once; on the other side values only rise. */
START_TEST(mirror_to_is_monotonic)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	unsigned int count = lab_count(20000);
	pthread_t threads[3];
	uint64_t last = 0;
	int fd;
	next_value = 0;
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), 0);
	uint32_t handle = opened(fd);
	struct fbk_timeline *timeline = _i == 0 ? lab.timeline : lab.opened;
	ck_assert_int_eq(fbk_mirror_to_syncobj(timeline, fd, &mirror), 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&threads[i], NULL, signal_some, &count);
	}
	while (last < 3 * count) {
		uint64_t value = query(handle);
		EXPECT(value >= last);
		EXPECT(value <= fbk_timeline_value(lab.opened));
		if (value != last) { /* requests are served all the while */
			EXPECT(fbk_timeline_info(lab.opened, &info) == 0);
		}
		last = value;
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
	}
	ck_assert_uint_eq(query(handle), 3 * count);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------- mirrors from a syncobj -- */

START_TEST(mirror_from)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline *line = brokered();
	int fd;
	uint32_t handle = syncobj(&fd);
	signal_point(handle, 2);
	ck_assert_int_eq(fbk_mirror_from_syncobj(line, fd, &mirror), 0);
	ck_assert_int_eq(wait_for(line, 2), 0);
	uint64_t before = lab_counter(&lab.daemon, "requests");
	for (uint64_t value = 3; value < 200; value++) {
		signal_point(handle, value);
		EXPECT(wait_for(line, value) == 0);
	}
	ck_assert_uint_le(lab_counter(&lab.daemon, "requests") - before, 4);
	signal_point(handle, 100000); /* jumps are fine */
	ck_assert_int_eq(wait_for(line, 100000), 0);

	ck_assert_int_eq(fbk_mirror_from_syncobj(line, fd, &mirror), -EBUSY);
	ck_assert_int_eq(fbk_timeline_signal(line, 100001), -EBUSY);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "follows a syncobj"));
	mirror_end(mirror, line);
	signal_point(handle, 100002);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 100002 }, deadline_ms(60)),
			 -ETIMEDOUT);
	ck_assert_int_eq(fbk_timeline_signal(line, 100002), 0); /* it is free again */
	close(fd);
}
END_TEST

START_TEST(mirror_from_carries_errors)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline *line = brokered();
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	uint32_t ids[2];
	int fd;
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_mirror_from_syncobj(line, fd, &mirror), 0);
	ck_assert_int_eq(fence_at(handle, 1, &ids[0]), 0);
	ck_assert_int_eq(fence_at(handle, 2, &ids[1]), 0);
	ck_assert_int_eq(test_fence_signal(fences, ids[0], 0), 0);
	ck_assert_int_eq(wait_for(line, 1), 0);
	ck_assert_int_eq(test_fence_signal(fences, ids[1], -EIO), 0);
	ck_assert_int_eq(wait_for(line, 2), -EIO);
	ck_assert_int_eq(fbk_timeline_info(line, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_FENCE_ERROR);
	close(fd);
}
END_TEST

/* Any holder can reset it: the next look finds out. */
START_TEST(reset_by_its_other_holder)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline *line = brokered();
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	int fd;
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_mirror_from_syncobj(line, fd, &mirror), 0);
	signal_point(handle, 5);
	ck_assert_int_eq(wait_for(line, 5), 0);
	ck_assert_int_eq(drmSyncobjReset(drm, &handle, 1), 0);
	ck_assert_int_eq(wait_for(line, 6), -EPROTO);
	ck_assert_int_eq(fbk_timeline_info(line, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_POLICING);
	ck_assert_msg(strstr(info.reason, "was reset"), "%s", info.reason);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ line, 5 }), 0);
	close(fd);
}
END_TEST

START_TEST(failed_by_the_other_side)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline *line = brokered();
	int fd;
	uint32_t handle = syncobj(&fd);
	ck_assert_int_eq(fbk_mirror_from_syncobj(line, fd, &mirror), 0);
	signal_point(handle, FAILED);
	ck_assert_int_eq(wait_for(line, 1), -EIO);
	close(fd);
}
END_TEST

/* The kernel's memory for an abandoned mirror cannot be taken back, so it stays charged for a
 * while: creating and dropping mirrors reaches a limit, and other users are not affected. */
START_TEST(arms_are_capped)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline *line = brokered();
	unsigned int made = 0;
	int fd;
	uint32_t handle = syncobj(&fd);
	int r;
	while ((r = fbk_mirror_from_syncobj(line, fd, &mirror)) == 0 && made < 2000) {
		fbk_mirror_destroy(mirror);
		made++;
	}
	ck_assert_int_eq(r, -EDQUOT);
	ck_assert_uint_eq(made, 512);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "syncobj_waits"));
	signal_point(handle, 1); /* raises them all, so that the memory is given back */
	do {
		r = fbk_mirror_from_syncobj(line, fd, &mirror);
	} while (r == -EDQUOT);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(wait_for(line, 1), 0);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------------------- linux-drm-syncobj-v1 */

/*
 * A window-system client with fencebroker, and a compositor with plain libdrm. Frame n is ready at
 * point n of the acquire timeline and free again at point n of the release timeline.
 */
static int compositor(int socket, void *arg)
{
	const unsigned int *frames = arg;
	int acquire_fd, release_fd, buffer_fd;
	drm = drm_render_open("virtio_gpu"); /* its own device file */
	receive_word(socket, &acquire_fd);
	receive_word(socket, &release_fd);
	receive_word(socket, &buffer_fd);
	uint32_t acquire = opened(acquire_fd);
	uint32_t release = opened(release_fd);
	unsigned int torn = 0;
	for (uint64_t frame = 1; frame <= *frames; frame++) {
		uint64_t shown;
		EXPECT(wait_point(acquire, frame, PATIENCE_MS) == 0);
		EXPECT(pread(buffer_fd, &shown, sizeof(shown), (off_t)(frame % 2) * 8) == 8);
		torn += shown != frame;
		signal_point(release, frame);
	}
	send_word(socket, torn, -1);
	return 0;
}

START_TEST(explicit_sync_with_a_plain_compositor)
{
	unsigned int frames = lab_count(3000);
	struct fbk_mirror *to, *from;
	struct fbk_timeline *release = brokered();
	struct peer peer;
	int acquire_fd, release_fd;
	int buffer_fd = memfd_create("picture", MFD_CLOEXEC);
	ck_assert_int_eq(fbk_syncobj_create(lab.signaler, &acquire_fd), 0);
	ck_assert_int_eq(fbk_syncobj_create(lab.signaler, &release_fd), 0);
	ck_assert_int_eq(fbk_mirror_to_syncobj(lab.timeline, acquire_fd, &to), 0);
	ck_assert_int_eq(fbk_mirror_from_syncobj(release, release_fd, &from), 0);
	peer_start(&peer, compositor, &frames);
	send_word(peer.socket, 0, acquire_fd);
	send_word(peer.socket, 0, release_fd);
	send_word(peer.socket, 0, buffer_fd);
	for (uint64_t frame = 1; frame <= frames; frame++) {
		EXPECT(frame <= 2 || wait_for(release, frame - 2) == 0);
		EXPECT(pwrite(buffer_fd, &frame, 8, (off_t)(frame % 2) * 8) == 8);
		EXPECT(fbk_timeline_signal(lab.timeline, frame) == 0);
	}
	ck_assert_int_eq(wait_for(release, frames), 0);
	ck_assert_uint_eq(receive_word(peer.socket, NULL), 0);
	ck_assert_int_eq(peer_wait(&peer), 0);
	close(acquire_fd);
	close(release_fd);
	close(buffer_fd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, export_wakes_who_waits_before);
	tcase_add_test(tcase, export_failed);
	tcase_add_test(tcase, export_expired);
	tcase_add_test(tcase, export_at_a_point);
	tcase_add_test(tcase, export_at_a_point_that_fails);
	tcase_add_test(tcase, export_at_a_wrong_point);
	tcase_add_test(tcase, points_of_one_syncobj_depend);
	tcase_add_test(tcase, mirror_to_a_syncobj_that_is_ahead);
	tcase_add_test(tcase, import_before_anything_is_submitted);
	tcase_add_test(tcase, import_of_a_fence_in_error);
	tcase_add_test(tcase, binary);
	tcase_add_test(tcase, what_is_no_syncobj);
	tcase_add_loop_test(tcase, mirror_to, 0, 2);
	tcase_add_loop_test(tcase, mirror_to_ends_with_its_timeline, 0, 2);
	tcase_add_test(tcase, mirror_to_ends_with_its_maker);
	tcase_add_loop_test(tcase, mirror_to_is_monotonic, 0, 2);
	tcase_add_test(tcase, mirror_from);
	tcase_add_test(tcase, mirror_from_carries_errors);
	tcase_add_test(tcase, reset_by_its_other_holder);
	tcase_add_test(tcase, failed_by_the_other_side);
	tcase_add_test(tcase, arms_are_capped);
	tcase_add_test(tcase, explicit_sync_with_a_plain_compositor);
}

/* Without syncobjs: every route says so, and the others work. */
static void setup_without(void)
{
	lab_open(&lab, lab_policy(60000));
}

static void teardown_without(void)
{
	lab_close(&lab);
}

START_TEST(without_syncobjs)
{
	const char *why = NULL;
	int fd = -1;
	ck_assert_int_eq(fbk_feature(lab.waiter, FBK_FEATURE_SYNCOBJ, &why), 0);
	ck_assert_ptr_nonnull(strstr(why, "syncobj"));
	ck_assert_int_eq(fbk_feature(lab.waiter, FBK_FEATURE_MIRRORS, &why), 0);
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "fencectl doctor"));
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(PATIENCE_MS), &fd),
			 -EOPNOTSUPP);
	/* The routes that remain. */
	ck_assert_int_eq(fbk_feature(lab.waiter, FBK_FEATURE_EXPORT_SYNC_FILE, &why), 1);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_SYNC_FILE,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(sync_file_status(fd), 1);
	close(fd);
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_EVENTFD,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
}
END_TEST

static void add_without(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_without, teardown_without);
	tcase_add_test(tcase, without_syncobjs);
}

int main(void)
{
	if (!in_guest()) {
		return lab_main("syncobj", NULL, add);
	}
	int fd = drm_render_open("virtio_gpu");
	bool has = fd >= 0 && drm_cap(fd, DRM_CAP_SYNCOBJ_TIMELINE);
	close(fd);
	return has ? lab_main("syncobj", "virtio_gpu", add)
		   : lab_main("no syncobj", NULL, add_without);
}
