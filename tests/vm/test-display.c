// SPDX-License-Identifier: MIT
/* Pictures drawn by a device with memory fences, shown by KMS, which has none. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/examples/pipeline/clock.h"
#include "client/examples/pipeline/screen.h"
#include "client/include/fence-kms.h"
#include "lib-lab.h"

#define FLIPS   300
#define BUFFERS 2 /* to draw to; one more is black */
#define WIDTH   640
#define HEIGHT  480

static struct lab lab;
static struct screen screen;

static void setup(void)
{
	char error[160] = "";
	lab_open(&lab, lab_policy(60000));
	int r = screen_open(&screen, NULL, WIDTH, HEIGHT, BUFFERS + 1, error, sizeof(error));
	ck_assert_msg(r == 0, "%s", error);
}

static void teardown(void)
{
	screen_close(&screen);
	lab_close(&lab);
}

static uint64_t now_us(void)
{
	return clock_now() / 1000;
}

/* ---------------------------------------------------------------------------------- the pixels -- */

static uint32_t colour_of(uint64_t frame)
{
	return (uint32_t)(frame * 2654435761U) & 0xffffff;
}

static void fill(uint64_t frame)
{
	struct screen_buffer *buffer = &screen.buffers[frame % BUFFERS];
	uint32_t *pixels = buffer->memory;
	for (size_t i = 0; i < buffer->size / sizeof(*pixels); i++) {
		pixels[i] = colour_of(frame);
	}
}

static size_t wrong_pixels(uint64_t frame)
{
	const struct screen_buffer *buffer = &screen.buffers[frame % BUFFERS];
	const uint32_t *pixels = buffer->memory;
	size_t wrong = 0;
	for (size_t i = 0; i < buffer->size / sizeof(*pixels); i++) {
		wrong += pixels[i] != colour_of(frame);
	}
	return wrong;
}

/* --------------------------------------------------------------------------- render and display -- */

/* How the display waits for the picture. */
enum way {
	PROMISED, /* an unsignalled sync_file in IN_FENCE_FD, before the picture is drawn */
	GATED,    /* the commit is made when the point is reached */
	LATE,     /* a signalled sync_file in IN_FENCE_FD, once the point is reached */
};

static const char *const way_names[] = { "promised", "by a gate", "late sync_file" };

/* Flip n shows frame n, which is point n of lab.timeline; its out-fence is point n of `release`,
 * and means that frame n - 1 is not on screen any more. */
struct show {
	enum way way;
	unsigned int count;
	unsigned int early, waited;
	size_t wrong;
	struct fbk_timeline *release;  /* the display's */
	struct fbk_timeline *released; /* the same, opened by the renderer */
	sem_t asked;                   /* for one frame more */
	uint64_t drawn_us[FLIPS + 1], signalled_us[FLIPS + 1], shown_us[FLIPS + 1];
};

static void *render(void *arg)
{
	struct show *show = arg;
	for (uint64_t frame = 1; frame <= show->count; frame++) {
		struct fbk_point free = { show->released, frame - 1 };
		while (sem_wait(&show->asked) < 0) {
		}
		if (frame > BUFFERS) {
			EXPECT(fbk_point_wait(free, deadline_ms(PATIENCE_MS)) == 0);
		}
		show->drawn_us[frame] = now_us();
		fill(frame);
		show->signalled_us[frame] = now_us();
		EXPECT(fbk_timeline_signal(lab.timeline, frame) == 0);
	}
	return NULL;
}

static int32_t flip_with(struct show *show, uint64_t frame, int in_fence)
{
	int32_t out_fence;
	show->waited += sync_file_status(in_fence) == 0;
	ck_assert_int_eq(screen_flip(&screen, frame % BUFFERS, in_fence, &out_fence, frame), 0);
	close(in_fence);
	return out_fence;
}

static int32_t flip_promised(struct show *show, uint64_t frame)
{
	int fd = -1;
	int r = fbk_point_promise(lab_point(&lab, frame), &fd);
	ck_assert_msg(r == 0, "fbk_point_promise: %s", fbk_error_detail());
	int32_t out_fence = flip_with(show, frame, fd);
	sem_post(&show->asked);
	return out_fence;
}

static int32_t flip_late(struct show *show, uint64_t frame)
{
	int fd = -1;
	sem_post(&show->asked);
	int r = fbk_point_export(lab_point(&lab, frame), FBK_FENCE_SYNC_FILE,
				 deadline_ms(PATIENCE_MS), &fd);
	ck_assert_msg(r == 0, "fbk_point_export: %s", fbk_error_detail());
	return flip_with(show, frame, fd);
}

static void note_result(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result;
}

/* a value that no gate's result has */
#define PENDING 1

static void dispatch_until(const int *result)
{
	while (*result == PENDING) {
		loop_turn(lab.waiter);
	}
}

static void gate_set(uint64_t point, uint64_t frame, int32_t *ret_out_fence, int *ret_result)
{
	drmModeAtomicReq *request = screen_request(&screen, frame % BUFFERS, -1, ret_out_fence);
	ck_assert_ptr_nonnull(request);
	*ret_result = PENDING;
	int r = fbk_gate_atomic_commit(lab_point(&lab, point), deadline_ms(PATIENCE_MS),
				       screen.card, request, SCREEN_FLIP, (void *)(uintptr_t)frame,
				       note_result, ret_result, NULL);
	ck_assert_msg(r == 0, "fbk_gate_atomic_commit: %s", fbk_error_detail());
	drmModeAtomicFree(request);
}

static int32_t flip_gated(struct show *show, uint64_t frame)
{
	int32_t out_fence;
	int result;
	gate_set(frame, frame, &out_fence, &result);
	show->waited += fbk_point_check(lab_point(&lab, frame)) == -EAGAIN;
	sem_post(&show->asked);
	dispatch_until(&result);
	ck_assert_int_eq(result, 0);
	return out_fence;
}

static void expect_shown(struct show *show, uint64_t frame)
{
	struct screen_event event;
	ck_assert_int_eq(screen_event(&screen, PATIENCE_MS, &event), 0);
	ck_assert_uint_eq(event.frame, frame);
	show->early += fbk_timeline_value(lab.opened) < frame;
	show->wrong += wrong_pixels(frame);
	show->shown_us[frame] = event.time_us;
}

static void show_frame(struct show *show, uint64_t frame)
{
	static int32_t (*const flip[])(struct show *, uint64_t) = { flip_promised, flip_gated,
								    flip_late };
	int32_t out_fence = flip[show->way](show, frame);
	struct fbk_point release = { show->release, frame };
	int r = fbk_point_signal_on(release, out_fence);
	ck_assert_msg(r == 0, "fbk_point_signal_on: %s", fbk_error_detail());
	expect_shown(show, frame);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* The times noted by the display and the kernel, and how long all took. */
static void check_times(struct show *show)
{
	uint64_t took[FLIPS];
	unsigned int early_draws = 0;
	for (unsigned int frame = 1; frame <= show->count; frame++) {
		show->early += show->shown_us[frame] < show->signalled_us[frame];
		early_draws += frame > BUFFERS && show->drawn_us[frame] < show->shown_us[frame - 1];
		took[frame - 1] = show->shown_us[frame] - show->signalled_us[frame];
	}
	qsort(took, show->count, sizeof(took[0]), compare);
	printf("%s: %u flips, %u asked for before they were drawn, %u early, %u buffers drawn over "
	       "too soon; signal to flip under software emulation: median %.1f ms, p95 %.1f ms\n",
	       way_names[show->way], show->count, show->waited, show->early, early_draws,
	       (double)took[show->count / 2] / 1000, (double)took[show->count * 95 / 100] / 1000);
	ck_assert_uint_eq(show->early, 0);
	ck_assert_uint_eq(early_draws, 0);
	ck_assert_uint_eq(show->wrong, 0);
}

START_TEST(render_to_display)
{
	static struct show show;
	pthread_t renderer;
	show.way = (enum way)_i;
	show.count = FLIPS;
	show.release = peer_timeline(lab.imports, "on-screen", FBK_TIMELINE_BROKERED);
	show.released = peer_open(lab.signaler, show.release, FBK_RIGHT_WAIT);
	ck_assert_int_eq(sem_init(&show.asked, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&renderer, NULL, render, &show), 0);
	for (uint64_t frame = 1; frame <= show.count; frame++) {
		show_frame(&show, frame);
	}
	pthread_join(renderer, NULL);
	check_times(&show);
	/* Otherwise no flip could have been early. */
	ck_assert_uint_eq(show.waited, show.way == LATE ? 0 : show.count);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ show.released, show.count },
					deadline_ms(PATIENCE_MS)),
			 0);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "promises_kept"),
			  show.way == PROMISED ? show.count : 0);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "imports_done"), show.count);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "errors"), 0);
}
END_TEST

/* The counter-proof: a flip that does not wait shows an undrawn picture, and the test notices. */
START_TEST(without_a_fence)
{
	static struct show show;
	ck_assert_int_eq(screen_flip(&screen, 1, -1, NULL, 1), 0);
	expect_shown(&show, 1);
	ck_assert_uint_eq(show.early, 1);
	ck_assert_uint_gt(show.wrong, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------- expiry -- */

/* Creates two timelines, and signals the first one too late. */
static int own_two(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *context = peer_connect(&lab.daemon);
	struct fbk_device *device = peer_device(context, "owner");
	struct fbk_timeline *timelines[2];
	for (size_t i = 0; i < 2; i++) {
		int token;
		timelines[i] = peer_timeline(device, i == 0 ? "first" : "second", 0);
		EXPECT(fbk_timeline_share(timelines[i], FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE,
					  &token) == 0);
		send_word(socket, 0, token);
		close(token);
	}
	receive_word(socket, NULL); /* stopped here */
	int r = fbk_timeline_signal(timelines[0], 1);
	fbk_disconnect(context);
	return -r;
}

static void open_both(int token, struct fbk_timeline **ret_mine, struct fbk_timeline **ret_other)
{
	ck_assert_int_eq(fbk_timeline_open(lab.waiter, token, ret_mine), 0);
	ck_assert_int_eq(fbk_timeline_open(lab.signaler, token, ret_other), 0);
	close(token);
}

static void expect_blamed(struct fbk_timeline *timeline, pid_t pid)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	char owner[48], blame[512];
	snprintf(owner, sizeof(owner), "owner (pid %d)", pid);
	ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_DEADLINE);
	ck_assert_msg(strstr(info.reason, owner), "%s", info.reason);
	struct fbk_point point = { timeline, 1 };
	ck_assert_int_eq(fbk_point_blame(point, blame, sizeof(blame)), 0);
	ck_assert_msg(strstr(blame, owner), "%s", blame);
}

START_TEST(owner_stopped)
{
	struct peer peer;
	struct screen_event event;
	struct fbk_timeline *mine[2], *others[2];
	int token, fd = -1;
	peer_start(&peer, own_two, NULL);
	for (size_t i = 0; i < 2; i++) {
		receive_word(peer.socket, &token);
		open_both(token, &mine[i], &others[i]);
	}
	ck_assert_int_eq(fbk_point_promise((struct fbk_point){ mine[0], 1 }, &fd), 0);
	kill(peer.pid, SIGSTOP);
	uint64_t began = now_us();
	ck_assert_int_eq(screen_flip(&screen, 0, fd, NULL, 1), 0);
	ck_assert_int_eq(screen_event(&screen, 100, &event), -ETIMEDOUT);
	ck_assert_int_eq(screen_event(&screen, PATIENCE_MS, &event), 0);
	printf("flipped %llu ms after the promise was made\n",
	       (unsigned long long)(event.time_us - began) / 1000);
	ck_assert_uint_gt(event.time_us - began, (LAB_PROMISE_MS - 100) * 1000);
	ck_assert_uint_lt(event.time_us - began, KERNEL_PROMISE_MS * 1000);
	ck_assert_int_eq(sync_file_status(fd), 1);
	close(fd);

	ck_assert_int_eq(fbk_point_check((struct fbk_point){ mine[0], 1 }), -ETIME);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ others[0], 1 }), -ETIME);
	expect_blamed(mine[0], peer.pid);
	ck_assert_int_eq(fbk_point_promise((struct fbk_point){ mine[1], 1 }, &fd), -ETIME);
	ck_assert_msg(strstr(fbk_error_detail(), "owner"), "%s", fbk_error_detail());

	kill(peer.pid, SIGCONT);
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&peer), ETIME); /* it learns of the failure too */
}
END_TEST

/* --------------------------------------------------------------------------------------- busy -- */

static unsigned int fds_open(void)
{
	unsigned int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static void expect_flip(uint64_t frame)
{
	struct screen_event event;
	ck_assert_int_eq(screen_event(&screen, PATIENCE_MS, &event), 0);
	ck_assert_uint_eq(event.frame, frame);
}

/* A gate opens while the display still waits for the fence of the previous commit. */
START_TEST(busy)
{
	int32_t out_fence = -1;
	int result;
	int fd = -1;
	setenv("FENCEBROKER_IO_URING", "no", 1); /* it would be one fd more, after some gates */
	ck_assert_int_eq(fbk_point_promise(lab_point(&lab, 5), &fd), 0);
	unsigned int fds = fds_open();
	unsigned int daemon_fds = daemon_fd_count(&lab.daemon);
	ck_assert_int_eq(screen_flip(&screen, 0, fd, NULL, 100), 0);
	gate_set(3, 1, &out_fence, &result);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 3), 0);
	dispatch_until(&result);
	ck_assert_int_eq(result, -EBUSY);
	ck_assert_int_eq(out_fence, -1);
	ck_assert_uint_eq(fds_open(), fds);
	daemon_await_fds(&lab.daemon, daemon_fds);

	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 5), 0);
	expect_flip(100);
	close(fd);
	for (uint64_t frame = 6; frame < 10; frame++) {
		gate_set(frame, frame, &out_fence, &result);
		ck_assert_int_eq(fbk_timeline_signal(lab.timeline, frame), 0);
		dispatch_until(&result);
		ck_assert_int_eq(result, 0);
		expect_flip(frame);
		ck_assert(sync_file_wait(out_fence, PATIENCE_MS));
		close(out_fence);
	}
	ck_assert_uint_eq(fds_open(), fds - 1);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, render_to_display, way_names);
	tcase_add_test(tcase, without_a_fence);
	tcase_add_test(tcase, owner_stopped);
	tcase_add_test(tcase, busy);
}

int main(void)
{
	return lab_main("display", "virtio_gpu", add);
}
