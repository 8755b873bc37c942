// SPDX-License-Identifier: MIT
/* Gates: the action that runs when a point is reached, and does not run when it fails. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drmMode.h>

#include "client/include/fence-kms.h"
#include "client/include/fence-v4l2.h"
#include "lib-lab.h"
#include "lib-vivid.h"

static struct lab lab;

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
}

static void teardown(void)
{
	lab_close(&lab);
}

/* The results of a test's gates, in order. */
static struct {
	uint64_t value;
	int result;
} said[16];
static size_t said_count;

static void note(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	EXPECT(said_count < sizeof(said) / sizeof(said[0]));
	said[said_count].value = point.value;
	said[said_count].result = result;
	said_count++;
}

static struct fbk_watch *watch_begin(uint64_t value, unsigned int ms)
{
	struct fbk_watch *watch = NULL;
	int r = fbk_point_watch(lab_point(&lab, value), deadline_ms(ms), note, NULL, &watch);
	ck_assert_msg(r == 0, "fbk_point_watch: %s", fbk_error_detail());
	ck_assert_ptr_nonnull(watch);
	return watch;
}

/* Dispatches until so many gates have run. */
static void dispatch_until(size_t count)
{
	while (said_count < count) {
		loop_turn(lab.waiter);
	}
}

/* Everything under way has come: the daemon replies in order. */
static void dispatch_all(void)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_timeline_info(lab.opened, &info), 0);
	while (fbk_dispatch(lab.waiter) > 0) {
	}
}

static void expect_said(size_t index, uint64_t value, int result)
{
	ck_assert_uint_lt(index, said_count);
	ck_assert_uint_eq(said[index].value, value);
	ck_assert_int_eq(said[index].result, result);
}

static void reach(uint64_t value)
{
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, value), 0);
}

/* ---------------------------------------------------------------------------------- a function -- */

START_TEST(reached)
{
	watch_begin(2, PATIENCE_MS);
	reach(1);
	dispatch_all();
	ck_assert_uint_eq(said_count, 0);
	reach(2);
	ck_assert_uint_eq(said_count, 0); /* in fbk_dispatch(), nowhere else */
	dispatch_until(1);
	expect_said(0, 2, 0);
	watch_begin(1, PATIENCE_MS);
	ck_assert_uint_eq(said_count, 1);
	dispatch_until(2);
	expect_said(1, 1, 0);
}
END_TEST

START_TEST(failed)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	watch_begin(2, PATIENCE_MS);
	watch_begin(3, PATIENCE_MS);
	reach(2);
	ck_assert_int_eq(fbk_timeline_fail(lab.timeline, -EIO, "the lens cap is on"), 0);
	dispatch_until(2);
	expect_said(0, 2, 0);
	expect_said(1, 3, -EIO);
	ck_assert_int_eq(fbk_timeline_info(lab.opened, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_FAILED);
	ck_assert_msg(strstr(info.reason, "the lens cap is on"), "%s", info.reason);
}
END_TEST

START_TEST(deadline)
{
	uint64_t began = now_ms();
	watch_begin(1, 50);
	dispatch_until(1);
	expect_said(0, 1, -ETIMEDOUT);
	ck_assert_uint_ge(now_ms() - began, 50);
	reach(1);
	dispatch_all();
	ck_assert_uint_eq(said_count, 1);
}
END_TEST

/* Gates of one timeline open by their points, in whatever order they were set. */
START_TEST(in_order)
{
	static const uint64_t values[] = { 4, 1, 5, 3, 2 };
	for (size_t i = 0; i < 5; i++) {
		watch_begin(values[i], PATIENCE_MS);
	}
	reach(3);
	reach(5);
	dispatch_until(5);
	for (size_t i = 0; i < 5; i++) {
		expect_said(i, i + 1, 0);
	}
}
END_TEST

START_TEST(cancelled_before)
{
	fbk_gate_cancel(NULL);
	struct fbk_watch *first = watch_begin(1, PATIENCE_MS);
	struct fbk_watch *second = watch_begin(2, PATIENCE_MS);
	watch_begin(3, PATIENCE_MS);
	fbk_watch_cancel(second);
	reach(1);
	/* Reached, but not dispatched yet. */
	struct pollfd readable = { .fd = fbk_context_fd(lab.waiter), .events = POLLIN };
	EXPECT(poll(&readable, 1, PATIENCE_MS) == 1);
	fbk_watch_cancel(first);
	reach(3);
	dispatch_until(1);
	dispatch_all();
	ck_assert_uint_eq(said_count, 1);
	expect_said(0, 3, 0);
}
END_TEST

/* The first of three that are due at once cancels the second. */
static void cancel_other(void *arg, struct fbk_point point, int result)
{
	note(NULL, point, result);
	fbk_watch_cancel(arg);
}

START_TEST(cancelled_by_another)
{
	struct fbk_watch *second = watch_begin(2, PATIENCE_MS);
	watch_begin(3, PATIENCE_MS);
	ck_assert_int_eq(fbk_point_watch(lab_point(&lab, 1), deadline_ms(PATIENCE_MS), cancel_other,
					 second, NULL),
			 0);
	reach(3);
	dispatch_until(2);
	dispatch_all();
	ck_assert_uint_eq(said_count, 2);
	expect_said(0, 1, 0);
	expect_said(1, 3, 0);
}
END_TEST

/* ----------------------------------------------------------------------------------- an end -- */

/* A request of one property, the least that can be sent. */
static drmModeAtomicReq *some_request(void)
{
	drmModeAtomicReq *request = drmModeAtomicAlloc();
	ck_assert_ptr_nonnull(request);
	ck_assert_int_gt(drmModeAtomicAddProperty(request, 1, 1, 1), 0);
	return request;
}

static void gate_commit(uint64_t value, int fd, struct fbk_gate **ret_gate)
{
	drmModeAtomicReq *request = some_request();
	int r = fbk_gate_atomic_commit(lab_point(&lab, value), deadline_ms(PATIENCE_MS), fd,
				       request, 0, NULL, note, NULL, ret_gate);
	ck_assert_msg(r == 0, "fbk_gate_atomic_commit: %s", fbk_error_detail());
	drmModeAtomicFree(request); /* the gate has a copy */
}

START_TEST(timeline_closed)
{
	gate_commit(1, -1, NULL);
	watch_begin(2, PATIENCE_MS);
	fbk_timeline_close(lab.opened);
	lab.opened = peer_open(lab.waiter, lab.timeline, FBK_RIGHT_WAIT);
	reach(2);
	dispatch_all();
	ck_assert_uint_eq(said_count, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(said[i].result, -ECANCELED);
	}
}
END_TEST

START_TEST(disconnected)
{
	gate_commit(1, -1, NULL);
	gate_commit(2, -1, NULL);
	reach(1); /* one that is due, one that is not */
	EXPECT(readable_within(fbk_context_fd(lab.waiter), PATIENCE_MS) == 1);
	fbk_disconnect(lab.waiter);
	ck_assert_uint_eq(said_count, 0);
	lab.waiter = NULL;
}
END_TEST

START_TEST(daemon_gone)
{
	watch_begin(1, PATIENCE_MS);
	gate_commit(2, -1, NULL);
	reach(1);
	daemon_kill(&lab.daemon);
	dispatch_until(2);
	/* the first may have been called before */
	for (size_t i = 0; i < 2; i++) {
		expect_said(i, said[i].value, said[i].value == 1 ? 0 : -ENOTCONN);
	}
	fbk_disconnect(lab.waiter);
	fbk_disconnect(lab.signaler);
	daemon_remove(&lab.daemon);
}
END_TEST

START_TEST(refused)
{
	struct fbk_gate *gate = NULL;
	ck_assert_int_eq(fbk_point_watch(FBK_POINT_SIGNALLED, 0, note, NULL, NULL), -EINVAL);
	drmModeAtomicReq *request = some_request();
	ck_assert_int_eq(fbk_gate_atomic_commit(FBK_POINT_SIGNALLED, 0, -1, request, 0, NULL, note,
						NULL, &gate),
			 -EINVAL);
	drmModeAtomicFree(request);
	ck_assert_ptr_null(gate);
}
END_TEST

/* -------------------------------------------------------------------------------- a commit -- */

START_TEST(commit_fails)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	gate_commit(1, fd, NULL);
	gate_commit(2, fd, NULL);
	reach(1);
	dispatch_until(1);
	expect_said(0, 1, -ENOTTY);
	close(fd);
	reach(2);
	dispatch_until(2);
	expect_said(1, 2, -EBADF);
}
END_TEST

START_TEST(commit_cancelled)
{
	struct fbk_gate *gate = NULL;
	gate_commit(1, -1, &gate);
	ck_assert_ptr_nonnull(gate);
	fbk_gate_cancel(gate);
	reach(1);
	dispatch_all();
	ck_assert_uint_eq(said_count, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------- a queue -- */

#define BUFFERS 4
#define HELD    (BUFFERS - 1) /* by a reader, at any time */
#define FRAMES  60
#define MARK    0xa5

/* A capture device, streaming into mapped buffers. */
struct capture {
	int fd;
	uint8_t *memory[BUFFERS];
	size_t size;
	uint64_t holds[BUFFERS]; /* the frame read from it; 0: the device has it */
	bool marked[BUFFERS];    /* the reader wrote into it */
};

static struct v4l2_buffer buffer_of(uint32_t index)
{
	return (struct v4l2_buffer){
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};
}

static void buffer_start(struct capture *capture, uint32_t index)
{
	struct v4l2_buffer buffer = buffer_of(index);
	ck_assert_int_eq(ioctl(capture->fd, VIDIOC_QUERYBUF, &buffer), 0);
	capture->size = buffer.length;
	capture->memory[index] = mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED,
				      capture->fd, (off_t)buffer.m.offset);
	ck_assert_ptr_ne(capture->memory[index], MAP_FAILED);
	ck_assert_int_eq(ioctl(capture->fd, VIDIOC_QBUF, &buffer), 0);
}

static void capture_start(struct capture *capture)
{
	capture->fd = vivid_open();
	ck_assert_int_ge(capture->fd, 0);
	vivid_set_up(capture->fd, V4L2_MEMORY_MMAP, BUFFERS);
	for (uint32_t i = 0; i < BUFFERS; i++) {
		buffer_start(capture, i);
	}
	vivid_start(capture->fd);
}

static void capture_end(struct capture *capture)
{
	for (size_t i = 0; i < BUFFERS; i++) {
		munmap(capture->memory[i], capture->size);
	}
	close(capture->fd);
}

static bool all_marked(const struct capture *capture, uint32_t index)
{
	const uint8_t *bytes = capture->memory[index];
	return bytes[0] == MARK && memcmp(bytes, bytes + 1, capture->size - 1) == 0;
}

/* The buffers that the reader holds are as it left them. */
static void expect_untouched(const struct capture *capture)
{
	for (uint32_t i = 0; i < BUFFERS; i++) {
		EXPECT(capture->holds[i] == 0 || all_marked(capture, i));
	}
}

static void requeued(void *arg, struct fbk_point point, int result)
{
	struct capture *capture = arg;
	note(NULL, point, result);
	for (size_t i = 0; i < BUFFERS; i++) {
		if (capture->holds[i] == point.value) {
			capture->holds[i] = 0;
		}
	}
}

static void gate_queue(struct capture *capture, struct v4l2_buffer *buffer, uint64_t value)
{
	int r = fbk_gate_v4l2_queue(lab_point(&lab, value), deadline_ms(PATIENCE_MS), capture->fd,
				    buffer, requeued, capture, NULL);
	ck_assert_msg(r == 0, "fbk_gate_v4l2_queue: %s", fbk_error_detail());
	memset(buffer, 0, sizeof(*buffer)); /* the gate has a copy */
}

/* A dequeued buffer is ready; it goes back when the reader has reached this frame's point. */
static void take_frame(struct capture *capture, uint64_t frame)
{
	struct v4l2_buffer buffer = buffer_of(0);
	ck_assert_int_eq(readable_within(capture->fd, PATIENCE_MS), 1);
	ck_assert_int_eq(ioctl(capture->fd, VIDIOC_DQBUF, &buffer), 0);
	ck_assert_uint_eq(capture->holds[buffer.index], 0);
	/* The device did write to it: otherwise leaving the others alone would prove nothing. */
	EXPECT(!capture->marked[buffer.index] || !all_marked(capture, buffer.index));
	capture->holds[buffer.index] = frame;
	memset(capture->memory[buffer.index], MARK, capture->size);
	capture->marked[buffer.index] = true;
	gate_queue(capture, &buffer, frame);
}

static void release_frame(const struct capture *capture, uint64_t frame)
{
	expect_untouched(capture);
	said_count = 0;
	reach(frame);
	dispatch_until(1);
	expect_said(0, frame, 0);
}

START_TEST(capture_waits_for_its_reader)
{
	static struct capture capture;
	uint64_t frame;
	capture_start(&capture);
	for (frame = 1; frame <= BUFFERS; frame++) {
		take_frame(&capture, frame);
	}
	/* The reader holds all of them: no frame comes. */
	ck_assert_int_eq(readable_within(capture.fd, 300), 0);
	expect_untouched(&capture);
	release_frame(&capture, 1);
	for (; frame <= FRAMES; frame++) {
		take_frame(&capture, frame);
		release_frame(&capture, frame - HELD);
	}
	expect_untouched(&capture);
	capture_end(&capture);
}
END_TEST

static bool with_device(struct capture *capture, uint32_t index)
{
	struct v4l2_buffer buffer = buffer_of(index);
	ck_assert_int_eq(ioctl(capture->fd, VIDIOC_QUERYBUF, &buffer), 0);
	return buffer.flags & V4L2_BUF_FLAG_QUEUED;
}

/* The reader dies: the device does not get its buffers. `done` gets the error if the device refuses
 * a buffer. */
START_TEST(capture_keeps_what_failed)
{
	static struct capture capture;
	struct v4l2_buffer buffer = buffer_of(0);
	capture_start(&capture);
	ck_assert_int_eq(readable_within(capture.fd, PATIENCE_MS), 1);
	ck_assert_int_eq(ioctl(capture.fd, VIDIOC_DQBUF, &buffer), 0);
	uint32_t index = buffer.index;
	struct v4l2_buffer other = buffer_of((index + 2) % BUFFERS);
	gate_queue(&capture, &other, 1); /* which the device has already */
	gate_queue(&capture, &buffer, 2);
	reach(1);
	dispatch_until(1);
	expect_said(0, 1, -EINVAL);
	ck_assert_int_eq(fbk_timeline_fail(lab.timeline, -EIO, NULL), 0);
	dispatch_until(2);
	expect_said(1, 2, -EIO);
	ck_assert(!with_device(&capture, index));
	capture_end(&capture);
}
END_TEST

/* A buffer of several planes is copied with them. */
START_TEST(queue_of_planes)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = { { .length = 1 } };
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
		.memory = V4L2_MEMORY_MMAP,
		.length = VIDEO_MAX_PLANES + 1,
		.m.planes = planes,
	};
	struct fbk_point point = lab_point(&lab, 1);
	ck_assert_int_eq(fbk_gate_v4l2_queue(point, 0, -1, &buffer, note, NULL, NULL), -EINVAL);
	buffer.length = VIDEO_MAX_PLANES;
	buffer.m.planes = NULL;
	ck_assert_int_eq(fbk_gate_v4l2_queue(point, 0, -1, &buffer, note, NULL, NULL), -EINVAL);
	buffer.m.planes = planes;
	ck_assert_int_eq(
		fbk_gate_v4l2_queue(point, deadline_ms(PATIENCE_MS), -1, &buffer, note, NULL, NULL),
		0);
	reach(1);
	dispatch_until(1);
	expect_said(0, 1, -EBADF);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reached);
	tcase_add_test(tcase, failed);
	tcase_add_test(tcase, deadline);
	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, cancelled_before);
	tcase_add_test(tcase, cancelled_by_another);
	tcase_add_test(tcase, timeline_closed);
	tcase_add_test(tcase, disconnected);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, commit_fails);
	tcase_add_test(tcase, commit_cancelled);
	tcase_add_test(tcase, queue_of_planes);
	int fd = vivid_open();
	if (fd < 0) {
		printf("not run: capture, for there is no capture device of vivid\n");
		return;
	}
	close(fd);
	tcase_add_test(tcase, capture_waits_for_its_reader);
	tcase_add_test(tcase, capture_keeps_what_failed);
}

static void add_ends(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, daemon_gone);
}

int main(void)
{
	int status = lab_main("gate", NULL, add);
	return status ? status : lab_main("gate ends", NULL, add_ends);
}
