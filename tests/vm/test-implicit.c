// SPDX-License-Identifier: MIT
/* Peers that know implicit fences only: they poll a dma-buf, and add their fences to it. */
#include "lib-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static struct lab lab;
static int card;
static uint32_t buffer;
static int dmabuf;

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
	card = drm_card_must_open("vgem");
	ck_assert_int_eq(vgem_buffer_create(card, &buffer, &dmabuf), 0);
}

static void teardown(void)
{
	lab_close(&lab);
	close(dmabuf);
	drm_buffer_close(card, buffer);
	close(card);
}

/* Another process, with only the dma-buf and a socket. Reports when poll(2) returns. */
static int poll_only(int socket, void *arg)
{
	short events = *(short *)arg;
	int fd;
	receive_word(socket, &fd);
	struct pollfd entry = { .fd = fd, .events = events };
	send_word(socket, (uint64_t)poll(&entry, 1, 50), -1);
	int r = poll(&entry, 1, PATIENCE_MS);
	send_word(socket, r == 1 && entry.revents & events, -1);
	return 0;
}

static void peer_polls(short events, bool for_write)
{
	struct peer peer;
	peer_start(&peer, poll_only, &events);
	ck_assert_int_eq(fbk_point_attach_dmabuf(lab_point(&lab, 1), dmabuf, for_write), 0);
	send_word(peer.socket, 0, dmabuf);
	ck_assert_uint_eq(receive_word(peer.socket, NULL), 0); /* it waits */
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert_uint_eq(receive_word(peer.socket, NULL), 1);
	ck_assert_int_eq(peer_wait(&peer), 0);
}

/* A reader waits for the writer. */
START_TEST(reader_polls)
{
	peer_polls(POLLIN, true);
}
END_TEST

/* A writer waits for readers too. */
START_TEST(writer_polls)
{
	peer_polls(POLLOUT, false);
}
END_TEST

START_TEST(broken_promise_lets_poll_go)
{
	struct pollfd entry = { .fd = dmabuf, .events = POLLIN };
	ck_assert_int_eq(fbk_point_attach_dmabuf(lab_point(&lab, 1), dmabuf, true), 0);
	ck_assert_int_eq(poll(&entry, 1, 100), 0);
	ck_assert_int_eq(poll(&entry, 1, 3000), 1); /* success is all that it can see */
	ck_assert_int_eq(fbk_point_check(lab_point(&lab, 1)), -ETIME);
}
END_TEST

/* ------------------------------------------------------------------------------ the way back --- */

static struct fbk_point release_point(uint64_t value)
{
	static struct fbk_timeline *line;
	if (value == 1) {
		line = peer_timeline(lab.imports, "release", FBK_TIMELINE_BROKERED);
	}
	return (struct fbk_point){ line, value };
}

START_TEST(follows_a_writer)
{
	uint32_t id;
	ck_assert_int_eq(vgem_fence_attach(card, buffer, true, &id), 0);
	struct fbk_point release = release_point(1);
	ck_assert_int_eq(fbk_point_signal_on_dmabuf(release, dmabuf, false), 0);
	ck_assert_int_eq(fbk_point_wait(release, deadline_ms(60)), -ETIMEDOUT);
	ck_assert_int_eq(vgem_signal(card, id), 0);
	ck_assert_int_eq(fbk_point_wait(release, deadline_ms(PATIENCE_MS)), 0);
}
END_TEST

/* A reader delays a writer, but no other reader. */
START_TEST(follows_a_reader_only_to_write)
{
	uint32_t id;
	ck_assert_int_eq(vgem_fence_attach(card, buffer, false, &id), 0);
	struct fbk_point reads = release_point(1);
	struct fbk_point writes = release_point(2);
	ck_assert_int_eq(fbk_point_signal_on_dmabuf(reads, dmabuf, false), 0);
	ck_assert_int_eq(fbk_point_wait(reads, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_point_signal_on_dmabuf(writes, dmabuf, true), 0);
	ck_assert_int_eq(fbk_point_wait(writes, deadline_ms(60)), -ETIMEDOUT);
	ck_assert_int_eq(vgem_signal(card, id), 0);
	ck_assert_int_eq(fbk_point_wait(writes, deadline_ms(PATIENCE_MS)), 0);
}
END_TEST

START_TEST(without_fences_it_is_reached)
{
	struct fbk_point release = release_point(1);
	ck_assert_int_eq(fbk_point_signal_on_dmabuf(release, dmabuf, true), 0);
	ck_assert_int_eq(fbk_point_wait(release, deadline_ms(PATIENCE_MS)), 0);
}
END_TEST

START_TEST(no_dmabuf)
{
	int pipe_fds[2];
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fbk_point_signal_on_dmabuf(release_point(1), pipe_fds[0], true), -EBADF);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "a pipe"));
	ck_assert_int_eq(fbk_point_attach_dmabuf(lab_point(&lab, 1), pipe_fds[0], true), -EBADF);
	ck_assert_int_eq(fbk_point_attach_dmabuf(lab_point(&lab, 1), -1, true), -EBADF);
	/* The daemon follows no dma-buf as a fence. */
	ck_assert_int_eq(fbk_point_signal_on(release_point(2), fcntl(dmabuf, F_DUPFD_CLOEXEC, 0)),
			 -EOPNOTSUPP);
	ck_assert_int_eq(fbk_fence_classify(lab.waiter, dmabuf), FBK_FENCE_DMA_BUF_IMPLICIT);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reader_polls);
	tcase_add_test(tcase, writer_polls);
	tcase_add_test(tcase, broken_promise_lets_poll_go);
	tcase_add_test(tcase, follows_a_writer);
	tcase_add_test(tcase, follows_a_reader_only_to_write);
	tcase_add_test(tcase, without_fences_it_is_reached);
	tcase_add_test(tcase, no_dmabuf);
}

int main(void)
{
	return lab_main("implicit", "vgem", add);
}
