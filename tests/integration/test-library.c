// SPDX-License-Identifier: MIT
/* The library with a real daemon: signal and wait, between processes, until they end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* ------------------------------------------------------------------------- signal and check -- */

START_TEST(points_and_their_bounds)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 0), -ERANGE);
	ck_assert_int_eq(fbk_timeline_signal(timeline, FBK_POINT_MAX + 1), -ERANGE);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "2^62"));
	ck_assert_int_eq(fbk_timeline_signal(timeline, 5), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 5), -EALREADY);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 4), -EALREADY);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "line"));
	ck_assert_uint_eq(fbk_timeline_value(timeline), 5);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 5 }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 6 }), -EAGAIN);
	ck_assert_int_eq(fbk_point_check(FBK_POINT_SIGNALLED), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ timeline, 6 }, 0), -ETIMEDOUT);
	fbk_disconnect(context);
}
END_TEST

START_TEST(rights_hold_in_the_library)
{
	struct fbk_context *maker = peer_connect(&server);
	struct fbk_context *waiter = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(maker, "dev"), "line", 0);
	struct fbk_timeline *seen = peer_open(waiter, timeline, FBK_RIGHT_WAIT);
	int token;
	ck_assert_int_eq(fbk_timeline_signal(seen, 1), -EPERM);
	ck_assert_int_eq(fbk_timeline_fail(seen, -EIO, "no"), -EPERM);
	ck_assert_int_eq(fbk_timeline_share(timeline, FBK_RIGHT_SIGNAL, &token), -EPERM);
	ck_assert_int_eq(fbk_timeline_share(seen, FBK_RIGHT_SIGNAL, &token), -EPERM);
	ck_assert_int_eq(fbk_timeline_open(waiter, STDOUT_FILENO, &seen), -EBADF);
	ck_assert_int_eq(fbk_timeline_open(waiter, 9999, &seen), -EBADF);
	fbk_disconnect(waiter);
	fbk_disconnect(maker);
}
END_TEST

/* --------------------------------------------------------------------------- between processes -- */

#define ROUNDS 300

static int echo_process(int socket, void *arg)
{
	struct daemon *at = arg;
	int token;
	struct fbk_context *context = peer_connect(at);
	struct fbk_timeline *back = peer_timeline(peer_device(context, "echo"), "back", 0);
	struct fbk_timeline *forth = NULL;
	EXPECT(fbk_timeline_share(back, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &forth) == 0);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		EXPECT(fbk_point_wait((struct fbk_point){ forth, i }, deadline_ms(PATIENCE_MS)) ==
		       0);
		EXPECT(fbk_timeline_signal(back, i) == 0);
	}
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return 0;
}

START_TEST(two_processes_ping_pong)
{
	struct peer peer;
	struct fbk_timeline *back = NULL;
	int token;
	peer_start(&peer, echo_process, &server);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *forth = peer_timeline(peer_device(context, "ping"), "forth", 0);
	receive_word(peer.socket, &token);
	ck_assert_int_eq(fbk_timeline_open(context, token, &back), 0);
	close(token);
	ck_assert_int_eq(fbk_timeline_share(forth, FBK_RIGHT_WAIT, &token), 0);
	send_word(peer.socket, 0, token);
	close(token);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		EXPECT(fbk_timeline_signal(forth, i) == 0);
		EXPECT(fbk_point_wait((struct fbk_point){ back, i }, deadline_ms(PATIENCE_MS)) ==
		       0);
	}
	send_word(peer.socket, 1, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	fbk_disconnect(context);
}
END_TEST

/* Creates a timeline, signals point 3, shares it, and ends in the given way. */
static int owner_process(int socket, void *arg)
{
	struct daemon *at = arg;
	int token;
	struct fbk_context *context = peer_connect(at);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "owner"), "mortal", 0);
	EXPECT(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token) == 0);
	EXPECT(fbk_timeline_signal(timeline, 3) == 0);
	send_word(socket, 0, token);
	switch (receive_word(socket, NULL)) {
	case 0:
		raise(SIGKILL);
		break;
	case 1:
		fbk_disconnect(context);
		break;
	case 2:
		EXPECT(fbk_timeline_fail(timeline, -EREMOTEIO, "the lens cap is on") == 0);
		EXPECT(fbk_timeline_signal(timeline, 4) == -EREMOTEIO);
		receive_word(socket, NULL);
		fbk_disconnect(context);
		break;
	}
	return 0;
}

static const struct ending {
	int status, error;
	enum fbk_cause cause;
	const char *reason;
} endings[] = {
	{ 128 + SIGKILL, -EOWNERDEAD, FBK_CAUSE_OWNER_DIED, "owner" },
	{ 0, -EPIPE, FBK_CAUSE_OWNER_LEFT, "owner" },
	{ 0, -EREMOTEIO, FBK_CAUSE_OWNER_FAILED, "the lens cap is on" },
};

struct timed_wait {
	struct fbk_point point;
	uint64_t ms;
	int result;
};

static void *wait_in_thread(void *arg)
{
	struct timed_wait *wait = arg;
	wait->result = fbk_point_wait(wait->point, deadline_ms(wait->ms));
	return NULL;
}

START_TEST(every_end_of_the_owner_ends_the_wait)
{
	const struct ending *ending = &endings[_i];
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_timeline *timeline = NULL;
	struct peer peer;
	pthread_t thread;
	int token;
	peer_start(&peer, owner_process, &server);
	struct fbk_context *context = peer_connect(&server);
	receive_word(peer.socket, &token);
	ck_assert_int_eq(fbk_timeline_open(context, token, &timeline), 0);
	close(token);
	struct timed_wait wait = { .point = { timeline, 4 }, .ms = PATIENCE_MS };
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, &wait), 0);
	send_word(peer.socket, (uint64_t)_i, -1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(wait.result, ending->error);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 3 }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 4 }), ending->error);
	ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
	ck_assert_int_eq(info.cause, ending->cause);
	ck_assert_uint_eq(info.failed_from, 4);
	ck_assert_int_eq(info.pid, peer.pid);
	ck_assert_ptr_nonnull(strstr(info.reason, ending->reason));
	if (ending->status == 0 && ending->cause == FBK_CAUSE_OWNER_FAILED) {
		send_word(peer.socket, 0, -1);
	}
	ck_assert_int_eq(peer_wait(&peer), ending->status);
	fbk_disconnect(context);
}
END_TEST

/* ------------------------------------------------------------------------------ the daemon ends -- */

START_TEST(a_dead_daemon_ends_every_wait)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct timed_wait wait = { .point = { timeline, 2 }, .ms = PATIENCE_MS };
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	pthread_t thread;
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, &wait), 0);
	uint64_t start = now_ms();
	daemon_kill(&server);
	pthread_join(thread, NULL);
	ck_assert_int_eq(wait.result, -ENOTCONN);
	ck_assert_uint_lt(now_ms() - start, PATIENCE_MS / 2);
	/* Reached points stay reached; requests to the daemon fail at once. */
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ timeline, 1 }, 0), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 2 }), -ENOTCONN);
	ck_assert_int_eq(fbk_dispatch(context), -ENOTCONN);
	ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_DAEMON_LOST);
	fbk_disconnect(context);
}
END_TEST

START_TEST(a_stopped_daemon_holds_up_nobody_past_the_deadline)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	kill(server.pid, SIGSTOP);
	uint64_t start = now_ms();
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ timeline, 1 }, deadline_ms(200)),
			 -ETIMEDOUT);
	ck_assert_uint_ge(now_ms() - start, 199);
	kill(server.pid, SIGCONT);
	fbk_disconnect(context);
}
END_TEST

static void note_point(void *arg, struct fbk_point point, int result)
{
	uint64_t **next = arg;
	ck_assert_int_eq(result, 0);
	*(*next)++ = point.value;
}

/* Watches are not waited for: the daemon gets them in this order, and all points are reached by
 * then. */
START_TEST(watches_call_back_in_the_order_of_their_points)
{
	static const uint64_t values[] = { 4, 2, 9, 1, 8, 3 };
	uint64_t seen[6] = { 0 };
	uint64_t *next = seen;
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "watched", 0);
	kill(server.pid, SIGSTOP);
	for (size_t i = 0; i < 6; i++) {
		struct fbk_point point = { timeline, values[i] };
		ck_assert_int_eq(
			fbk_point_watch(point, deadline_ms(PATIENCE_MS), note_point, &next, NULL),
			0);
	}
	ck_assert_int_eq(fbk_timeline_signal(timeline, 8), 0);
	/* This point is known to be reached; those below it are told first nevertheless. */
	struct fbk_point late = { timeline, 5 };
	ck_assert_int_eq(fbk_point_watch(late, deadline_ms(PATIENCE_MS), note_point, &next, NULL),
			 0);
	ck_assert_int_gt(fbk_dispatch(context), 0);
	ck_assert_uint_eq(seen[4], 5);
	kill(server.pid, SIGCONT);
	uint64_t end = now_ms() + PATIENCE_MS;
	while (next < seen + 6) {
		struct pollfd entry = { .fd = fbk_context_fd(context), .events = POLLIN };
		ck_assert_msg(now_ms() < end, "a callback is missing");
		poll(&entry, 1, 100);
		ck_assert_int_ge(fbk_dispatch(context), 0);
	}
	static const uint64_t expected[] = { 1, 2, 3, 4, 5, 8 };
	ck_assert_mem_eq(seen, expected, sizeof(seen));
	fbk_disconnect(context);
}
END_TEST

START_TEST(a_daemon_that_stops_cleanly_says_so)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	daemon_terminate(&server);
	ck_assert_int_eq(
		fbk_point_wait((struct fbk_point){ timeline, 1 }, deadline_ms(PATIENCE_MS)),
		-ENOTCONN);
	fbk_disconnect(context);
}
END_TEST

/* ------------------------------------------------------------------------------ any, all, many -- */

static void *signal_in_thread(void *arg)
{
	struct fbk_point *point = arg;
	fbk_point_signal(*point);
	return NULL;
}

static const size_t any_counts[] = { 1, 2, 127, 128, 300 };

START_TEST(any_of_many)
{
	size_t count = any_counts[_i];
	struct fbk_point points[300];
	struct fbk_context *waiter = peer_connect(&server);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "dev");
	struct fbk_set *set = NULL;
	size_t index = 999;
	pthread_t thread;
	ck_assert_int_eq(fbk_set_create(context, &set), 0);
	for (size_t i = 0; i < count; i++) {
		struct fbk_timeline *timeline = NULL;
		EXPECT(fbk_timeline_create(device, set, "line", 0, &timeline) == 0);
		points[i] = (struct fbk_point){ timeline, 1 };
	}
	ck_assert_int_eq(fbk_point_wait_any(points, count, deadline_ms(20), &index), -ETIMEDOUT);
	ck_assert_uint_eq(index, 999);
	size_t chosen = count - 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_in_thread, &points[chosen]), 0);
	ck_assert_int_eq(fbk_point_wait_any(points, count, deadline_ms(PATIENCE_MS), &index), 0);
	ck_assert_uint_eq(index, chosen);
	pthread_join(thread, NULL);
	fbk_disconnect(context);
	fbk_disconnect(waiter);
}
END_TEST

START_TEST(all_of_three)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "dev");
	struct fbk_point points[3];
	size_t index = 9;
	pthread_t thread;
	for (size_t i = 0; i < 3; i++) {
		points[i] = (struct fbk_point){ peer_timeline(device, "line", 0), 7 };
	}
	ck_assert_int_eq(fbk_point_signal(points[0]), 0);
	ck_assert_int_eq(fbk_point_wait_all(points, 3, deadline_ms(20), &index), -ETIMEDOUT);
	ck_assert_uint_eq(index, 1);
	ck_assert_int_eq(fbk_point_signal(points[1]), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_in_thread, &points[2]), 0);
	ck_assert_int_eq(fbk_point_wait_all(points, 3, deadline_ms(PATIENCE_MS), NULL), 0);
	pthread_join(thread, NULL);
	points[0].value = points[1].value = 8;
	ck_assert_int_eq(fbk_timeline_fail(points[1].timeline, -EIO, NULL), 0);
	ck_assert_int_eq(fbk_point_wait_all(points, 3, deadline_ms(PATIENCE_MS), &index), -EIO);
	ck_assert_uint_eq(index, 1);
	ck_assert_int_eq(fbk_point_wait_all(points, 0, 0, NULL), -EINVAL);
	fbk_disconnect(context);
}
END_TEST

#define THREADS 40 /* more than the daemon wakes at once */

START_TEST(forty_threads_on_one_timeline)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_context *signaler = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(signaler, "dev"), "line", 0);
	struct fbk_timeline *seen = peer_open(context, timeline, FBK_RIGHT_WAIT);
	struct timed_wait waits[THREADS];
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++) {
		waits[i] = (struct timed_wait){ .point = { seen, 1 + i % 2 }, .ms = PATIENCE_MS };
		EXPECT(pthread_create(&threads[i], NULL, wait_in_thread, &waits[i]) == 0);
	}
	uint64_t start = now_ms();
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 2), 0);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(waits[i].result, 0);
	}
	ck_assert_uint_lt(now_ms() - start, PATIENCE_MS / 2);
	fbk_disconnect(signaler);
	fbk_disconnect(context);
}
END_TEST

START_TEST(blame_follows_the_chain_to_the_stopped_one)
{
	struct fbk_timeline *timeline = NULL;
	struct peer peer;
	char text[512];
	char pid[32];
	int token;
	int fd;
	peer_start(&peer, owner_process, &server);
	struct fbk_context *middle = peer_connect(&server);
	struct fbk_context *waiter = peer_connect(&server);
	receive_word(peer.socket, &token);
	ck_assert_int_eq(fbk_timeline_open(middle, token, &timeline), 0);
	close(token);
	struct fbk_timeline *own = peer_timeline(peer_device(middle, "middle"), "relay", 0);
	struct fbk_timeline *seen = peer_open(waiter, own, FBK_RIGHT_WAIT);
	ck_assert_int_eq(fbk_point_export((struct fbk_point){ timeline, 4 }, FBK_FENCE_EVENTFD,
					  FBK_DEADLINE_MAX, &fd),
			 0);
	kill(peer.pid, SIGSTOP);
	ck_assert_int_eq(waitpid(peer.pid, NULL, WUNTRACED), peer.pid);
	ck_assert_int_eq(fbk_point_blame((struct fbk_point){ seen, 1 }, text, sizeof(text)), 0);
	snprintf(pid, sizeof(pid), "(pid %d), which is stopped", peer.pid);
	ck_assert_msg(strstr(text, pid) && strstr(text, "middle"), "%s", text);
	kill(peer.pid, SIGCONT);
	send_word(peer.socket, 1, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	close(fd);
	fbk_disconnect(waiter);
	fbk_disconnect(middle);
}
END_TEST

/* ------------------------------------------------------------------------------- the edges --- */

static int use_after_fork(void *arg)
{
	struct fbk_timeline *timeline = arg;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	EXPECT(fbk_timeline_signal(timeline, 1) == -EBADF);
	EXPECT(fbk_point_check((struct fbk_point){ timeline, 1 }) == -EBADF);
	EXPECT(fbk_point_wait((struct fbk_point){ timeline, 1 }, FBK_DEADLINE_MAX) == -EBADF);
	EXPECT(fbk_timeline_info(timeline, &info) == -EBADF);
	return 0;
}

START_TEST(a_forked_child_is_refused)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	ck_assert_int_eq(child_wait(child_start(use_after_fork, timeline)), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	fbk_disconnect(context);
}
END_TEST

START_TEST(what_is_not_there_says_so)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "dev");
	struct fbk_timeline *timeline = peer_timeline(device, "line", 0);
	const char *why = NULL;
	int fd = -1;
	ck_assert_int_eq(fbk_feature(context, FBK_FEATURE_EXPORT_EVENTFD, &why), 1);
	ck_assert_int_eq(fbk_feature(context, FBK_FEATURE_RECONNECT, &why), 0);
	ck_assert_ptr_nonnull(strstr(why, "connect anew"));
	/* Policy forbids it, whatever the kernel could do. */
	ck_assert_int_eq(fbk_point_promise((struct fbk_point){ timeline, 1 }, &fd), -EPERM);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "promises are off"));
	ck_assert_int_eq(fbk_feature(context, FBK_FEATURE_PROMISE, &why), 0);
	ck_assert_int_eq(fbk_timeline_memory(timeline, NULL, &fd), -EOPNOTSUPP);
	fbk_disconnect(context);
}
END_TEST

/* A reply whose fds find no room fails that call, and only that. */
START_TEST(out_of_fds)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct fbk_point point = { timeline, 1 };
	struct rlimit old, limit;
	int fd = -1;
	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd), 0);
	close(fd);
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
	close(next);
	limit.rlim_cur = (rlim_t)next; /* every lower one is in use */
	setrlimit(RLIMIT_NOFILE, &limit);
	fd = -1;
	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd),
			 -EMFILE);
	ck_assert_msg(strstr(fbk_error_detail(), "limit of open files"), "%s", fbk_error_detail());
	ck_assert_int_eq(fd, -1);
	setrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), 0);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
	fbk_disconnect(context);
}
END_TEST

START_TEST(no_daemon_says_what_to_do)
{
	struct fbk_context *context = NULL;
	ck_assert_int_eq(fbk_connect("/nonexistent/socket", &context), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "/nonexistent/socket"));
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "fencebrokerd --user"));
	ck_assert_ptr_null(context);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, points_and_their_bounds);
	tcase_add_test(tcase, rights_hold_in_the_library);
	tcase_add_test(tcase, two_processes_ping_pong);
	ADD_LOOP(tcase, every_end_of_the_owner_ends_the_wait, endings);
	ADD_LOOP(tcase, any_of_many, any_counts);
	tcase_add_test(tcase, all_of_three);
	tcase_add_test(tcase, forty_threads_on_one_timeline);
	tcase_add_test(tcase, a_dead_daemon_ends_every_wait);
	tcase_add_test(tcase, a_stopped_daemon_holds_up_nobody_past_the_deadline);
	tcase_add_test(tcase, watches_call_back_in_the_order_of_their_points);
	tcase_add_test(tcase, a_daemon_that_stops_cleanly_says_so);
	tcase_add_test(tcase, blame_follows_the_chain_to_the_stopped_one);
	tcase_add_test(tcase, a_forked_child_is_refused);
	tcase_add_test(tcase, what_is_not_there_says_so);
	tcase_add_test(tcase, out_of_fds);
	tcase_add_test(tcase, no_daemon_says_what_to_do);
}

int main(void)
{
	return suite_main("library", add_tests);
}
