// SPDX-License-Identifier: MIT
/* The library with a real daemon: watches, exports, imports, sets. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/timeline.h"
#include "lib-peer.h"

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_end(&server);
}

/* ---------------------------------------------------------------------------------- watches -- */

struct seen {
	int calls, result;
	uint64_t value;
};

static void on_point(void *arg, struct fbk_point point, int result)
{
	struct seen *seen = arg;
	seen->calls++;
	seen->result = result;
	seen->value = point.value;
}

static void dispatch_until(struct fbk_context *context, const struct seen *seen, int calls)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	while (seen->calls < calls && now_ms() < end) {
		loop_turn(context);
	}
	ck_assert_int_eq(seen->calls, calls);
}

START_TEST(watches_tell_once)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct seen reached = { 0 }, late = { 0 }, never = { 0 }, failed = { 0 };
	struct fbk_watch *cancelled = NULL;
	struct fbk_point point = { timeline, 1 };
	struct fbk_point next = { timeline, 2 };

	ck_assert_int_eq(fbk_point_watch(point, FBK_DEADLINE_MAX, on_point, &reached, NULL), 0);
	ck_assert_int_eq(fbk_point_watch(point, FBK_DEADLINE_MAX, on_point, &never, &cancelled), 0);
	ck_assert_int_eq(fbk_dispatch(context), 0);
	fbk_watch_cancel(cancelled);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	dispatch_until(context, &reached, 1);
	ck_assert_int_eq(reached.result, 0);
	ck_assert_uint_eq(reached.value, 1);

	/* decided already: the callback still runs only in dispatch */
	ck_assert_int_eq(fbk_point_watch(point, 0, on_point, &reached, NULL), 0);
	ck_assert_int_eq(reached.calls, 1);
	dispatch_until(context, &reached, 2);

	ck_assert_int_eq(fbk_point_watch(next, deadline_ms(30), on_point, &late, NULL), 0);
	dispatch_until(context, &late, 1);
	ck_assert_int_eq(late.result, -ETIMEDOUT);

	ck_assert_int_eq(fbk_point_watch(next, FBK_DEADLINE_MAX, on_point, &failed, NULL), 0);
	ck_assert_int_eq(fbk_timeline_fail(next.timeline, -ENXIO, NULL), 0);
	dispatch_until(context, &failed, 1);
	ck_assert_int_eq(failed.result, -ENXIO);
	ck_assert_int_eq(never.calls, 0);
	ck_assert_int_eq(fbk_dispatch(context), 0);
	ck_assert_int_eq(readable_within(fbk_context_fd(context), 0), 0);
	fbk_disconnect(context);
}
END_TEST

START_TEST(many_watches)
{
	enum { MANY = 5000 };
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct seen seen = { 0 };
	for (uint64_t value = MANY; value > 0; value--) {
		EXPECT(fbk_point_watch((struct fbk_point){ timeline, value }, FBK_DEADLINE_MAX,
				       on_point, &seen, NULL) == 0);
	}
	ck_assert_int_eq(fbk_timeline_signal(timeline, MANY - 1), 0);
	dispatch_until(context, &seen, MANY - 1);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, MANY }), -EAGAIN);
	ck_assert_int_eq(fbk_timeline_signal(timeline, MANY), 0);
	dispatch_until(context, &seen, MANY);
	fbk_disconnect(context);
}
END_TEST

START_TEST(watches_end_with_the_daemon)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct seen lost = { 0 }, reached = { 0 };
	ck_assert_int_eq(fbk_point_watch((struct fbk_point){ timeline, 9 }, FBK_DEADLINE_MAX,
					 on_point, &lost, NULL),
			 0);
	ck_assert_int_eq(fbk_point_watch((struct fbk_point){ timeline, 1 }, FBK_DEADLINE_MAX,
					 on_point, &reached, NULL),
			 0);
	daemon_kill(&server);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	dispatch_until(context, &lost, 1);
	ck_assert_int_eq(lost.result, -ENOTCONN);
	ck_assert_int_eq(reached.calls, 1);
	ck_assert_int_eq(reached.result, 0);
	ck_assert_int_eq(fbk_dispatch(context), -ENOTCONN);
	fbk_disconnect(context);
}
END_TEST

/* ------------------------------------------------------------------------------ translation -- */

START_TEST(export_to_an_eventfd)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_point point = { timeline, 1 };
	int reached, expired, failed;
	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &reached), 0);
	ck_assert_int_eq(fbk_fence_classify(context, reached), FBK_FENCE_EVENTFD);
	ck_assert_int_eq(readable_within(reached, 0), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(readable_within(reached, PATIENCE_MS), 1);

	point.value = 2;
	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, deadline_ms(30), &expired), 0);
	ck_assert_int_eq(readable_within(expired, PATIENCE_MS), 1);
	ck_assert_int_eq(fbk_point_check(point), -EAGAIN);

	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &failed), 0);
	ck_assert_int_eq(fbk_timeline_fail(point.timeline, -EIO, NULL), 0);
	ck_assert_int_eq(readable_within(failed, PATIENCE_MS), 1);
	ck_assert_int_eq(fbk_point_check(point), -EIO);
	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_SYNC_FILE, FBK_DEADLINE_MAX, &failed),
			 fbk_feature(context, FBK_FEATURE_EXPORT_SYNC_FILE, NULL) ? -EIO
										  : -EOPNOTSUPP);
	close(reached);
	close(expired);
	close(failed);
	fbk_disconnect(context);
}
END_TEST

START_TEST(import_of_eventfds)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "dev");
	struct fbk_timeline *timeline = peer_timeline(device, "line", FBK_TIMELINE_BROKERED);
	struct fbk_point alone;
	int fences[3];
	for (int i = 0; i < 3; i++) {
		fences[i] = eventfd(0, EFD_CLOEXEC);
		ck_assert_int_eq(
			fbk_point_signal_on((struct fbk_point){ timeline, 1 + (uint64_t)i },
					    dup(fences[i])),
			0);
	}
	ck_assert_int_eq(fbk_point_signal_on((struct fbk_point){ timeline, 3 }, dup(fences[0])),
			 -EALREADY);
	/* The second fence signals first: its point waits for the first. */
	eventfd_write(fences[1], 1);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ timeline, 1 }, deadline_ms(30)),
			 -ETIMEDOUT);
	eventfd_write(fences[0], 1);
	ck_assert_int_eq(
		fbk_point_wait((struct fbk_point){ timeline, 2 }, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 3 }), -EAGAIN);
	/* By request: after the points given before. */
	ck_assert_int_eq(fbk_timeline_signal(timeline, 4), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 4 }), -EAGAIN);
	eventfd_write(fences[2], 1);
	ck_assert_int_eq(
		fbk_point_wait((struct fbk_point){ timeline, 4 }, deadline_ms(PATIENCE_MS)), 0);
	/* A timeline of its own, signalled from the start. */
	ck_assert_int_eq(fbk_import(device, dup(fences[2]), &alone), 0);
	ck_assert_int_eq(fbk_point_wait(alone, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_import(device, dup(STDOUT_FILENO), &alone), -EBADF);
	for (int i = 0; i < 3; i++) {
		eventfd_t value = 0;
		ck_assert_int_eq(eventfd_read(fences[i], &value), 0); /* the daemon never read it */
		ck_assert_uint_eq(value, 1);
		close(fences[i]);
	}
	fbk_disconnect(context);
}
END_TEST

/* A poll(2) of an exported eventfd sees no hang-up: the library raises it when the daemon dies. */
START_TEST(exports_end_with_the_daemon)
{
	enum { MANY = 100 };
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_timeline *closed = peer_timeline(peer_device(context, "other"), "closed", 0);
	int before[MANY], after[MANY], orphan;
	for (int i = 0; i < MANY; i++) { /* more than are kept before the first sweep */
		struct fbk_point point = { timeline, 1 }, next = { timeline, 2 };
		ck_assert_int_eq(
			fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &before[i]),
			0);
		ck_assert_int_eq(
			fbk_point_export(next, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &after[i]), 0);
	}
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(readable_within(before[MANY - 1], PATIENCE_MS), 1);
	ck_assert_int_eq(fbk_point_export((struct fbk_point){ closed, 1 }, FBK_FENCE_EVENTFD,
					  FBK_DEADLINE_MAX, &orphan),
			 0);
	fbk_timeline_close(closed);
	daemon_kill(&server);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(readable_within(before[i], 0), 1);
		ck_assert_int_eq(readable_within(after[i], PATIENCE_MS), 1);
		close(before[i]);
		close(after[i]);
	}
	ck_assert_int_eq(readable_within(orphan, PATIENCE_MS), 1);
	close(orphan);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 2 }), -ENOTCONN);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 1 }), 0);
	fbk_disconnect(context);
}
END_TEST

START_TEST(export_of_the_signalled_point)
{
	int fd;
	ck_assert_int_eq(fbk_point_export(FBK_POINT_SIGNALLED, FBK_FENCE_EVENTFD, 0, &fd), 0);
	ck_assert_int_eq(readable_within(fd, 0), 1);
	close(fd);
	ck_assert_int_eq(fbk_point_export(FBK_POINT_SIGNALLED, FBK_FENCE_SYNC_FILE, 0, &fd),
			 -EOPNOTSUPP);
}
END_TEST

static int fd_count(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

/* Each export keeps an fd in the library until its point is decided, and no longer. */
START_TEST(exports_do_not_pile_up)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	int fd, before = 0;
	for (uint64_t value = 1; value <= 400; value++) {
		ck_assert_int_eq(fbk_point_export((struct fbk_point){ timeline, value },
						  FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd),
				 0);
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		close(fd);
		if (value == 100) {
			before = fd_count();
		}
	}
	ck_assert_int_le(fd_count(), before + 32);
	fbk_disconnect(context);
}
END_TEST

/* A set's page is handed out writable once: it stays mapped while timelines may still be added. */
START_TEST(a_set_outlives_its_timelines)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "dev");
	struct fbk_timeline *timeline;
	struct fbk_set *set;
	ck_assert_int_eq(fbk_set_create(context, &set), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(fbk_timeline_create(device, set, "again", 0, &timeline), 0);
		ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
		fbk_timeline_close(timeline);
	}
	ck_assert_int_eq(fbk_timeline_create(device, set, "last", 0, &timeline), 0);
	fbk_set_destroy(set);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	fbk_timeline_close(timeline);
	fbk_disconnect(context);
}
END_TEST

static void *wait_for_seven(void *arg)
{
	struct fbk_timeline *timeline = arg;
	int r = fbk_point_wait((struct fbk_point){ timeline, 7 }, deadline_ms(PATIENCE_MS));
	return (void *)(intptr_t)r;
}

/* A device stores by itself without a ring; its process tells the daemon afterwards. */
START_TEST(what_a_device_stored_is_told)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_timeline *seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	pthread_t thread;
	void *result;
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_seven, seen), 0);
	do { /* until it sleeps: armed at the daemon */
		ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
	} while (atomic_load(&timeline->control->monitored) != 7);
	atomic_store((_Atomic uint64_t *)memory.address, 7);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 7), -EALREADY);
	pthread_join(thread, &result);
	ck_assert_int_eq((int)(intptr_t)result, 0);
	fbk_disconnect(other);
	fbk_disconnect(context);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, watches_tell_once);
	tcase_add_test(tcase, many_watches);
	tcase_add_test(tcase, watches_end_with_the_daemon);
	tcase_add_test(tcase, export_to_an_eventfd);
	tcase_add_test(tcase, exports_end_with_the_daemon);
	tcase_add_test(tcase, export_of_the_signalled_point);
	tcase_add_test(tcase, exports_do_not_pile_up);
	tcase_add_test(tcase, import_of_eventfds);
	tcase_add_test(tcase, a_set_outlives_its_timelines);
	tcase_add_test(tcase, what_a_device_stored_is_told);
}

int main(void)
{
	return suite_main("translation", add_tests);
}
