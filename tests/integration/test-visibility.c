// SPDX-License-Identifier: MIT
/*
 * Devices whose fence value is visible before their data. The device here is a fake, a thread: it
 * stores the value first and keeps the data in a buffer, as a bridge keeps posted writes. Reading
 * the last page of the data's target empties the buffer: a real bridge answers that read after the
 * earlier writes; here the page is missing until the thread was told by userfaultfd(2). Or the
 * device empties it by itself, before its interrupt.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-peer.h"

#define PAGE   4096
#define SIZE   (2 * PAGE) /* of a frame; the last page is the one that is read back */
#define FRAMES 1000

static struct daemon server;
static struct fbk_context *producer, *consumer;

/* --------------------------------------------------------------------------- the fake device --- */

struct engine {
	struct fbk_device *device;
	struct fbk_timeline *timeline, *seen;
	_Atomic uint64_t *word; /* that it writes */
	int memory;
	_Atomic uint64_t *target; /* the data, as the device writes it */
	_Atomic uint64_t *data;   /* the same, as the consumer reads it */
	_Atomic uint64_t posted;  /* what is still in its buffer; 0: nothing */
	int faults, stop;         /* userfaultfd; -1: none. And an eventfd */
	pthread_t thread;
};

static void engine_drain(struct engine *engine)
{
	/* seq_cst: only a fake device */
	uint64_t frame = atomic_exchange(&engine->posted, 0);
	for (size_t i = 0; frame && i < PAGE / sizeof(uint64_t); i++) {
		atomic_store(&engine->target[i], frame);
	}
}

/* Answers reads of the last page, after the posted data. */
static void *engine_answer(void *arg)
{
	struct engine *engine = arg;
	struct pollfd entries[2] = { { .fd = engine->faults, .events = POLLIN },
				     { .fd = engine->stop, .events = POLLIN } };
	struct uffd_msg message;
	while (poll(entries, 2, -1) > 0 && !(entries[1].revents & POLLIN)) {
		if (read(engine->faults, &message, sizeof(message)) != sizeof(message)) {
			continue;
		}
		engine_drain(engine);
		struct uffdio_zeropage zero = {
			.range = { .start = message.arg.pagefault.address & ~(uint64_t)(PAGE - 1),
				   .len = PAGE },
		};
		ioctl(engine->faults, UFFDIO_ZEROPAGE, &zero);
	}
	return NULL;
}

static void *target_map(int memory)
{
	void *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	ck_assert_ptr_ne(mapped, MAP_FAILED);
	return mapped;
}

/* False: this user or kernel has no userfaultfd. */
static bool engine_watch_reads(struct engine *engine)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)engine->data + PAGE, .len = PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	engine->faults =
		(int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (engine->faults < 0) {
		return false;
	}
	ck_assert_int_eq(ioctl(engine->faults, UFFDIO_API, &api), 0);
	ck_assert_int_eq(ioctl(engine->faults, UFFDIO_REGISTER, &range), 0);
	ck_assert_int_eq(pthread_create(&engine->thread, NULL, engine_answer, engine), 0);
	return true;
}

static void engine_start(struct engine *engine, enum fbk_visibility visibility)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "unordered",
					.device_class = FBK_CLASS_NETWORK,
					.signals = FBK_FENCE_MEMORY64,
					.silent = visibility != FBK_VISIBILITY_IRQ,
					.visibility = visibility };
	*engine = (struct engine){ .faults = -1, .stop = eventfd(0, EFD_CLOEXEC) };
	ck_assert_int_eq(fbk_device_register(producer, &desc, &engine->device), 0);
	engine->timeline = peer_timeline(engine->device, "frames", 0);
	engine->seen = peer_open(consumer, engine->timeline, FBK_RIGHT_WAIT);
	ck_assert_int_eq(fbk_timeline_memory(engine->timeline, &memory, NULL), 0);
	engine->word = memory.address;
	engine->memory = memfd_create("target", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(engine->memory, SIZE), 0);
	engine->target = target_map(engine->memory);
	engine->data = target_map(engine->memory);
	ck_assert_int_eq(fbk_timeline_visibility(engine->timeline), visibility);
	ck_assert_int_eq(fbk_timeline_visibility(engine->seen), visibility);
}

static void engine_stop(struct engine *engine)
{
	if (engine->faults >= 0) {
		eventfd_write(engine->stop, 1);
		pthread_join(engine->thread, NULL);
		close(engine->faults);
	}
	munmap((void *)engine->target, SIZE);
	munmap((void *)engine->data, SIZE);
	close(engine->memory);
	close(engine->stop);
}

/* The value overtakes the data. */
static void engine_send(struct engine *engine, uint64_t frame)
{
	fallocate(engine->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE);
	atomic_store(&engine->posted, frame);
	atomic_store(engine->word, frame);
}

static struct fbk_point engine_point(const struct engine *engine, uint64_t frame)
{
	return (struct fbk_point){ engine->seen, frame };
}

static void await(const struct engine *engine, uint64_t frame)
{
	ck_assert_int_eq(fbk_point_wait(engine_point(engine, frame), deadline_ms(PATIENCE_MS)), 0);
}

/* Is the whole frame there? */
static bool frame_is(const struct engine *engine, uint64_t frame)
{
	for (size_t i = 0; i < PAGE / sizeof(uint64_t); i++) {
		if (atomic_load(&engine->data[i]) != frame) {
			return false;
		}
	}
	return true;
}

/* ---------------------------------------------------------------------------------------- tests -- */

static void setup(void)
{
	daemon_serve(&server, NULL);
	producer = peer_connect(&server);
	consumer = peer_connect(&server);
}

static void teardown(void)
{
	fbk_disconnect(consumer);
	fbk_disconnect(producer);
	daemon_stop(&server);
}

START_TEST(claims_to_be_ordered_and_is_caught)
{
	struct engine engine;
	engine_start(&engine, FBK_VISIBILITY_ORDERED);
	engine_send(&engine, 1);
	await(&engine, 1);
	ck_assert_int_eq(fbk_point_flush(engine_point(&engine, 1), (void *)engine.data, SIZE), 0);
	ck_assert(!frame_is(&engine, 1)); /* nothing to flush: the device declared so */
	engine_drain(&engine);
	ck_assert(frame_is(&engine, 1));
	engine_stop(&engine);
}
END_TEST

START_TEST(flushed)
{
	struct engine engine;
	engine_start(&engine, FBK_VISIBILITY_FLUSH);
	if (!engine_watch_reads(&engine)) {
		printf("not run: flushed, for there is no userfaultfd (%s)\n", strerror(errno));
		engine_stop(&engine);
		return;
	}
	unsigned int stale = 0;
	for (uint64_t frame = 1; frame <= FRAMES; frame++) {
		engine_send(&engine, frame);
		await(&engine, frame);
		stale += !frame_is(&engine, frame);
		ck_assert_int_eq(
			fbk_point_flush(engine_point(&engine, frame), (void *)engine.data, SIZE),
			0);
		ck_assert(frame_is(&engine, frame));
	}
	ck_assert_uint_eq(stale, FRAMES); /* it was needed each time */
	engine_stop(&engine);
}
END_TEST

START_TEST(told_by_an_interrupt)
{
	struct engine engine;
	engine_start(&engine, FBK_VISIBILITY_IRQ);
	for (uint64_t frame = 1; frame <= FRAMES; frame++) {
		engine_send(&engine, frame);
		ck_assert_int_eq(fbk_point_check(engine_point(&engine, frame)), -EAGAIN);
		engine_drain(&engine); /* before it raises the interrupt, */
		ck_assert_int_eq(fbk_timeline_signal(engine.timeline, atomic_load(engine.word)), 0);
		await(&engine, frame);
		ck_assert_int_eq(
			fbk_point_flush(engine_point(&engine, frame), (void *)engine.data, SIZE),
			0);
		ck_assert(frame_is(&engine, frame));
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(irq_of_32_bits_is_signalled_in_64)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "narrow",
					.device_class = FBK_CLASS_NETWORK,
					.signals = FBK_FENCE_MEMORY32,
					.visibility = FBK_VISIBILITY_IRQ };
	struct fbk_device *device;
	ck_assert_int_eq(fbk_device_register(producer, &desc, &device), 0);
	struct fbk_timeline *timeline = peer_timeline(device, "t", 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, UINT64_C(1) << 40), 0);
}
END_TEST

START_TEST(refused)
{
	struct engine engine;
	struct fbk_device *device;
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "both",
					.device_class = FBK_CLASS_CPU,
					.signals = FBK_FENCE_MEMORY64,
					.silent = true,
					.visibility = FBK_VISIBILITY_IRQ };
	ck_assert_int_eq(fbk_device_register(producer, &desc, &device), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "FBK_VISIBILITY_IRQ"));

	engine_start(&engine, FBK_VISIBILITY_FLUSH);
	char byte = 0;
	ck_assert_int_eq(fbk_point_flush(engine_point(&engine, 1), &byte, 1), -EAGAIN);
	ck_assert_int_eq(fbk_point_flush(FBK_POINT_SIGNALLED, &byte, 1), 0);
	atomic_store(engine.word, 1);
	await(&engine, 1);
	ck_assert_int_eq(fbk_point_flush(engine_point(&engine, 1), &byte, 1), 0);
	ck_assert_int_eq(fbk_point_flush(engine_point(&engine, 1), NULL, 0), 0);
	ck_assert_int_eq(fbk_point_flush_dmabuf(engine_point(&engine, 1), engine.stop), -EBADF);
	ck_assert_int_eq(fbk_timeline_fail(engine.timeline, -EIO, NULL), 0);
	ck_assert_int_eq(fbk_point_flush(engine_point(&engine, 2), &byte, 1), -EIO);
	ck_assert_int_eq(fbk_point_flush(engine_point(&engine, 1), &byte, 1), 0);
	engine_stop(&engine);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, claims_to_be_ordered_and_is_caught);
	tcase_add_test(tcase, flushed);
	tcase_add_test(tcase, told_by_an_interrupt);
	tcase_add_test(tcase, irq_of_32_bits_is_signalled_in_64);
	tcase_add_test(tcase, refused);
}

int main(void)
{
	return suite_main("visibility", add);
}
