// SPDX-License-Identifier: MIT
/* fbk_context_set_flushing() and those of a link and an exchange: threads that sleep are stopped, and only these. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib-stage.h"

#define MANY 200 /* points, more than one sleep has words for */

/* In the context that is flushed: the consumer of stage's producer; a producer whose buffers are out; a link without a peer;
 * a timeline. */
static struct local self;
static struct fbk_link *lonely, *out;
static struct fbk_exchange *exchange;
static struct fbk_timeline *line;
static struct consumer sink;

static struct fbk_link *offer_one(const char *name, int *ret_fd)
{
	struct fbk_link *link;
	struct fbk_link_desc desc = { .struct_size = sizeof(desc), .role = FBK_ROLE_PRODUCER };
	struct fbk_device *device =
		exchange_device(self.context, name, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	EXPECT(fbk_link_offer(device, &desc, ret_fd, &link) == 0);
	return link;
}

static void setup(void)
{
	struct buffer buffer;
	int fd;
	stage_open(WAY_NATIVE, NULL);
	local_open(&self, FBK_DELIVERY_FIFO, 2);
	line = peer_timeline(peer_device(self.context, "line"), "line", 0);
	lonely = offer_one("lonely", &fd);
	close(fd);
	out = offer_one("out", &fd);
	EXPECT(fbk_exchange_create(out, &exchange) == 0);
	buffer_create(&buffer);
	struct fbk_buffer_desc desc = buffer_desc(&buffer);
	EXPECT(fbk_exchange_add(exchange, 0, &desc) == 0);
	sink.context = peer_connect(&server);
	sink.device = exchange_device(sink.context, "sink", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	EXPECT(link_accept_as(sink.device, fd, FBK_DELIVERY_FIFO, 1, &sink.link) == 0);
	close(fd);
	EXPECT(fbk_link_wait(out, deadline_ms(PATIENCE_MS)) == 0);
	uint32_t index;
	EXPECT(fbk_exchange_take(exchange, 0, &index, NULL) == 0);
	EXPECT(fbk_exchange_hand(exchange, index, (struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX,
				 NULL, NULL, NULL) == 1);
	buffer_destroy(&buffer);
}

static void teardown(void)
{
	fbk_disconnect(self.context);
	fbk_link_close(sink.link);
	fbk_disconnect(sink.context);
	stage_close();
}

/* ------------------------------------------------------------------------------------- sleepers -- */

static int sleep_wait(void)
{
	return fbk_point_wait((struct fbk_point){ line, 9 }, FBK_DEADLINE_MAX);
}

static int sleep_any(void)
{
	const struct fbk_point points[] = { { line, 9 }, { line, 8 } };
	size_t index;
	return fbk_point_wait_any(points, 2, FBK_DEADLINE_MAX, &index);
}

static int sleep_many(void)
{
	struct fbk_point points[MANY];
	for (size_t i = 0; i < MANY; i++) {
		points[i] = (struct fbk_point){ line, 9 + i };
	}
	return fbk_point_wait_all(points, MANY, FBK_DEADLINE_MAX, NULL);
}

static int sleep_next(void)
{
	struct fbk_frame *frame;
	int r = fbk_link_next(self.link, FBK_DEADLINE_MAX, &frame);
	if (r == 0) {
		fbk_frame_unref(frame);
	}
	return r;
}

static int sleep_take(void)
{
	uint32_t index;
	return fbk_exchange_take(exchange, FBK_DEADLINE_MAX, &index, NULL);
}

static int sleep_link(void)
{
	return fbk_link_wait(lonely, FBK_DEADLINE_MAX);
}

/* Where the daemon can make one; else a wait like the first. */
static int sleep_export(void)
{
	int fd;
	int r = fbk_point_export((struct fbk_point){ line, 9 }, FBK_FENCE_SYNC_FILE,
				 FBK_DEADLINE_MAX, &fd);
	return r == -EOPNOTSUPP ? sleep_wait() : r;
}

static int sleep_set(void)
{
	struct fbk_set *set;
	return fbk_set_create(self.context, &set);
}

static int sleep_device(void)
{
	struct fbk_device *device;
	struct fbk_device_desc desc = { .struct_size = sizeof(desc),
					.name = "late",
					.device_class = FBK_CLASS_CPU,
					.waits = FBK_FENCE_MEMORY64 };
	return fbk_device_register(self.context, &desc, &device);
}

static int sleep_info(void)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	return fbk_timeline_info(line, &info);
}

struct sleeper {
	int (*fn)(void);
	pthread_t thread;
	_Atomic pid_t id;
	_Atomic bool over;
	int result;
};

static void *sleeper_run(void *arg)
{
	struct sleeper *sleeper = arg;
	sleeper->id = gettid(); /* seq_cst, both: no matter here */
	sleeper->result = sleeper->fn();
	sleeper->over = true;
	return NULL;
}

static void sleeper_start(struct sleeper *sleeper, int (*fn)(void))
{
	*sleeper = (struct sleeper){ .fn = fn };
	EXPECT(pthread_create(&sleeper->thread, NULL, sleeper_run, sleeper) == 0);
	while (!sleeper->id) {
		yield_briefly();
	}
}

static int sleeper_end(struct sleeper *sleeper)
{
	pthread_join(sleeper->thread, NULL);
	return sleeper->result;
}

static int (*const on_words[])(void) = { sleep_wait, sleep_any,  sleep_many,  sleep_next,
					 sleep_take, sleep_link, sleep_export };
static int (*const on_replies[])(void) = { sleep_set, sleep_device, sleep_info };
#define WORDS   (sizeof(on_words) / sizeof(on_words[0]))
#define REPLIES (sizeof(on_replies) / sizeof(on_replies[0]))

/* All of them are asleep, and the daemon is stopped. */
static void all_asleep(struct sleeper *sleepers)
{
	for (size_t i = 0; i < WORDS; i++) {
		sleeper_start(&sleepers[i], on_words[i]);
		await_asleep(sleepers[i].id);
	}
	kill(server.pid, SIGSTOP);
	for (size_t i = 0; i < REPLIES; i++) {
		sleeper_start(&sleepers[WORDS + i], on_replies[i]);
	}
	await_polling(sleepers[WORDS].id); /* it reads for the others */
	for (size_t i = 1; i < REPLIES; i++) {
		await_queued(sleepers[WORDS + i].id);
	}
}

START_TEST(all_of_a_context)
{
	struct sleeper sleepers[WORDS + REPLIES];
	struct fbk_timeline *other;
	all_asleep(sleepers);
	ck_assert_int_eq(fbk_context_set_flushing(self.context, true), 0);
	for (size_t i = 0; i < WORDS + REPLIES; i++) {
		ck_assert_msg(sleeper_end(&sleepers[i]) == -ECANCELED, "%zu: %d", i,
			      sleepers[i].result);
	}
	/* Sticky: each that would sleep. */
	for (size_t i = 0; i < WORDS; i++) {
		ck_assert_int_eq(on_words[i](), -ECANCELED);
	}
	for (size_t i = 0; i < REPLIES; i++) {
		ck_assert_int_eq(on_replies[i](), -ECANCELED);
	}
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "flushing"));
	/* The others go on. */
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 9 }, 0), -ETIMEDOUT);
	ck_assert_int_eq(fbk_timeline_signal(line, 1), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX), 0);
	ck_assert_int_eq(fbk_context_set_flushing(self.context, false), 0);
	kill(server.pid, SIGCONT);
	/* As ever. */
	EXPECT((other = peer_timeline(peer_device(self.context, "other"), "other", 0)));
	fbk_timeline_close(other);
	ck_assert_int_eq(fbk_link_wait(lonely, deadline_ms(20)), -ETIMEDOUT);
	struct sleeper again;
	sleeper_start(&again, sleep_wait);
	await_asleep(again.id);
	ck_assert_int_eq(fbk_timeline_signal(line, 9), 0);
	ck_assert_int_eq(sleeper_end(&again), 0);
}
END_TEST

/* The case that it is for: stop the threads, join them, disconnect; also while the daemon hangs. */
START_TEST(then_disconnect)
{
	struct sleeper sleepers[WORDS + REPLIES];
	all_asleep(sleepers);
	ck_assert_int_eq(fbk_context_set_flushing(self.context, true), 0);
	for (size_t i = 0; i < WORDS + REPLIES; i++) {
		ck_assert_int_eq(sleeper_end(&sleepers[i]), -ECANCELED);
	}
	fbk_link_close(self.link);
	fbk_exchange_destroy(exchange);
	fbk_timeline_close(line);
	fbk_disconnect(self.context);
	self.context = NULL;
	kill(server.pid, SIGCONT);
}
END_TEST

/* Those of one object; the others sleep on. */
START_TEST(one_of_them)
{
	enum { NEXT, TAKE, LINK, WAIT, COUNT };
	int (*const fns[])(void) = { sleep_next, sleep_take, sleep_link, sleep_wait };
	struct sleeper sleepers[COUNT];
	for (int i = 0; i < COUNT; i++) {
		sleeper_start(&sleepers[i], fns[i]);
		await_asleep(sleepers[i].id);
	}
	for (int i = 0; i < WAIT; i++) {
		ck_assert_int_eq(i == NEXT   ? fbk_link_set_flushing(self.link, true)
				 : i == TAKE ? fbk_exchange_set_flushing(exchange, true)
					     : fbk_link_set_flushing(lonely, true),
				 0);
		ck_assert_int_eq(sleeper_end(&sleepers[i]), -ECANCELED);
		for (int j = i + 1; j < COUNT; j++) {
			await_asleep(sleepers[j].id);
			ck_assert(!sleepers[j].over);
		}
	}
	/* Of that link, but not of the exchange's. */
	ck_assert_int_eq(fbk_link_wait(out, FBK_DEADLINE_MAX), 0);
	ck_assert_int_eq(sleep_next(), -ECANCELED);
	ck_assert_int_eq(sleep_take(), -ECANCELED);
	ck_assert_int_eq(fbk_link_set_flushing(self.link, false), 0);
	sleeper_start(&sleepers[NEXT], sleep_next);
	await_asleep(sleepers[NEXT].id);
	stage_frame(NULL);
	ck_assert_int_eq(sleeper_end(&sleepers[NEXT]), 0);
	ck_assert_int_eq(fbk_timeline_signal(line, 9), 0);
	ck_assert_int_eq(sleeper_end(&sleepers[WAIT]), 0);
}
END_TEST

/* A request of a link waits for a reply. */
static int sleep_blame(void)
{
	char text[256];
	return fbk_link_blame(self.link, text, sizeof(text));
}

START_TEST(replies_of_one)
{
	struct sleeper link, context;
	kill(server.pid, SIGSTOP);
	sleeper_start(&link, sleep_blame);
	await_polling(link.id);
	sleeper_start(&context, sleep_set);
	await_queued(context.id);
	ck_assert_int_eq(fbk_link_set_flushing(self.link, true), 0);
	ck_assert_int_eq(sleeper_end(&link), -ECANCELED);
	await_polling(context.id); /* it reads now */
	kill(server.pid, SIGCONT);
	ck_assert_int_eq(sleeper_end(&context), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ callbacks -- */

struct seen {
	int calls, result, waited;
	enum fbk_link_phase phase;
};

static void flush_all(void *arg, struct fbk_point point, int result)
{
	struct seen *seen = arg;
	(void)point;
	seen->calls++;
	seen->result = result;
	EXPECT(fbk_context_set_flushing(self.context, true) == 0);
	seen->waited = sleep_wait();
}

START_TEST(from_a_callback)
{
	struct sleeper sleeper;
	struct seen seen = { 0 };
	EXPECT(fbk_point_watch((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX, flush_all, &seen,
			       NULL) == 0);
	sleeper_start(&sleeper, sleep_next);
	await_asleep(sleeper.id);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
	while (seen.calls == 0) {
		loop_turn(self.context);
	}
	ck_assert_int_eq(seen.waited, -ECANCELED);
	ck_assert_int_eq(sleeper_end(&sleeper), -ECANCELED);
}
END_TEST

static void note_phase(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	struct seen *seen = arg;
	(void)link;
	seen->calls++;
	seen->phase = phase;
}

static void note_next(void *arg, struct fbk_link *link)
{
	struct seen *seen = arg;
	(void)link;
	seen->calls++;
}

/* A change that can't be asked about waits for the end of flushing: no loop spins meanwhile. */
START_TEST(changes_wait)
{
	struct seen phase = { 0 }, next = { 0 };
	EXPECT(fbk_link_listen(out, note_phase, &phase, NULL) == 0);
	while (phase.calls == 0) {
		loop_turn(self.context);
	}
	ck_assert_int_eq(phase.phase, FBK_PHASE_ESTABLISHED);
	EXPECT(fbk_link_set_flushing(out, true) == 0);
	EXPECT(fbk_link_set_flushing(self.link, true) == 0);
	EXPECT(fbk_link_watch(self.link, note_next, &next, NULL) == 0);
	fbk_link_close(sink.link);
	sink.link = NULL;
	uint64_t end = now_ms() + 200;
	while (now_ms() < end) {
		int r = fbk_dispatch(self.context);
		ck_assert_int_ge(r, 0);
		if (r == 0 && !readable_within(fbk_context_fd(self.context), 50)) {
			break;
		}
	}
	ck_assert_int_eq(readable_within(fbk_context_fd(self.context), 0), 0);
	ck_assert_int_eq(phase.calls, 1);
	ck_assert_int_eq(next.calls, 1); /* so that it sees the flushing */
	EXPECT(fbk_link_set_flushing(out, false) == 0);
	while (phase.calls == 1) {
		loop_turn(self.context);
	}
	ck_assert_int_ne(phase.phase, FBK_PHASE_ESTABLISHED);
}
END_TEST

/* Set and unset while threads come and go. */
static _Atomic bool stop;

static void *come_and_go(void *arg)
{
	int (*fn)(void) = ((struct sleeper *)arg)->fn;
	while (!stop) { /* seq_cst: no matter here */
		int r = fn();
		EXPECT(r == -ECANCELED || r == 0 || r == -EEXIST);
	}
	return NULL;
}

START_TEST(on_and_off)
{
	int (*const fns[])(void) = { sleep_wait, sleep_many, sleep_next,
				     sleep_take, sleep_link, sleep_info };
	enum { COUNT = sizeof(fns) / sizeof(fns[0]) };
	struct sleeper threads[COUNT];
	for (int i = 0; i < COUNT; i++) {
		threads[i].fn = fns[i];
		EXPECT(pthread_create(&threads[i].thread, NULL, come_and_go, &threads[i]) == 0);
	}
	for (unsigned int i = 0; i < count_of(20000, 20); i++) {
		EXPECT(fbk_context_set_flushing(self.context, true) == 0);
		EXPECT(fbk_context_set_flushing(self.context, false) == 0);
	}
	stop = true;
	EXPECT(fbk_context_set_flushing(self.context, true) == 0);
	for (int i = 0; i < COUNT; i++) {
		pthread_join(threads[i].thread, NULL);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, all_of_a_context);
	tcase_add_test(tcase, then_disconnect);
	tcase_add_test(tcase, one_of_them);
	tcase_add_test(tcase, replies_of_one);
	tcase_add_test(tcase, from_a_callback);
	tcase_add_test(tcase, changes_wait);
	tcase_add_test(tcase, on_and_off);
}

int main(void)
{
	return suite_main("flushing", add);
}
