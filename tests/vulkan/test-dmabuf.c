// SPDX-License-Identifier: MIT
/* Memory by dma-buf, for a driver that takes it so. Where the daemon has dma-bufs this is a real one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-gpu.h"

static struct gpu gpu;

/* Imported by its fd alone; what the device writes is in it, and the fd stays the caller's. */
static void memory_written(void)
{
	struct fbk_vk_buffer buffer;
	struct fbk_vk_memory memory = {
		.struct_size = sizeof(struct fbk_vk_memory),
		.size = 65536,
		.dmabuf_fd = memfd_create("dma-buf", MFD_CLOEXEC),
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	ck_assert_int_eq(ftruncate(memory.dmabuf_fd, (off_t)memory.size), 0);
	int r = fbk_vk_buffer_import(gpu.vk, &memory, &buffer);
	ck_assert_msg(r == 0, "%s", fbk_vk_error_detail());
	VkCommandBuffer commands = gpu_begin(&gpu);
	gpu_fill(&gpu, commands, buffer.buffer, 0x12345678);
	gpu_submit(&gpu, commands, VK_NULL_HANDLE, 0);
	gpu_idle(&gpu);
	uint32_t word = 0;
	ck_assert_int_eq((int)pread(memory.dmabuf_fd, &word, sizeof(word), 65532), sizeof(word));
	ck_assert_uint_eq(word, 0x12345678);
	fbk_vk_buffer_release(gpu.vk, &buffer);
	close(memory.dmabuf_fd);
	memory.dmabuf_fd = -1;
	ck_assert_int_eq(fbk_vk_buffer_import(gpu.vk, &memory, &buffer), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(
		strstr(fbk_vk_error_detail(), "as a dma-buf (this memory has no dma-buf)"));
}

/* A driver that takes dma-bufs gets them first. */
START_TEST(any_memory)
{
	fake.added[0] = DMA_BUF;
	fake.hidden[0] = HOST;
	gpu_open_fake(&gpu);
	memory_written();
	ck_assert_uint_eq(fake.dmabufs, 1);
	gpu_close(&gpu);
}
END_TEST

/* And the machine's own, if it takes them: a software rasteriser maps the fd, so a memfd will do. */
START_TEST(by_the_driver)
{
	gpu_open(&gpu);
	const struct fbk_vk_handles *handles = fbk_vk_handles(gpu.vk);
	if (!(handles->abilities & FBK_VK_ABILITY_DMA_BUF)) {
		printf("not tried: %s lacks " DMA_BUF "\n", fbk_vk_name(gpu.vk));
	} else if (!strstr(fbk_vk_name(gpu.vk), "llvmpipe")) {
		printf("not tried: %s takes real dma-bufs only\n", fbk_vk_name(gpu.vk));
	} else {
		memory_written();
	}
	gpu_close(&gpu);
}
END_TEST

/* The daemon makes the pages what the driver takes, as far as it can. */
START_TEST(of_a_timeline)
{
	struct daemon server;
	struct engine engine = { 0 };
	fake.added[0] = DMA_BUF;
	daemon_serve(&server, NULL);
	gpu_open_fake(&gpu);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_context *other = peer_connect(&server);
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	ck_assert_uint_eq(engine.desc.backings, FBK_BACKING_HOST | FBK_BACKING_DMABUF);
	bool real = access("/dev/udmabuf", R_OK | W_OK) == 0;
	ck_assert_int_eq(fbk_device_backing(engine.device),
			 real ? FBK_BACKING_DMABUF : FBK_BACKING_HOST);
	ck_assert_uint_eq(fake.dmabufs, real ? 1 : 0);
	struct fbk_timeline *seen = peer_open(other, engine.timeline, FBK_RIGHT_WAIT);
	engine_signal(&engine, &gpu, 4);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ seen, 4 }, deadline_ms(PATIENCE_MS)),
			 0);
	ck_assert_uint_eq(engine_word(&engine), 4);
	gpu_idle(&gpu);
	engine_close(&engine);
	gpu_close(&gpu);
	fbk_disconnect(other);
	fbk_disconnect(context);
	daemon_stop(&server);
}
END_TEST

static const struct {
	const char *hidden, *added;
	uint32_t backings;
} drivers[] = {
	{ NULL, NULL, FBK_BACKING_HOST },
	{ HOST, DMA_BUF, FBK_BACKING_DMABUF },
	{ NULL, DMA_BUF, FBK_BACKING_HOST | FBK_BACKING_DMABUF },
};

START_TEST(described)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
	fake.hidden[0] = drivers[_i].hidden;
	fake.added[0] = drivers[_i].added;
	gpu_open_fake(&gpu);
	ck_assert_int_eq(fbk_vk_describe(gpu.vk, "gpu0", &desc), 0);
	ck_assert_uint_eq(desc.backings, drivers[_i].backings);
	gpu_close(&gpu);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, any_memory);
	tcase_add_test(tcase, by_the_driver);
	tcase_add_test(tcase, of_a_timeline);
	ADD_LOOP(tcase, described, drivers);
}

int main(void)
{
	return gpu_suite("dmabuf", add);
}
