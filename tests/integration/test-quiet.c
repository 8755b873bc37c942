// SPDX-License-Identifier: MIT
/*
 * What a program calls per frame does not wait for the daemon. It is stopped here while that is called, and a request waits
 * for an hour: a call that waits for it never ends.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/outbox.h"
#include "lib-stage.h"
#include "lib-view.h"

#define CALLS    10000
#define HOUR_NS  UINT64_C(3600000000000)
#define SHORT_NS UINT64_C(50000000)

static struct daemon *fencebrokerd = &server;
static struct fbk_context *context, *other;
static struct fbk_device *device;
static struct fbk_timeline *memory, *brokered;
static struct bystander bystander;

static void limits_set(void)
{
	ck_assert_int_eq(fbk_context_set_timeout(context, HOUR_NS), 0);
	ck_assert_int_eq(fbk_context_set_timeout(other, HOUR_NS), 0);
}

#define POLICY(more)                                                                \
	"version = 1; " more "rules: ( { user = \"*\"; connect = true; register = " \
	"true; inspect = \"all\"; } );\n"

static void setup_with(const char *policy)
{
	setenv("FENCEBROKER_IO_URING", "no", 1); /* each watch goes to the daemon */
	daemon_serve(fencebrokerd, policy);
	bystander_open(&bystander, fencebrokerd);
	context = peer_connect(fencebrokerd);
	other = peer_connect(fencebrokerd);
	device = peer_device(context, "gpu0");
	memory = peer_timeline(device, "memory", 0);
	brokered = peer_timeline(device, "brokered", FBK_TIMELINE_BROKERED);
	limits_set();
}

static void setup(void)
{
	setup_with(POLICY(""));
}

static void setup_poor(void)
{
	setup_with(POLICY("limits: { imports = 1; }; "));
}

static void teardown(void)
{
	fbk_disconnect(other);
	fbk_disconnect(context);
	bystander_close(&bystander);
	daemon_stop(fencebrokerd);
}

static void daemon_stall(void)
{
	EXPECT(kill(fencebrokerd->pid, SIGSTOP) == 0);
	EXPECT(waitpid(fencebrokerd->pid, NULL, WUNTRACED) == fencebrokerd->pid);
}

static void daemon_resume(void)
{
	EXPECT(kill(fencebrokerd->pid, SIGCONT) == 0);
}

static struct fbk_point at(struct fbk_timeline *timeline, uint64_t value)
{
	return (struct fbk_point){ timeline, value };
}

static int waited(struct fbk_timeline *timeline, uint64_t value)
{
	return fbk_point_wait(at(timeline, value), deadline_ms(PATIENCE_MS));
}

static unsigned int own_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;
	while (readdir(directory)) {
		count++;
	}
	closedir(directory);
	return count;
}

static uint64_t usage(const char *resource)
{
	return client_usage(&bystander.waiter, getuid(), resource);
}

static void await_usage(const char *resource, uint64_t amount)
{
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (usage(resource) != amount) {
		ck_assert_msg(now_ms() < give_up, "%s: %llu", resource,
			      (unsigned long long)usage(resource));
		yield_briefly();
	}
}

static void await_own_fds(unsigned int count)
{
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (own_fds() != count) {
		ck_assert_msg(now_ms() < give_up, "%u fds, not %u", own_fds(), count);
		yield_briefly();
	}
}

/* ----------------------------------------------------------------------------------------- signals -- */

START_TEST(signals)
{
	daemon_stall();
	for (uint64_t i = 1; i <= CALLS; i++) {
		EXPECT(fbk_timeline_signal(memory, i) == 0);
		EXPECT(fbk_timeline_signal(brokered, i) == 0);
		EXPECT(fbk_timeline_signal(brokered, i) == -EALREADY); /* told here */
	}
	ck_assert_int_eq(fbk_point_check(at(memory, CALLS)), 0);
	ck_assert_int_eq(fbk_point_check(at(brokered, 1)), -EAGAIN);
	daemon_resume();
	ck_assert_int_eq(waited(brokered, CALLS), 0);
	ck_assert_int_eq(fbk_point_check(at(brokered, CALLS + 1)), -EAGAIN);
}
END_TEST

/* Nothing that is called later overtakes what waits; and it goes without another call. */
START_TEST(answered_comes_after)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	daemon_stall();
	for (uint64_t i = 1; i <= CALLS; i++) {
		EXPECT(fbk_timeline_signal(brokered, i) == 0);
	}
	daemon_resume();
	ck_assert_int_eq(fbk_timeline_info(brokered, &info), 0);
	ck_assert_uint_eq(info.value, CALLS);
}
END_TEST

/* As many as may wait, then -EAGAIN; none of those before is lost, and then there is room again. */
START_TEST(outbox_is_full)
{
	uint64_t count = 0;
	int r = 0;
	daemon_stall();
	while (r == 0 && count < 2 * OUTBOX_REQUESTS_MAX) {
		r = fbk_timeline_signal(brokered, count + 1);
		count += r == 0;
	}
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "65536"));
	ck_assert_uint_ge(count, OUTBOX_REQUESTS_MAX);
	ck_assert_int_eq(fbk_timeline_signal(memory, 1), 0);
	daemon_resume();
	ck_assert_int_eq(waited(brokered, count), 0);
	ck_assert_int_eq(fbk_timeline_signal(brokered, count + 1), 0);
	ck_assert_int_eq(waited(brokered, count + 1), 0);
}
END_TEST

/* ----------------------------------------------------------------------------------------- fences -- */

/* Each fd that it took is closed in the end, also that of the one that was refused. */
START_TEST(fences)
{
	int fence = eventfd(0, EFD_CLOEXEC);
	uint64_t count = 0;
	int r = 0;
	/* it sleeps, so that the library's thread is there */
	ck_assert_int_eq(fbk_point_wait(at(brokered, 1), deadline_ms(20)), -ETIMEDOUT);
	unsigned int before = own_fds();
	daemon_stall();
	while (r == 0 && count < CALLS) {
		r = fbk_point_signal_on(at(brokered, count + 1), dup(fence));
		count += r == 0;
	}
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_uint_gt(count, OUTBOX_FDS_MAX);
	ck_assert_uint_eq(own_fds(), before + OUTBOX_FDS_MAX);
	ck_assert_int_eq(fbk_timeline_signal(brokered, ++count), 0); /* has none */
	daemon_resume();
	await_own_fds(before);
	ck_assert_int_eq(fbk_point_check(at(brokered, 1)), -EAGAIN);
	EXPECT(eventfd_write(fence, 1) == 0);
	ck_assert_int_eq(waited(brokered, count), 0);
	await_usage("imports", 0);
	close(fence);
}
END_TEST

static void expect_failed(int error, const char *part)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(waited(brokered, FBK_POINT_MAX), error);
	EXPECT(fbk_timeline_info(brokered, &info) == 0);
	ck_assert_int_eq(info.error, error);
	ck_assert_int_eq(info.cause, FBK_CAUSE_FENCE_ERROR);
	ck_assert_msg(strstr(info.reason, part), "%s", info.reason);
}

/* A refusal comes through the timeline: after the points before it, and with a sentence. */
START_TEST(refused_in_order)
{
	struct fbk_timeline *seen = peer_open(other, brokered, FBK_RIGHT_WAIT);
	int first = eventfd(0, EFD_CLOEXEC), second = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 1), dup(first)), 0);
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 2), dup(second)), 0);
	ck_assert_int_eq(fbk_timeline_signal(brokered, 3), 0);
	await_usage("imports", 1);
	ck_assert_int_eq(fbk_point_check(at(brokered, 1)), -EAGAIN);
	EXPECT(eventfd_write(first, 1) == 0);
	expect_failed(-EDQUOT, "the fence of point 2 was refused: a limit of uid");
	ck_assert_int_eq(fbk_point_check(at(brokered, 1)), 0);
	ck_assert_int_eq(fbk_point_check(at(seen, 1)), 0);
	ck_assert_int_eq(fbk_point_check(at(seen, 2)), -EDQUOT);
	ck_assert_int_eq(fbk_timeline_signal(brokered, 9), -EDQUOT);
	close(first);
	close(second);
}
END_TEST

/* What can be told here is told at once. */
START_TEST(refused_here)
{
	int pipes[2];
	EXPECT(pipe(pipes) == 0);
	struct fbk_timeline *seen = peer_open(other, brokered, FBK_RIGHT_WAIT);
	daemon_stall();
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 1), -1), -EBADF);
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 1), pipes[0]), -EBADF);
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 0), eventfd(0, 0)), -ERANGE);
	ck_assert_int_eq(fbk_point_signal_on(at(memory, 1), eventfd(0, 0)), -EINVAL);
	ck_assert_int_eq(fbk_point_signal_on(at(seen, 1), eventfd(0, 0)), -EPERM);
	ck_assert_int_eq(fbk_timeline_signal(seen, 1), -EPERM);
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 5), eventfd(1, 0)), 0);
	ck_assert_int_eq(fbk_point_signal_on(at(brokered, 5), eventfd(1, 0)), -EALREADY);
	ck_assert_int_eq(fbk_timeline_signal(brokered, 4), -EALREADY);
	daemon_resume();
	ck_assert_int_eq(waited(brokered, 5), 0);
	close(pipes[1]);
}
END_TEST

/* Another client was faster: nothing is wrong with the timeline. */
START_TEST(signalled_by_two)
{
	struct fbk_timeline *theirs = peer_open(other, brokered, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL);
	daemon_stall();
	ck_assert_int_eq(fbk_timeline_signal(brokered, 7), 0);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 7), 0);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 8), 0);
	daemon_resume();
	ck_assert_int_eq(waited(brokered, 8), 0);
	ck_assert_int_eq(fbk_point_check(at(brokered, 9)), -EAGAIN);
}
END_TEST

/* ---------------------------------------------------------------------------------------- watches -- */

static uint64_t last_fired;
static unsigned int fired;

static void count_fired(void *arg, struct fbk_point point, int result)
{
	const bool *cancelled = arg;
	ck_assert(!cancelled || !*cancelled);
	ck_assert_int_eq(result, 0);
	ck_assert_uint_gt(point.value, last_fired);
	last_fired = point.value;
	fired++;
}

START_TEST(watches)
{
	static struct fbk_watch *handles[CALLS];
	bool cancelled = false;
	daemon_stall();
	for (uint64_t i = 0; i < CALLS; i++) {
		EXPECT(fbk_point_watch(at(brokered, 1 + i), deadline_ms(10 * PATIENCE_MS),
				       count_fired, i % 2 ? &cancelled : NULL,
				       i % 2 ? &handles[i] : NULL) == 0);
	}
	for (uint64_t i = 1; i < CALLS; i += 2) {
		fbk_watch_cancel(handles[i]);
	}
	cancelled = true;
	ck_assert_int_eq(fbk_timeline_signal(brokered, CALLS), 0);
	ck_assert_int_eq(fbk_dispatch(context), 0);
	daemon_resume();
	while (fired < CALLS / 2) {
		loop_turn(context);
	}
	ck_assert_uint_eq(last_fired, CALLS - 1);
	await_usage("watches", 0);
}
END_TEST

/* Timelines close without an answer, and what is opened next comes after that. */
START_TEST(closes)
{
	struct fbk_timeline *timelines[64];
	uint64_t before = usage("timelines");
	for (size_t i = 0; i < 64; i++) {
		timelines[i] = peer_timeline(device, "short", i % 2 ? FBK_TIMELINE_BROKERED : 0);
	}
	unsigned int fds = own_fds();
	daemon_stall();
	for (size_t i = 0; i < 64; i++) {
		fbk_timeline_close(timelines[i]);
	}
	daemon_resume();
	fbk_timeline_close(peer_timeline(device, "next", 0));
	await_usage("timelines", before);
	ck_assert_uint_le(own_fds(), fds);
}
END_TEST

/* ------------------------------------------------------------------------------------------ frames -- */

static void frame_over(struct local *local, struct fbk_point acquire)
{
	struct fbk_frame *frame = NULL;
	uint32_t index = take();
	ck_assert_int_eq(
		fbk_exchange_hand(producer.exchange, index, acquire, HOUR_NS, NULL, NULL, NULL), 1);
	int r = fbk_link_next(local->link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "%d: %s", r, fbk_error_detail());
	ck_assert_uint_eq(fbk_frame_acquire(frame).value, acquire.value);
	ck_assert_int_eq(frame_release(frame, 0), 0);
}

/* Whole cycles, and then points of timelines that the link has not seen: those the consumer learns of from the daemon. */
START_TEST(hands)
{
	struct local local;
	struct fbk_timeline *fresh[PRODUCER_BUFFERS];
	uint32_t index[PRODUCER_BUFFERS];
	uint64_t value = 0;
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, PRODUCER_BUFFERS);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	ck_assert_int_eq(fbk_context_set_timeout(producer.context, HOUR_NS), 0);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		fresh[i] = peer_timeline(producer.device, "fresh", 0);
		EXPECT(fbk_timeline_signal(producer.timeline, ++value) == 0);
		frame_over(&local, at(producer.timeline, value));
	}
	daemon_stall();
	for (int i = 0; i < CALLS; i++) {
		EXPECT(fbk_timeline_signal(producer.timeline, ++value) == 0);
		frame_over(&local, at(producer.timeline, value));
	}
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand_at(index[i] = take(), at(fresh[i], 1)), 1);
	}
	daemon_resume();
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		struct fbk_frame *frame = local_next(&local);
		ck_assert_uint_eq(fbk_frame_index(frame), index[i]);
		ck_assert_int_eq(fbk_point_check(fbk_frame_acquire(frame)), -EAGAIN);
		EXPECT(fbk_timeline_signal(fresh[i], 1) == 0);
		ck_assert_int_eq(fbk_point_check(fbk_frame_acquire(frame)), 0);
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	local_close(&local);
	stage_close();
}
END_TEST

/* What the daemon would refuse, which nobody would hear, is told at once. */
START_TEST(hands_refused_here)
{
	struct local local;
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	struct fbk_device *elsewhere = peer_device(local.context, "elsewhere");
	struct fbk_timeline *theirs = peer_timeline(elsewhere, "theirs", FBK_TIMELINE_BROKERED);
	struct fbk_timeline *signaller = peer_open(producer.context, theirs, FBK_RIGHT_SIGNAL);
	ck_assert_int_eq(take_now(), 0);
	ck_assert_int_eq(hand_at(0, at(theirs, 1)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "theirs belongs to another context"));
	ck_assert_int_eq(hand_at(0, at(signaller, 1)), -EPERM);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "no right to wait for timeline theirs"));
	ck_assert_int_eq(hand_at(0, at(producer.timeline, 1)), 1);
	local_close(&local);
	stage_close();
}
END_TEST

/* ---------------------------------------------------------------------------------------- answers -- */

START_TEST(timeout_is_set)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_context_set_timeout(context, 0), -EINVAL);
	ck_assert_int_eq(fbk_context_set_timeout(context, SHORT_NS), 0);
	daemon_stall();
	ck_assert_int_eq(fbk_timeline_info(memory, &info), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "did not answer"));
	daemon_resume();
	ck_assert_int_eq(fbk_context_set_timeout(context, UINT64_MAX), 0);
	ck_assert_int_eq(fbk_timeline_info(memory, &info), 0);
}
END_TEST

/* A request that was not sent when its time was over never is: nothing is left of it. */
START_TEST(late_request_is_withdrawn)
{
	struct fbk_timeline *none, *timeline;
	uint64_t before = usage("timelines");
	daemon_stall();
	for (uint64_t i = 1; i <= 1000; i++) { /* more than the socket takes */
		EXPECT(fbk_timeline_signal(brokered, i) == 0);
	}
	ck_assert_int_eq(fbk_context_set_timeout(context, SHORT_NS), 0);
	ck_assert_int_eq(fbk_timeline_create(device, NULL, "late", 0, &none), -ETIMEDOUT);
	ck_assert_int_eq(fbk_context_set_timeout(context, HOUR_NS), 0);
	EXPECT(fbk_timeline_signal(brokered, 1001) == 0);
	daemon_resume();
	ck_assert_int_eq(waited(brokered, 1001), 0);
	ck_assert_uint_eq(usage("timelines"), before);
	ck_assert_int_eq(fbk_timeline_create(device, NULL, "late", 0, &timeline), 0);
}
END_TEST

/* What waits is sent before the context ends, for as long as a request may take. */
START_TEST(disconnect_sends_the_rest)
{
	struct fbk_timeline *seen = peer_open(other, brokered, FBK_RIGHT_WAIT);
	daemon_stall();
	for (uint64_t i = 1; i <= CALLS; i++) {
		EXPECT(fbk_timeline_signal(brokered, i) == 0);
	}
	daemon_resume();
	fbk_disconnect(context);
	context = NULL;
	ck_assert_int_eq(waited(seen, CALLS), 0);
}
END_TEST

START_TEST(disconnect_ends)
{
	int fence = eventfd(0, EFD_CLOEXEC);
	unsigned int before = own_fds();
	struct fbk_context *short_one = peer_connect(fencebrokerd);
	struct fbk_device *engine = peer_device(short_one, "gpu1");
	struct fbk_timeline *timeline = peer_timeline(engine, "line", FBK_TIMELINE_BROKERED);
	ck_assert_int_eq(fbk_context_set_timeout(short_one, SHORT_NS), 0);
	daemon_stall();
	for (uint64_t i = 1; fbk_point_signal_on(at(timeline, i), dup(fence)) == 0; i++) {
	}
	fbk_disconnect(short_one);
	ck_assert_uint_eq(own_fds(), before);
	daemon_resume();
	await_usage("imports", 0);
	close(fence);
}
END_TEST

/* ---------------------------------------------------------------------------------- hostile clients -- */

/* Requests that are refused, without end, by a client that reads nothing: none has a reply, none costs the daemon anything,
 * and what it sends next is answered. */
START_TEST(flood_of_refused)
{
	struct client client;
	struct reply reply;
	client_open(&client, fencebrokerd);
	unsigned int fds = daemon_fd_count(fencebrokerd);
	REQUEST(leave, TIMELINE_CLOSE, timeline_close);
	REQUEST(raise, TIMELINE_SIGNAL, timeline_signal);
	REQUEST(follow, POINT_SIGNAL_ON, point_signal_on);
	REQUEST(cancel, WATCH_CANCEL, watch_cancel);
	Fbk__Wire__Request *const requests[] = { &leave, &raise, &follow, &cancel };
	int fence = eventfd(0, EFD_CLOEXEC);
	leave.timeline_close->handle = 4000;
	raise.timeline_signal->handle = 4000;
	follow.point_signal_on->handle = 4000;
	for (unsigned int i = 0; i < 4 * CALLS; i++) {
		Fbk__Wire__Request *request = requests[i % 4];
		request->quiet = true;
		client_send(&client, request, &fence, request == &follow);
	}
	REQUEST(status, INSPECT_STATUS, inspect_status);
	ck_assert_int_eq(client_call(&client, &status, NULL, 0, &reply), 0); /* the first reply */
	reply_free(&reply);
	daemon_await_fds(fencebrokerd, fds);
	client_close(&client);
	close(fence);
}
END_TEST

/* What has a reply can't be quiet. */
START_TEST(not_quiet)
{
	struct client client;
	client_open(&client, fencebrokerd);
	REQUEST(create, SET_CREATE, set_create);
	create.quiet = true;
	ck_assert_int_eq(client_call(&client, &create, NULL, 0, NULL), -EINVAL);
	client_expect_detail(&client, "it can't be quiet");
	/* a refused watch has a reply: it is its result */
	REQUEST(watch, POINT_WATCH, point_watch);
	watch.quiet = true;
	watch.point_watch->handle = 4000;
	ck_assert_int_eq(client_call(&client, &watch, NULL, 0, NULL), -ENOENT);
	client_ping(&client);
	client_close(&client);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, signals);
	tcase_add_test(tcase, answered_comes_after);
	tcase_add_test(tcase, outbox_is_full);
	tcase_add_test(tcase, fences);
	tcase_add_test(tcase, refused_here);
	tcase_add_test(tcase, signalled_by_two);
	tcase_add_test(tcase, watches);
	tcase_add_test(tcase, closes);
	tcase_add_test(tcase, timeout_is_set);
	tcase_add_test(tcase, late_request_is_withdrawn);
	tcase_add_test(tcase, disconnect_sends_the_rest);
	tcase_add_test(tcase, disconnect_ends);
	tcase_add_test(tcase, flood_of_refused);
	tcase_add_test(tcase, not_quiet);
}

static void add_poor(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_poor, teardown);
	tcase_add_test(tcase, refused_in_order);
}

/* With a stage of their own. */
static void add_frames(TCase *tcase)
{
	tcase_add_test(tcase, hands);
	tcase_add_test(tcase, hands_refused_here);
}

int main(void)
{
	int failed = suite_main("quiet requests", add);
	failed |= suite_main("quiet requests for frames", add_frames);
	return failed | suite_main("quiet requests that are refused", add_poor);
}
