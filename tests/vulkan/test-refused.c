// SPDX-License-Identifier: MIT
/* What a machine or a driver lacks, and what goes wrong in it: each with a sentence that says so. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-gpu.h"

static struct daemon server;
static struct gpu gpu;
static struct engine engine;
static struct fbk_context *context;

static void begin(void)
{
	daemon_serve(&server, NULL);
	gpu_open_fake(&gpu);
	context = peer_connect(&server);
}

static void end(void)
{
	gpu_close(&gpu);
	fbk_disconnect(context);
	daemon_stop(&server);
}

static void expect_said(const char *part)
{
	ck_assert_msg(strstr(fbk_vk_error_detail(), part) != NULL, "\"%s\" does not say \"%s\"",
		      fbk_vk_error_detail(), part);
}

static struct fbk_timeline *timeline_of(struct fbk_device_desc *desc)
{
	struct fbk_device *device;
	struct fbk_timeline *timeline;
	ck_assert_int_eq(fbk_device_register(context, desc, &device), 0);
	ck_assert_int_eq(fbk_timeline_create(device, NULL, "frames", 0, &timeline), 0);
	return timeline;
}

/* --------------------------------------------------------------------------------- machines -- */

static const char *const driver_variables[] = { "VK_DRIVER_FILES", "VK_ICD_FILENAMES" };

START_TEST(no_driver)
{
	struct fbk_vk *vk = NULL;
	setenv(driver_variables[_i], "/nonexistent", 1);
	ck_assert_int_eq(fbk_vk_open(NULL, &vk), -ENOENT);
	expect_said("there is no Vulkan driver");
	ck_assert_ptr_null(vk);
}
END_TEST

static const struct {
	struct fbk_vk_choice choice;
	const char *hidden;
	int result;
	const char *said;
} choices[] = {
	{ { .name = "no such device" }, NULL, -ENOENT, "there is no Vulkan device called no such" },
	{ { .queue = VK_QUEUE_PROTECTED_BIT | VK_QUEUE_VIDEO_DECODE_BIT_KHR },
	  NULL,
	  -EOPNOTSUPP,
	  "has no queue with the requested flags (0x30)" },
	{ { .skip = 100 }, NULL, -ENOENT, "there is no other Vulkan device" },
	{ { .name = NULL }, HOST, -EOPNOTSUPP, "has no way to import memory: neither " HOST },
};

START_TEST(no_device_fits)
{
	struct fbk_vk_choice choice = choices[_i].choice;
	choice.struct_size = sizeof(choice);
	struct fbk_vk *vk = NULL;
	choice.get = fake_get;
	fake.hidden[0] = choices[_i].hidden;
	ck_assert_int_eq(fbk_vk_open(&choice, &vk), choices[_i].result);
	expect_said(choices[_i].said);
	ck_assert_ptr_null(vk);
}
END_TEST

/* Structs begin with their size: a shorter one is refused, a longer one works while its tail says nothing. */
START_TEST(struct_sizes)
{
	struct fbk_vk *vk = NULL;
	struct fbk_vk_buffer buffer;
	struct {
		struct fbk_vk_choice choice;
		uint64_t later;
	} longer = { { .struct_size = sizeof(longer), .get = fake_get, .skip = 100 }, 0 };
	ck_assert_int_eq(fbk_vk_open(&longer.choice, &vk), -ENOENT);
	longer.later = 1;
	ck_assert_int_eq(fbk_vk_open(&longer.choice, &vk), -E2BIG);
	longer.choice.struct_size = sizeof(longer.choice) - 1;
	ck_assert_int_eq(fbk_vk_open(&longer.choice, &vk), -EINVAL);
	expect_said("struct_size is");
	begin();
	struct fbk_vk_handles handles = *fbk_vk_handles(gpu.vk);
	handles.struct_size--;
	ck_assert_uint_eq(fbk_vk_abilities(&handles), 0);
	ck_assert_int_eq(fbk_vk_create(&handles, &vk), -EINVAL);
	struct fbk_vk_memory memory = { .struct_size = sizeof(memory) - 1 };
	ck_assert_int_eq(fbk_vk_buffer_import(gpu.vk, &memory, &buffer), -EINVAL);

	struct fbk_device_desc desc, untouched;
	memset(&desc, 0xa5, sizeof(desc));
	desc.struct_size = sizeof(desc) - 1;
	untouched = desc;
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &desc), -EINVAL);
	ck_assert_mem_eq(&desc, &untouched, sizeof(desc));
	ck_assert_ptr_null(vk);
}
END_TEST

/* ---------------------------------------------------------------------- a device of one's own -- */

START_TEST(adopted)
{
	struct fbk_vk *again;
	const char *names[FBK_VK_EXTENSIONS];
	begin();
	struct fbk_vk_handles handles = *fbk_vk_handles(gpu.vk);
	ck_assert_uint_eq(fbk_vk_abilities(&handles), handles.abilities);
	ck_assert(handles.abilities & FBK_VK_ABILITY_HOST_POINTER);
	handles.abilities = FBK_VK_ABILITY_HOST_POINTER;
	ck_assert_uint_eq(fbk_vk_extensions(&handles, names), 1);
	ck_assert_str_eq(names[0], HOST);
	ck_assert_int_eq(fbk_vk_create(&handles, &again), 0);
	ck_assert_str_eq(fbk_vk_name(again), fbk_vk_name(gpu.vk));
	fbk_vk_destroy(again); /* and not the VkDevice */
	handles.abilities = FBK_VK_ABILITY_STORE64 | FBK_VK_ABILITY_TIMELINES;
	ck_assert_int_eq(fbk_vk_create(&handles, &again), -EOPNOTSUPP);
	expect_said("has no way to import memory");
	handles.abilities = FBK_VK_ABILITY_HOST_POINTER | FBK_VK_ABILITY_SEMAPHORE_FDS;
	handles.get = fake_get_real();
	ck_assert_int_eq(fbk_vk_create(&handles, &again), -EOPNOTSUPP);
	expect_said("the device was made without VK_KHR_external_semaphore_fd");
	end();
}
END_TEST

/* --------------------------------------------------------------------------------- alignment -- */

/* The device asks for the pages that its driver can import. */
START_TEST(alignment_is_asked_for)
{
	fake.host_alignment = 1 << 20;
	begin();
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	ck_assert_uint_eq(engine.desc.page_align, 1 << 20);
	engine_signal(&engine, &gpu, 1);
	gpu_idle(&gpu);
	ck_assert_uint_eq(engine_word(&engine), 1);
	engine_close(&engine);
	end();
}
END_TEST

START_TEST(alignment_above_the_page)
{
	struct fbk_vk_signal *signal = NULL;
	fake.host_alignment = 1 << 16;
	begin();
	engine.desc.struct_size = sizeof(engine.desc);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &engine.desc), 0);
	engine.desc.page_align = 4096;
	ck_assert_int_eq(
		fbk_vk_signal_create(gpu.vk, timeline_of(&engine.desc), FBK_VK_WAY_BEST, &signal),
		-EINVAL);
	expect_said("the driver takes multiples of 65536 bytes, these are 4096 bytes");
	ck_assert_ptr_null(signal);
	end();
}
END_TEST

START_TEST(alignment_above_all_pages)
{
	fake.host_alignment = 1 << 22;
	begin();
	engine.desc.struct_size = sizeof(engine.desc);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &engine.desc), -ERANGE);
	expect_said("multiples of 4194304 bytes, more than the largest alignment");
	end();
}
END_TEST

/* ----------------------------------------------------------------------------------- imports -- */

/* What a driver that takes dma-bufs refuses is the page itself, where the daemon has dma-bufs. */
START_TEST(driver_refuses)
{
	struct fbk_vk_signal *signal = NULL;
	const char *of_dmabuf = "the device was made without " DMA_BUF;
	if (_i == 1) {
		fake.added[0] = DMA_BUF;
		of_dmabuf = access("/dev/udmabuf", R_OK | W_OK) == 0
				    ? "vkAllocateMemory: VK_ERROR_INVALID_EXTERNAL_HANDLE"
				    : "this memory has no dma-buf";
	}
	fake.allocation = VK_ERROR_INVALID_EXTERNAL_HANDLE;
	begin();
	engine.desc.struct_size = sizeof(engine.desc);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &engine.desc), 0);
	ck_assert_int_eq(
		fbk_vk_signal_create(gpu.vk, timeline_of(&engine.desc), FBK_VK_WAY_BEST, &signal),
		-EOPNOTSUPP);
	expect_said("neither as a dma-buf (");
	expect_said(of_dmabuf);
	expect_said("nor by pointer (vkAllocateMemory: VK_ERROR_INVALID_EXTERNAL_HANDLE)");
	ck_assert_ptr_null(signal);
	end();
}
END_TEST

START_TEST(somebody_elses)
{
	struct fbk_vk_signal *signal = NULL;
	begin();
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_timeline *seen = peer_open(other, engine.timeline, FBK_RIGHT_WAIT);
	ck_assert_int_eq(fbk_vk_signal_create(gpu.vk, seen, FBK_VK_WAY_BEST, &signal), -EPERM);
	ck_assert(fbk_vk_error_detail()[0]);
	ck_assert_ptr_null(signal);
	fbk_disconnect(other);
	engine_close(&engine);
	end();
}
END_TEST

static const struct {
	enum fbk_vk_way way;
	int result;
	const char *said;
} ways[] = {
	{ FBK_VK_WAY_STORE, -EOPNOTSUPP,
	  "by a store of 64 bits: it lacks VK_KHR_shader_atomic_int64" },
	{ FBK_VK_WAY_MARKER, -EOPNOTSUPP, "by a marker: it lacks VK_AMD_buffer_marker" },
	{ FBK_VK_WAY_UPDATE + 1, -EINVAL, "is not a way to signal" },
	{ FBK_VK_WAY_BEST, 0, "" },
};

START_TEST(no_such_way)
{
	struct fbk_vk_signal *signal = NULL;
	fake.no_atomics = true;
	begin();
	engine.desc.struct_size = sizeof(engine.desc);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &engine.desc), 0);
	int r = fbk_vk_signal_create(gpu.vk, timeline_of(&engine.desc), ways[_i].way, &signal);
	ck_assert_int_eq(r, ways[_i].result);
	if (r == 0) {
		ck_assert_int_eq(fbk_vk_signal_way(signal), FBK_VK_WAY_UPDATE);
		fbk_vk_signal_destroy(signal);
	} else {
		expect_said(ways[_i].said);
	}
	end();
}
END_TEST

/* ------------------------------------------------------------------------------- device lost -- */

START_TEST(device_lost)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	begin();
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	struct fbk_context *other = peer_connect(&server);
	struct fbk_timeline *seen = peer_open(other, engine.timeline, FBK_RIGHT_WAIT);
	engine_signal(&engine, &gpu, 3);
	gpu_idle(&gpu);
	ck_assert_int_eq(fbk_vk_check(gpu.vk, VK_SUCCESS, "vkQueueSubmit"), 0);
	ck_assert_int_eq(fbk_vk_check(gpu.vk, VK_TIMEOUT, "vkWaitForFences"), -ETIMEDOUT);
	ck_assert_int_eq(fbk_vk_check(gpu.vk, VK_ERROR_DEVICE_LOST, "vkQueueSubmit"), -EIO);
	ck_assert_str_eq(fbk_vk_error_detail(), "vkQueueSubmit: VK_ERROR_DEVICE_LOST");
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ seen, 3 }, FBK_DEADLINE_MAX), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ seen, 4 }, FBK_DEADLINE_MAX), -EIO);
	ck_assert_int_eq(fbk_timeline_info(seen, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_FAILED);
	ck_assert_msg(strstr(info.reason, fbk_vk_name(gpu.vk)) != NULL, "%s", info.reason);
	ck_assert_msg(strstr(info.reason, "was lost: it hung, or was reset") != NULL, "%s",
		      info.reason);
	ck_assert_int_eq(fbk_vk_check(gpu.vk, VK_ERROR_DEVICE_LOST, "again"), -EIO);
	struct fbk_vk_signal *signal;
	ck_assert_int_eq(fbk_vk_signal_create(gpu.vk, engine.timeline, FBK_VK_WAY_BEST, &signal),
			 -EIO);
	expect_said("was lost");
	fbk_disconnect(other);
	engine_close(&engine);
	end();
}
END_TEST

/* The validation layer is there, and what it has to say ends a test: without that nothing above would
 * show that what we do is allowed. */
START_TEST(validated)
{
	struct fbk_vk_buffer buffer;
	begin();
	struct fbk_vk_memory memory = {
		.struct_size = sizeof(struct fbk_vk_memory),
		.address = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
				0),
		.size = 65536,
		.dmabuf_fd = -1,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT, /* and not DST */
	};
	ck_assert_int_eq(fbk_vk_buffer_import(gpu.vk, &memory, &buffer), 0);
	pid_t pid = fork();
	if (pid == 0) {
		gpu_fill(&gpu, gpu_begin(&gpu), buffer.buffer, 1);
		_exit(0);
	}
	ck_assert_int_eq(child_wait(pid), 128 + SIGTRAP);
	fbk_vk_buffer_release(gpu.vk, &buffer);
	end();
}
END_TEST

static void add(TCase *tcase)
{
	ADD_LOOP(tcase, no_driver, driver_variables);
	ADD_LOOP(tcase, no_device_fits, choices);
	tcase_add_test(tcase, struct_sizes);
	tcase_add_test(tcase, adopted);
	tcase_add_test(tcase, alignment_is_asked_for);
	tcase_add_test(tcase, alignment_above_the_page);
	tcase_add_test(tcase, alignment_above_all_pages);
	tcase_add_loop_test(tcase, driver_refuses, 0, 2);
	tcase_add_test(tcase, somebody_elses);
	ADD_LOOP(tcase, no_such_way, ways);
	tcase_add_test(tcase, device_lost);
	tcase_add_test(tcase, validated);
}

int main(void)
{
	return gpu_suite("refused", add);
}
