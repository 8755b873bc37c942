// SPDX-License-Identifier: MIT
/* Fence memory that is a dma-buf: twins of our own pages, and buffers of drivers, which may go
 * away. */
#include "lib-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/page.h"

#define SIZE 65536

static struct lab lab;
static int driver; /* the test driver's device */

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
	driver = test_fence_open();
	ck_assert_int_ge(driver, 0);
}

static void teardown(void)
{
	close(driver);
	lab_close(&lab);
}

static struct fbk_device *device_with(uint32_t backings, const char *name)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = name,
					.device_class = FBK_CLASS_CPU,
					.signals = FBK_FENCE_MEMORY64,
					.silent = true,
					.backings = backings };
	struct fbk_device *device;
	int r = fbk_device_register(lab.signaler, &desc, &device);
	ck_assert_msg(r == 0, "registering: %s", fbk_error_detail());
	return device;
}

/* The view of the driver's engine: another mapping of the same dma-buf. */
static _Atomic uint64_t *engine_map(int dmabuf, size_t size, size_t offset)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ck_assert_msg(memory != MAP_FAILED, "mapping: %s", strerror(errno));
	return (_Atomic uint64_t *)(void *)(memory + offset);
}

static void engine_store(_Atomic uint64_t *word, uint64_t value)
{
	/* release: as a device's store after its data */
	atomic_store_explicit(word, value, memory_order_release);
}

/* -------------------------------------------------------------------------------------- twins -- */

static bool have_udmabuf(void)
{
	return access("/dev/udmabuf", R_OK | W_OK) == 0;
}

START_TEST(twin)
{
	struct fbk_device *device = device_with(FBK_BACKING_HOST | FBK_BACKING_DMABUF, "either");
	struct fbk_timeline *timeline = peer_timeline(device, "twin", 0);
	struct fbk_timeline *seen = peer_open(lab.waiter, timeline, FBK_RIGHT_WAIT);
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	int dmabuf = -1;
	ck_assert_int_eq(fbk_feature(lab.signaler, FBK_FEATURE_TIMELINE_MEMORY, NULL),
			 have_udmabuf());
	if (!have_udmabuf()) {
		ck_assert_int_eq(fbk_device_backing(device), FBK_BACKING_HOST);
		ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, &dmabuf), -EOPNOTSUPP);
		return;
	}
	ck_assert_int_eq(fbk_device_backing(device), FBK_BACKING_DMABUF);
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, &dmabuf), 0);
	_Atomic uint64_t *word = engine_map(dmabuf, memory.page_size, memory.offset);
	engine_store(word, 5);
	ck_assert_uint_eq(fbk_timeline_value(timeline), 5);
	ck_assert_uint_eq(fbk_timeline_value(seen), 5); /* the same memory: no daemon in between */
	ck_assert_int_eq(fbk_timeline_signal(timeline, 6), 0);
	ck_assert_uint_eq(atomic_load(word), 6);
	close(dmabuf);
	/* Only its signaler gets it. */
	ck_assert_int_eq(fbk_timeline_memory(seen, &memory, &dmabuf), -EPERM);
}
END_TEST

START_TEST(host_only_has_no_twin)
{
	struct fbk_timeline *timeline =
		peer_timeline(device_with(FBK_BACKING_HOST, "host"), "t", 0);
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	int dmabuf;
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, NULL), 0);
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, &dmabuf), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "backing"));
}
END_TEST

/* -------------------------------------------------------------------------- registered memory -- */

struct engine {
	struct fbk_device *device;
	struct fbk_timeline *timeline, *seen;
	int dmabuf;
	_Atomic uint64_t *word;
};

static void engine_start(struct engine *engine, int dmabuf, uint64_t size)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	engine->dmabuf = dmabuf;
	engine->device = device_with(FBK_BACKING_OWN, "engine");
	ck_assert_int_eq(fbk_device_backing(engine->device), FBK_BACKING_OWN);
	int r = fbk_device_add_memory(engine->device, dmabuf, 0, size);
	ck_assert_msg(r == 0, "adding: %s", fbk_error_detail());
	engine->timeline = peer_timeline(engine->device, "own", 0);
	engine->seen = peer_open(lab.waiter, engine->timeline, FBK_RIGHT_WAIT);
	ck_assert_int_eq(fbk_timeline_memory(engine->timeline, &memory, NULL), 0);
	ck_assert_uint_eq(memory.page_size, size);
	engine->word = engine_map(dmabuf, size, memory.offset);
}

static struct fbk_point engine_point(const struct engine *engine, uint64_t value)
{
	return (struct fbk_point){ engine->seen, value };
}

/* Both sides sleep for points that the engine stores, without a ring. */
static void engine_runs(const struct engine *engine)
{
	for (uint64_t value = 1; value <= 200; value++) {
		engine_store(engine->word, value);
		ck_assert_uint_eq(fbk_timeline_value(engine->timeline), value);
		ck_assert_int_eq(
			fbk_point_wait(engine_point(engine, value), deadline_ms(PATIENCE_MS)), 0);
		ck_assert_uint_eq(fbk_timeline_value(engine->seen), value);
	}
	/* A check sees the value as well: it makes the daemon look. */
	engine_store(engine->word, 201);
	uint64_t end = now_ms() + PATIENCE_MS;
	while (fbk_point_check(engine_point(engine, 201)) == -EAGAIN) {
		ck_assert_msg(now_ms() < end, "a check does not make the daemon look");
	}
	ck_assert_int_eq(fbk_timeline_signal(engine->timeline, 300), 0); /* its owner may, too */
	ck_assert_uint_eq(atomic_load(engine->word), 300);
	ck_assert_int_eq(fbk_point_wait(engine_point(engine, 300), deadline_ms(PATIENCE_MS)), 0);
}

START_TEST(memory_of_the_test_driver)
{
	struct engine engine;
	engine_start(&engine, test_buffer_create(driver, SIZE, false), SIZE);
	engine_runs(&engine);
	close(engine.dmabuf);
}
END_TEST

START_TEST(memory_of_vgem)
{
	struct engine engine;
	uint32_t buffer;
	int dmabuf;
	int card = drm_card_must_open("vgem");
	ck_assert_int_eq(vgem_buffer_create(card, &buffer, &dmabuf), 0);
	engine_start(&engine, dmabuf, 4096);
	engine_runs(&engine);
	close(dmabuf);
	drm_buffer_close(card, buffer);
	close(card);
}
END_TEST

static int other_process(int socket, void *arg)
{
	const struct daemon *daemon = arg;
	struct fbk_context *context = peer_connect(daemon);
	struct fbk_timeline *timeline;
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	int token;
	uint64_t value = receive_word(socket, &token);
	ck_assert_int_eq(fbk_timeline_open(context, token, &timeline), 0);
	ck_assert_int_eq(fbk_timeline_memory(timeline, &memory, NULL), -EPERM);
	struct fbk_point point = { timeline, value };
	int r = fbk_point_wait(point, deadline_ms(PATIENCE_MS));
	send_word(socket, (uint64_t)(int64_t)r, -1);
	fbk_disconnect(context);
	return 0;
}

static void ask_another(struct peer *peer, const struct engine *engine, uint64_t value)
{
	int token;
	ck_assert_int_eq(fbk_timeline_share(engine->timeline, FBK_RIGHT_WAIT, &token), 0);
	send_word(peer->socket, value, token);
	close(token);
}

START_TEST(another_process_waits)
{
	struct engine engine;
	struct peer peer;
	peer_start(&peer, other_process, &lab.daemon);
	engine_start(&engine, test_buffer_create(driver, SIZE, false), SIZE);
	ask_another(&peer, &engine, 7);
	usleep(20000); /* it mostly sleeps by then; if not, it finds the value */
	engine_store(engine.word, 7);
	ck_assert_uint_eq(receive_word(peer.socket, NULL), 0);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

/* Watches and exports work as for any other timeline. */
START_TEST(exported)
{
	struct engine engine;
	int fd;
	engine_start(&engine, test_buffer_create(driver, SIZE, false), SIZE);
	ck_assert_int_eq(fbk_point_export(engine_point(&engine, 3), FBK_FENCE_EVENTFD,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(readable_within(fd, 20), 0);
	engine_store(engine.word, 3);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
}
END_TEST

START_TEST(fills_up)
{
	struct engine engine;
	struct fbk_timeline *timeline;
	unsigned int count = 1;
	engine_start(&engine, test_buffer_create(driver, 4096, false), 4096);
	while (fbk_timeline_create(engine.device, NULL, "more", 0, &timeline) == 0) {
		count++;
	}
	ck_assert_uint_eq(count, (4096 - 128) / 128);
	ck_assert_int_eq(fbk_timeline_create(engine.device, NULL, "more", 0, &timeline), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "add some"));
	int more = test_buffer_create(driver, 4096, false);
	ck_assert_int_eq(fbk_device_add_memory(engine.device, more, 0, 4096), 0);
	ck_assert_int_eq(fbk_timeline_create(engine.device, NULL, "more", 0, &timeline), 0);
	close(more);
}
END_TEST

/* Mappings are charged, so that one user cannot take all the room. */
START_TEST(limited)
{
	struct fbk_device *device = device_with(FBK_BACKING_OWN, "greedy");
	int memory = test_buffer_create(driver, 2 << 20, false);
	unsigned int taken = 0;
	int r;
	while ((r = fbk_device_add_memory(device, memory, taken * UINT64_C(4096), 4096)) == 0) {
		taken++;
	}
	ck_assert_int_eq(r, -EDQUOT);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "registered_pages"));
	ck_assert_uint_eq(taken, 256);
	fbk_device_unregister(device);
	device = device_with(FBK_BACKING_OWN, "greedy");
	ck_assert_int_eq(fbk_device_add_memory(device, memory, 0, 4096), 0);
	close(memory);
}
END_TEST

/* ---------------------------------------------------------------------------------- bad memory -- */

static void expect_refused(struct fbk_device *device, int fd, uint64_t offset, uint64_t size,
			   int error, const char *word)
{
	ck_assert_int_eq(fbk_device_add_memory(device, fd, offset, size), error);
	ck_assert_msg(strstr(fbk_error_detail(), word), "\"%s\" does not say \"%s\"",
		      fbk_error_detail(), word);
}

START_TEST(refused)
{
	struct fbk_device *device = device_with(FBK_BACKING_OWN, "own");
	struct fbk_device *host = device_with(FBK_BACKING_HOST, "host");
	struct fbk_timeline *timeline;
	int good = test_buffer_create(driver, SIZE, false);
	int unmapped = test_buffer_create(driver, SIZE, true);
	int pipe_fds[2];
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fbk_timeline_create(device, NULL, "t", 0, &timeline), -ENOSPC);
	expect_refused(device, pipe_fds[0], 0, 4096, -EBADF, "a pipe");
	expect_refused(device, good, 0, 2 * SIZE, -EINVAL, "too small");
	expect_refused(device, good, 4096, SIZE, -EINVAL, "too small");
	expect_refused(device, good, UINT64_MAX - 4095, 4096, -EINVAL, "too small");
	expect_refused(device, good, 0, 4097, -EINVAL, "power of two");
	expect_refused(device, good, 0, 0, -EINVAL, "power of two");
	expect_refused(device, good, 0, UINT64_C(1) << 40, -EINVAL, "power of two");
	expect_refused(device, good, 100, 4096, -EINVAL, "multiple");
	expect_refused(device, unmapped, 0, SIZE, -ENODEV, "mapped");
	expect_refused(host, good, 0, SIZE, -EOPNOTSUPP, "host");
	ck_assert_int_eq(test_buffer_revoke(driver, good), 0);
	expect_refused(device, good, 0, SIZE, -ENODEV, "mapped");
	close(good);
	close(unmapped);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

/* The driver takes the memory away: its timelines fail, with the reason, and no others. */
START_TEST(taken_away_from_a_sleeper)
{
	struct engine engine;
	struct peer peer;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	peer_start(&peer, other_process, &lab.daemon);
	engine_start(&engine, test_buffer_create(driver, SIZE, false), SIZE);
	engine_store(engine.word, 3);
	ck_assert_int_eq(fbk_point_wait(engine_point(&engine, 3), deadline_ms(PATIENCE_MS)), 0);
	ask_another(&peer, &engine, 9);
	usleep(20000); /* it mostly sleeps by then: the watcher finds out */
	ck_assert_int_eq(test_buffer_revoke(driver, engine.dmabuf), 0);
	ck_assert_int_eq((int)(int64_t)receive_word(peer.socket, NULL), -EIO);
	ck_assert_int_eq(peer_wait(&peer), 0);
	ck_assert_int_eq(fbk_timeline_info(engine.seen, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_FAILED);
	ck_assert_uint_eq(info.failed_from, 4);
	ck_assert_ptr_nonnull(strstr(info.reason, "took the fence memory"));
	ck_assert_int_eq(fbk_point_check(engine_point(&engine, 3)), 0); /* reached stays reached */
	/* another timeline of the same process goes on */
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert_int_eq(fbk_point_wait(lab_point(&lab, 1), deadline_ms(PATIENCE_MS)), 0);
}
END_TEST

START_TEST(taken_away_unwatched)
{
	struct engine engine;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_timeline *timeline;
	engine_start(&engine, test_buffer_create(driver, SIZE, false), SIZE);
	ck_assert_int_eq(test_buffer_revoke(driver, engine.dmabuf), 0);
	ck_assert_int_eq(fbk_timeline_info(engine.seen, &info), 0); /* the daemon looks */
	ck_assert_int_eq(info.error, -EIO);
	/* no new timelines in lost memory; new memory works */
	ck_assert_int_eq(fbk_timeline_create(engine.device, NULL, "t", 0, &timeline), -ENOSPC);
	int more = test_buffer_create(driver, SIZE, false);
	ck_assert_int_eq(fbk_device_add_memory(engine.device, more, 0, SIZE), 0);
	ck_assert_int_eq(fbk_timeline_create(engine.device, NULL, "t", 0, &timeline), 0);
	close(more);
}
END_TEST

/* fencectl says what cannot be guaranteed for which memory, and says nothing without such
 * memory. */
START_TEST(caveats_are_shown)
{
	struct engine engine;
	char command[256];
	char shown[4096];
	const char *caveat = "(registered): memory of a driver";
	snprintf(command, sizeof(command),
		 "COLUMNS=200 \"$FBK_BIN_DIR\"/fencectl --socket %s timelines 2>&1",
		 lab.daemon.socket);
	for (int registered = 0; registered < 2; registered++) {
		FILE *fencectl = popen(command, "re");
		ck_assert_ptr_nonnull(fencectl);
		shown[fread(shown, 1, sizeof(shown) - 1, fencectl)] = '\0';
		ck_assert_int_eq(pclose(fencectl), 0);
		ck_assert_msg(!strstr(shown, caveat) == !registered, "it shows: %s", shown);
		if (!registered) {
			engine_start(&engine, test_buffer_create(driver, SIZE, false), SIZE);
		}
	}
	ck_assert_ptr_nonnull(strstr(shown, "memory (registered)"));
	close(engine.dmabuf);
}
END_TEST

static unsigned int daemon_maps_of_dmabufs(void)
{
	char path[48];
	char line[512];
	unsigned int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", lab.daemon.pid);
	FILE *maps = fopen(path, "re");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		count += strstr(line, "dmabuf") != NULL;
	}
	fclose(maps);
	return count;
}

/* Everything is released: the driver gets its memory back. */
START_TEST(nothing_is_kept)
{
	unsigned int fds = lab_fd_count(&lab.daemon);
	ck_assert_uint_eq(daemon_maps_of_dmabufs(), 0);
	for (unsigned int i = 0; i < 8; i++) {
		struct engine engine;
		engine_start(&engine, test_buffer_create(driver, 4096, false), 4096);
		ck_assert_uint_gt(daemon_maps_of_dmabufs(), 0);
		fbk_timeline_close(engine.seen);
		fbk_timeline_close(engine.timeline);
		fbk_device_unregister(engine.device);
		munmap((void *)((uintptr_t)engine.word & ~(uintptr_t)4095), 4096);
		close(engine.dmabuf);
	}
	lab_await_fds(&lab.daemon, fds);
	ck_assert_uint_eq(daemon_maps_of_dmabufs(), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, twin);
	tcase_add_test(tcase, host_only_has_no_twin);
	tcase_add_test(tcase, memory_of_the_test_driver);
	tcase_add_test(tcase, memory_of_vgem);
	tcase_add_test(tcase, another_process_waits);
	tcase_add_test(tcase, exported);
	tcase_add_test(tcase, fills_up);
	tcase_add_test(tcase, limited);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, taken_away_from_a_sleeper);
	tcase_add_test(tcase, taken_away_unwatched);
	tcase_add_test(tcase, caveats_are_shown);
	tcase_add_test(tcase, nothing_is_kept);
}

int main(void)
{
	return lab_main("backing", "vgem", add);
}
