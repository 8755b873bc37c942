// SPDX-License-Identifier: MIT
/*
 * A forked child that uses what its parent made, by each function that returns no error, changes nothing of it: neither what
 * is here, nor what the two share (sockets, timers, pages), nor what the daemon knows. Functions that return an error are tried
 * in a child by test-error-detail.c.
 */
#include <errno.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fence-v4l2.h"
#include "lib-header.h"
#include "lib-stage.h"

static struct local local;
static struct fbk_timeline *line;
static struct fbk_set *set;
static struct fbk_watch *late, *reached;
static struct fbk_gate *gate;
static struct fbk_frame *held;
static int late_result = 1, reached_result = 1, gate_result = 1;
static int exported, fence; /* eventfds: of a point of `line`; that a point follows */
static struct fbk_point imported;

static void note(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result;
}

static void setup(void)
{
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	EXPECT(fbk_set_create(producer.context, &set) == 0);
	line = peer_timeline(producer.device, "line", 0);
	const struct fbk_point last = { line, 9 }, first = { line, 1 };
	/* armed by its deadline before the child lives, in a timer that both have */
	EXPECT(fbk_point_watch(last, deadline_ms(200), note, &late_result, &late) == 0);
	EXPECT(fbk_point_watch(first, FBK_DEADLINE_MAX, note, &reached_result, &reached) == 0);
	EXPECT(fbk_gate_v4l2_queue(first, FBK_DEADLINE_MAX, -1, &buffer, note, &gate_result,
				   &gate) == 0);
	EXPECT(fbk_point_export(first, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &exported) == 0);
	fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	EXPECT(fbk_import(producer.device, dup(fence), &imported) == 0);
	EXPECT(fbk_dispatch(producer.context) >= 0);
	ck_assert_int_eq(hand_at(0, FBK_POINT_SIGNALLED), 1);
	held = local_next(&local);
}

static void teardown(void)
{
	close(exported);
	close(fence);
	local_close(&local);
	stage_close();
}

/* ------------------------------------------------------------------------------- what a child calls -- */

#define CALL(name, ...)                        \
	static void call_##name(void)          \
	{                                      \
		(void)fbk_##name(__VA_ARGS__); \
	}

CALL(context_device, producer.context)
CALL(context_stopping, producer.context)
CALL(error_detail)
CALL(device_backing, producer.device)
CALL(timeline_visibility, line)
CALL(timeline_value, line)
CALL(link_cause, producer.link)
CALL(frame_ref, held)
CALL(frame_sequence, held)
CALL(frame_index, held)
CALL(frame_buffer, held)
CALL(frame_meta, held)
CALL(frame_acquire, held)
CALL(watch_cancel, late)
CALL(mirror_destroy, NULL) /* needs a DRM device: tests/vm/test-syncobj.c */
CALL(gate_cancel, gate)
CALL(frame_unref, held)
CALL(exchange_destroy, producer.exchange)
CALL(timeline_close, line)
CALL(set_destroy, set)

static void call_link_close(void)
{
	fbk_watch_cancel(reached);
	fbk_link_close(local.link);
	fbk_link_close(producer.link);
	fbk_timeline_close(imported.timeline);
}

static void call_device_unregister(void)
{
	fbk_device_unregister(local.device);
	fbk_device_unregister(producer.device);
}

static void call_disconnect(void)
{
	fbk_disconnect(local.context);
	fbk_disconnect(producer.context);
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
#define TRIED(name)                       \
	{                                 \
		"fbk_" #name, call_##name \
	}
	TRIED(context_device),    TRIED(context_stopping),    TRIED(error_detail),
	TRIED(device_backing),    TRIED(timeline_visibility), TRIED(timeline_value),
	TRIED(link_cause),        TRIED(frame_ref),           TRIED(frame_sequence),
	TRIED(frame_index),       TRIED(frame_buffer),        TRIED(frame_meta),
	TRIED(frame_acquire),     TRIED(watch_cancel),        TRIED(mirror_destroy),
	TRIED(gate_cancel),       TRIED(frame_unref),         TRIED(exchange_destroy),
	TRIED(link_close),        TRIED(timeline_close),      TRIED(set_destroy),
	TRIED(device_unregister), TRIED(disconnect),
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static int call_one(void *arg)
{
	calls[*(int *)arg].call();
	_exit(0);
}

static int call_all(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < CALLS; i++) {
		calls[i].call();
	}
	exit(0); /* with all that runs at an exit */
}

/* ------------------------------------------------------------------------- what the parent still has -- */

static void parent_goes_on(void)
{
	uint32_t index;
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	while (late_result == 1 || reached_result == 1 || gate_result == 1) {
		EXPECT(loop_turn(producer.context) >= 0);
	}
	ck_assert_int_eq(late_result, -ETIMEDOUT);
	ck_assert_int_eq(reached_result, 0);
	ck_assert_int_eq(gate_result, -EBADF); /* the video device's errno: it was tried */
	ck_assert_int_eq(readable_within(exported, PATIENCE_MS), 1);
	ck_assert_int_eq(fbk_point_check(imported), -EAGAIN);
	EXPECT(eventfd_write(fence, 1) == 0);
	ck_assert_int_eq(fbk_point_wait(imported, deadline_ms(PATIENCE_MS)), 0);
	/* the frame is held still, comes back by its release, and others follow */
	ck_assert_int_eq(fbk_frame_release(held, 0), 0);
	fbk_frame_unref(held);
	for (uint32_t i = 0; i < 2 * PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS),
						   &index, NULL),
				 0);
		ck_assert_int_eq(hand_at(index, FBK_POINT_SIGNALLED), 1);
		frame_release(local_next(&local), 0);
	}
	struct fbk_timeline *more;
	EXPECT(fbk_timeline_create(producer.device, set, "more", 0, &more) == 0);
	fbk_timeline_close(more);
	fbk_watch_cancel(late);
	fbk_watch_cancel(reached);
	fbk_gate_cancel(gate);
}

START_TEST(each_call_in_a_child)
{
	ck_assert_int_eq(child_wait(child_start(call_one, &_i)), 0);
	parent_goes_on();
}
END_TEST

START_TEST(all_calls_in_a_child)
{
	ck_assert_int_eq(child_wait(child_start(call_all, NULL)), 0);
	parent_goes_on();
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

/* Functions that return no int; the others are test-error-detail.c's. */
static void function_check(const char *function, bool returns_int)
{
	ck_assert_msg(returns_int || call_known(function), "%s is not tried in a child", function);
}

START_TEST(all_functions_are_here)
{
	header_functions("fencebroker.h", function_check);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, all_functions_are_here);
	tcase_add_loop_test(tcase, each_call_in_a_child, 0, CALLS);
	tcase_add_test(tcase, all_calls_in_a_child);
}

int main(void)
{
	return suite_main("fork", add);
}
