// SPDX-License-Identifier: MIT
/* The life of a callback: handles, cancelling, closing, and a dispatch on another thread meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib-stage.h"

static struct local self;
static struct fbk_device *device;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	local_open(&self, FBK_DELIVERY_FIFO, 2);
	device = peer_device(self.context, "dev");
}

static void teardown(void)
{
	fbk_disconnect(self.context);
	stage_close();
}

struct seen {
	int calls, result;
	struct fbk_watch **cancel;
};

static void note(void *arg, struct fbk_point point, int result)
{
	struct seen *seen = arg;
	(void)point;
	seen->calls++;
	seen->result = result;
	if (seen->cancel) {
		fbk_watch_cancel(*seen->cancel);
	}
}

static struct fbk_timeline *line_create(void)
{
	struct fbk_timeline *line;
	EXPECT(fbk_timeline_create(device, NULL, "line", 0, &line) == 0);
	return line;
}

static void watch(struct fbk_timeline *line, uint64_t value, struct seen *seen,
		  struct fbk_watch **ret_watch)
{
	EXPECT(fbk_point_watch((struct fbk_point){ line, value }, FBK_DEADLINE_MAX, note, seen,
			       ret_watch) == 0);
}

static void turn_until(const int *calls, int count)
{
	while (*calls < count) {
		loop_turn(self.context);
	}
}

START_TEST(a_handle_outlives)
{
	struct fbk_timeline *line = line_create();
	struct seen seen = { 0 };
	struct fbk_watch *ran, *closed, *left;
	watch(line, 1, &seen, &ran);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	turn_until(&seen.calls, 1);
	fbk_watch_cancel(ran);
	watch(line, 2, &seen, &closed);
	watch(line, 3, &seen, &left); /* goes with the context */
	watch(line, 4, &seen, NULL);
	fbk_timeline_close(line);
	turn_until(&seen.calls, 4);
	ck_assert_int_eq(seen.result, -ECANCELED);
	fbk_watch_cancel(closed);
	fbk_watch_cancel(NULL);
	ck_assert_int_eq(fbk_dispatch(self.context), 0);
}
END_TEST

START_TEST(cancels_itself)
{
	struct fbk_timeline *line = line_create();
	struct fbk_watch *handle;
	struct seen seen = { .cancel = &handle };
	watch(line, 1, &seen, &handle);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	turn_until(&seen.calls, 1);
	ck_assert_int_eq(fbk_dispatch(self.context), 0);
}
END_TEST

static void close_line(void *arg, struct fbk_point point, int result)
{
	struct seen *seen = arg;
	seen->calls++;
	seen->result = result;
	fbk_timeline_close(point.timeline);
}

START_TEST(closes_its_timeline)
{
	struct fbk_timeline *line = line_create();
	struct seen first = { 0 }, second = { 0 };
	EXPECT(fbk_point_watch((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX, close_line, &first,
			       NULL) == 0);
	watch(line, 2, &second, NULL);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	turn_until(&second.calls, 1);
	ck_assert_int_eq(first.result, 0);
	ck_assert_int_eq(second.result, -ECANCELED);
}
END_TEST

/* 64 callbacks a dispatch; the rest keeps the fd readable. Closing the timeline makes all of them due at once. */
START_TEST(bounded)
{
	struct fbk_timeline *line = line_create();
	struct seen seen = { 0 };
	for (uint64_t value = 1; value <= 150; value++) {
		watch(line, value, &seen, NULL);
	}
	fbk_timeline_close(line);
	ck_assert_int_eq(readable_within(fbk_context_fd(self.context), 0), 1);
	ck_assert_int_eq(fbk_dispatch(self.context), 64);
	ck_assert_int_eq(readable_within(fbk_context_fd(self.context), 0), 1);
	ck_assert_int_eq(fbk_dispatch(self.context), 64);
	ck_assert_int_eq(readable_within(fbk_context_fd(self.context), 0), 1);
	ck_assert_int_eq(fbk_dispatch(self.context), 22);
	ck_assert_int_eq(fbk_dispatch(self.context), 0);
	ck_assert_int_eq(seen.calls, 150);
	ck_assert_int_eq(seen.result, -ECANCELED);
}
END_TEST

static void no_frame(void *arg, struct fbk_link *link)
{
	(void)link;
	++*(int *)arg;
}

static void no_phase(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	(void)link;
	(void)phase;
	++*(int *)arg;
}

START_TEST(of_a_link)
{
	int replaced = 0, next = 0, phases = 0;
	struct fbk_watch *first, *second, *third, *listener;
	EXPECT(fbk_link_watch(self.link, no_frame, &replaced, &first) == 0);
	EXPECT(fbk_link_watch(self.link, no_frame, &next, &second) == 0);
	stage_frame(NULL);
	turn_until(&next, 1);
	ck_assert_int_eq(replaced, 0);
	fbk_watch_cancel(first);
	fbk_watch_cancel(second);
	EXPECT(fbk_link_watch(self.link, no_frame, &replaced, &third) == 0);
	fbk_watch_cancel(third); /* a frame is there: it was due */
	EXPECT(fbk_link_listen(self.link, no_phase, &phases, &listener) == 0);
	turn_until(&phases, 1);
	EXPECT(fbk_link_watch(self.link, no_frame, &replaced, &third) == 0);
	fbk_link_close(self.link);
	while (fbk_dispatch(self.context) > 0) {
	}
	ck_assert_int_eq(replaced, 0);
	ck_assert_int_eq(phases, 1);
	fbk_watch_cancel(third);
	fbk_watch_cancel(listener);
}
END_TEST

/* ------------------------------------------------------------------------------------- threads -- */

static _Atomic bool stop;

static void *dispatcher(void *arg)
{
	(void)arg;
	while (!stop) { /* seq_cst: no matter here */
		readable_within(fbk_context_fd(self.context), 1);
		EXPECT(fbk_dispatch(self.context) >= 0);
	}
	return NULL;
}

static pthread_t dispatcher_start(void)
{
	pthread_t thread;
	stop = false;
	EXPECT(pthread_create(&thread, NULL, dispatcher, NULL) == 0);
	return thread;
}

/* Freed by whoever cancelled: a callback after that would be a use after free. */
struct guarded {
	struct fbk_watch *watch;
	_Atomic int calls;
	bool alive, close;
};

static void guarded_call(void *arg, struct fbk_point point, int result)
{
	struct guarded *guarded = arg;
	(void)result;
	EXPECT(guarded->alive && guarded->watch); /* set before it can run */
	EXPECT(point.timeline != NULL);
	guarded->calls++;
}

START_TEST(cancel_against_dispatch)
{
	pthread_t thread = dispatcher_start();
	struct fbk_timeline *line = line_create();
	uint64_t seed = 5, ran = 0;
	unsigned int rounds = count_of(100000, 50);
	for (unsigned int i = 1; i <= rounds; i++) {
		struct guarded *guarded = calloc(1, sizeof(*guarded));
		EXPECT(guarded);
		guarded->alive = true;
		EXPECT(fbk_point_watch((struct fbk_point){ line, i }, FBK_DEADLINE_MAX,
				       guarded_call, guarded, &guarded->watch) == 0);
		EXPECT(fbk_timeline_signal(line, i) == 0);
		for (uint32_t spins = draw(&seed, 4000); spins > 0; spins--) {
			atomic_signal_fence(memory_order_seq_cst);
		}
		fbk_watch_cancel(guarded->watch);
		EXPECT(guarded->calls <= 1);
		ran += (uint64_t)guarded->calls;
		guarded->alive = false;
		free(guarded);
	}
	stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_le(ran, rounds);
}
END_TEST

START_TEST(close_against_dispatch)
{
	pthread_t thread = dispatcher_start();
	for (unsigned int i = 0; i < count_of(5000, 25); i++) {
		struct fbk_timeline *line = line_create();
		struct guarded guarded[3] = { { .alive = true },
					      { .alive = true },
					      { .alive = true } };
		for (uint64_t j = 0; j < 3; j++) {
			EXPECT(fbk_point_watch((struct fbk_point){ line, 1 + j }, FBK_DEADLINE_MAX,
					       guarded_call, &guarded[j], &guarded[j].watch) == 0);
		}
		EXPECT(fbk_timeline_signal(line, 1 + i % 3) == 0);
		fbk_timeline_close(line);
		fbk_watch_cancel(guarded[i % 3].watch);
		for (int j = 0; j < 3; j++) { /* each runs, but for the one that was cancelled */
			while (j != (int)(i % 3) && guarded[j].calls == 0) {
				yield_briefly();
			}
			if (j != (int)(i % 3)) {
				fbk_watch_cancel(guarded[j].watch);
			}
			EXPECT(guarded[j].calls <= 1);
		}
	}
	stop = true;
	pthread_join(thread, NULL);
}
END_TEST

static void again(void *arg, struct fbk_link *link)
{
	struct fbk_frame *frame;
	_Atomic int *alive = arg;
	EXPECT(*alive);
	while (fbk_link_next(link, 0, &frame) == 0) {
		fbk_frame_release(frame, 0);
		fbk_frame_unref(frame);
	}
	fbk_link_watch(link, again, arg, NULL);
}

static void phase_while_alive(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	_Atomic int *alive = arg;
	(void)phase;
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	EXPECT(*alive);
	fbk_link_info(link, &info);
}

/* A link is closed while its callbacks run and are about to, on another thread. */
START_TEST(close_link_against_dispatch)
{
	pthread_t thread = dispatcher_start();
	fbk_link_close(self.link);
	for (unsigned int i = 0; i < count_of(500, 10); i++) {
		_Atomic int *alive = calloc(1, sizeof(*alive));
		struct fbk_watch *next, *listener;
		struct fbk_link *link;
		uint64_t end = now_ms() + PATIENCE_MS;
		int r;
		EXPECT(alive);
		*alive = 1;
		do { /* the daemon may still have to see that the last one is gone */
			r = link_accept_as(self.device, offer, FBK_DELIVERY_FIFO, 2, &link);
		} while (r == -EBUSY && now_ms() < end);
		ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
		EXPECT(fbk_link_listen(link, phase_while_alive, alive, &listener) == 0);
		EXPECT(fbk_link_watch(link, again, alive, &next) == 0);
		if (fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0) {
			stage_frame(NULL);
		}
		if (i % 2) {
			fbk_watch_cancel(next);
		}
		fbk_link_close(link);
		*alive = 0;
		free((void *)alive);
		if (i % 2 == 0) {
			fbk_watch_cancel(next);
		}
		fbk_watch_cancel(listener);
	}
	stop = true;
	pthread_join(thread, NULL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_handle_outlives);
	tcase_add_test(tcase, cancels_itself);
	tcase_add_test(tcase, closes_its_timeline);
	tcase_add_test(tcase, bounded);
	tcase_add_test(tcase, of_a_link);
	tcase_add_test(tcase, cancel_against_dispatch);
	tcase_add_test(tcase, close_against_dispatch);
	tcase_add_test(tcase, close_link_against_dispatch);
}

int main(void)
{
	return suite_main("callbacks", add);
}
