// SPDX-License-Identifier: MIT
/*
 * A thread that is cancelled (deferred) inside a call finishes the call: it leaves no lock, and no role for which others wait.
 * What it sleeps in ends by flushing. tests/scripts/cancelling.sh shows that the library has no cancellation points.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-peer.h"

static struct daemon server;
static struct fbk_context *context;
static struct fbk_device *device;
static struct fbk_timeline *line;

static void setup(void)
{
	daemon_serve(&server, NULL);
	context = peer_connect(&server);
	device = peer_device(context, "here");
	line = peer_timeline(device, "line", 0);
}

static void teardown(void)
{
	fbk_disconnect(context);
	daemon_end(&server);
}

struct task {
	int (*run)(void);
	_Atomic pid_t tid;
	_Atomic int result;
	_Atomic bool returned; /* the call did */
};

static _Noreturn void task_go_on(void)
{
	for (;;) {
		pause(); /* a cancellation point of the program */
	}
}

static void *task_main(void *arg)
{
	struct task *task = arg;
	atomic_store(&task->tid, gettid());
	atomic_store(&task->result, task->run());
	atomic_store(&task->returned, true);
	task_go_on();
}

static void task_start(struct task *task, int (*run)(void), pthread_t *ret_thread)
{
	*task = (struct task){ .run = run };
	EXPECT(pthread_create(ret_thread, NULL, task_main, task) == 0);
	while (atomic_load(&task->tid) == 0) {
		yield_briefly();
	}
}

static void task_cancelled(pthread_t thread)
{
	void *result;
	EXPECT(pthread_join(thread, &result) == 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
}

/* ---------------------------------------------------------------------------------------- requests -- */

static int ask(void)
{
	char text[FBK_REASON_SIZE];
	return fbk_point_blame((struct fbk_point){ line, 1 }, text, sizeof(text));
}

/* Of two threads that wait for replies, the one that reads the socket for both is cancelled. */
START_TEST(who_reads_for_others)
{
	struct task first, second;
	pthread_t threads[2];
	EXPECT(fbk_context_set_timeout(context, PATIENCE_MS * UINT64_C(1000000)) == 0);
	EXPECT(kill(server.pid, SIGSTOP) == 0);
	task_start(&first, ask, &threads[0]);
	await_polling(atomic_load(&first.tid));
	task_start(&second, ask, &threads[1]);
	await_queued(atomic_load(&second.tid));
	EXPECT(pthread_cancel(threads[_i]) == 0);
	EXPECT(kill(server.pid, SIGCONT) == 0);
	struct task *other = _i ? &first : &second;
	while (!atomic_load(&other->returned)) {
		yield_briefly();
	}
	ck_assert_int_eq(other->result, 0);
	task_cancelled(threads[_i]);
	ck_assert_int_eq((_i ? &second : &first)->result, 0); /* its call ended before it did */
	ck_assert_int_eq(ask(), 0);                           /* and nobody has left anything */
	pthread_cancel(threads[1 - _i]);
	task_cancelled(threads[1 - _i]);
}
END_TEST

/* ------------------------------------------------------------------------------------------ sleeps -- */

static int sleep_long(void)
{
	return fbk_point_wait((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX);
}

START_TEST(a_sleeper_ends_by_flushing)
{
	struct task task;
	pthread_t thread;
	task_start(&task, sleep_long, &thread);
	await_asleep(atomic_load(&task.tid));
	EXPECT(pthread_cancel(thread) == 0);
	EXPECT(fbk_context_set_flushing(context, true) == 0);
	task_cancelled(thread);
	ck_assert_int_eq(task.result, -ECANCELED);
	EXPECT(fbk_context_set_flushing(context, false) == 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(1)), -ETIMEDOUT);
}
END_TEST

/* --------------------------------------------------------------------------------------- callbacks -- */

static _Atomic bool inside, leave;
static struct fbk_watch *watch;

static void on_point(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	(void)result;
	atomic_store(&inside, true);
	while (!atomic_load(&leave)) {
		yield_briefly(); /* a cancellation point */
	}
}

static int dispatch_until_called(void)
{
	int r;
	do {
		readable_within(fbk_context_fd(context), PATIENCE_MS);
		r = fbk_dispatch(context);
	} while (r == 0);
	return r;
}

static void *cancel_watch(void *arg)
{
	fbk_watch_cancel(watch); /* waits for the callback */
	return arg;
}

START_TEST(a_callback_ends)
{
	struct task task;
	pthread_t thread, canceller;
	EXPECT(fbk_point_watch((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX, on_point, NULL,
			       &watch) == 0);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	task_start(&task, dispatch_until_called, &thread);
	while (!atomic_load(&inside)) {
		yield_briefly();
	}
	EXPECT(pthread_create(&canceller, NULL, cancel_watch, NULL) == 0);
	EXPECT(pthread_cancel(thread) == 0);
	yield_briefly();
	atomic_store(&leave, true);
	task_cancelled(thread);
	ck_assert_int_eq(task.result, 1);
	pthread_join(canceller, NULL);
	ck_assert_int_eq(ask(), 0);
}
END_TEST

/* ----------------------------------------------------------------------------------------- storms -- */

static __attribute__((noinline)) void work_once(void)
{
	struct fbk_timeline *other;
	int fd, before;
	EXPECT(fbk_timeline_create(device, NULL, "storm", 0, &other) == 0);
	EXPECT(fbk_point_export((struct fbk_point){ other, 1 }, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX,
				&fd) == 0);
	EXPECT(fbk_point_wait((struct fbk_point){ other, 1 }, deadline_ms(1)) == -ETIMEDOUT);
	EXPECT(fbk_timeline_signal(other, 1) == 0);
	EXPECT(fbk_dispatch(context) >= 0);
	fbk_timeline_close(other);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	close(fd); /* the program's own cancellation point */
	pthread_setcancelstate(before, NULL);
}

/* Ends nowhere but here, or the descriptors of a round would be left. AddressSanitizer: in no frame with variables. */
static void *work(void *arg)
{
	(void)arg;
	for (;;) {
		work_once();
		pthread_testcancel();
	}
	return NULL;
}

static unsigned int fd_total(void)
{
	unsigned int count = 0;
	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

START_TEST(cancelled_anywhere)
{
	pthread_t threads[4];
	EXPECT(fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(1)) == -ETIMEDOUT);
	unsigned int fds = fd_total();
	for (int round = 0; round < 25; round++) {
		for (int i = 0; i < 4; i++) {
			EXPECT(pthread_create(&threads[i], NULL, work, NULL) == 0);
		}
		for (int i = 0; i < 4; i++) {
			yield_briefly();
			EXPECT(pthread_cancel(threads[i]) == 0);
			task_cancelled(threads[i]);
		}
		ck_assert_int_eq(ask(), 0);
	}
	ck_assert_uint_le(fd_total(), fds + 1); /* the timer of watches, once */
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, who_reads_for_others, 0, 2);
	tcase_add_test(tcase, a_sleeper_ends_by_flushing);
	tcase_add_test(tcase, a_callback_ends);
	tcase_add_test(tcase, cancelled_anywhere);
}

int main(void)
{
	return suite_main("cancel", add);
}
