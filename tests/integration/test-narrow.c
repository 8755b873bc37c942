// SPDX-License-Identifier: MIT
/* Payloads of 32 bits: points are 64-bit for every client, also when the word wraps. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-device.h"
#include "lib-view.h"
#include "proto/narrow.h"

#define WRAP (UINT64_C(1) << 32)
#define STEP FBK_NARROW_STEP

static struct daemon server;
static struct client raw; /* reads the shared memory itself */
static struct fbk_context *context, *other;
static struct fbk_timeline *timeline, *seen; /* one, as its signaler and as another sees it */

static struct fbk_timeline *narrow_timeline(struct fbk_context *owner, uint32_t signals)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "old",
					.device_class = FBK_CLASS_CPU,
					.signals = signals };
	struct fbk_device *device;
	ck_assert_int_eq(fbk_device_register(owner, &desc, &device), 0);
	return peer_timeline(device, "narrow", 0);
}

static void setup(void)
{
	daemon_serve(&server, NULL);
	client_open(&raw, &server);
	context = peer_connect(&server);
	other = peer_connect(&server);
	timeline = narrow_timeline(context, FBK_FENCE_MEMORY32 | FBK_FENCE_EVENTFD);
	seen = peer_open(other, timeline, FBK_RIGHT_WAIT);
}

static void teardown(void)
{
	fbk_disconnect(other);
	fbk_disconnect(context);
	client_close(&raw);
	daemon_stop(&server);
}

static void open_raw(struct fbk_timeline *of, struct view *ret_view)
{
	int token;
	ck_assert_int_eq(fbk_timeline_share(of, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(view_open(&raw, token, ret_view), 0);
	close(token);
}

static void signal_to(uint64_t value)
{
	int r = fbk_timeline_signal(timeline, value);
	ck_assert_msg(r == 0, "%llu: %s", (unsigned long long)value, fbk_error_detail());
}

/* In steps that a single signal may take. */
static void raise_to(uint64_t value)
{
	uint64_t now = fbk_timeline_value(timeline);
	while (now < value) {
		now = value - now > STEP ? now + STEP : value;
		signal_to(now);
	}
}

static void expect_value(uint64_t value)
{
	ck_assert_uint_eq(fbk_timeline_value(timeline), value);
	ck_assert_uint_eq(fbk_timeline_value(seen), value);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, value }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, value + 1 }), -EAGAIN);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, value + WRAP }), -EAGAIN);
}

START_TEST(layout)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	struct view view;
	ck_assert_int_eq(fbk_feature(context, FBK_FEATURE_MEMORY32, NULL), 1);
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, NULL), 0);
	ck_assert_uint_eq(memory.size, 4);
	open_raw(timeline, &view);
	ck_assert_uint_eq(view.control->flags, FBK_CONTROL_SHADOWED);
	ck_assert_uint_eq(atomic_load(&view.control->shadow), 0);
	raise_to(WRAP + 5);
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_timeline_info(seen, &info), 0); /* the daemon looks */
	ck_assert_uint_eq(info.value, WRAP + 5);
	ck_assert_uint_eq(atomic_load(&view.control->shadow), WRAP + 5);
	ck_assert_uint_eq(view_payload(&view), 5); /* the upper half stays 0 */
}
END_TEST

/* A device that has both uses 64; so does every brokered timeline. */
START_TEST(only_where_it_must)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	struct view view;
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "both",
					.device_class = FBK_CLASS_CPU,
					.signals = FBK_FENCE_MEMORY64 | FBK_FENCE_MEMORY32 };
	struct fbk_device *device;
	ck_assert_int_eq(fbk_device_register(context, &desc, &device), 0);
	struct fbk_timeline *both = peer_timeline(device, "wide", 0);
	ck_assert_int_eq(fbk_timeline_memory(both, &memory, NULL), 0);
	ck_assert_uint_eq(memory.size, 8);
	ck_assert_int_eq(fbk_timeline_signal(both, WRAP + STEP + 1), 0);

	desc = (struct fbk_device_desc){ .struct_size = sizeof(struct fbk_device_desc),
					 .name = "b",
					 .device_class = FBK_CLASS_CPU,
					 .signals = FBK_FENCE_MEMORY32 };
	ck_assert_int_eq(fbk_device_register(context, &desc, &device), 0);
	struct fbk_timeline *brokered = peer_timeline(device, "brokered", FBK_TIMELINE_BROKERED);
	ck_assert_int_eq(fbk_timeline_signal(brokered, WRAP + STEP + 1), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ brokered, WRAP + STEP + 1 },
					deadline_ms(PATIENCE_MS)),
			 0);
	ck_assert_uint_eq(fbk_timeline_value(brokered), WRAP + STEP + 1);
	open_raw(brokered, &view);
	ck_assert_uint_eq(view.control->flags, 0);
}
END_TEST

START_TEST(across_three_wraps)
{
	for (uint64_t wrap = WRAP; wrap <= 3 * WRAP; wrap += WRAP) {
		raise_to(wrap - 1);
		expect_value(wrap - 1);
		signal_to(wrap);
		expect_value(wrap);
		signal_to(wrap + 1);
		expect_value(wrap + 1);
	}
}
END_TEST

START_TEST(bounds)
{
	ck_assert_int_eq(fbk_timeline_signal(timeline, STEP + 1), -ERANGE);
	expect_value(0);
	signal_to(STEP);
	ck_assert_int_eq(fbk_timeline_signal(timeline, STEP), -EALREADY);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), -EALREADY);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 2 * STEP + 1), -ERANGE);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 0), -ERANGE);
	raise_to(WRAP);
	ck_assert_int_eq(fbk_timeline_signal(timeline, WRAP - 1), -EALREADY);
	ck_assert_int_eq(fbk_timeline_signal(timeline, 1), -EALREADY);
	signal_to(WRAP + STEP);
	expect_value(WRAP + STEP);
}
END_TEST

/* -------------------------------------------------------------------------------------- waiting */

struct wait {
	pthread_t thread;
	_Atomic pid_t tid;
	struct fbk_point points[2];
	bool all;
	int result;
};

static void *wait_run(void *arg)
{
	struct wait *wait = arg;
	size_t index;
	atomic_store(&wait->tid, (pid_t)syscall(SYS_gettid));
	wait->result = wait->all ? fbk_point_wait_all(wait->points, 2, FBK_DEADLINE_MAX, &index)
				 : fbk_point_wait_any(wait->points, 2, FBK_DEADLINE_MAX, &index);
	return NULL;
}

/* Returns once the thread sleeps. After some turns the signaler wakes it, and the daemon does not
 * count the wait. */
static void wait_start(struct wait *wait)
{
	ck_assert_int_eq(pthread_create(&wait->thread, NULL, wait_run, wait), 0);
	while (atomic_load(&wait->tid) == 0) {
		yield_briefly();
	}
	await_asleep(atomic_load(&wait->tid));
}

/* Armed at the daemon, as the first wait of a process for a timeline is. */
static void await_waits(uint64_t more)
{
	static uint64_t waits;
	waits = more ? waits + more : client_counter(&raw, "waits");
	client_await_counter(&raw, "waits", waits);
}

/* Points on both sides of the wrap, of a word that is before it. */
START_TEST(sleepers_across_the_wrap)
{
	struct fbk_timeline *never = peer_open(
		other, peer_timeline(peer_device(context, "dev"), "never", 0), FBK_RIGHT_WAIT);
	raise_to(WRAP - 2);
	for (uint64_t value = WRAP - 1; value <= WRAP + 1; value++) {
		struct wait any = { .points = { { never, 1 }, { seen, value } } };
		struct wait all = { .points = { { seen, value - 1 }, { seen, value } },
				    .all = true };
		wait_start(&any);
		wait_start(&all);
		signal_to(value);
		pthread_join(any.thread, NULL);
		pthread_join(all.thread, NULL);
		ck_assert_int_eq(any.result, 0);
		ck_assert_int_eq(all.result, 0);
	}
}
END_TEST

static int told;

static void on_point(void *arg, struct fbk_point point, int result)
{
	ck_assert_ptr_eq(point.timeline, arg);
	ck_assert_int_eq(result, 0);
	told++;
}

START_TEST(watch_and_export_across_the_wrap)
{
	struct fbk_watch *watch;
	int fds[2];
	told = 0;
	raise_to(WRAP - 1);
	for (uint64_t i = 0; i < 2; i++) {
		struct fbk_point point = { seen, WRAP + i };
		ck_assert_int_eq(fbk_point_watch(point, FBK_DEADLINE_MAX, on_point, seen, &watch),
				 0);
		ck_assert_int_eq(
			fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fds[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		signal_to(WRAP + (uint64_t)i);
		while (told <= i) {
			loop_turn(other);
		}
		ck_assert_int_eq(readable_within(fds[i], PATIENCE_MS), 1);
		ck_assert_int_eq(readable_within(fds[1], 0), i);
	}
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ---------------------------------------------------------------------------- a reader meanwhile */

#define SIGNALS 4000

static _Atomic uint64_t signalled; /* about to be */
static atomic_bool over;

static void *read_on(void *arg)
{
	uint64_t last = 0;
	(void)arg;
	while (!atomic_load(&over)) {
		uint64_t value = fbk_timeline_value(seen);
		EXPECT(value >= last);
		EXPECT(value <= atomic_load(&signalled));
		last = value;
	}
	return NULL;
}

/* A thousand wraps, while the daemon and others read: values never fall, and are never ahead. */
START_TEST(never_back_never_ahead)
{
	pthread_t threads[2];
	uint64_t value = 0;
	atomic_store(&signalled, 0);
	atomic_store(&over, false);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, NULL), 0);
	}
	for (int i = 0; i < SIGNALS; i++) {
		value += STEP - (uint64_t)i % 7;
		atomic_store(&signalled, value);
		EXPECT(fbk_timeline_signal(timeline, value) == 0);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	expect_value(value);
}
END_TEST

/* ------------------------------------------------------------------------------------- hardware */

static void wait_for(struct fbk_timeline *of, uint64_t value)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ of, value }, FBK_DEADLINE_MAX), 0);
	ck_assert_uint_eq(fbk_timeline_value(of), value);
	/* the daemon looked before the word rose by half of its range */
	ck_assert_int_eq(fbk_timeline_info(of, &info), 0);
	ck_assert_uint_eq(info.value, value);
}

/* Stores of 32 bits, and the watcher. */
START_TEST(silent_across_three_wraps)
{
	static const uint64_t offsets[] = { STEP, 2 * STEP, 3 * STEP, WRAP - 1, WRAP, WRAP + 1 };
	struct silent device;
	silent_start(&device, &server, FBK_FENCE_MEMORY32);
	struct fbk_timeline *stored = silent_open(&device, other);
	for (uint64_t wrap = 0; wrap < 3 * WRAP; wrap += WRAP) {
		for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
			silent_store(&device, wrap + offsets[i]);
			wait_for(stored, wrap + offsets[i]);
		}
	}
	silent_signal(&device, 3 * WRAP + 2); /* and by the CPU in between */
	wait_for(stored, 3 * WRAP + 2);
	silent_stop(&device);
}
END_TEST

struct sleeper {
	struct fbk_timeline *timeline;
	uint64_t value;
};

static void *sleep_on(void *arg)
{
	const struct sleeper *sleeper = arg;
	return (void *)(intptr_t)fbk_point_wait(
		(struct fbk_point){ sleeper->timeline, sleeper->value }, FBK_DEADLINE_MAX);
}

/* A point further away than 32 bits can tell: the watcher makes the daemon look on the way. */
START_TEST(silent_far_away)
{
	struct silent device;
	pthread_t thread;
	void *result;
	silent_start(&device, &server, FBK_FENCE_MEMORY32);
	struct sleeper sleeper = { silent_open(&device, other), 2 * WRAP };
	await_waits(0);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, &sleeper), 0);
	await_waits(1);
	for (uint64_t value = STEP; value <= 2 * WRAP; value += STEP) {
		uint64_t hits = client_counter(&raw, "watcher_hits");
		silent_store(&device, value);
		client_await_counter(&raw, "watcher_hits", hits + 1);
	}
	pthread_join(thread, &result);
	ck_assert_int_eq((int)(intptr_t)result, 0);
	silent_stop(&device);
}
END_TEST

/* -------------------------------------------------------------------------------------- failing */

START_TEST(fails)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct view view;
	open_raw(timeline, &view);
	raise_to(WRAP + 7);
	ck_assert_int_eq(fbk_timeline_fail(timeline, -EIO, "over"), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, WRAP + 7 }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, WRAP + 8 }), -EIO);
	ck_assert_uint_eq(fbk_timeline_value(seen), WRAP + 7);
	ck_assert_int_eq(fbk_timeline_signal(timeline, WRAP + 8), -EIO);
	ck_assert_int_eq(fbk_timeline_info(seen, &info), 0);
	ck_assert_uint_eq(info.failed_from, WRAP + 8);
	ck_assert_uint_eq(view_payload(&view), 7 + FBK_NARROW_POISON); /* frees cyclic waits */
}
END_TEST

START_TEST(keeps_the_poison)
{
	struct silent device;
	silent_start(&device, &server, FBK_FENCE_MEMORY32);
	struct fbk_timeline *stored = silent_open(&device, other);
	silent_store(&device, 3);
	ck_assert_uint_eq(silent_fail(&device, 4), 3 + FBK_NARROW_POISON);
	ck_assert_uint_eq(silent_overwrite(&device, 5), 3 + FBK_NARROW_POISON);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ stored, 3 }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ stored, 4 }), -EIO);
	silent_stop(&device);
}
END_TEST

START_TEST(owner_killed)
{
	struct silent device;
	pthread_t thread;
	void *result;
	silent_start(&device, &server, FBK_FENCE_MEMORY32);
	struct sleeper sleeper = { silent_open(&device, other), 10 };
	await_waits(0);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, &sleeper), 0);
	await_waits(1);
	silent_store(&device, 9);
	silent_kill(&device);
	pthread_join(thread, &result);
	ck_assert_int_eq((int)(intptr_t)result, -EOWNERDEAD);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ sleeper.timeline, 9 }), 0);
}
END_TEST

static const struct {
	uint64_t first, then;
	const char *what;
} steps[] = {
	{ WRAP + 9, 8, "stepped back: 4294967304 after 4294967305" },
	{ WRAP + 9, 9 + (UINT64_C(1) << 31), "stepped back: 2147483657 after 4294967305" },
	{ 9, 9 + (UINT64_C(1) << 31), "jumped further than policy allows: 2147483657 after 9" },
	{ 9, 8 + (UINT64_C(1) << 31), NULL },
};

START_TEST(polices)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	char expected[160];
	raise_to(steps[_i].first);
	ck_assert_int_eq(fbk_timeline_info(seen, &info), 0);
	ck_assert_uint_eq(info.value, steps[_i].first);
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, NULL), 0);
	atomic_store((_Atomic uint32_t *)memory.address, (uint32_t)steps[_i].then);
	ck_assert_int_eq(fbk_timeline_info(seen, &info), 0);
	if (!steps[_i].what) {
		ck_assert_int_eq(info.cause, FBK_CAUSE_NONE);
		ck_assert_uint_eq(info.value, steps[_i].then);
		return;
	}
	ck_assert_int_eq(info.cause, FBK_CAUSE_POLICING);
	ck_assert_uint_eq(info.failed_from, steps[_i].first + 1);
	snprintf(expected, sizeof(expected), "the payload of narrow, written by old (pid %d), %s",
		 getpid(), steps[_i].what);
	ck_assert_str_eq(info.reason, expected);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, steps[_i].first }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, steps[_i].first + 1 }), -EPROTO);
}
END_TEST

/* A reader that reads nonsense makes the daemon look, and still knows which points were reached. */
START_TEST(a_reader_reports_nonsense)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	raise_to(WRAP);
	ck_assert_int_eq(fbk_timeline_info(seen, &info), 0);
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, NULL), 0);
	atomic_store((_Atomic uint32_t *)memory.address, UINT32_MAX);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, WRAP }), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ seen, WRAP + 1 }, FBK_DEADLINE_MAX),
			 -EPROTO);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ seen, WRAP }), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, layout);
	tcase_add_test(tcase, only_where_it_must);
	tcase_add_test(tcase, across_three_wraps);
	tcase_add_test(tcase, bounds);
	tcase_add_test(tcase, sleepers_across_the_wrap);
	tcase_add_test(tcase, watch_and_export_across_the_wrap);
	tcase_add_test(tcase, never_back_never_ahead);
	tcase_add_test(tcase, silent_across_three_wraps);
	tcase_add_test(tcase, silent_far_away);
	tcase_add_test(tcase, fails);
	tcase_add_test(tcase, keeps_the_poison);
	tcase_add_test(tcase, owner_killed);
	ADD_LOOP(tcase, polices, steps);
	tcase_add_test(tcase, a_reader_reports_nonsense);
}

int main(void)
{
	return suite_main("narrow", add);
}
