// SPDX-License-Identifier: MIT
/* Promises: unsignalled sync_files that are kept, broken or refused; and what kernel consumers
 * see. */
#include "lib-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <xf86drm.h>

static struct lab lab;

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
}

static void teardown(void)
{
	lab_close(&lab);
}

static int promise(uint64_t value)
{
	int fd = -1;
	int r = fbk_point_promise(lab_point(&lab, value), &fd);
	ck_assert_msg(r == 0, "fbk_point_promise: %s", fbk_error_detail());
	return fd;
}

static void expect_refused(uint64_t value, int error, const char *what)
{
	int fd = -1;
	ck_assert_int_eq(fbk_point_promise(lab_point(&lab, value), &fd), error);
	ck_assert_msg(strstr(fbk_error_detail(), what), "%s", fbk_error_detail());
	ck_assert_int_eq(fd, -1);
}

START_TEST(unsignalled_before_signalled_after)
{
	struct sync_file_state state;
	int fd = promise(1);
	ck_assert_int_eq(sync_file_info(fd, &state), 0);
	ck_assert_int_eq(state.status, 0);
	ck_assert_str_eq(state.driver, "vgem");
	ck_assert_int_eq(readable_within(fd, 50), 0);

	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	ck_assert_int_eq(sync_file_status(fd), 1);
	close(fd);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_kept"), 1);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_broken"), 0);
}
END_TEST

START_TEST(what_is_reached_needs_no_promise)
{
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 5), 0);
	int fd = promise(5);
	ck_assert_int_eq(sync_file_status(fd), 1);
	close(fd);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises"), 0);
}
END_TEST

#define WINDOW 8 /* promises ahead of the signaler */

static _Atomic uint64_t promised;

/* Signals each point as soon as it is promised, and not before: otherwise no fence could be
 * early. */
static void *signal_all(void *arg)
{
	const unsigned int *count = arg;
	for (uint64_t value = 1; value <= *count; value++) {
		/* acquire: after the promise was made */
		while (atomic_load_explicit(&promised, memory_order_acquire) < value) {
			yield_briefly();
		}
		EXPECT(fbk_timeline_signal(lab.timeline, value) == 0);
	}
	return NULL;
}

START_TEST(never_before_the_value_is_in_memory)
{
	unsigned int count = lab_count(10000);
	unsigned int early = 0;
	int fds[WINDOW];
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_all, &count), 0);
	for (uint64_t value = 1; value <= count + WINDOW; value++) {
		int *fd = &fds[value % WINDOW];
		if (value > WINDOW) {
			/* Reads the fence's state, then the payload: if the fence is signalled, the
			 * payload must be there. */
			while (sync_file_status(*fd) == 0) {
				EXPECT(sync_file_wait(*fd, PATIENCE_MS));
			}
			early += fbk_timeline_value(lab.opened) < value - WINDOW;
			close(*fd);
		}
		if (value <= count) {
			*fd = promise(value);
			/* release: see above */
			atomic_store_explicit(&promised, value, memory_order_release);
		}
	}
	pthread_join(thread, NULL);
	printf("%u signals promised before they came, %u early\n", count, early);
	ck_assert_uint_eq(early, 0);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_kept"), count);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_broken"), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------- broken -- */

START_TEST(expiry)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	uint64_t before = now_ms();
	int fd = promise(3);
	int later = promise(7);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 2), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	uint64_t took = now_ms() - before;
	ck_assert_msg(took >= LAB_PROMISE_MS && took < KERNEL_PROMISE_MS, "%llu ms",
		      (unsigned long long)took);
	/* Kernel consumers see success. A client that asks the daemon learns of the failure at
	 * once. */
	ck_assert_int_eq(sync_file_status(fd), 1);
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 3)), -ETIME);
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 2)), 0);
	ck_assert(sync_file_wait(later, PATIENCE_MS));
	ck_assert_int_eq(fbk_timeline_info(lab.opened, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_DEADLINE);
	ck_assert_msg(strstr(info.reason, "signaler (pid ") && strstr(info.reason, "line point 3"),
		      "%s", info.reason);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 4), -ETIME);
	close(fd);
	close(later);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_broken"), 2);
}
END_TEST

/* After a broken promise there is no other until the point is delivered: on any timeline, for any
 * client. */
START_TEST(not_believed_until_it_delivers)
{
	int fd = promise(1);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	close(fd);

	fbk_timeline_close(lab.opened);
	fbk_timeline_close(lab.timeline);
	lab.timeline = peer_timeline(lab.device, "second", 0);
	lab.opened = peer_open(lab.waiter, lab.timeline, FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE);
	expect_refused(1, -ETIME, "broke its last promise");
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	fd = promise(2);
	ck_assert_int_eq(sync_file_status(fd), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 2), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	close(fd);
}
END_TEST

static int die_with_a_timeline(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *context = peer_connect(&lab.daemon);
	struct fbk_device *device = peer_device(context, "mortal");
	struct fbk_timeline *timeline = peer_timeline(device, "last", 0);
	int token;
	EXPECT(fbk_timeline_share(timeline, FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE, &token) == 0);
	send_word(socket, 0, token);
	receive_word(socket, NULL); /* killed here */
	return 1;
}

START_TEST(owner_killed)
{
	struct peer peer;
	struct fbk_timeline *opened;
	int token, fd;
	peer_start(&peer, die_with_a_timeline, NULL);
	receive_word(peer.socket, &token);
	ck_assert_int_eq(fbk_timeline_open(lab.waiter, token, &opened), 0);
	close(token);
	struct fbk_point point = { opened, 1 };
	ck_assert_int_eq(fbk_point_promise(point, &fd), 0);
	kill(peer.pid, SIGKILL);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	ck_assert_int_eq(sync_file_status(fd), 1);
	ck_assert_int_eq(fbk_point_check(point), -EOWNERDEAD); /* not -ETIME: no deadline passed */
	close(fd);
	int again = -1;
	ck_assert_int_eq(fbk_point_promise(point, &again), -EOWNERDEAD);
	ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
}
END_TEST

/* The waiter in the kernel is not at fault: the promising signaler is. */
START_TEST(blame_follows_promises)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	char text[512];
	int first, second;
	struct fbk_context *middle = peer_connect(&lab.daemon);
	struct fbk_timeline *seen =
		peer_open(middle, lab.timeline, FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE);
	struct fbk_timeline *line = peer_timeline(peer_device(middle, "middle"), "second", 0);
	struct fbk_point point = { peer_open(lab.waiter, line, FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE),
				   1 };
	ck_assert_int_eq(fbk_point_promise(point, &second), 0);
	ck_assert_int_eq(fbk_point_promise((struct fbk_point){ seen, 7 }, &first), 0);
	ck_assert_int_eq(fbk_point_blame(point, text, sizeof(text)), 0);
	ck_assert_msg(
		strstr(text, "of middle (pid ") &&
			strstr(text, "which waits for line point 7 (now 0) of signaler (pid "),
		"%s", text);
	ck_assert(sync_file_wait(second, PATIENCE_MS));
	ck_assert_int_eq(fbk_timeline_info(point.timeline, &info), 0);
	ck_assert_msg(strstr(info.reason, "waits for line point 7"), "%s", info.reason);
	fbk_disconnect(middle); /* the promise it asked for goes on without it */
	ck_assert(sync_file_wait(first, PATIENCE_MS));
	close(first);
	close(second);
}
END_TEST

/* The client that asked may end: the kernel still relies on the fence. */
START_TEST(outlives_who_asked)
{
	int fd = promise(1);
	fbk_disconnect(lab.waiter);
	lab.waiter = peer_connect(&lab.daemon);
	lab.opened = peer_open(lab.waiter, lab.timeline, FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE);
	ck_assert_int_eq(readable_within(fd, 100), 0);
	ck_assert_int_eq(sync_file_status(fd), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	close(fd);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_kept"), 1);
}
END_TEST

/* ------------------------------------------------------------------------------------ refused -- */

/* A broken promise fails the timeline: a client with only the right to wait must not be able to
 * cause that. */
START_TEST(only_by_consent_of_the_owner)
{
	int token;
	int fd = -1;
	struct fbk_timeline *seen;
	struct fbk_context *stranger = peer_connect(&lab.daemon);
	ck_assert_int_eq(fbk_timeline_share(lab.timeline, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(fbk_timeline_open(stranger, token, &seen), 0);
	close(token);
	ck_assert_int_eq(fbk_point_promise((struct fbk_point){ seen, FBK_POINT_MAX }, &fd), -EPERM);
	ck_assert_msg(strstr(fbk_error_detail(), "no right to promise"), "%s", fbk_error_detail());
	ck_assert_int_eq(fbk_timeline_share(seen, FBK_RIGHT_PROMISE, &token), -EPERM);
	fbk_disconnect(stranger);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises"), 0);
}
END_TEST

/* The kernel does not reuse fence numbers: files are rotated, and fds do not pile up. */
START_TEST(more_than_a_file_takes)
{
	enum { BATCH = 8 };
	unsigned int fds = lab_fd_count(&lab.daemon);
	int files[BATCH];
	for (uint64_t value = 0; value < 4096 + 20 * BATCH; value += BATCH) {
		for (uint64_t i = 0; i < BATCH; i++) {
			files[i] = promise(value + i + 1);
			EXPECT(sync_file_status(files[i]) == 0);
		}
		EXPECT(fbk_timeline_signal(lab.timeline, value + BATCH) == 0);
		for (uint64_t i = 0; i < BATCH; i++) {
			EXPECT(sync_file_wait(files[i], PATIENCE_MS));
			close(files[i]);
		}
	}
	lab_await_fds(&lab.daemon, fds);
}
END_TEST

#define CAP 4

START_TEST(capped)
{
	int fds[CAP + 1];
	lab_open(&lab, "version = 1; settings: { promises = true; promise_ms = 1500; }; "
		       "limits: { promises = 4; }; rules: ( { user = \"*\"; connect = true; "
		       "register = true; promise = true; inspect = \"all\"; } );");
	for (uint64_t i = 0; i < CAP; i++) {
		fds[i] = promise(i + 1);
	}
	expect_refused(CAP + 1, -EDQUOT, "promises");
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, CAP), 0);
	for (int i = 0; i < CAP; i++) {
		ck_assert(sync_file_wait(fds[i], PATIENCE_MS));
		close(fds[i]);
	}
	fds[CAP] = promise(CAP + 1);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, CAP + 1), 0);
	ck_assert(sync_file_wait(fds[CAP], PATIENCE_MS));
	close(fds[CAP]);
	lab_close(&lab);
}
END_TEST

struct refusal {
	const char *settings;
	const char *rule;
	const char *what;
	bool implicit;
};

static const struct refusal refusals[] = {
	{ "promises = false;", "promise = true;", "promises are off", false },
	{ "promises = true;", "", "policy does not let points of signaler", false },
	{ "promises = true;", "promise = true; class = \"gpu\";", "policy does not let", false },
	{ "promises = true;", "promise = true;", "implicit_promises", true },
};

START_TEST(refused_by_policy)
{
	const struct refusal *refusal = &refusals[_i];
	char policy[512];
	int fd = -1;
	snprintf(policy, sizeof(policy),
		 "version = 1; settings: { %s }; rules: ( { user = \"*\"; %s }, { user = \"*\"; "
		 "connect = true; register = true; inspect = \"all\"; } );",
		 refusal->settings, refusal->rule[0] ? refusal->rule : "connect = true;");
	lab_open(&lab, policy);
	if (refusal->implicit) {
		int card = drm_card_must_open("vgem");
		uint32_t buffer;
		int dmabuf;
		ck_assert_int_eq(vgem_buffer_create(card, &buffer, &dmabuf), 0);
		ck_assert_int_eq(fbk_point_attach_dmabuf(lab_point(&lab, 1), dmabuf, true), -EPERM);
		close(dmabuf);
		close(card);
	} else {
		ck_assert_int_eq(fbk_point_promise(lab_point(&lab, 1), &fd), -EPERM);
	}
	ck_assert_msg(strstr(fbk_error_detail(), refusal->what), "%s", fbk_error_detail());
	lab_close(&lab);
}
END_TEST

/* Nobody makes unsignalled sync_files for a daemon that may not open the device (0), or when the
 * module is not loaded (1): a refusal that says so, and all else goes on. */
START_TEST(vgem_refused_or_unloaded)
{
	static const char *const reasons[] = { "nothing here makes unsignalled sync_files",
					       "no vgem device" };
	struct daemon_options options = { .policy = lab_policy(60000), .uid = _i == 0 ? 65534 : 0 };
	int fd = -1;
	if (_i == 1) {
		ck_assert_int_eq(system("modprobe -r vgem"), 0);
	}
	daemon_prepare(&lab.daemon);
	if (_i == 0) {
		ck_assert_int_eq(chown(lab.daemon.directory, 65534, 65534), 0);
	}
	daemon_start(&lab.daemon, &options);
	lab.signaler = peer_connect(&lab.daemon);
	lab.device = peer_device(lab.signaler, "signaler");
	lab.opened = peer_timeline(lab.device, "line", 0);
	ck_assert_int_lt(fbk_point_promise(lab_point(&lab, 1), &fd), 0);
	ck_assert_msg(strstr(fbk_error_detail(), reasons[_i]) ||
			      strstr(fbk_error_detail(), "LimitMEMLOCK"),
		      "%s", fbk_error_detail());
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(fbk_feature(lab.signaler, FBK_FEATURE_PROMISE, NULL), 0);
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_EVENTFD,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.opened, 1), 0);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
	fbk_disconnect(lab.signaler);
	daemon_stop(&lab.daemon);
	if (_i == 1) {
		ck_assert_int_eq(system("modprobe vgem"), 0);
	}
}
END_TEST

#define NODES_MAX 8

/* The daemon opens render nodes up to the first with syncobjs, and wakes no GPU behind it. */
START_TEST(leaves_other_devices_asleep)
{
	char path[32], buffer[4096] __attribute__((aligned(8)));
	int watches[NODES_MAX], first = -1, count = 0, opened = 0;
	int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (; count < NODES_MAX; count++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", 128 + count);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			break;
		}
		first = first < 0 && drm_cap(fd, DRM_CAP_SYNCOBJ_TIMELINE) ? count : first;
		close(fd);
	}
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", 128 + i);
		watches[i] = inotify_add_watch(notify, path, IN_OPEN);
	}
	lab_open(&lab,
		 "version = 1; rules: ( { user = \"*\"; connect = true; register = true; } );");
	ssize_t size = read(notify, buffer, sizeof(buffer));
	for (ssize_t at = 0; at < size;) {
		const struct inotify_event *event = (const void *)(buffer + at);
		for (int i = 0; i < count; i++) {
			ck_assert_msg(event->wd != watches[i] || first < 0 || i <= first,
				      "renderD%d was opened", 128 + i);
		}
		opened++;
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	ck_assert_int_eq(opened, first < 0 ? count : first + 1); /* each once */
	lab_close(&lab);
	close(notify);
}
END_TEST

/* ----------------------------------------------------------------------------------- the end --- */

/* It ends with status 0, and logs that. */
static void expect_log(const char *what)
{
	char log[4096];
	daemon_terminate(&lab.daemon);
	daemon_log_text(&lab.daemon, log, sizeof(log));
	ck_assert_msg(strstr(log, what), "%s", log);
	daemon_remove(&lab.daemon);
}

/* A clean stop: clients are told first, and promises are kept if their points come in time. */
START_TEST(stop_keeps_promises)
{
	setup();
	int fd = promise(1);
	ck_assert(!fbk_context_stopping(lab.waiter));
	kill(lab.daemon.pid, SIGTERM);
	while (!fbk_context_stopping(lab.waiter)) {
		loop_turn(lab.waiter);
	}
	ck_assert_int_eq(sync_file_status(fd), 0);
	expect_refused(2, -ESHUTDOWN, "stopping");
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 1)), 0);
	close(fd);
	fbk_disconnect(lab.waiter);
	fbk_disconnect(lab.signaler);
	expect_log("promises: 1 made, 1 kept, 0 broken, 0 left");
}
END_TEST

START_TEST(stop_breaks_what_does_not_come)
{
	setup();
	uint64_t before = now_ms();
	int fd = promise(1);
	kill(lab.daemon.pid, SIGTERM);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	uint64_t took = now_ms() - before;
	ck_assert_msg(took >= LAB_PROMISE_MS && took < KERNEL_PROMISE_MS, "%llu ms",
		      (unsigned long long)took);
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 1)), -ETIME);
	close(fd);
	fbk_disconnect(lab.waiter);
	fbk_disconnect(lab.signaler);
	expect_log("promises: 1 made, 0 kept, 1 broken, 0 left");
}
END_TEST

/* The daemon is stopped for longer than the kernel waits: the kernel signals success by itself,
 * which counts as broken, although the value came in the end. */
START_TEST(daemon_that_does_not_run)
{
	setup();
	int fd = promise(1);
	kill(lab.daemon.pid, SIGSTOP);
	ck_assert(sync_file_wait(fd, 15000));
	ck_assert_int_eq(sync_file_status(fd), 1);
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 1)), -EAGAIN);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	kill(lab.daemon.pid, SIGCONT);
	close(fd);
	while (lab_counter(&lab.daemon, "promises_broken") == 0) {
		yield_briefly();
	}
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 1)), 0);
	fd = promise(2); /* and the pool goes on */
	ck_assert_int_eq(sync_file_status(fd), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 2), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	close(fd);
	fbk_disconnect(lab.waiter);
	fbk_disconnect(lab.signaler);
	expect_log("the kernel signalled a promise as success");
}
END_TEST

/* SIGKILL: the kernel closes vgem's file and signals all its fences as success. The library reports
 * the failure from then on, also to who only looks. */
START_TEST(killed_daemon)
{
	setup();
	int fd = promise(1);
	kill(lab.daemon.pid, SIGKILL);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 1)), -ENOTCONN);
	ck_assert_int_eq(sync_file_status(fd), 1);
	daemon_kill(&lab.daemon);
	ck_assert_int_eq(fbk_point_wait(lab_point(&lab, 1), deadline_ms(PATIENCE_MS)), -ENOTCONN);
	close(fd);
	fbk_disconnect(lab.waiter);
	fbk_disconnect(lab.signaler);
	daemon_remove(&lab.daemon);
}
END_TEST

/* Somebody else who opens the card is its master, as without the daemon, and both get their fences. */
START_TEST(beside_another_program)
{
	struct vgem_fence theirs;
	int first = promise(1); /* the daemon has the card open */
	int card = drm_card_must_open("vgem");
	ck_assert(drmIsMaster(card));
	ck_assert_int_eq(drmDropMaster(card), 0);
	ck_assert_int_eq(drmSetMaster(card), 0);
	int second = promise(2);
	vgem_fence_create(card, &theirs);
	ck_assert_int_eq(sync_file_status(theirs.sync_file), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 2), 0);
	ck_assert(sync_file_wait(first, PATIENCE_MS) && sync_file_wait(second, PATIENCE_MS));
	ck_assert_int_eq(sync_file_status(theirs.sync_file), 0);
	ck_assert_int_eq(vgem_fence_signal(&theirs), 0);
	ck_assert_int_eq(sync_file_status(theirs.sync_file), 1);
	vgem_fence_destroy(&theirs);
	close(card);
	close(first);
	close(second);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, unsignalled_before_signalled_after);
	tcase_add_test(tcase, what_is_reached_needs_no_promise);
	tcase_add_test(tcase, never_before_the_value_is_in_memory);
	tcase_add_test(tcase, expiry);
	tcase_add_test(tcase, not_believed_until_it_delivers);
	tcase_add_test(tcase, owner_killed);
	tcase_add_test(tcase, blame_follows_promises);
	tcase_add_test(tcase, outlives_who_asked);
	tcase_add_test(tcase, only_by_consent_of_the_owner);
	tcase_add_test(tcase, more_than_a_file_takes);
	tcase_add_test(tcase, beside_another_program);
}

static void add_ends(TCase *tcase)
{
	tcase_add_test(tcase, capped);
	ADD_LOOP(tcase, refused_by_policy, refusals);
	tcase_add_loop_test(tcase, vgem_refused_or_unloaded, 0, 2);
	tcase_add_test(tcase, leaves_other_devices_asleep);
	tcase_add_test(tcase, stop_keeps_promises);
	tcase_add_test(tcase, stop_breaks_what_does_not_come);
	tcase_add_test(tcase, daemon_that_does_not_run);
	tcase_add_loop_test(tcase, killed_daemon, 0, 5);
}

int main(void)
{
	int status = lab_main("promise", "vgem", add);
	return status ? status : lab_main("promise ends", "vgem", add_ends);
}
