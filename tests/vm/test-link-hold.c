// SPDX-License-Identifier: MIT
/* Consumers that are killed while a kernel fence of theirs is pending: no buffer is free before that fence, attached to the
 * release or only in the dma-buf; and what becomes of the producer's own syncobj. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <xf86drm.h>

#include "lib-link.h"

static struct daemon server;
static struct producer producer;
static struct peer peer;
static int fences, drm;

/* A short time for imports: it must not free anything. */
static void setup(void)
{
	fences = test_fence_open();
	ck_assert_int_ge(fences, 0);
	daemon_serve(&server, lab_policy(300));
}

static void teardown(void)
{
	daemon_stop(&server);
	close(fences);
}

/* ---------------------------------------------------------------------------------- the consumer -- */

enum deed {
	IMPLICIT_WRITE, /* keeps the frame; the fence is in its dma-buf */
	IMPLICIT_READ,
	ATTACHED,   /* releases it on the fence */
	BOTH,       /* the same, with another in the dma-buf */
	LATER,      /* releases it at a point in memory, with the fence in the dma-buf */
	CLOSE,      /* closes the link, with the fence in the dma-buf */
	DISCONNECT, /* leaves */
	FAILS,      /* releases it on the fence, and lives */
	TWICE,      /* the same, and the next one on the other fence */
};

static void put_into(const struct fbk_frame *frame, int fence, bool write)
{
	ck_assert_int_eq(dmabuf_import_sync_file(frame_fd(frame), fence, write), 0);
}

static void act(struct consumer *self, struct fbk_frame *frame, enum deed deed, int first,
		int second)
{
	struct fbk_point point;
	if (deed == ATTACHED || deed == BOTH || deed >= FAILS) {
		if (deed == BOTH) {
			put_into(frame, second, false);
		}
		EXPECT(fbk_frame_release_on(frame, first) == 0);
		return;
	}
	put_into(frame, first, deed == IMPLICIT_WRITE);
	if (deed == LATER) {
		EXPECT(fbk_frame_release_later(frame, &point) == 0);
	} else if (deed == CLOSE) {
		fbk_link_close(self->link);
	} else if (deed == DISCONNECT) {
		fbk_disconnect(self->context);
	}
}

static int consumer_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
						     .name = "consumer",
						     .device_class = FBK_CLASS_ENCODER,
						     .waits = FBK_FENCE_MEMORY64,
						     .signals = FBK_FENCE_MEMORY64 |
								FBK_FENCE_SYNC_FILE };
	struct consumer self;
	int first, second;
	enum deed deed = *(enum deed *)arg;
	consumer_open(&self, &server, &desc, socket);
	receive_word(socket, &first);
	receive_word(socket, &second);
	struct fbk_frame *frame = consumer_next(&self);
	ck_assert_ptr_nonnull(frame);
	act(&self, frame, deed, first, second);
	send_word(socket, 0, -1);
	if (deed == TWICE) {
		EXPECT(fbk_frame_release_on(consumer_next(&self), second) == 0);
		send_word(socket, 0, -1);
	}
	for (;;) {
		pause();
	}
	return 0;
}

/* ---------------------------------------------------------------------------------- the producer -- */

static uint32_t out;

static int take(uint64_t ms, uint32_t *ret_index)
{
	return fbk_exchange_take(producer.exchange, deadline_ms(ms), ret_index, NULL);
}

static void open_with(enum deed *deed, uint32_t ids[2])
{
	const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					      .name = "producer",
					      .device_class = FBK_CLASS_GPU,
					      .waits = FBK_FENCE_MEMORY64 |
						       FBK_FENCE_SYNCOBJ_TIMELINE,
					      .signals = FBK_FENCE_MEMORY64 };
	int offer;
	uint32_t index[PRODUCER_BUFFERS];
	peer_start(&peer, consumer_run, deed);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, true);
	send_word(peer.socket, 0, offer);
	close(offer);
	for (int i = 0; i < 2; i++) {
		int fence = test_fence_create(fences, &ids[i]);
		ck_assert_int_ge(fence, 0);
		send_word(peer.socket, 0, fence);
		close(fence);
	}
	producer_meet(&producer);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(take(PATIENCE_MS, &index[i]), 0);
	}
	out = index[0];
	int r = fbk_exchange_hand(producer.exchange, out, FBK_POINT_SIGNALLED, 1, NULL, NULL, NULL);
	ck_assert_msg(r == 1, "handing over: %s", fbk_error_detail());
}

static void await_held(void)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	uint64_t give_up = now_ms() + PATIENCE_MS;
	do {
		ck_assert_uint_lt(now_ms(), give_up);
		EXPECT(fbk_link_info(producer.link, &info) == 0);
		yield_briefly();
	} while (info.phase != FBK_PHASE_OFFERED);
	ck_assert_uint_eq(info.held, 1);
}

static void kill_peer(void)
{
	kill(peer.pid, SIGKILL);
	ck_assert_int_eq(patient_wait(&peer), 128 + SIGKILL);
}

/* Longer than an import may take. */
#define NEVER_MS 1500

static void expect_busy(void)
{
	uint32_t index;
	ck_assert_int_eq(take(NEVER_MS, &index), -ETIMEDOUT);
}

static void expect_free(void)
{
	uint32_t index;
	int r = take(PATIENCE_MS, &index);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	ck_assert_uint_eq(index, out);
}

static enum deed deeds[] = { IMPLICIT_WRITE, IMPLICIT_READ, ATTACHED, BOTH, LATER };

START_TEST(killed_with_a_fence)
{
	uint32_t ids[2];
	enum deed deed = deeds[_i];
	open_with(&deed, ids);
	patient_word(peer.socket);
	kill_peer();
	await_held();
	expect_busy();
	ck_assert_int_eq(test_fence_signal(fences, ids[0], 0), 0);
	if (deed == BOTH) { /* its producer had not seen the release */
		expect_busy();
		ck_assert_int_eq(test_fence_signal(fences, ids[1], 0), 0);
	}
	expect_free();
	producer_close(&producer);
}
END_TEST

/* A fence in error: its device is done. */
START_TEST(killed_with_a_fence_that_fails)
{
	uint32_t ids[2];
	enum deed deed = deeds[_i];
	open_with(&deed, ids);
	patient_word(peer.socket);
	kill_peer();
	await_held();
	ck_assert_int_eq(test_fence_signal(fences, ids[0], -EIO), 0);
	expect_free();
	producer_close(&producer);
}
END_TEST

START_TEST(leaves_with_a_fence)
{
	uint32_t ids[2];
	enum deed deed = _i == 0 ? CLOSE : DISCONNECT;
	open_with(&deed, ids);
	patient_word(peer.socket);
	await_held();
	expect_busy();
	ck_assert_int_eq(test_fence_signal(fences, ids[0], 0), 0);
	expect_free(); /* its process lives */
	kill_peer();
	producer_close(&producer);
}
END_TEST

/* Its device waits by itself, so the buffer is out again while its last fence is pending. What that one comes to says
 * nothing of the next. */
START_TEST(fails_while_out_again)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	uint32_t ids[2], index;
	size_t count;
	enum deed deed = TWICE;
	open_with(&deed, ids);
	patient_word(peer.socket);
	EXPECT(fbk_exchange_take_early(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL,
				       releases, &count) == 0);
	ck_assert_uint_eq(index, out);
	ck_assert_uint_eq(count, 1);
	EXPECT(fbk_exchange_hand(producer.exchange, out, FBK_POINT_SIGNALLED, 1, NULL, NULL,
				 NULL) == 1);
	patient_word(peer.socket);
	ck_assert_int_eq(test_fence_signal(fences, ids[0], -EIO), 0);
	ck_assert_int_eq(fbk_point_wait(releases[0].point, deadline_ms(PATIENCE_MS)), 0);
	expect_busy();
	ck_assert_int_eq(test_fence_signal(fences, ids[1], 0), 0);
	expect_free();
	kill_peer();
	producer_close(&producer);
}
END_TEST

/* ------------------------------------------------------------------------ the producer's syncobj -- */

#define AT 40

/* Takes the buffer early, and puts its release to a point of a syncobj of its own. */
static uint32_t release_to_syncobj(void)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	uint32_t index, syncobj;
	size_t count;
	int fd;
	ck_assert_int_eq(drmSyncobjCreate(drm, 0, &syncobj), 0);
	ck_assert_int_eq(drmSyncobjHandleToFD(drm, syncobj, &fd), 0);
	int r = fbk_exchange_take_early(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL,
					releases, &count);
	ck_assert_msg(r == 0, "taking early: %s", fbk_error_detail());
	ck_assert_uint_eq(index, out);
	ck_assert_uint_eq(count, 1);
	r = fbk_point_export_to_syncobj(releases[0].point, fd, AT, deadline_ms(10 * PATIENCE_MS));
	ck_assert_msg(r == 0, "to a syncobj: %s", fbk_error_detail());
	close(fd);
	return syncobj;
}

static int syncobj_wait(uint32_t syncobj, uint64_t ms)
{
	uint64_t point = AT;
	int64_t until = (int64_t)(now_ms() + ms) * 1000000;
	return drmSyncobjTimelineWait(drm, &syncobj, &point, 1, until,
				      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL);
}

static void syncobj_end(uint32_t syncobj)
{
	uint64_t value;
	ck_assert_int_eq(syncobj_wait(syncobj, PATIENCE_MS), 0);
	ck_assert_int_eq(syncobj_query(drm, syncobj, &value), 0);
	ck_assert_uint_eq(value, AT);
	drmSyncobjDestroy(drm, syncobj);
}

static bool has_syncobjs(void)
{
	drm = drm_render_open("virtio_gpu");
	if (drm < 0 || !has_syncobj_eventfd()) {
		printf("not run: a DRM device with timeline syncobjs is needed\n");
		return false;
	}
	return true;
}

/* Alive and late: never. Its fence in error: its device is done. */
START_TEST(syncobj_of_a_fence_in_error)
{
	uint32_t ids[2];
	enum deed deed = FAILS;
	if (!has_syncobjs()) {
		return;
	}
	open_with(&deed, ids);
	patient_word(peer.socket);
	uint32_t syncobj = release_to_syncobj();
	ck_assert_int_ne(syncobj_wait(syncobj, NEVER_MS), 0);
	ck_assert_int_eq(test_fence_signal(fences, ids[0], -EIO), 0);
	syncobj_end(syncobj);
	kill_peer();
	producer_close(&producer);
	close(drm);
}
END_TEST

/* Dead: once the buffer is free. */
START_TEST(syncobj_of_a_dead_holder)
{
	uint32_t ids[2];
	enum deed deed = _i == 0 ? LATER : ATTACHED;
	if (!has_syncobjs()) {
		return;
	}
	open_with(&deed, ids);
	patient_word(peer.socket);
	uint32_t syncobj = release_to_syncobj();
	kill_peer();
	ck_assert_int_ne(syncobj_wait(syncobj, NEVER_MS), 0);
	ck_assert_int_eq(test_fence_signal(fences, ids[0], 0), 0);
	syncobj_end(syncobj);
	producer_close(&producer);
	close(drm);
}
END_TEST

static void add(TCase *tcase)
{
	const int count = sizeof(deeds) / sizeof(deeds[0]);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, killed_with_a_fence, 0, count);
	tcase_add_loop_test(tcase, killed_with_a_fence_that_fails, 0, 3);
	tcase_add_loop_test(tcase, leaves_with_a_fence, 0, 2);
	tcase_add_test(tcase, fails_while_out_again);
	tcase_add_test(tcase, syncobj_of_a_fence_in_error);
	tcase_add_loop_test(tcase, syncobj_of_a_dead_holder, 0, 2);
}

int main(void)
{
	return lab_main("link hold", "vgem", add);
}
