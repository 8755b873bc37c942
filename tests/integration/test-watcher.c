// SPDX-License-Identifier: MIT
/* Devices that signal by stores alone: the watcher finds what they wrote. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib-device.h"

#define THREAD "fbk-watcher"

#define POLICY(settings)                           \
	"version = 1; settings: { " settings " };" \
	"rules: ({ user = \"*\"; connect = true; register = true; inspect = \"all\"; });"

static struct daemon server;
static struct fbk_context *context; /* of who waits */
static struct client observer;
static struct silent device;
static struct fbk_timeline *timeline;

static void begin(const char *policy)
{
	daemon_serve(&server, policy);
	silent_start(&device, &server, FBK_FENCE_MEMORY64);
	context = peer_connect(&server);
	client_open(&observer, &server);
	timeline = silent_open(&device, context);
}

static void end(void)
{
	client_close(&observer);
	fbk_disconnect(context);
	daemon_stop(&server);
}

static void setup(void)
{
	begin(NULL);
}

static void teardown(void)
{
	silent_stop(&device);
	end();
}

/* ------------------------------------------------------------------------------ who is waiting -- */

struct wait {
	pthread_t thread;
	uint64_t value, deadline;
	int result;
	_Atomic bool over; /* set after `result` */
};

static void *wait_run(void *arg)
{
	struct wait *wait = arg;
	wait->result = fbk_point_wait((struct fbk_point){ timeline, wait->value }, wait->deadline);
	wait->over = true;
	return NULL;
}

/* Returns once the daemon has armed it; false: a thread that ran late had no time left to ask for that. */
static bool wait_armed(struct wait *wait, uint64_t value, uint64_t deadline)
{
	uint64_t waits = client_counter(&observer, "waits");
	wait->value = value;
	wait->deadline = deadline;
	wait->over = false;
	ck_assert_int_eq(pthread_create(&wait->thread, NULL, wait_run, wait), 0);
	for (;;) {
		bool over = wait->over;
		if (client_counter(&observer, "waits") == waits + 1) {
			return true;
		}
		if (over) {
			return false;
		}
	}
}

static void wait_start(struct wait *wait, uint64_t value, uint64_t deadline)
{
	ck_assert(wait_armed(wait, value, deadline));
}

static int wait_end(struct wait *wait)
{
	pthread_join(wait->thread, NULL);
	return wait->result;
}

/* An hour's deadline: only a wake ends the wait. */
START_TEST(wakes_a_sleeper)
{
	struct wait wait;
	wait_start(&wait, 5, FBK_DEADLINE_MAX);
	silent_store(&device, 4); /* not yet */
	silent_store(&device, 5);
	ck_assert_int_eq(wait_end(&wait), 0);
	ck_assert_uint_eq(fbk_timeline_value(timeline), 5);
	/* Awaited: a thread that was slow to fall asleep has seen the point by itself. */
	client_await_counter(&observer, "watcher_hits", 1);
	ck_assert_uint_ge(client_counter(&observer, "watcher_polls"), 1);
}
END_TEST

/* A policy that is read anew gives the watcher its time; no poll was made before. */
START_TEST(begins_with_a_new_policy)
{
	struct wait wait;
	struct reply reply;
	silent_stop(&device);
	end();
	daemon_serve(&server, POLICY("watcher_cpu_percent = 0;"));
	client_open(&observer, &server);
	context = peer_connect(&server);
	FILE *file = fopen(server.policy, "we");
	EXPECT(file && fputs(POLICY("watcher_cpu_percent = 10;"), file) >= 0);
	EXPECT(fclose(file) == 0);
	REQUEST(request, ADMIN_RELOAD, admin_reload);
	ck_assert_int_eq(client_call(&observer, &request, NULL, 0, &reply), 0);
	reply_free(&reply);
	silent_start(&device, &server, FBK_FENCE_MEMORY64);
	timeline = silent_open(&device, context);
	wait_start(&wait, 5, FBK_DEADLINE_MAX);
	silent_store(&device, 5);
	ck_assert_int_eq(wait_end(&wait), 0);
	client_await_counter(&observer, "watcher_hits", 1); /* as in wakes_a_sleeper */
}
END_TEST

static int told;

static void on_point(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	ck_assert_int_eq(result, 0);
	told++;
}

static void dispatch_until(int count)
{
	uint64_t deadline = now_ms() + 3 * PATIENCE_MS;
	while (told < count) {
		ck_assert_msg(now_ms() < deadline, "%d of %d told", told, count);
		readable_within(fbk_context_fd(context), 100);
		ck_assert_int_ge(fbk_dispatch(context), 0);
	}
}

START_TEST(delivers_a_watch)
{
	struct fbk_watch *watch;
	told = 0;
	ck_assert_int_eq(fbk_point_watch((struct fbk_point){ timeline, 1 }, FBK_DEADLINE_MAX,
					 on_point, NULL, &watch),
			 0);
	ck_assert_int_eq(fbk_dispatch(context), 0);
	silent_store(&device, 1);
	dispatch_until(1);
}
END_TEST

START_TEST(fires_an_export)
{
	int fd;
	ck_assert_int_eq(fbk_point_export((struct fbk_point){ timeline, 3 }, FBK_FENCE_EVENTFD,
					  FBK_DEADLINE_MAX, &fd),
			 0);
	ck_assert_int_eq(readable_within(fd, 0), 0);
	silent_store(&device, 3);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
}
END_TEST

/* A wait that is armed anew for each point, and one for several points at once. */
START_TEST(goes_on_to_the_next_point)
{
	struct wait waits[3];
	for (uint64_t round = 0; round < 30; round += 3) {
		for (uint64_t i = 3; i > 0; i--) { /* each lower than the last: all are armed */
			int fd;
			ck_assert_int_eq(fbk_point_export((struct fbk_point){ timeline, round + i },
							  FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd),
					 0);
			close(fd);
		}
		for (uint64_t i = 0; i < 3; i++) {
			wait_start(&waits[i], round + i + 1, FBK_DEADLINE_MAX);
			silent_store(&device, round + i + 1);
			ck_assert_int_eq(wait_end(&waits[i]), 0);
		}
	}
	client_await_counter(&observer, "exports_fired", 30);
}
END_TEST

START_TEST(a_thousand_at_a_pace)
{
	silent_run(&device, 1000, 1000);
	for (uint64_t value = 1; value <= 1000; value++) {
		EXPECT(fbk_point_wait((struct fbk_point){ timeline, value }, FBK_DEADLINE_MAX) ==
		       0);
	}
	client_await_counter(&observer, "watcher_hits", 1);
}
END_TEST

/* --------------------------------------------------------------------------- while, and no more -- */

START_TEST(lives_while_armed)
{
	struct wait wait;
	ck_assert_int_eq(daemon_task(&server, THREAD), 0);
	wait_start(&wait, 1, FBK_DEADLINE_MAX);
	daemon_await_task(&server, THREAD);
	silent_store(&device, 1);
	ck_assert_int_eq(wait_end(&wait), 0);
	daemon_await_no_task(&server, THREAD);

	/* given up: armed until the daemon looks again */
	for (uint64_t ms = 200; !wait_armed(&wait, 2, deadline_ms(ms)); ms *= 2) {
		ck_assert_int_eq(wait_end(&wait), -ETIMEDOUT);
	}
	daemon_await_task(&server, THREAD);
	ck_assert_int_eq(wait_end(&wait), -ETIMEDOUT);
	silent_store(&device, 2);
	daemon_await_no_task(&server, THREAD);
}
END_TEST

/* Nothing armed, nothing polled: no thread, and no wake-ups of the loop. */
START_TEST(idle_is_silent)
{
	struct wait wait;
	wait_start(&wait, 1, FBK_DEADLINE_MAX);
	silent_store(&device, 1);
	ck_assert_int_eq(wait_end(&wait), 0);
	silent_store(&device, 2); /* without a waiter */
	daemon_await_no_task(&server, THREAD);
	uint64_t polls = client_counter(&observer, "watcher_polls");
	daemon_settled(&server, 500);
	ck_assert_int_eq(daemon_task(&server, THREAD), 0);
	ck_assert_uint_eq(client_counter(&observer, "watcher_polls"), polls);
}
END_TEST

/* Policy gives no CPU time: the sleeper sees the point at its deadline, and not before. */
START_TEST(no_budget)
{
	struct wait wait;
	begin(POLICY("watcher_cpu_percent = 0;"));
	bool stored_in_time = false;
	uint64_t value = 0;
	for (uint64_t ms = 500; !stored_in_time; ms *= 2) {
		uint64_t deadline = deadline_ms(ms);
		value++;
		if (!wait_armed(&wait, value, deadline)) {
			ck_assert_int_eq(wait_end(&wait), -ETIMEDOUT);
			continue;
		}
		silent_store(&device, value);
		/* Where this process did not run until the deadline, the result says nothing. */
		stored_in_time = now_ms() < deadline / 1000000;
		ck_assert_int_eq(daemon_task(&server, THREAD), 0);
		int result = wait_end(&wait);
		ck_assert(result == 0 || !stored_in_time);
		ck_assert_uint_ge(now_ms(), deadline / 1000000);
	}
	ck_assert_uint_eq(client_counter(&observer, "watcher_polls"), 0);
	teardown();
}
END_TEST

/* Nanoseconds of CPU that a thread used. */
static uint64_t task_cpu(pid_t tid)
{
	char path[64];
	unsigned long long used = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", server.pid, tid);
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%llu", &used), 1);
	fclose(file);
	return used;
}

#define MANY 4094 /* the most timelines that one context opens, which has one already */

/* All of them armed, within the CPU time of the policy; and each is delivered. */
START_TEST(many_at_once)
{
	static _Atomic uint64_t *words[MANY];
	static struct fbk_timeline *lines[MANY];
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "wide",
					.device_class = FBK_CLASS_CPU,
					.signals = FBK_FENCE_MEMORY64,
					.silent = true };
	struct fbk_device *wide;
	struct fbk_set *set = NULL;
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	told = 0;
	ck_assert_int_eq(fbk_device_register(context, &desc, &wide), 0);
	for (int i = 0; i < MANY; i++) {
		if (i % 500 == 0) {
			EXPECT(fbk_set_create(context, &set) == 0);
		}
		EXPECT(fbk_timeline_create(wide, set, "one-of-many", 0, &lines[i]) == 0);
		EXPECT(fbk_timeline_memory(lines[i], &memory, NULL) == 0);
		words[i] = memory.address;
	}
	for (int i = 0; i < MANY; i++) {
		struct fbk_watch *watch;
		EXPECT(fbk_point_watch((struct fbk_point){ lines[i], 1 }, FBK_DEADLINE_MAX,
				       on_point, NULL, &watch) == 0);
	}
	client_await_counter(&observer, "watches", MANY);
	pid_t tid = daemon_await_task(&server, THREAD);
	/* In some second: CPU time that a hypervisor steals from the thread counts as used. */
	uint64_t deadline = now_ms() + PATIENCE_MS, passed_ns, used;
	do {
		uint64_t from = now_ms();
		ck_assert_msg(from < deadline, "more than its share, in each second");
		used = task_cpu(tid);
		while (now_ms() < from + 1000) {
			yield_briefly();
		}
		used = task_cpu(tid) - used;
		passed_ns = (now_ms() + 1 - from) * 1000000;
		/* a tenth; what may be saved up; what the thread may notice too late */
	} while (used > passed_ns / 10 + 5000000 + 5000000);
	for (int i = 0; i < MANY; i++) {
		atomic_store(words[i], 1);
	}
	dispatch_until(MANY);
	daemon_await_no_task(&server, THREAD);
}
END_TEST

/* ----------------------------------------------------------------------------- death and failing -- */

START_TEST(owner_killed)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct wait wait;
	begin(POLICY("poison_ms = 100;"));
	wait_start(&wait, 8, FBK_DEADLINE_MAX);
	silent_store(&device, 7);
	silent_kill(&device);
	ck_assert_int_eq(wait_end(&wait), -EOWNERDEAD);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 7 }), 0);
	ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_DIED);
	ck_assert_uint_eq(info.failed_from, 8);
	daemon_await_no_task(&server, THREAD); /* poison is not watched for ever */
	end();
}
END_TEST

/* The daemon ends while it polls and while it watches poison. */
START_TEST(daemon_stops)
{
	struct wait wait;
	struct silent other;
	begin(POLICY("poison_ms = 60000;"));
	silent_start(&other, &server, FBK_FENCE_MEMORY64);
	ck_assert_uint_ne(silent_fail(&other, 1), 0);
	wait_start(&wait, 1, FBK_DEADLINE_MAX);
	daemon_terminate(&server);
	ck_assert_int_eq(wait_end(&wait), -ENOTCONN);
	silent_stop(&other);
	silent_stop(&device);
	client_close(&observer);
	fbk_disconnect(context);
	daemon_remove(&server);
}
END_TEST

START_TEST(keeps_the_poison)
{
	begin(POLICY("poison_ms = 2000;"));
	silent_store(&device, 6);
	ck_assert_uint_eq(silent_fail(&device, 7), FBK_POISON | 7);
	ck_assert_uint_eq(silent_overwrite(&device, 8), FBK_POISON | 8);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 6 }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 7 }), -EIO);
	daemon_await_no_task(&server, THREAD);
	silent_store(&device, 9); /* too late: the status stays */
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 9 }), -EIO);
	ck_assert_uint_eq(silent_load(&device), 9);
	teardown();
}
END_TEST

/* The pages stay as long as the watcher needs them, and are charged to their user so long. */
START_TEST(lets_go_of_the_pages)
{
	daemon_serve(&server, POLICY("poison_ms = 100;"));
	client_open(&observer, &server);
	uint64_t bytes = client_usage(&observer, getuid(), "page_bytes");
	unsigned int fds = daemon_fd_count(&server);
	for (int i = 0; i < 5; i++) {
		silent_start(&device, &server, FBK_FENCE_MEMORY64);
		silent_kill(&device);
	}
	daemon_await_fds(&server, fds);
	ck_assert_uint_eq(client_usage(&observer, getuid(), "page_bytes"), bytes);
	client_close(&observer);
	daemon_stop(&server);
}
END_TEST

static const struct {
	uint64_t first, then;
	const char *what;
} steps[] = {
	{ 9, 8, "stepped back: 8 after 9" },
	{ 9, FBK_POISON, "is not below 2^62: 4611686018427387904 after 9" },
	{ 9, UINT64_MAX, "is not below 2^62: 18446744073709551615 after 9" },
	{ 9, 9 + 101, "jumped further than policy allows: 110 after 9" },
};

/* No ring, and the point is far away: the watcher finds nonsense by itself. */
START_TEST(polices)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct wait wait;
	char expected[160];
	begin(POLICY("max_jump = 100; poison_ms = 0;"));
	wait_start(&wait, steps[_i].first, FBK_DEADLINE_MAX);
	silent_store(&device, steps[_i].first);
	ck_assert_int_eq(wait_end(&wait), 0);
	wait_start(&wait, FBK_POINT_MAX, FBK_DEADLINE_MAX);
	silent_store(&device, steps[_i].then);
	ck_assert_int_eq(wait_end(&wait), -EPROTO);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 9 }), 0);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ timeline, 10 }), -EPROTO);
	ck_assert_int_eq(fbk_timeline_info(timeline, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_POLICING);
	ck_assert_int_eq(info.pid, device.peer.pid);
	snprintf(expected, sizeof(expected),
		 "the payload of stores, written by engine (pid %d), %s", device.peer.pid,
		 steps[_i].what);
	ck_assert_str_eq(info.reason, expected);
	teardown();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, no_budget);
	tcase_add_test(tcase, owner_killed);
	tcase_add_test(tcase, daemon_stops);
	tcase_add_test(tcase, keeps_the_poison);
	tcase_add_test(tcase, lets_go_of_the_pages);
	ADD_LOOP(tcase, polices, steps);
}

static void add_ready(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, wakes_a_sleeper);
	tcase_add_test(tcase, begins_with_a_new_policy);
	tcase_add_test(tcase, delivers_a_watch);
	tcase_add_test(tcase, fires_an_export);
	tcase_add_test(tcase, goes_on_to_the_next_point);
	tcase_add_test(tcase, a_thousand_at_a_pace);
	tcase_add_test(tcase, lives_while_armed);
	tcase_add_test(tcase, idle_is_silent);
	tcase_add_test(tcase, many_at_once);
}

int main(void)
{
	int ready = suite_main("watcher", add_ready);
	int other = suite_main("watcher-policy", add);
	return ready == 0 ? other : ready;
}
