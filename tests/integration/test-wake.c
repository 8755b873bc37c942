// SPDX-License-Identifier: MIT
/* Arming and waking through shared memory: what the daemon publishes, which waiters it wakes, and
 * which it does not. */
#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-view.h"

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client signaler, first, second;
static uint32_t device;
static struct view view, a, b; /* of the signaler, of the first and of the second waiter */

static void setup(void)
{
	int token;
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&signaler, &fencebrokerd);
	client_open(&first, &fencebrokerd);
	client_open(&second, &fencebrokerd);
	device = client_device(&signaler, "cpu0");
	view_pair(&signaler, device, "timeline", 0, &first, &view, &a);
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(view_open(&second, token, &b), 0);
	close(token);
}

static void teardown(void)
{
	client_close(&second);
	client_close(&first);
	client_close(&signaler);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

/* The daemon has read this client's bell: what was armed last is published. */
static void bells_seen(struct client *client)
{
	uint64_t looks = client_counter(&bystander.waiter, "bells");
	const uint64_t one = 1;
	EXPECT(write(client->doorbell, &one, sizeof(one)) == sizeof(one));
	client_await_counter(&bystander.waiter, "bells", looks + 1);
}

START_TEST(woken)
{
	uint32_t sequence = cell_arm(&a, 5);
	view_await_monitored(&view, 5);
	ck_assert_uint_eq(view_monitored(&a), 5); /* the same page */
	ck_assert(view_signal(&view, 0, 5));
	ck_assert_int_eq(cell_wait(&a, sequence, PATIENCE_MS), 0);
	ck_assert_int_eq(point_check(&a, 5), 0);
	ck_assert_int_eq(point_check(&a, 6), -EAGAIN);
	ck_assert_uint_eq(cell_minimum(&a), FBK_MONITORED_NONE);
	view_await_monitored(&view, FBK_MONITORED_NONE);
	ck_assert_uint_eq(cell_sequence(&a), sequence + 1); /* once */
}
END_TEST

/* The daemon publishes the smallest armed point, and wakes each waiter at its own point only. */
START_TEST(smallest_first)
{
	uint32_t sequence_a = cell_arm(&a, 7);
	view_await_monitored(&view, 7);
	uint32_t sequence_b = cell_arm(&b, 3);
	view_await_monitored(&view, 3);
	ck_assert_int_eq(view_watch(&b, 5, UINT64_MAX, 1), 0);
	ck_assert_uint_eq(view_monitored(&view), 3);

	ck_assert(view_signal(&view, 0, 3));
	ck_assert_int_eq(cell_wait(&b, sequence_b, PATIENCE_MS), 0);
	view_await_monitored(&view, 5);
	ck_assert_uint_eq(cell_sequence(&a), sequence_a);

	ck_assert(view_signal(&view, 3, 5));
	uint64_t number;
	int result;
	client_next_fired(&second, &number, &result);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(result, 0);
	view_await_monitored(&view, 7);
	ck_assert_uint_eq(cell_sequence(&a), sequence_a);
	ck_assert_uint_eq(cell_sequence(&b), sequence_b + 1);

	ck_assert(view_signal(&view, 5, 100)); /* a larger value counts as well */
	ck_assert_int_eq(cell_wait(&a, sequence_a, PATIENCE_MS), 0);
	view_await_monitored(&view, FBK_MONITORED_NONE);
}
END_TEST

/* A wait that ends takes its point with it. */
START_TEST(unpublished)
{
	REQUEST(cancel, WATCH_CANCEL, watch_cancel);
	cancel.watch_cancel->watch = 1;
	ck_assert_int_eq(view_watch(&a, 4, UINT64_MAX, 1), 0);
	ck_assert_int_eq(view_watch(&a, 4, UINT64_MAX, 1), -EEXIST);
	ck_assert_uint_eq(view_monitored(&view), 4);
	ck_assert_int_eq(client_call(&first, &cancel, NULL, 0, NULL), 0);
	ck_assert_int_eq(client_call(&first, &cancel, NULL, 0, NULL), -ENOENT);
	ck_assert_uint_eq(view_monitored(&view), FBK_MONITORED_NONE);

	cell_arm(&a, 6);
	view_await_monitored(&view, 6);
	cell_arm(&b, 2);
	view_await_monitored(&view, 2);
	ck_assert_int_eq(view_close(&b), 0);
	ck_assert_uint_eq(view_monitored(&view), 6);
	client_close(&first); /* a hang-up does the same */
	view_await_monitored(&view, FBK_MONITORED_NONE);
}
END_TEST

START_TEST(reached_already)
{
	ck_assert(view_signal(&view, 0, 9));
	uint32_t sequence = cell_arm(&a, 9);
	ck_assert_int_eq(cell_wait(&a, sequence, PATIENCE_MS), 0);
	view_await_monitored(&view, FBK_MONITORED_NONE);
	sequence = cell_arm(&a, 10);
	view_await_monitored(&view, 10);
	ck_assert_uint_eq(cell_sequence(&a), sequence);

	ck_assert_int_eq(view_watch(&a, 9, UINT64_MAX, 44), 0);
	uint64_t number;
	int result;
	client_next_fired(&first, &number, &result);
	ck_assert_uint_eq(number, 44);
	ck_assert_int_eq(result, 0);
}
END_TEST

/* A signal without waiters makes no request and rings no bell. */
START_TEST(silent)
{
	uint64_t bells = client_counter(&bystander.waiter, "bells");
	uint64_t requests = client_counter(&bystander.waiter, "requests");
	for (uint64_t value = 0; value < 1000; value++) {
		EXPECT(view_signal(&view, value, value + 1));
	}
	ck_assert_uint_eq(client_counter(&bystander.waiter, "bells"), bells);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "requests"), requests + 2);
	ck_assert_int_eq(point_check(&a, 1000), 0);
}
END_TEST

START_TEST(watch_deadline)
{
	uint64_t started = monotonic_ns();
	uint64_t number;
	int result;
	ck_assert_int_eq(view_watch(&a, 1, started + 1000000000, 1), 0);
	ck_assert_int_eq(view_watch(&a, 1, 0, 2), 0); /* passed already */
	client_next_fired(&first, &number, &result);
	ck_assert_uint_eq(number, 2);
	ck_assert_int_eq(result, -ETIMEDOUT);
	client_next_fired(&first, &number, &result);
	ck_assert_uint_ge(monotonic_ns(), started + 1000000000); /* never early */
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(result, -ETIMEDOUT);
	view_await_monitored(&view, FBK_MONITORED_NONE);
}
END_TEST

/* The daemon reads the payload at the deadline: a signal without a bell counts. */
START_TEST(watch_deadline_looks)
{
	uint64_t number;
	int result;
	ck_assert_int_eq(view_watch(&a, 1, monotonic_ns() + 1000000000, 1), 0);
	atomic_store(&view.payload->payload, 1);
	client_next_fired(&first, &number, &result);
	ck_assert_int_eq(result, 0);
}
END_TEST

/* While the minimum of cell 0 is 0, every wake of the process bumps it, too. */
START_TEST(cell_zero)
{
	struct fbk_pair_cell *zero = &first.pair->cells[0];
	uint32_t before = atomic_load(&zero->sequence);
	uint32_t sequence = cell_arm(&a, 1);
	ck_assert(view_signal(&view, 0, 1));
	ck_assert_int_eq(cell_wait(&a, sequence, PATIENCE_MS), 0);
	bells_seen(&first);
	ck_assert_uint_eq(atomic_load(&zero->sequence), before); /* not requested */

	atomic_store(&zero->minimum, 0);
	sequence = cell_arm(&a, 2);
	ck_assert(view_signal(&view, 1, 2));
	ck_assert_int_eq(cell_wait(&a, sequence, PATIENCE_MS), 0);
	bells_seen(&first);
	ck_assert_uint_eq(atomic_load(&zero->sequence), before + 1);
	ck_assert_uint_eq(atomic_load(&zero->minimum), FBK_MONITORED_NONE);
	ck_assert_uint_eq(atomic_load(&second.pair->cells[0].sequence), 0); /* not theirs */
}
END_TEST

/* --------------------------------------------------------------------------------- real sleep -- */

static void *sleeper(void *arg)
{
	(void)arg;
	return point_wait(&a, 3, PATIENCE_MS) == 0 ? NULL : &a;
}

/* Signalled step by step by one thread while others sleep. */
START_TEST(threads_sleep)
{
	pthread_t threads[8];
	void *failed;
	for (size_t i = 0; i < 8; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sleeper, NULL), 0);
	}
	view_await_monitored(&view, 3);
	for (uint64_t value = 0; value < 3; value++) {
		ck_assert(view_signal(&view, value, value + 1));
	}
	for (size_t i = 0; i < 8; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
}
END_TEST

#define WAKE_MAX 16
#define SLEEPERS 20

struct sleep {
	pthread_t thread;
	_Atomic pid_t tid;
	uint32_t sequence;
};

static void *bare_sleeper(void *arg)
{
	struct sleep *sleep = arg;
	atomic_store(&sleep->tid, (pid_t)syscall(SYS_gettid));
	/* Just once, for any wake: a waiter of the library would check again. */
	syscall(SYS_futex, &first.pair->cells[a.handle].sequence, FUTEX_WAIT, sleep->sequence, NULL,
		NULL, 0);
	return NULL;
}

/* Rule R2: one wake is bounded, whatever number of threads a client lets sleep on a word. */
START_TEST(wake_is_bounded)
{
	struct sleep sleeps[SLEEPERS];
	uint64_t deadline = now_ms() + PATIENCE_MS;
	uint32_t *word = (uint32_t *)(uintptr_t)&first.pair->cells[a.handle].sequence;
	for (size_t i = 0; i < SLEEPERS; i++) {
		sleeps[i] = (struct sleep){ .sequence = cell_sequence(&a) };
		ck_assert_int_eq(pthread_create(&sleeps[i].thread, NULL, bare_sleeper, &sleeps[i]),
				 0);
	}
	for (size_t i = 0; i < SLEEPERS; i++) {
		while (atomic_load(&sleeps[i].tid) == 0) {
			yield_briefly();
		}
		await_asleep(atomic_load(&sleeps[i].tid));
	}
	uint32_t sequence = cell_arm(&a, 1);
	ck_assert(view_signal(&view, 0, 1));
	while (cell_sequence(&a) == sequence) {
		ck_assert_uint_lt(now_ms(), deadline);
		yield_briefly();
	}
	bells_seen(&first); /* the daemon is done with its wake */
	long left = syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	ck_assert_int_eq(left, SLEEPERS - WAKE_MAX);
	for (size_t i = 0; i < SLEEPERS; i++) {
		pthread_join(sleeps[i].thread, NULL);
	}
}
END_TEST

/* ------------------------------------------------------------------------------------ brokered -- */

START_TEST(brokered)
{
	struct view signals, waits;
	uint64_t number;
	int result;
	view_pair(&signaler, device, "brokered", FBK_TIMELINE_BROKERED, &first, &signals, &waits);
	uint32_t sequence = cell_arm(&waits, 2);
	view_await_monitored(&waits, 2);
	ck_assert_int_eq(view_watch(&waits, 3, UINT64_MAX, 8), 0);
	ck_assert_int_eq(view_request_signal(&signals, 1), 0);
	ck_assert_uint_eq(view_payload(&waits), 1);
	ck_assert_uint_eq(cell_sequence(&waits), sequence);
	ck_assert_int_eq(view_request_signal(&signals, 2), 0);
	ck_assert_int_eq(cell_wait(&waits, sequence, PATIENCE_MS), 0);
	ck_assert_uint_eq(view_monitored(&waits), 3);
	ck_assert_int_eq(view_request_signal(&signals, 3), 0);
	client_next_fired(&first, &number, &result);
	ck_assert_uint_eq(number, 8);
	ck_assert_int_eq(result, 0);
	ck_assert_uint_eq(view_monitored(&waits), FBK_MONITORED_NONE);
}
END_TEST

/* More events than fit into one packet, and all of them come. */
START_TEST(many_watches)
{
	bool seen[400] = { false };
	for (uint64_t number = 0; number < 400; number++) {
		EXPECT(view_watch(&a, number + 1, UINT64_MAX, number) == 0);
	}
	ck_assert_uint_eq(view_monitored(&view), 1);
	ck_assert(view_signal(&view, 0, 400));
	for (int i = 0; i < 400; i++) {
		uint64_t number;
		int result;
		client_next_fired(&first, &number, &result);
		EXPECT(result == 0 && number < 400 && !seen[number]);
		seen[number] = true;
	}
	view_await_monitored(&view, FBK_MONITORED_NONE);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, woken);
	tcase_add_test(tcase, smallest_first);
	tcase_add_test(tcase, unpublished);
	tcase_add_test(tcase, reached_already);
	tcase_add_test(tcase, silent);
	tcase_add_test(tcase, watch_deadline);
	tcase_add_test(tcase, watch_deadline_looks);
	tcase_add_test(tcase, cell_zero);
	tcase_add_test(tcase, threads_sleep);
	tcase_add_test(tcase, wake_is_bounded);
	tcase_add_test(tcase, brokered);
	tcase_add_test(tcase, many_watches);
}

int main(void)
{
	return suite_main("wake", add);
}
