// SPDX-License-Identifier: MIT
/* A device that is driven by OpenCL signals by its own stores, and its queue waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../integration/lib-peer.h"
#include "lib-opencl.h"

#define WORDS 4096
#define AHEAD 4 /* rounds that are enqueued before the first of them is waited for */
#define STEP  (UINT64_C(1) << 30)

static struct daemon server;

static void setup(void)
{
	pretence.nothing = true;
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* What signals: in this process, begun after all that is forked. */
struct engine {
	struct fbk_context *context;
	struct fbk_cl *cl;
	struct fbk_timeline *timeline;
	struct fbk_cl_signal *signal;
	cl_command_queue queue;
};

static void engine_start(struct engine *engine, bool silent)
{
	engine->context = peer_connect(&server);
	engine->cl = cl_must_open();
	engine->queue = queue_create(engine->cl);
	engine->timeline =
		peer_timeline(cl_device_register(engine->cl, engine->context, silent), "cl", 0);
	engine->signal = signal_must_create(engine->cl, engine->timeline);
}

static void engine_stop(struct engine *engine)
{
	clFinish(engine->queue);
	clReleaseCommandQueue(engine->queue);
	fbk_cl_signal_destroy(engine->signal);
	fbk_cl_destroy(engine->cl);
	fbk_disconnect(engine->context);
}

static void engine_share(const struct engine *engine, int socket)
{
	int token;
	ck_assert_int_eq(fbk_timeline_share(engine->timeline, FBK_RIGHT_WAIT, &token), 0);
	send_word(socket, 0, token);
	close(token);
}

static void engine_signal(const struct engine *engine, uint64_t value, cl_event *ret_event)
{
	int r = fbk_cl_signal_enqueue(engine->signal, engine->queue, value, 0, NULL, ret_event);
	ck_assert_msg(r == 0, "fbk_cl_signal_enqueue: %s", fbk_cl_error_detail());
	ck_assert_int_eq(clFlush(engine->queue), CL_SUCCESS);
}

/* From who compiles meanwhile, which takes as long as it takes. */
static uint64_t receive_patiently(int socket, int *ret_fd)
{
	EXPECT(readable_within(socket, -1) == 1);
	return receive_word(socket, ret_fd);
}

/* --------------------------------------------------------------------------------- it lands --- */

/* Waits for the points it is told, and answers with what came of it; 0: ends. */
static int waiter_run(int socket, void *arg)
{
	struct fbk_timeline *timeline;
	int token;
	(void)arg;
	struct fbk_context *context = peer_connect(&server);
	receive_patiently(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &timeline) == 0);
	close(token);
	for (uint64_t value; (value = receive_patiently(socket, NULL)) != 0;) {
		struct fbk_point point = { timeline, value };
		send_word(socket, (uint64_t)fbk_point_wait(point, FBK_DEADLINE_MAX), -1);
	}
	fbk_disconnect(context);
	return 0;
}

static const struct {
	struct pretence pretence;
	bool rung;
	int already;         /* what a signal of the same value gives */
	enum fbk_cl_way way; /* 0: the device's own */
} kinds[] = {
	{ .pretence.nothing = true },
	{ .way = FBK_CL_WAY_HOST_POINTER },
	{ .rung = true, .already = -EALREADY, .way = FBK_CL_WAY_HOST_POINTER },
	/* one that is FBK_VISIBILITY_IRQ */
	{ .pretence.type = CL_DEVICE_TYPE_GPU, .rung = true, .way = FBK_CL_WAY_HOST_POINTER },
	{ .pretence.narrow = true, .way = FBK_CL_WAY_HOST_POINTER },
	{ .pretence = { .release = true, .release_defined = true },
	  .way = FBK_CL_WAY_HOST_POINTER },
	{ .pretence.svm = true, .way = FBK_CL_WAY_SVM },
	{ .pretence = { .svm = true, .narrow = true, .release = true, .release_defined = true },
	  .way = FBK_CL_WAY_SVM },
};

/* Who sleeps in another process is released by the store, or, where the device is not silent, by whom
 * its completion is told. */
START_TEST(lands)
{
	struct peer waiter;
	struct engine engine;
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	peer_start(&waiter, waiter_run, NULL);
	pretence = kinds[_i].pretence;
	engine_start(&engine, !kinds[_i].rung);
	if (kinds[_i].way) {
		ck_assert_int_eq(fbk_cl_way(engine.cl), kinds[_i].way);
	}
	ck_assert_int_eq(fbk_timeline_memory(engine.timeline, &memory, NULL), 0);
	ck_assert_uint_eq(memory.size, kinds[_i].pretence.narrow ? 4 : 8);
	engine_share(&engine, waiter.socket);
	for (uint64_t value = 1; value <= 5 * STEP; value += STEP) { /* more than 32 bits */
		cl_event event;
		send_word(waiter.socket, value, -1);
		await_asleep(waiter.pid);
		await_polling(server.pid); /* it looked for the waiter, and found it low */
		engine_signal(&engine, value, &event);
		ck_assert_int_eq(clWaitForEvents(1, &event), CL_SUCCESS);
		clReleaseEvent(event);
		if (kinds[_i].rung) {
			ck_assert_int_eq(readable_within(waiter.socket, 0), 0);
			ck_assert_int_eq(fbk_timeline_signal(engine.timeline, value),
					 kinds[_i].already);
		}
		ck_assert_uint_eq(receive_word(waiter.socket, NULL), 0);
		ck_assert_uint_eq(fbk_timeline_value(engine.timeline), value);
	}
	send_word(waiter.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&waiter), 0);
	engine_stop(&engine);
}
END_TEST

/* Timelines of one set are on one page, which is imported once. */
START_TEST(one_page)
{
	struct engine engine;
	struct fbk_set *set;
	struct fbk_timeline *timelines[3];
	struct fbk_cl_signal *signals[3];
	engine_start(&engine, true);
	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
	struct fbk_device *device;
	ck_assert_int_eq(fbk_cl_describe(engine.cl, "another", &desc), 0);
	ck_assert_int_eq(fbk_device_register(engine.context, &desc, &device), 0);
	ck_assert_int_eq(fbk_set_create(engine.context, &set), 0);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(fbk_timeline_create(device, set, "t", 0, &timelines[i]), 0);
		signals[i] = signal_must_create(engine.cl, timelines[i]);
	}
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert_int_eq(
			fbk_cl_signal_enqueue(signals[i], engine.queue, i + 1, 0, NULL, NULL), 0);
	}
	clFinish(engine.queue);
	fbk_cl_signal_destroy(signals[0]);
	ck_assert_int_eq(fbk_cl_signal_enqueue(signals[2], engine.queue, 9, 0, NULL, NULL), 0);
	clFinish(engine.queue);
	ck_assert_uint_eq(fbk_timeline_value(timelines[0]), 1);
	ck_assert_uint_eq(fbk_timeline_value(timelines[1]), 2);
	ck_assert_uint_eq(fbk_timeline_value(timelines[2]), 9);
	fbk_cl_signal_destroy(signals[1]);
	fbk_cl_signal_destroy(signals[2]);
	engine_stop(&engine);
}
END_TEST

START_TEST(bounds)
{
	struct engine engine;
	engine_start(&engine, true);
	ck_assert_int_eq(fbk_cl_signal_enqueue(engine.signal, engine.queue, 0, 0, NULL, NULL),
			 -ERANGE);
	ck_assert_int_eq(fbk_cl_signal_enqueue(engine.signal, engine.queue, FBK_POINT_MAX + 1, 0,
					       NULL, NULL),
			 -ERANGE);
	engine_signal(&engine, FBK_POINT_MAX, NULL);
	clFinish(engine.queue);
	ck_assert_uint_eq(fbk_timeline_value(engine.timeline), FBK_POINT_MAX);
	engine_stop(&engine);
}
END_TEST

/* ----------------------------------------------------------------------------- never stale ---- */

/* Reads what the device wrote, each time it says that it is written, and gives it back. */
static int reader_run(int socket, void *arg)
{
	const uint64_t *data = arg;
	struct fbk_timeline *written;
	int token;
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *read = peer_timeline(peer_device(context, "reader"), "read", 0);
	EXPECT(fbk_timeline_share(read, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_patiently(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &written) == 0);
	close(token);
	uint64_t rounds = receive_patiently(socket, NULL);
	for (uint64_t n = 1; n <= rounds; n++) {
		EXPECT(fbk_point_wait((struct fbk_point){ written, n }, FBK_DEADLINE_MAX) == 0);
		for (size_t i = 0; i < WORDS; i++) {
			EXPECT(__atomic_load_n(&data[i], __ATOMIC_RELAXED) == n + i);
		}
		EXPECT(fbk_timeline_signal(read, n) == 0);
	}
	receive_patiently(socket, NULL); /* it stays until all is read */
	fbk_disconnect(context);
	return 0;
}

static const char fill_source[] = "kernel void fill(global ulong *data, ulong n)\n"
				  "{\n"
				  "	data[get_global_id(0)] = n + get_global_id(0);\n"
				  "}\n";

/* Of the commands under way; PoCL 3.1 frees one that fails too early, if nobody else holds it. */
static cl_event filled[AHEAD + 2];

static void filled_keep(uint64_t n, cl_event event)
{
	cl_event *slot = &filled[n % (AHEAD + 2)];
	if (*slot) {
		clReleaseEvent(*slot);
	}
	*slot = event;
}

/* One round, all of it in the queue: wait until the reader is done, write, signal. */
static void round_enqueue(const struct engine *engine, cl_kernel fill, struct fbk_timeline *read,
			  uint64_t n)
{
	const size_t size = WORDS;
	cl_event done, before = NULL;
	if (n > 1) {
		struct fbk_point point = { read, n - 1 };
		int r = fbk_cl_wait(engine->cl, point, FBK_DEADLINE_MAX, &before);
		ck_assert_msg(r == 0, "fbk_cl_wait: %s", fbk_cl_error_detail());
	}
	EXPECT(clSetKernelArg(fill, 1, sizeof(n), &n) == CL_SUCCESS);
	EXPECT(clEnqueueNDRangeKernel(engine->queue, fill, 1, NULL, &size, NULL, before ? 1 : 0,
				      before ? &before : NULL, &done) == CL_SUCCESS);
	if (before) {
		clReleaseEvent(before);
	}
	filled_keep(n, done);
	engine_signal(engine, n, NULL);
}

START_TEST(never_stale)
{
	struct peer reader;
	struct engine engine;
	struct fbk_timeline *read;
	int token;
	cl_int result;
	const uint64_t rounds = getenv("FBK_SOAK") ? 100000 : 3000;
	uint64_t *data = shared_memory(WORDS * sizeof(*data));
	peer_start(&reader, reader_run, data);
	engine_start(&engine, true);
	receive_word(reader.socket, &token);
	ck_assert_int_eq(fbk_timeline_open(engine.context, token, &read), 0);
	close(token);
	engine_share(&engine, reader.socket);
	send_word(reader.socket, rounds, -1);

	cl_kernel fill = kernel_create(engine.cl, fill_source, "fill");
	cl_mem buffer =
		clCreateBuffer(fbk_cl_context(engine.cl), CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
			       WORDS * sizeof(*data), data, &result);
	ck_assert_int_eq(result, CL_SUCCESS);
	ck_assert_int_eq(clSetKernelArg(fill, 0, sizeof(buffer), &buffer), CL_SUCCESS);
	for (uint64_t n = 1; n <= rounds; n++) {
		round_enqueue(&engine, fill, read, n);
		while (fbk_timeline_value(read) + AHEAD < n) {
			ck_assert_int_eq(readable_within(fbk_context_fd(engine.context), -1), 1);
			ck_assert_int_ge(fbk_dispatch(engine.context), 0);
		}
	}
	while (fbk_timeline_value(read) < rounds) {
		ck_assert_int_ge(fbk_dispatch(engine.context), 0);
		yield_briefly();
	}
	send_word(reader.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&reader), 0);
	for (uint64_t i = 0; i < AHEAD + 2; i++) {
		filled_keep(i, NULL);
	}
	clReleaseMemObject(buffer);
	clReleaseKernel(fill);
	engine_stop(&engine);
}
END_TEST

/* ---------------------------------------------------------------------------- a queue waits --- */

static cl_int event_status(cl_event event)
{
	cl_int status = CL_QUEUED;
	EXPECT(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status,
			      NULL) == CL_SUCCESS);
	return status;
}

static void dispatch_until_ended(struct fbk_context *context, cl_event event)
{
	while (event_status(event) > CL_COMPLETE) {
		loop_turn(context);
	}
}

static cl_event must_wait(const struct engine *engine, struct fbk_timeline *timeline,
			  uint64_t value, uint64_t deadline_ns)
{
	cl_event event;
	struct fbk_point point = { timeline, value };
	int r = fbk_cl_wait(engine->cl, point, deadline_ns, &event);
	ck_assert_msg(r == 0, "fbk_cl_wait: %s", fbk_cl_error_detail());
	return event;
}

START_TEST(waits)
{
	struct engine engine;
	engine_start(&engine, true);
	struct fbk_timeline *other =
		peer_timeline(peer_device(engine.context, "other"), "other", 0);
	ck_assert_int_eq(fbk_timeline_signal(other, 1), 0);
	cl_event reached = must_wait(&engine, other, 1, 0);
	ck_assert_int_eq(event_status(reached), CL_COMPLETE); /* at once */

	cl_event later = must_wait(&engine, other, 2, FBK_DEADLINE_MAX);
	ck_assert_int_gt(event_status(later), CL_COMPLETE);
	ck_assert_int_eq(fbk_timeline_signal(other, 2), 0);
	dispatch_until_ended(engine.context, later);
	ck_assert_int_eq(event_status(later), CL_COMPLETE);

	cl_event late = must_wait(&engine, other, 3, deadline_ms(50));
	dispatch_until_ended(engine.context, late);
	ck_assert_int_eq(event_status(late), -ETIMEDOUT);

	cl_event mine = must_wait(&engine, engine.timeline, 1, FBK_DEADLINE_MAX);
	cl_event cancelled = must_wait(&engine, other, 3, FBK_DEADLINE_MAX);
	fbk_cl_wait_cancel(engine.cl, other);
	ck_assert_int_eq(event_status(cancelled), -ECANCELED);
	ck_assert_int_gt(event_status(mine), CL_COMPLETE);

	cl_event failed = must_wait(&engine, other, 3, FBK_DEADLINE_MAX);
	ck_assert_int_eq(fbk_timeline_fail(other, -ENODATA, NULL), 0);
	dispatch_until_ended(engine.context, failed);
	ck_assert_int_eq(event_status(failed), -ENODATA);

	cl_event refused = NULL;
	struct fbk_point again = { other, 4 }, never = { engine.timeline, FBK_POINT_MAX + 1 };
	ck_assert_int_eq(fbk_cl_wait(engine.cl, again, FBK_DEADLINE_MAX, &refused), -ENODATA);
	ck_assert_int_eq(fbk_cl_wait(engine.cl, never, FBK_DEADLINE_MAX, &refused), -ERANGE);
	ck_assert_ptr_null(refused);
	engine_stop(&engine); /* and what is left ends with it */
	ck_assert_int_eq(event_status(mine), -ECANCELED);
	cl_event all[] = { reached, later, late, mine, cancelled, failed };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		clReleaseEvent(all[i]);
	}
}
END_TEST

/* What the work waits for fails: the work is not run, the value does not land, and who waits for it
 * learns why. */
START_TEST(work_that_fails)
{
	struct peer waiter;
	struct engine engine;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	peer_start(&waiter, waiter_run, NULL);
	engine_start(&engine, true);
	engine_share(&engine, waiter.socket);
	struct fbk_timeline *other =
		peer_timeline(peer_device(engine.context, "other"), "other", 0);
	engine_signal(&engine, 4, NULL);
	cl_event event = must_wait(&engine, other, 1, FBK_DEADLINE_MAX);
	ck_assert_int_eq(fbk_cl_signal_enqueue(engine.signal, engine.queue, 5, 1, &event, NULL), 0);
	clFlush(engine.queue);
	send_word(waiter.socket, 5, -1);
	await_asleep(waiter.pid);
	ck_assert_int_eq(fbk_timeline_fail(other, -EIO, "the lens cap is on"), 0);
	dispatch_until_ended(engine.context, event);
	ck_assert_int_eq((int)receive_word(waiter.socket, NULL), -EIO);
	ck_assert_int_eq(fbk_timeline_info(engine.timeline, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_FAILED);
	ck_assert_uint_eq(info.failed_from, 5);
	ck_assert_msg(strstr(info.reason, "the OpenCL command that should signal it ended"), "%s",
		      info.reason);
	send_word(waiter.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&waiter), 0);
	clReleaseEvent(event);
	engine_stop(&engine);
}
END_TEST

/* The program sees the error before the library does. */
START_TEST(error_that_is_told)
{
	struct engine engine;
	cl_event stored;
	cl_int result;
	engine_start(&engine, true);
	cl_event event = clCreateUserEvent(fbk_cl_context(engine.cl), &result);
	int r = fbk_cl_signal_enqueue(engine.signal, engine.queue, 1, 1, &event, &stored);
	ck_assert_int_eq(r, 0);
	clFlush(engine.queue);
	ck_assert_int_eq(fbk_cl_check(engine.cl, CL_SUCCESS, "clFlush"), 0);
	clSetUserEventStatus(event, -5);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ engine.timeline, 1 }), -EAGAIN);
	result = clWaitForEvents(1, &stored);
	ck_assert_int_eq(fbk_cl_check(engine.cl, result, "clWaitForEvents"), -EIO);
	ck_assert_ptr_nonnull(strstr(fbk_cl_error_detail(), "clWaitForEvents: "));
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ engine.timeline, 1 }), -EIO);

	/* and what comes later is refused */
	r = fbk_cl_signal_enqueue(engine.signal, engine.queue, 2, 1, &event, NULL);
	ck_assert_int_eq(r, -EIO);
	ck_assert_uint_eq(fbk_timeline_value(engine.timeline), 0);
	clReleaseEvent(event);
	clReleaseEvent(stored);
	engine_stop(&engine);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_set_timeout(tcase, 1000);
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, lands, kinds);
	tcase_add_test(tcase, one_page);
	tcase_add_test(tcase, bounds);
	tcase_add_test(tcase, never_stale);
	tcase_add_test(tcase, waits);
	tcase_add_test(tcase, work_that_fails);
	tcase_add_test(tcase, error_that_is_told);
}

int main(void)
{
	return opencl_main("opencl signal", add);
}
