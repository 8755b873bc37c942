// SPDX-License-Identifier: MIT
/* Releases on kernel fences: the fence is on its way before the frame is back, and nothing waits for the daemon. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/link/link-consumer.h"
#include "client/lib/link/link.h"
#include "lib-stage.h"

static struct local local;
static int fence;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	fence = eventfd(0, EFD_CLOEXEC);
}

static void teardown(void)
{
	close(fence);
	stage_close();
}

static void daemon_stall(void)
{
	EXPECT(kill(server.pid, SIGSTOP) == 0);
	EXPECT(waitpid(server.pid, NULL, WUNTRACED) == server.pid);
}

static void daemon_resume(void)
{
	EXPECT(kill(server.pid, SIGCONT) == 0);
}

/* Each buffer came and went once, so nothing of it has to be asked for. */
static void meet_all(uint32_t count)
{
	stage_add(count);
	local_open(&local, FBK_DELIVERY_FIFO, count);
	exchange_drain(producer.exchange, count);
	for (uint32_t i = 0; i < count; i++) {
		struct fate fate;
		ck_assert_int_eq(hand(i), 1);
		frame_release_to(local_next(&local), true, &fate);
		fate_decide(&fate, 0);
		ck_assert_uint_eq(take(), i);
	}
}

static void release_on_fence(struct fbk_frame *frame)
{
	int r = fbk_frame_release_on(frame, dup(fence));
	ck_assert_msg(r == 0, "releasing: %d, %s", r, fbk_error_detail());
	fbk_frame_unref(frame);
}

/* Takes buffers that devices may still use, until none is back; returns how many times. */
static unsigned int release_until_none(void)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		ck_assert_int_eq(hand(i), 1);
		release_on_fence(local_next(&local));
	}
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	unsigned int released = FBK_BUFFERS_MAX;
	uint32_t index;
	size_t count;
	while (fbk_exchange_take_early(producer.exchange, 0, &index, NULL, releases, &count) == 0) {
		ck_assert_int_eq(hand(index), 1);
		release_on_fence(local_next(&local));
		released++;
	}
	return released;
}

/* ------------------------------------------------------------------------------ without the daemon */

static uint32_t queued(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		count += release_is_queued(&local.link->consumer->queue, i);
	}
	return count;
}

/* The program does nothing more. */
static void flush_by_itself(void)
{
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	while (queued() > 0) {
		EXPECT(now_ms() < give_up_ms);
		yield_briefly();
	}
}

static void flush_by_closing(void)
{
	fbk_link_close(local.link);
	local.link = NULL;
}

static const struct {
	void (*flush)(void);
} flushes[] = { { flush_by_itself }, { flush_by_closing } };

/* As many as the socket takes, then one of each buffer. What waits then is what no buffer is left for. */
START_TEST(daemon_is_stopped)
{
	meet_all(FBK_BUFFERS_MAX);
	daemon_stall();
	unsigned int released = release_until_none();
	ck_assert_uint_gt(released, 2 * FBK_BUFFERS_MAX);
	ck_assert_uint_eq(queued(), FBK_BUFFERS_MAX);
	ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	daemon_resume();
	flushes[_i].flush();
	ck_assert_int_eq(take_now(), -ETIMEDOUT); /* back, and not free: nothing was lost */
	EXPECT(eventfd_write(fence, 1) == 0);
	exchange_drain(producer.exchange, FBK_BUFFERS_MAX);
	local_close(&local);
}
END_TEST

/* The timelines came with the buffers: the first release needs the daemon as little as the others. */
START_TEST(first_release)
{
	local_open(&local, FBK_DELIVERY_FIFO, PRODUCER_BUFFERS);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(take()), 1);
		ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i), 1);
	}
	daemon_stall();
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		release_on_fence(local_next(&local));
	}
	daemon_resume();
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	EXPECT(eventfd_write(fence, 1) == 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

/* Frames that are released at once, and by a point in memory. */
START_TEST(frames_go_on)
{
	struct fate fate;
	uint64_t last = 0;
	local_open(&local, FBK_DELIVERY_FIFO, PRODUCER_BUFFERS);
	EXPECT(fbk_context_set_timeout(local.context, UINT64_MAX) == 0);
	EXPECT(fbk_context_set_timeout(producer.context, UINT64_MAX) == 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) { /* its producer opens what it shows */
		ck_assert_int_eq(hand(i), 1);
		frame_release_to(local_next(&local), false, &fate);
		fate_decide(&fate, 0);
		ck_assert_uint_eq(take(), i);
	}
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i), 1);
		ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	}
	daemon_stall();
	for (unsigned int i = 0; i < 10000; i++) {
		ck_assert_int_eq(hand(take()), 1);
		struct fbk_frame *frame = local_next(&local);
		ck_assert_uint_gt(fbk_frame_sequence(frame), last);
		last = fbk_frame_sequence(frame);
		if (i % 2) {
			frame_release_to(frame, false, &fate);
			fate_decide(&fate, 0);
		} else {
			ck_assert_int_eq(frame_release(frame, 0), 0);
		}
	}
	daemon_resume();
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

/* A stopped link ends once the last release was sent, and is decided. */
START_TEST(stop_waits_for_the_queue)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	meet_all(FBK_BUFFERS_MAX);
	daemon_stall();
	release_until_none();
	ck_assert_int_eq(fbk_link_stop(local.link), 0);
	EXPECT(fbk_link_info(local.link, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
	daemon_resume();
	flush_by_itself();
	EXPECT(fbk_link_info(local.link, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
	EXPECT(eventfd_write(fence, 1) == 0);
	while (info.phase != FBK_PHASE_ENDED) {
		EXPECT(fbk_link_info(local.link, &info) == 0);
		yield_briefly();
	}
	exchange_drain(producer.exchange, FBK_BUFFERS_MAX);
	local_close(&local);
}
END_TEST

static int consumer_run(int socket, void *arg)
{
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		struct fbk_frame *frame;
		int fd;
		EXPECT(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame) == 0);
		if (i == 0) { /* makes the timeline */
			EXPECT(frame_release(frame, 0) == 0);
			continue;
		}
		receive_word(socket, &fd);
		EXPECT(fbk_frame_release_on(frame, fd) == 0);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* killed here */
	return 1;
}

/* It dies with its fences still in the socket: the daemon has them, and no buffer is lost. */
START_TEST(consumer_dies_after_a_release)
{
	struct peer peer;
	peer_start(&peer, consumer_run, NULL);
	send_word(peer.socket, 0, offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(take()), 1);
	}
	for (int i = 1; i < PRODUCER_BUFFERS; i++) {
		send_word(peer.socket, 0, fence);
	}
	receive_word(peer.socket, NULL);
	kill(peer.pid, SIGKILL);
	ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
	EXPECT(eventfd_write(fence, 1) == 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
}
END_TEST

/* ------------------------------------------------------------------------- what the daemon makes */

static void setup_eventfd(void)
{
	stage_open(WAY_EVENTFD, NULL);
	fence = eventfd(0, EFD_CLOEXEC);
}

/* Only the daemon can make the fd: it is fetched until the deadline, once. */
START_TEST(acquire_fd_until_a_deadline)
{
	local_open(&local, FBK_DELIVERY_FIFO, PRODUCER_BUFFERS);
	ck_assert_int_eq(hand(take()), 1);
	struct fbk_frame *frame = local_next(&local);
	daemon_stall();
	ck_assert_int_eq(fbk_frame_acquire_fd(frame, 0), -ETIMEDOUT);
	ck_assert_int_eq(fbk_frame_acquire_fd(frame, deadline_ms(30)), -ETIMEDOUT);
	daemon_resume();
	int fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS));
	ck_assert_msg(fd >= 0, "%d: %s", fd, fbk_error_detail());
	daemon_stall();
	ck_assert_int_eq(fbk_frame_acquire_fd(frame, 0), fd);
	daemon_resume();
	ck_assert_int_eq(frame_release(frame, 0), 0);
	local_close(&local);
}
END_TEST

/* -------------------------------------------------------------------------------- what is refused */

static void setup_poor(void)
{
	stage_open(WAY_NATIVE, "version = 1;\n"
			       "limits: { imports = 1; };\n"
			       "rules: ( { user = \"*\"; connect = true; register = true; } );\n");
	fence = eventfd(0, EFD_CLOEXEC);
}

/* A limit is met with the buffer's release timeline, while the frame is held: no buffer is free for want of a fence. */
START_TEST(limit_of_imports)
{
	local_open(&local, FBK_DELIVERY_FIFO, PRODUCER_BUFFERS);
	ck_assert_int_eq(hand(0), 1);
	ck_assert_int_eq(hand(1), 1);
	release_on_fence(local_next(&local));
	struct fbk_frame *frame = local_next(&local);
	ck_assert_int_eq(fbk_frame_release_on(frame, dup(fence)), -EDQUOT);
	ck_assert_int_eq(take_now(), 2);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_uint_eq(take(), 1);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	EXPECT(eventfd_write(fence, 1) == 0);
	ck_assert_uint_eq(take(), 0);
	/* the first buffer's is reserved still */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hand(0), 1);
		release_on_fence(local_next(&local));
		ck_assert_uint_eq(take(), 0);
	}
	local_close(&local);
}
END_TEST

/* These are found before: the frame is held still. */
START_TEST(no_fences)
{
	int pipes[2];
	EXPECT(pipe(pipes) == 0);
	close(pipes[1]);
	meet_all(PRODUCER_BUFFERS);
	ck_assert_int_eq(hand(0), 1);
	struct fbk_frame *frame = local_next(&local);
	ck_assert_int_eq(fbk_frame_release_on(frame, -1), -EBADF);
	ck_assert_int_eq(fbk_frame_release_on(frame, pipes[0]), -EBADF);
	ck_assert_int_eq(fbk_frame_release_on(frame, dup(fence)), 0);
	ck_assert_int_eq(fbk_frame_release_on(frame, dup(fence)), -ESTALE);
	ck_assert_int_eq(fbk_frame_release(frame, 0), -ESTALE);
	fbk_frame_unref(frame);
	EXPECT(eventfd_write(fence, 1) == 0);
	ck_assert_uint_eq(take(), 0);
	local_close(&local);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, daemon_is_stopped, flushes);
	tcase_add_test(tcase, first_release);
	tcase_add_test(tcase, frames_go_on);
	tcase_add_test(tcase, stop_waits_for_the_queue);
	tcase_add_test(tcase, consumer_dies_after_a_release);
	tcase_add_test(tcase, no_fences);
}

static void add_eventfd(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_eventfd, teardown);
	tcase_add_test(tcase, acquire_fd_until_a_deadline);
}

static void add_poor(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_poor, teardown);
	tcase_add_test(tcase, limit_of_imports);
}

int main(void)
{
	int failed = suite_main("releases by fences", add);
	failed |= suite_main("fds that the daemon makes", add_eventfd);
	return failed | suite_main("releases that are refused", add_poor);
}
