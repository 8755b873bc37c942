// SPDX-License-Identifier: MIT
/* A Vulkan device signals: its own commands write the value, after the data, and nobody helps. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib-gpu.h"

#define MARKERS "VK_AMD_buffer_marker"

static struct daemon server;
static struct peer peer;
static struct gpu gpu;
static struct engine engine;
static struct fbk_context *context;

/* `other` runs in a process of its own; it is sent the timeline's token first. */
static void begin(int (*other)(int socket, void *arg), enum fbk_vk_way way)
{
	daemon_serve(&server, NULL);
	peer_start(&peer, other, NULL);
	gpu_open_fake(&gpu);
	context = peer_connect(&server);
	engine_open(&engine, &gpu, context, way);
	engine_send(&engine, peer.socket);
}

static void end(void)
{
	ck_assert_int_eq(peer_wait(&peer), 0);
	gpu_idle(&gpu);
	engine_close(&engine);
	gpu_close(&gpu);
	fbk_disconnect(context);
	daemon_stop(&server);
}

static struct fbk_timeline *peer_take(int socket, struct fbk_context *ours)
{
	struct fbk_timeline *timeline;
	int token;
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(ours, token, &timeline) == 0);
	close(token);
	return timeline;
}

/* ------------------------------------------------------------------------------ value lands --- */

/* Waits for the points that it is told, until that is 0. */
static int waiter(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *ours = peer_connect(&server);
	struct fbk_timeline *timeline = peer_take(socket, ours);
	for (uint64_t value; (value = receive_word(socket, NULL)) != 0;) {
		struct fbk_point point = { timeline, value };
		send_word(socket, (uint64_t)fbk_point_wait(point, deadline_ms(PATIENCE_MS)), -1);
	}
	fbk_disconnect(ours);
	return 0;
}

static void expect_released(uint64_t value)
{
	send_word(peer.socket, value, -1);
	await_asleep(peer.pid);
	engine_signal(&engine, &gpu, value);
	ck_assert_int_eq((int)receive_word(peer.socket, NULL), 0);
	ck_assert_uint_eq(engine_word(&engine), value);
}

static const enum fbk_vk_way ways[] = { FBK_VK_WAY_STORE, FBK_VK_WAY_MARKER, FBK_VK_WAY_UPDATE };

/* Who sleeps is woken: the daemon polls for it. */
START_TEST(lands)
{
	static const uint64_t values[] = { 1, 2, 3, 1000, UINT32_MAX - 1, UINT32_MAX };
	fake.added[0] = MARKERS;
	begin(waiter, ways[_i]);
	ck_assert_int_eq(fbk_vk_signal_way(engine.signal), ways[_i]);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		expect_released(values[i]);
	}
	if (ways[_i] == FBK_VK_WAY_STORE) {
		expect_released(UINT64_C(0x123456789ab));
	}
	ck_assert_uint_eq(fake.markers, ways[_i] == FBK_VK_WAY_MARKER ? 6 : 0);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

/* To warm up: others see nothing of it. */
START_TEST(nothing_signalled)
{
	fake.added[0] = MARKERS;
	begin(waiter, ways[_i]);
	engine_signal(&engine, &gpu, 0);
	gpu_idle(&gpu);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ engine.timeline, 1 }), -EAGAIN);
	expect_released(1);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

/* The owner's choice: nobody polls, its thread wakes them after the device's fence. */
START_TEST(rung_by_the_owner)
{
	daemon_serve(&server, NULL);
	peer_start(&peer, waiter, NULL);
	gpu_open(&gpu);
	context = peer_connect(&server);
	engine.desc.struct_size = sizeof(engine.desc);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &engine.desc), 0);
	ck_assert(engine.desc.silent);
	engine.desc.silent = false;
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	engine_send(&engine, peer.socket);
	send_word(peer.socket, 7, -1);
	await_asleep(peer.pid);
	await_polling(server.pid); /* it looked for the waiter, and found it low */
	engine_signal(&engine, &gpu, 7);
	gpu_idle(&gpu);
	ck_assert_int_eq(readable_within(peer.socket, 0), 0);
	ck_assert_int_eq(fbk_timeline_signal(engine.timeline, 7), -EALREADY);
	ck_assert_int_eq((int)receive_word(peer.socket, NULL), 0);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

/* What is submitted lands in its order, and not before its turn. */
START_TEST(submission_order)
{
	begin(waiter, FBK_VK_WAY_BEST);
	VkSemaphore semaphore = gpu_semaphore(&gpu);
	VkCommandBuffer commands = gpu_begin(&gpu);
	ck_assert_int_eq(fbk_vk_signal_record(engine.signal, commands, 1), 0);
	ck_assert_int_eq(fbk_vk_signal_record(engine.signal, commands, 2), 0);
	gpu_submit(&gpu, commands, semaphore, 1);
	engine_signal(&engine, &gpu, 3);
	ck_assert_uint_eq(engine_word(&engine), 0);
	send_word(peer.socket, 3, -1);
	await_asleep(peer.pid);
	ck_assert_uint_eq(engine_word(&engine), 0);
	gpu_semaphore_signal(&gpu, semaphore, 1);
	ck_assert_int_eq((int)receive_word(peer.socket, NULL), 0);
	ck_assert_uint_eq(engine_word(&engine), 3);
	send_word(peer.socket, 0, -1);
	gpu_idle(&gpu);
	gpu.vkDestroySemaphore(gpu.device, semaphore, NULL);
	end();
}
END_TEST

/* ------------------------------------------------------------------------------- data first --- */

#define ROUNDS     (getenv("FBK_SOAK") ? UINT64_C(200000) : UINT64_C(4000))
#define BATCH      4
#define DATA_WORDS 16384

static _Atomic uint32_t *data;     /* shared with the reader */
static _Atomic uint64_t *progress; /* what it has looked at */

/* All of it belongs to `value` or to a later one. */
static bool data_fresh(uint64_t value)
{
	for (size_t i = 0; i < DATA_WORDS; i++) {
		/* relaxed: seeing the value has to be enough */
		if (atomic_load_explicit(&data[i], memory_order_relaxed) < value) {
			return false;
		}
	}
	return true;
}

static void data_make(struct fbk_vk_memory *ret_memory)
{
	size_t size = DATA_WORDS * sizeof(*data);
	data = shared_memory(size);
	progress = shared_memory(sizeof(*progress));
	*ret_memory = (struct fbk_vk_memory){
		.struct_size = sizeof(struct fbk_vk_memory),
		.address = data,
		.size = size,
		.dmabuf_fd = -1,
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
}

/* Looks at the data for each value that it sees, up to the last one. */
static int reader(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *ours = peer_connect(&server);
	struct fbk_timeline *timeline = peer_take(socket, ours);
	uint64_t last = receive_word(socket, NULL), seen = 0, looks = 0;
	while (seen < last) {
		uint64_t value = fbk_timeline_value(timeline);
		if (value == seen) {
			continue;
		}
		seen = value;
		looks++;
		if (!data_fresh(seen)) {
			fprintf(stderr, "the data of %llu is stale\n", (unsigned long long)seen);
			return 1;
		}
		/* relaxed: it only keeps the two together */
		atomic_store_explicit(progress, seen, memory_order_relaxed);
	}
	fprintf(stderr, "%llu of %llu values were seen, none before its data\n",
		(unsigned long long)looks, (unsigned long long)last);
	fbk_disconnect(ours);
	return looks < last / BATCH;
}

/* So that it looks at some of each batch while the device goes on. */
static void reader_await(uint64_t value)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	/* relaxed: as above */
	while (atomic_load_explicit(progress, memory_order_relaxed) < value) {
		EXPECT(now_ms() < deadline);
		sched_yield();
	}
}

START_TEST(data_before_value)
{
	struct fbk_vk_memory memory;
	struct fbk_vk_buffer buffer;
	uint64_t rounds = ROUNDS;
	fake.added[0] = MARKERS;
	data_make(&memory);
	begin(reader, ways[_i]);
	ck_assert_int_eq(fbk_vk_buffer_import(gpu.vk, &memory, &buffer), 0);
	send_word(peer.socket, rounds, -1);
	for (uint64_t round = 1; round <= rounds; round++) {
		VkCommandBuffer commands = gpu_begin(&gpu);
		gpu_fill(&gpu, commands, buffer.buffer, (uint32_t)round);
		EXPECT(fbk_vk_signal_record(engine.signal, commands, round) == 0);
		gpu_submit(&gpu, commands, VK_NULL_HANDLE, 0);
		if (round % BATCH == 0) {
			gpu_idle(&gpu);
			reader_await(round - BATCH + 1);
		}
	}
	gpu_idle(&gpu);
	fbk_vk_buffer_release(gpu.vk, &buffer);
	end();
}
END_TEST

/* The other way round it is noticed: what is checked above can fail. */
START_TEST(value_before_data)
{
	struct fbk_vk_memory memory;
	struct fbk_vk_buffer buffer;
	data_make(&memory);
	begin(waiter, FBK_VK_WAY_BEST);
	VkSemaphore semaphore = gpu_semaphore(&gpu);
	ck_assert_int_eq(fbk_vk_buffer_import(gpu.vk, &memory, &buffer), 0);
	engine_signal(&engine, &gpu, 1);
	VkCommandBuffer commands = gpu_begin(&gpu);
	gpu_fill(&gpu, commands, buffer.buffer, 1);
	gpu_submit(&gpu, commands, semaphore, 1);
	send_word(peer.socket, 1, -1);
	ck_assert_int_eq((int)receive_word(peer.socket, NULL), 0);
	ck_assert(!data_fresh(1));
	gpu_semaphore_signal(&gpu, semaphore, 1);
	gpu_idle(&gpu);
	ck_assert(data_fresh(1));
	gpu.vkDestroySemaphore(gpu.device, semaphore, NULL);
	fbk_vk_buffer_release(gpu.vk, &buffer);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

/* --------------------------------------------------------------------------------- 64 bits --- */

#define BOTH(half) ((half) << 32 | (half))

/* Never half of a value. */
static int halves_reader(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *ours = peer_connect(&server);
	struct fbk_timeline *timeline = peer_take(socket, ours);
	uint64_t last = receive_word(socket, NULL), value;
	do {
		value = fbk_timeline_value(timeline);
		if (value != BOTH(value >> 32)) {
			fprintf(stderr, "torn: %llx\n", (unsigned long long)value);
			return 1;
		}
	} while (value < last);
	fbk_disconnect(ours);
	return 0;
}

START_TEST(stores_are_whole)
{
	uint64_t rounds = ROUNDS;
	begin(halves_reader, FBK_VK_WAY_STORE);
	send_word(peer.socket, BOTH(rounds), -1);
	for (uint64_t round = 1; round <= rounds; round++) {
		engine_signal(&engine, &gpu, BOTH(round));
		if (round % BATCH == 0) {
			gpu_idle(&gpu);
		}
	}
	end();
}
END_TEST

static const struct {
	enum fbk_vk_way way;
	uint64_t value;
	int result;
} bounds[] = {
	{ FBK_VK_WAY_STORE, 1, 0 },
	{ FBK_VK_WAY_STORE, FBK_POINT_MAX, 0 },
	{ FBK_VK_WAY_STORE, FBK_POINT_MAX + 1, -ERANGE },
	{ FBK_VK_WAY_MARKER, UINT32_MAX, 0 },
	{ FBK_VK_WAY_MARKER, UINT64_C(1) << 32, -ERANGE },
	{ FBK_VK_WAY_UPDATE, UINT32_MAX, 0 },
	{ FBK_VK_WAY_UPDATE, UINT64_C(1) << 32, -ERANGE },
};

START_TEST(values_refused)
{
	fake.added[0] = MARKERS;
	begin(waiter, bounds[_i].way);
	VkCommandBuffer commands = gpu_begin(&gpu);
	ck_assert_int_eq(fbk_vk_signal_record(engine.signal, commands, bounds[_i].value),
			 bounds[_i].result);
	ck_assert(bounds[_i].result == 0 || fbk_vk_error_detail()[0]);
	ck_assert_int_eq(gpu.vkEndCommandBuffer(commands), 0);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

/* -------------------------------------------------------------------------- 32-bit payloads --- */

static const enum fbk_vk_way narrow_ways[] = { FBK_VK_WAY_MARKER, FBK_VK_WAY_UPDATE };

/* Beyond 2^32, where the word wraps. */
START_TEST(narrow)
{
	const uint64_t step = UINT64_C(1) << 30;
	fake.added[0] = _i == 0 ? MARKERS : NULL;
	daemon_serve(&server, NULL);
	peer_start(&peer, waiter, NULL);
	gpu_open_fake(&gpu);
	context = peer_connect(&server);
	engine.desc.struct_size = sizeof(engine.desc);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &engine.desc), 0);
	engine.desc.signals = FBK_FENCE_MEMORY32;
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	ck_assert_int_eq(fbk_vk_signal_way(engine.signal), narrow_ways[_i]);
	engine_send(&engine, peer.socket);
	for (uint64_t value = step; value <= 6 * step; value += step) {
		send_word(peer.socket, value + 1, -1);
		await_asleep(peer.pid);
		engine_signal(&engine, &gpu, value + 1);
		ck_assert_int_eq((int)receive_word(peer.socket, NULL), 0);
	}
	ck_assert_uint_eq(fbk_timeline_value(engine.timeline), 6 * step + 1);
	struct fbk_vk_signal *wide;
	ck_assert_int_eq(fbk_vk_signal_create(gpu.vk, engine.timeline, FBK_VK_WAY_STORE, &wide),
			 -EOPNOTSUPP);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

/* ------------------------------------------------------------------------------------- sets --- */

#define MEMBERS 3

/* Timelines on one page take one import, and each has a place of its own. */
START_TEST(one_import_for_a_set)
{
	struct fbk_set *set;
	struct fbk_timeline *timelines[MEMBERS];
	struct fbk_vk_signal *signals[MEMBERS];
	begin(waiter, FBK_VK_WAY_BEST);
	unsigned int before = fake.allocations;
	ck_assert_int_eq(fbk_set_create(context, &set), 0);
	for (int i = 0; i < MEMBERS; i++) {
		ck_assert_int_eq(
			fbk_timeline_create(engine.device, set, "member", 0, &timelines[i]), 0);
		ck_assert_int_eq(
			fbk_vk_signal_create(gpu.vk, timelines[i], FBK_VK_WAY_BEST, &signals[i]),
			0);
	}
	ck_assert_uint_eq(fake.allocations, before + 1);
	VkCommandBuffer commands = gpu_begin(&gpu);
	for (uint64_t i = 0; i < MEMBERS; i++) {
		ck_assert_int_eq(fbk_vk_signal_record(signals[i], commands, 10 + i), 0);
	}
	gpu_submit(&gpu, commands, VK_NULL_HANDLE, 0);
	gpu_idle(&gpu);
	for (uint64_t i = 0; i < MEMBERS; i++) {
		ck_assert_uint_eq(fbk_timeline_value(timelines[i]), 10 + i);
		fbk_vk_signal_destroy(signals[i]);
	}
	ck_assert_uint_eq(fbk_timeline_value(engine.timeline), 0);
	send_word(peer.socket, 0, -1);
	end();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_set_timeout(tcase, getenv("FBK_SOAK") ? 3600 : 300);
	ADD_LOOP(tcase, lands, ways);
	ADD_LOOP(tcase, nothing_signalled, ways);
	tcase_add_test(tcase, rung_by_the_owner);
	tcase_add_test(tcase, submission_order);
	ADD_LOOP(tcase, data_before_value, ways);
	tcase_add_test(tcase, value_before_data);
	tcase_add_test(tcase, stores_are_whole);
	ADD_LOOP(tcase, values_refused, bounds);
	ADD_LOOP(tcase, narrow, narrow_ways);
	tcase_add_test(tcase, one_import_for_a_set);
}

int main(void)
{
	return gpu_suite("signal", add);
}
