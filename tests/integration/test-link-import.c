// SPDX-License-Identifier: MIT
/* Buffers that a consumer imports, accepts or refuses, and what they say of themselves. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-format.h"

/* ------------------------------------------------------------------------------------------ imports -- */

/* What fbk_link_import() said, in order. */
struct imports {
	uint32_t calls, gone;
	uint32_t index;                 /* of the last */
	struct fbk_buffer_desc desc[8]; /* by index */
	uint64_t refuse;                /* that modifier */
};

static int import(void *arg, struct fbk_link *link, uint32_t index,
		  const struct fbk_buffer_desc *buffer)
{
	struct imports *imports = arg;
	(void)link;
	EXPECT(index < 8);
	imports->index = index;
	imports->gone += !buffer;
	imports->calls += buffer != NULL;
	if (buffer) {
		imports->desc[index] = *buffer;
	}
	return buffer && imports->refuse && buffer->modifier == imports->refuse ? -ENODEV : 0;
}

static int import_some(struct sink *sink, struct imports *imports)
{
	return fbk_link_import(sink->link, import, imports);
}

START_TEST(imported_before_frames)
{
	struct imports imports = { 0 };
	struct source source;
	struct sink sink;
	source_open(&source, NULL, 0);
	source_fill(&source, 2);
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	ck_assert_uint_eq(imports.calls, 2);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	ck_assert_uint_eq(imports.calls, 2); /* each once */
	ck_assert_uint_eq(info_of(source.link).accepted, 3);
	uint64_t before = info_of(sink.link).generation;
	/* One that comes, one that goes, one in another's place: seen before its frame. */
	ck_assert_int_eq(source_add(&source, 2, NV12, 0), 0);
	ck_assert_int_eq(source_hand(&source, 2), 1);
	ck_assert_uint_eq(sink_next(&sink, 0), 2);
	ck_assert_uint_eq(imports.calls, 3);
	ck_assert_uint_eq(imports.desc[2].fourcc, NV12);
	ck_assert_uint_gt(info_of(sink.link).generation, before);
	ck_assert_int_eq(fbk_exchange_remove(source.exchange, 0), 0);
	ck_assert_int_eq(sink_try(&sink), -ETIMEDOUT);
	ck_assert_uint_eq(imports.gone, 1);
	ck_assert_uint_eq(imports.index, 0);
	ck_assert_int_eq(fbk_exchange_remove(source.exchange, 1), 0);
	ck_assert_int_eq(source_add(&source, 1, NV12, 7), 0);
	ck_assert_int_eq(sink_try(&sink), -ETIMEDOUT);
	ck_assert_uint_eq(imports.calls, 4);
	ck_assert_uint_eq(imports.gone, 1);
	ck_assert_uint_eq(imports.desc[1].modifier, 7);
	expect_refused(fbk_link_import(source.link, import, &imports), -EPERM, "producer");
	sink_close(&sink);
	source_close(&source);
}
END_TEST

static void frame_there(void *arg, struct fbk_link *link)
{
	(void)link;
	++*(int *)arg;
}

/* In an event loop too. */
START_TEST(imports_are_watched_for)
{
	struct imports imports = { 0 };
	struct source source;
	struct sink sink;
	int fired = 0;
	source_open(&source, NULL, 0);
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	ck_assert_int_eq(fbk_link_watch(sink.link, frame_there, &fired, NULL), 0);
	source_fill(&source, 1);
	while (!fired) {
		loop_turn(sink.context);
	}
	ck_assert_int_eq(sink_try(&sink), -ETIMEDOUT);
	ck_assert_uint_eq(imports.calls, 1);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

START_TEST(refused)
{
	struct fbk_format formats[2] = { format_of(XR24, 1), format_of(XR24, 2) };
	const struct fbk_format *list[] = { &formats[0], &formats[1] }, *found;
	struct imports imports = { .refuse = 1 };
	struct source source;
	struct sink sink;
	source_open(&source, list, 2);
	ck_assert_int_eq(source_add(&source, 0, XR24, 1), 0);
	ck_assert_int_eq(source_add(&source, 1, XR24, 2), 0);
	sink_open(&sink, &source, list, 2);
	uint64_t before = info_of(source.link).generation;
	ck_assert_uint_eq(joined_get(source.link, 0)->modifier, 1);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	ck_assert_uint_eq(info_of(source.link).refused, 1);
	ck_assert_uint_eq(info_of(source.link).accepted, 2);
	ck_assert_uint_gt(info_of(source.link).generation, before);
	expect_refused(source_hand(&source, 0), -ENOTSUP, "encoder has refused buffer 0");
	ck_assert_int_eq(source_hand(&source, 1), 1);
	ck_assert_uint_eq(sink_next(&sink, 0), 1);
	/* Its modifier is dropped, by number and for new buffers; numbers stay. */
	expect_refused(fbk_link_format(source.link, 0, &found), -ENOTSUP, "refused");
	expect_refused(fbk_link_format(sink.link, 0, &found), -ENOTSUP, "refused");
	ck_assert_uint_eq(joined_get(source.link, 1)->modifier, 2);
	expect_refused(source_add(&source, 2, XR24, 1), -ENOTSUP, "encoder (pid");
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "No such device"));
	ck_assert_int_eq(source_add(&source, 2, XR24, 2), 0);
	ck_assert_int_eq(fbk_exchange_remove(source.exchange, 0), 0);
	expect_refused(source_add(&source, 0, XR24, 1), -ENOTSUP, "encoder (pid");
	/* The next consumer may be another. */
	sink_close(&sink);
	ck_assert_int_eq(source_add(&source, 0, XR24, 1), 0);
	sink_open(&sink, &source, list, 2);
	ck_assert_uint_eq(joined_get(source.link, 0)->modifier, 1);
	ck_assert_int_eq(source_hand(&source, 0), 1);
	ck_assert_uint_eq(sink_next(&sink, 0), 0);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

/* It was handed over before the consumer looked at it: it comes back by itself. */
START_TEST(refused_on_its_way)
{
	struct imports imports = { .refuse = 1 };
	struct source source;
	struct sink sink;
	uint32_t index;
	source_open(&source, NULL, 0);
	ck_assert_int_eq(source_add(&source, 0, XR24, 1), 0);
	ck_assert_int_eq(source_add(&source, 1, XR24, 2), 0);
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(source_hand(&source, 0), 1);
	ck_assert_int_eq(source_hand(&source, 1), 1);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	ck_assert_uint_eq(sink_next(&sink, 0), 1);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_int_eq(
			fbk_exchange_take(source.exchange, deadline_ms(PATIENCE_MS), &index, NULL),
			0);
		ck_assert_uint_eq(index, i);
	}
	ck_assert_int_eq(sink_try(&sink), -ETIMEDOUT);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

/* Others get it; who refused it sees that something is missing. */
START_TEST(refused_by_one)
{
	struct imports imports = { .refuse = 1 };
	struct source source, second;
	struct sink sink, other;
	struct fbk_frame *frame = NULL;
	source_open(&source, NULL, 0);
	ck_assert_int_eq(source_try(&second, NULL, 0), 0);
	ck_assert_int_eq(fbk_exchange_attach(source.exchange, second.link), 0);
	ck_assert_int_eq(source_add(&source, 0, XR24, 1), 0);
	ck_assert_int_eq(source_add(&source, 1, XR24, 2), 0);
	sink_open(&sink, &source, NULL, 0);
	sink_open(&other, &second, NULL, 0);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	ck_assert_int_eq(source_hand(&source, 0), 1);
	ck_assert_int_eq(source_hand(&source, 1), 2);
	ck_assert_uint_eq(sink_next(&other, 0), 0);
	ck_assert_uint_eq(sink_next(&other, 0), 1);
	ck_assert_int_eq(fbk_link_next(sink.link, deadline_ms(PATIENCE_MS), &frame), 0);
	ck_assert_uint_eq(fbk_frame_index(frame), 1);
	ck_assert_uint_eq(fbk_frame_meta(frame)->flags, FBK_FRAME_DISCONT);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	/* One that is refused is added to none. */
	expect_refused(source_add(&source, 2, XR24, 1), -ENOTSUP, "has refused");
	ck_assert_int_eq(source_add(&source, 2, XR24, 2), 0);
	sink_close(&other);
	sink_close(&sink);
	fbk_exchange_destroy(source.exchange);
	fbk_link_close(second.link);
	close(second.offer);
	fbk_link_close(source.link);
	close(source.offer);
}
END_TEST

/* ------------------------------------------------------------------------------------------ buffers -- */

static ino_t inode_of(int fd)
{
	struct stat stat;
	EXPECT(fstat(fd, &stat) == 0);
	return stat.st_ino;
}

/* Four planes in four fds, in one, and in two. */
START_TEST(planes)
{
	static const bool own[][FBK_PLANES_MAX] = { { 1, 1, 1, 1 },
						    { 1, 0, 0, 0 },
						    { 1, 0, 1, 0 } };
	struct imports imports = { 0 };
	struct source source;
	struct sink sink;
	ino_t inodes[FBK_PLANES_MAX];
	struct fbk_buffer_desc desc = { .struct_size = sizeof(desc),
					.memory = FBK_MEMORY_MEMFD,
					.plane_count = FBK_PLANES_MAX,
					.offset = { 0, 64, 128, 192 },
					.stride = { 1, 2, 3, 4 } };
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		struct buffer buffer;
		buffer_create(&buffer);
		desc.fd[i] = own[_i][i] ? buffer_desc(&buffer).fd[0] : -1;
		inodes[i] = inode_of(buffer.fd);
		buffer_destroy(&buffer);
	}
	source_open(&source, NULL, 0);
	int r = fbk_exchange_add(source.exchange, 0, &desc);
	ck_assert_msg(r == 0, "%s", fbk_error_detail());
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(import_some(&sink, &imports), 0);
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		const struct fbk_buffer_desc *found = &imports.desc[0];
		ck_assert_uint_eq(found->offset[i], 64 * i);
		ck_assert_uint_eq(found->stride[i], i + 1);
		if (own[_i][i]) {
			ck_assert_uint_eq(inode_of(found->fd[i]), inodes[i]);
		} else {
			ck_assert_int_eq(found->fd[i], -1);
		}
	}
	sink_close(&sink);
	source_close(&source);
}
END_TEST

START_TEST(wrong_memory)
{
	struct source source;
	struct buffer buffer;
	source_open(&source, NULL, 0);
	buffer_create(&buffer);
	for (int kind = 0; kind < 4; kind++) {
		struct fbk_buffer_desc desc = buffer_desc(&buffer);
		desc.memory = (enum fbk_memory_kind)kind;
		int r = fbk_exchange_add(source.exchange, 0, &desc);
		if (kind == FBK_MEMORY_MEMFD) {
			ck_assert_int_eq(r, 0);
			ck_assert_int_eq(fbk_exchange_remove(source.exchange, 0), 0);
		} else {
			expect_refused(r, -EINVAL, "buffer 0 is a memfd: its memory is 2");
		}
	}
	/* Pixel formats do not fix the number of planes: modifiers add some. */
	struct fbk_buffer_desc desc = buffer_desc(&buffer);
	desc.plane_count = 3;
	ck_assert_int_eq(fbk_exchange_add(source.exchange, 0, &desc), 0);
	buffer_destroy(&buffer);
	source_close(&source);
}
END_TEST

static int add_visible(const struct source *source, uint32_t index, uint32_t visibility)
{
	struct buffer buffer;
	buffer_create(&buffer);
	struct fbk_buffer_desc desc = buffer_desc(&buffer);
	buffer_destroy(&buffer);
	desc.visibility = (enum fbk_visibility)visibility;
	return fbk_exchange_add(source->exchange, index, &desc);
}

static void expect_visible(struct sink *sink, uint32_t index, enum fbk_visibility visibility)
{
	static struct imports imports; /* each is imported once */
	ck_assert_int_eq(import_some(sink, &imports), 0);
	ck_assert_int_eq(imports.desc[index].visibility, visibility);
}

/* A buffer's own, or its device's. The route goes by what is there when a peer accepts. */
START_TEST(visibility)
{
	const struct fbk_device_desc flushed = { .struct_size = sizeof(struct fbk_device_desc),
						 .name = "nic",
						 .device_class = FBK_CLASS_NETWORK,
						 .waits = FBK_FENCE_MEMORY64,
						 .signals = FBK_FENCE_MEMORY64,
						 .visibility = FBK_VISIBILITY_FLUSH };
	struct source source;
	struct sink sink;
	source_open(&source, NULL, 0);
	ck_assert_int_eq(add_visible(&source, 0, FBK_VISIBILITY_ORDERED), 0);
	ck_assert_int_eq(add_visible(&source, 2, FBK_VISIBILITY_IRQ), 0);
	expect_refused(add_visible(&source, 3, 3), -EINVAL, "not a visibility");
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(info_of(sink.link).acquire, FBK_ROUTE_NATIVE);
	expect_refused(add_visible(&source, 1, FBK_VISIBILITY_FLUSH), -ENOTSUP, "waits by native");
	expect_visible(&sink, 0, FBK_VISIBILITY_ORDERED);
	expect_visible(&sink, 2, FBK_VISIBILITY_IRQ);
	sink_close(&sink);
	ck_assert_int_eq(add_visible(&source, 1, FBK_VISIBILITY_FLUSH), 0);
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(info_of(sink.link).acquire, FBK_ROUTE_CPU_WAIT);
	expect_visible(&sink, 1, FBK_VISIBILITY_FLUSH);
	ck_assert_int_eq(source_hand(&source, 1), 1);
	ck_assert_uint_eq(sink_next(&sink, 0), 1);
	sink_close(&sink);
	source_close(&source);
	stage.device = link_device(stage.context, &flushed);
	source_open(&source, NULL, 0);
	ck_assert_int_eq(add_visible(&source, 0, FBK_VISIBILITY_ORDERED), 0);
	sink_open(&sink, &source, NULL, 0);
	ck_assert_int_eq(info_of(sink.link).acquire, FBK_ROUTE_CPU_WAIT);
	expect_visible(&sink, 0, FBK_VISIBILITY_FLUSH);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, stage_setup, stage_teardown);
	tcase_add_test(tcase, imported_before_frames);
	tcase_add_test(tcase, imports_are_watched_for);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, refused_on_its_way);
	tcase_add_test(tcase, refused_by_one);
	tcase_add_loop_test(tcase, planes, 0, 3);
	tcase_add_test(tcase, wrong_memory);
	tcase_add_test(tcase, visibility);
}

int main(void)
{
	return suite_main("link-import", add);
}
