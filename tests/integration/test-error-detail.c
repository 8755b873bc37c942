// SPDX-License-Identifier: MIT
/*
 * fbk_error_detail() belongs to the last call that failed: each function of the headers that returns an error sets it, and
 * the functions that return none leave it alone. The list of functions is that of the headers.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fence-kms.h"
#include "fence-v4l2.h"
#include "lib-header.h"
#include "lib-stage.h"

static struct local local;
static struct fbk_timeline *line, *brokered, *failed;
static struct fbk_frame *released; /* an object still */
static struct fbk_frame *broken;
static struct fbk_link *lonely; /* without a peer */
static int null, lonely_offer;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	line = peer_timeline(producer.device, "line", 0);
	brokered = peer_timeline(producer.device, "brokered", FBK_TIMELINE_BROKERED);
	failed = peer_timeline(producer.device, "failed", 0);
	EXPECT(fbk_timeline_fail(failed, -EIO, "the lens cap is on") == 0);
	ck_assert_int_eq(hand_at(0, FBK_POINT_SIGNALLED), 1);
	released = local_next(&local);
	EXPECT(fbk_frame_release(released, 0) == 0);
	ck_assert_int_eq(hand_at(1, (struct fbk_point){ failed, 1 }), 1);
	broken = local_next(&local);
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &lonely_offer, &lonely) == 0);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void teardown(void)
{
	close(null);
	close(lonely_offer);
	fbk_link_close(lonely);
	fbk_frame_unref(released);
	fbk_frame_unref(broken);
	local_close(&local);
	stage_close();
}

/* -------------------------------------------------------------------- one failure of each function -- */

static struct fbk_point open_point(void)
{
	return (struct fbk_point){ line, 1 };
}

static struct fbk_point failed_point(void)
{
	return (struct fbk_point){ failed, 1 };
}

/* What results would be written to. */
static struct fbk_context *some_context;
static struct fbk_device *some_device;
static struct fbk_set *some_set;
static struct fbk_timeline *some_timeline;
static struct fbk_mirror *some_mirror;
static struct fbk_link *some_link;
static struct fbk_exchange *some_exchange;
static struct fbk_frame *some_frame;
static struct fbk_point some_point;
static const struct fbk_format *some_format;
static uint32_t some_index;
static size_t some_size;
static int some_fd;
static char some_text[FBK_REASON_SIZE];

#define FAIL(function, ...)                         \
	static int fail_##function(void)            \
	{                                           \
		return fbk_##function(__VA_ARGS__); \
	}

FAIL(connect, "/nowhere", &some_context)
FAIL(connect_fd, -1, &some_context)
FAIL(context_fd, producer.context)
FAIL(context_set_timeout, producer.context, 0)
FAIL(dispatch, producer.context)
FAIL(device_register, producer.context,
     &(struct fbk_device_desc){ .struct_size = sizeof(struct fbk_device_desc) }, &some_device)
FAIL(device_add_memory, producer.device, -1, 0, 4096)
FAIL(set_create, producer.context, &some_set)
FAIL(timeline_create, producer.device, NULL, "", 0, &some_timeline)
FAIL(timeline_share, line, 0, &some_fd)
FAIL(timeline_open, producer.context, -1, &some_timeline)
FAIL(timeline_signal, line, 0)
FAIL(timeline_fail, line, 1, NULL)
FAIL(timeline_info, line, &(struct fbk_timeline_info){ 0 })
FAIL(timeline_memory, brokered, &(struct fbk_memory){ 0 }, NULL)
FAIL(point_check, failed_point())
FAIL(point_flush, failed_point(), NULL, 0)
FAIL(point_flush_dmabuf, failed_point(), -1)
FAIL(point_wait, open_point(), 0)
FAIL(point_wait_any, NULL, 0, 0, &some_size)
FAIL(point_wait_all, &(struct fbk_point){ failed, 1 }, 1, FBK_DEADLINE_MAX, NULL)
FAIL(point_signal, FBK_POINT_SIGNALLED)
FAIL(point_signal_on, (struct fbk_point){ brokered, 1 }, -1)
FAIL(point_depends, FBK_POINT_SIGNALLED, open_point())
FAIL(point_blame, FBK_POINT_SIGNALLED, some_text, sizeof(some_text))
FAIL(point_watch, FBK_POINT_SIGNALLED, 0, ignore_point, NULL, NULL)
FAIL(point_export, FBK_POINT_SIGNALLED, FBK_FENCE_SYNC_FILE, 0, &some_fd)
FAIL(point_export_to_syncobj, open_point(), -1, 1, 0)
FAIL(import, producer.device, -1, &some_point)
FAIL(point_signal_on_all, (struct fbk_point){ brokered, 1 }, NULL, 0)
FAIL(fence_classify, producer.context, null)
FAIL(syncobj_create, producer.context, &some_fd)
FAIL(point_signal_on_syncobj, (struct fbk_point){ brokered, 1 }, -1, 1)
FAIL(mirror_to_syncobj, line, -1, &some_mirror)
FAIL(mirror_from_syncobj, brokered, -1, &some_mirror)
FAIL(point_promise, FBK_POINT_SIGNALLED, &some_fd)
FAIL(point_attach_dmabuf, open_point(), -1, true)
FAIL(point_signal_on_dmabuf, (struct fbk_point){ brokered, 1 }, -1, true)
FAIL(gate_atomic_commit, FBK_POINT_SIGNALLED, 0, -1, NULL, 0, NULL, ignore_point, NULL, NULL)
FAIL(gate_v4l2_queue, FBK_POINT_SIGNALLED, 0, -1,
     &(struct v4l2_buffer){ .type = V4L2_BUF_TYPE_VIDEO_CAPTURE }, ignore_point, NULL, NULL)
FAIL(link_offer, producer.device, &(struct fbk_link_desc){ .struct_size = 1 }, &some_fd, &some_link)
FAIL(link_accept, local.device, -1, NULL, &some_link)
FAIL(link_format, producer.link, 99, &some_format)
FAIL(link_publish, producer.link, "a name with spaces")
FAIL(link_find, producer.context, "nobody.here", &some_fd)
FAIL(link_stop, producer.link)
FAIL(link_info, producer.link, &(struct fbk_link_info){ 0 })
FAIL(link_fail, producer.link, 1, NULL)
FAIL(link_blame, lonely, some_text, sizeof(some_text))
FAIL(link_wait, producer.link, 0)
FAIL(link_listen, producer.link, ignore_phase, NULL, NULL)
FAIL(link_pause, producer.link, true)
FAIL(link_next, producer.link, 0, &some_frame)
FAIL(link_watch, producer.link, ignore_frame, NULL, NULL)
FAIL(context_set_flushing, producer.context, false)
FAIL(link_set_flushing, producer.link, false)
FAIL(exchange_set_flushing, producer.exchange, false)
FAIL(link_import, producer.link, ignore_buffer, NULL)
FAIL(exchange_create, local.link, &some_exchange)
FAIL(exchange_attach, producer.exchange, local.link)
FAIL(exchange_set_depth, producer.exchange, producer.link, 65, FBK_WHEN_FULL_WAIT)
FAIL(exchange_add, producer.exchange, 0,
     &(struct fbk_buffer_desc){ .struct_size = sizeof(struct fbk_buffer_desc) })
FAIL(exchange_remove, producer.exchange, 64)
FAIL(exchange_abandon, producer.exchange, 64)
FAIL(exchange_hand, producer.exchange, 64, FBK_POINT_SIGNALLED, 0, NULL, NULL, NULL)
FAIL(release_fd, &(struct fbk_release){ .link = NULL }, 0, &some_fd)
FAIL(frame_acquire_fd, released, 0)
FAIL(frame_error, broken)
FAIL(frame_release, released, 0)
FAIL(frame_release_later, released, &some_point)
FAIL(frame_release_on, released, -1)

static int fail_exchange_take(void)
{
	int r;
	while ((r = fbk_exchange_take(producer.exchange, 0, &some_index, NULL)) == 0) {
	}
	return r;
}

static int fail_exchange_take_early(void)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	int r;
	while ((r = fbk_exchange_take_early(producer.exchange, 0, &some_index, NULL, releases,
					    &some_size)) == 0) {
	}
	return r;
}

enum where { HERE, IN_A_CHILD }; /* where nothing else makes it fail */

static const struct call {
	const char *name;
	int (*drive)(void);
	enum where where;
	const char *never; /* why it can't fail */
} calls[] = {
#define HERE_FAILS(function)                                  \
	{                                                     \
		"fbk_" #function, fail_##function, HERE, NULL \
	}
#define CHILD_FAILS(function)                                       \
	{                                                           \
		"fbk_" #function, fail_##function, IN_A_CHILD, NULL \
	}
	{ "fbk_feature", NULL, HERE, "0 is an answer, with a sentence of its own" },
	HERE_FAILS(connect),
	HERE_FAILS(connect_fd),
	CHILD_FAILS(context_fd),
	HERE_FAILS(context_set_timeout),
	CHILD_FAILS(context_set_flushing),
	CHILD_FAILS(link_set_flushing),
	CHILD_FAILS(exchange_set_flushing),
	CHILD_FAILS(dispatch),
	HERE_FAILS(device_register),
	HERE_FAILS(device_add_memory),
	CHILD_FAILS(set_create),
	HERE_FAILS(timeline_create),
	HERE_FAILS(timeline_share),
	HERE_FAILS(timeline_open),
	HERE_FAILS(timeline_signal),
	HERE_FAILS(timeline_fail),
	HERE_FAILS(timeline_info),
	HERE_FAILS(timeline_memory),
	HERE_FAILS(point_check),
	HERE_FAILS(point_flush),
	HERE_FAILS(point_flush_dmabuf),
	HERE_FAILS(point_wait),
	HERE_FAILS(point_wait_any),
	HERE_FAILS(point_wait_all),
	HERE_FAILS(point_signal),
	HERE_FAILS(point_signal_on),
	HERE_FAILS(point_depends),
	HERE_FAILS(point_blame),
	HERE_FAILS(point_watch),
	HERE_FAILS(point_export),
	HERE_FAILS(point_export_to_syncobj),
	HERE_FAILS(import),
	HERE_FAILS(point_signal_on_all),
	HERE_FAILS(fence_classify),
	CHILD_FAILS(syncobj_create),
	HERE_FAILS(point_signal_on_syncobj),
	HERE_FAILS(mirror_to_syncobj),
	HERE_FAILS(mirror_from_syncobj),
	HERE_FAILS(point_promise),
	HERE_FAILS(point_attach_dmabuf),
	HERE_FAILS(point_signal_on_dmabuf),
	HERE_FAILS(gate_atomic_commit),
	HERE_FAILS(gate_v4l2_queue),
	HERE_FAILS(link_offer),
	HERE_FAILS(link_accept),
	HERE_FAILS(link_format),
	HERE_FAILS(link_publish),
	HERE_FAILS(link_find),
	CHILD_FAILS(link_stop),
	HERE_FAILS(link_info),
	HERE_FAILS(link_fail),
	HERE_FAILS(link_blame),
	CHILD_FAILS(link_wait),
	CHILD_FAILS(link_listen),
	HERE_FAILS(link_pause),
	HERE_FAILS(link_next),
	HERE_FAILS(link_watch),
	HERE_FAILS(link_import),
	HERE_FAILS(exchange_create),
	HERE_FAILS(exchange_attach),
	HERE_FAILS(exchange_set_depth),
	HERE_FAILS(exchange_add),
	HERE_FAILS(exchange_remove),
	HERE_FAILS(exchange_abandon),
	HERE_FAILS(exchange_take),
	HERE_FAILS(exchange_take_early),
	HERE_FAILS(exchange_hand),
	HERE_FAILS(release_fd),
	HERE_FAILS(frame_acquire_fd),
	HERE_FAILS(frame_error),
	HERE_FAILS(frame_release),
	HERE_FAILS(frame_release_later),
	HERE_FAILS(frame_release_on),
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* --------------------------------------------------------------------------------------- the rule -- */

/* The sentence of another failure. */
static const char *mark(void)
{
	EXPECT(fbk_timeline_signal(line, 0) == -ERANGE || fbk_timeline_signal(line, 0) == -EBADF);
	EXPECT(fbk_fence_classify(producer.context, 12345) < 0);
	return fbk_error_detail();
}

static int try_call(const struct call *call)
{
	char before[FBK_REASON_SIZE];
	snprintf(before, sizeof(before), "%s", mark());
	int r = call->drive();
	const char *after = fbk_error_detail();
	if (r >= 0 || r == -EAGAIN || strcmp(before, after) == 0 || !after[0]) {
		fprintf(stderr, "%s: %d, %s\n", call->name, r, after);
		return 1;
	}
	return 0;
}

static int try_in_a_child(int socket, void *arg)
{
	(void)socket;
	return try_call(arg);
}

START_TEST(failures_have_a_sentence)
{
	const struct call *call = &calls[_i];
	if (call->never) {
		return;
	}
	if (call->where == HERE) {
		ck_assert_int_eq(try_call(call), 0);
	}
	/* in a forked child all of them fail */
	struct peer child;
	peer_start(&child, try_in_a_child, (void *)(uintptr_t)call);
	ck_assert_int_eq(peer_wait(&child), 0);
}
END_TEST

/* A program may clean up before it asks. */
START_TEST(cleaning_up_keeps_it)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "cleaner");
	struct fbk_timeline *watched = peer_timeline(device, "watched", 0), *closed;
	struct fbk_watch *watch;
	struct fbk_set *set;
	struct fbk_link *link;
	struct fbk_exchange *exchange;
	int fd;
	EXPECT(fbk_set_create(context, &set) == 0);
	closed = peer_timeline(device, "closed", 0);
	EXPECT(fbk_point_watch((struct fbk_point){ watched, 1 }, FBK_DEADLINE_MAX, ignore_point,
			       NULL, &watch) == 0);
	EXPECT(link_offer(device, FBK_ROLE_PRODUCER, &fd, &link) == 0);
	EXPECT(fbk_exchange_create(link, &exchange) == 0);
	close(fd);
	if (_i == 1) { /* each of them fails inside */
		daemon_kill(&server);
	}
	char before[FBK_REASON_SIZE];
	snprintf(before, sizeof(before), "%s", mark());
	fbk_frame_unref(fbk_frame_ref(broken));
	fbk_link_cause(producer.link);
	fbk_watch_cancel(watch);
	fbk_timeline_close(closed);
	fbk_timeline_close(watched);
	fbk_set_destroy(set);
	fbk_exchange_destroy(exchange);
	fbk_link_close(link);
	fbk_device_unregister(device);
	fbk_disconnect(context);
	ck_assert_str_eq(fbk_error_detail(), before);
	if (_i == 1) {
		daemon_start(&server, NULL);
	}
}
END_TEST

/* ------------------------------------------------------------------------------------ of points -- */

/* _i: the cause */
START_TEST(points_name_their_owner)
{
	static const char *const causes[] = { "its process closed it", "its process failed it: I" };
	char expected[FBK_REASON_SIZE];
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "camera0");
	struct fbk_timeline *frames = peer_timeline(device, "frames", 0);
	struct fbk_timeline *seen = peer_open(local.context, frames, FBK_RIGHT_WAIT);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ seen, 7 }, 0), -ETIMEDOUT);
	snprintf(expected, sizeof(expected),
		 "the deadline passed: timeline frames of camera0 (pid %d) has not reached point 7",
		 getpid());
	ck_assert_str_eq(fbk_error_detail(), expected);
	if (_i == 1) {
		EXPECT(fbk_timeline_fail(frames, -EIO, "the lens cap is on") == 0);
	}
	fbk_disconnect(context);
	mark();
	ck_assert_int_lt(fbk_point_wait((struct fbk_point){ seen, 7 }, FBK_DEADLINE_MAX), 0);
	fbk_timeline_close(seen); /* it is kept by value */
	snprintf(expected, sizeof(expected), "timeline frames of camera0 (pid %d) failed: %s",
		 getpid(), causes[_i]);
	ck_assert_msg(strncmp(fbk_error_detail(), expected, strlen(expected)) == 0, "%s",
		      fbk_error_detail());
}
END_TEST

/* "Not yet" is no failure, and neither is what a call meets that succeeds. */
START_TEST(success_keeps_it)
{
	uint32_t index;
	struct fbk_frame *frame;
	fbk_frame_unref(broken);
	broken = NULL;
	char before[FBK_REASON_SIZE];
	snprintf(before, sizeof(before), "%s", mark());
	ck_assert_int_eq(fbk_point_check(open_point()), -EAGAIN);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS),
						   &index, NULL),
				 0);
		ck_assert_int_eq(hand_at(index, i % 2 ? FBK_POINT_SIGNALLED : failed_point()), 1);
		ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), 0);
		ck_assert_int_eq(fbk_frame_release(frame, 0), 0);
		fbk_frame_unref(frame);
	}
	ck_assert_str_eq(fbk_error_detail(), before);
}
END_TEST

struct told {
	int result;
	char sentence[FBK_REASON_SIZE];
};

static void tell(void *arg, struct fbk_point point, int result)
{
	struct told *told = arg;
	(void)point;
	told->result = result;
	snprintf(told->sentence, sizeof(told->sentence), "%s", fbk_error_detail());
}

START_TEST(callbacks_have_it)
{
	struct told told[2] = { { .result = 1 }, { .result = 1 } };
	EXPECT(fbk_point_watch(failed_point(), FBK_DEADLINE_MAX, tell, &told[0], NULL) == 0);
	EXPECT(fbk_point_watch(open_point(), deadline_ms(1), tell, &told[1], NULL) == 0);
	while (told[0].result > 0 || told[1].result > 0) {
		ck_assert_int_ge(loop_turn(producer.context), 0);
	}
	ck_assert_int_eq(told[0].result, -EIO);
	ck_assert_ptr_nonnull(strstr(told[0].sentence, "timeline failed of "));
	ck_assert_int_eq(told[1].result, -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(told[1].sentence, "timeline line of "));
}
END_TEST

/* ----------------------------------------------------------------------------------- the headers -- */

static bool call_known(const char *name)
{
	for (size_t i = 0; i < CALLS; i++) {
		if (strcmp(calls[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static unsigned int functions;

static void function_check(const char *function, bool returns_int)
{
	if (returns_int) {
		ck_assert_msg(call_known(function),
			      "%s: no failure of it is tried here, and no reason is given why it "
			      "has none",
			      function);
		functions++;
	}
}

START_TEST(all_functions_are_here)
{
	header_functions("fencebroker.h", function_check);
	header_functions("fence-kms.h", function_check);
	header_functions("fence-v4l2.h", function_check);
	ck_assert_uint_eq(functions, CALLS);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, all_functions_are_here);
	tcase_add_loop_test(tcase, failures_have_a_sentence, 0, CALLS);
	tcase_add_loop_test(tcase, cleaning_up_keeps_it, 0, 2);
	tcase_add_loop_test(tcase, points_name_their_owner, 0, 2);
	tcase_add_test(tcase, success_keeps_it);
	tcase_add_test(tcase, callbacks_have_it);
}

int main(void)
{
	return suite_main("error-detail", add);
}
