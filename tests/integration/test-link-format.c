// SPDX-License-Identifier: MIT
/* Formats that both ends of a link allow, lists that are none, and peers that do not fit. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib-format.h"

/* --------------------------------------------------------------------------------- what both allow -- */

static void expect_data(const struct fbk_format *format, const char *data)
{
	ck_assert_uint_eq(format->data_size, strlen(data));
	EXPECT(memcmp(format->data, data, format->data_size) == 0);
}

START_TEST(joined)
{
	struct fbk_format one = format_of(XR24, 5), two = format_of(NV12, 0);
	struct fbk_format other = format_of(XR24, 5), none = format_of(XR24, 6);
	one.stride_align = 48;
	one.width_max = 4096;
	one.data = "drawn";
	one.data_size = 5;
	one.color = (struct fbk_color){ .primaries = 9,
					.max_cll = 1000,
					.primary_x = { 1, 2, 65535 },
					.white_y = 7,
					.luminance_max = 10000000,
					.luminance_min = 5 };
	other.stride_align = 64;
	other.width_min = 16;
	other.width_max = 1920;
	other.data = "read";
	other.data_size = 4;
	other.color.max_cll = 600;
	other.color.alpha = 2;
	struct source source;
	struct sink sink;
	const struct fbk_format *format = NULL;
	source_open(&source, (const struct fbk_format *[]){ &two, &one }, 2);
	expect_refused(fbk_link_format(source.link, 0, &format), -EPIPE, "no peer");
	sink_open(&sink, &source, (const struct fbk_format *[]){ &none, &other, &two }, 3);
	for (int i = 0; i < 2; i++) {
		struct fbk_link *link = i ? sink.link : source.link;
		ck_assert_uint_eq(joined_get(link, 0)->fourcc, NV12); /* the producer's order */
		ck_assert_ptr_null(joined_get(link, 0)->data);
		format = joined_get(link, 1);
		ck_assert_uint_eq(format->struct_size, sizeof(*format));
		ck_assert_uint_eq(format->modifier, 5);
		ck_assert_uint_eq(format->stride_align, 192);
		ck_assert_uint_eq(format->width_min, 16);
		ck_assert_uint_eq(format->width_max, 1920);
		ck_assert_uint_eq(format->color.primaries, 9);
		ck_assert_uint_eq(format->color.alpha, 2);
		ck_assert_uint_eq(format->color.max_cll, 1000);
		ck_assert_uint_eq(format->color.primary_x[2], 65535);
		ck_assert_uint_eq(format->color.white_y, 7);
		ck_assert_uint_eq(format->color.luminance_max, 10000000);
		ck_assert_uint_eq(format->color.luminance_min, 5);
		expect_data(format, i ? "drawn" : "read");
		expect_refused(fbk_link_format(link, 2, &format), -ENOENT, "no format 2");
		expect_refused(fbk_link_format(link, UINT32_MAX, &format), -ENOENT, "no format");
	}
	sink_close(&sink);
	source_close(&source);
}
END_TEST

/* An end without a list allows everything; the data is the peer's all the same. */
START_TEST(one_list)
{
	struct fbk_format format = format_of(0, 0);
	const struct fbk_format *list[] = { &format }, *found;
	struct source source;
	struct sink sink;
	format.data = "caps";
	format.data_size = 4;
	for (int i = 0; i < 3; i++) {
		source_open(&source, i == 1 ? list : NULL, i == 1);
		sink_open(&sink, &source, i == 2 ? list : NULL, i == 2);
		if (i == 0) {
			expect_refused(fbk_link_format(source.link, 0, &found), -ENOENT,
				       "0 formats");
		} else {
			expect_data(joined_get(i == 1 ? sink.link : source.link, 0), "caps");
			ck_assert_ptr_null(joined_get(i == 1 ? source.link : sink.link, 0)->data);
		}
		sink_close(&sink);
		source_close(&source);
	}
}
END_TEST

/* Formats that differ in the application's data alone are different ones. */
START_TEST(data_tells_apart)
{
	struct fbk_format formats[3] = { format_of(0, 0), format_of(0, 0), format_of(0, 0) };
	const struct fbk_format *list[] = { &formats[0], &formats[1], &formats[2] }, *found;
	struct source source;
	struct sink sink;
	for (int i = 0; i < 3; i++) {
		formats[i].data = i == 1 ? "vp9" : "av1";
		formats[i].data_size = 3;
	}
	source_open(&source, list, 3);
	sink_open(&sink, &source, NULL, 0);
	/* a list alone stays as it is */
	expect_data(joined_get(sink.link, 2), "av1");
	sink_close(&sink);
	sink_open(&sink, &source, list, 2);
	expect_data(joined_get(sink.link, 0), "av1");
	expect_data(joined_get(source.link, 1), "vp9");
	expect_data(joined_get(sink.link, 2), "vp9");
	expect_refused(fbk_link_format(sink.link, 4, &found), -ENOENT, "4 formats");
	sink_close(&sink);
	source_close(&source);
}
END_TEST

/* -------------------------------------------------------------------------------------- bad lists -- */

#define MANY 10000

START_TEST(too_many)
{
	static const struct fbk_format *list[MANY];
	static char data[FBK_FORMAT_DATA_MAX + 1];
	struct fbk_format format = format_of(XR24, 0);
	struct source source, full = { 0 };
	struct sink sink;
	for (int i = 0; i < MANY; i++) {
		list[i] = &format;
	}
	source_open(&source, NULL, 0);
	expect_refused(source_try(&full, list, MANY), -E2BIG, "10000 formats");
	expect_refused(source_try(&full, list, FBK_FORMATS_MAX + 1), -E2BIG, "at most 64");
	format.data = data;
	format.data_size = sizeof(data);
	expect_refused(source_try(&full, list, 1), -E2BIG, "at most 4096");
	ck_assert_ptr_null(full.link);
	format.data_size--;
	source_open(&full, list, FBK_FORMATS_MAX);
	sink_connect(&sink, "encoder");
	expect_refused(sink_accept(&sink, &source, 1, list, MANY), -E2BIG, "10000 formats");
	ck_assert_int_eq(sink_accept(&sink, &full, 1, list, FBK_FORMATS_MAX), 0);
	ck_assert_uint_eq(joined_get(sink.link, 0)->data_size, FBK_FORMAT_DATA_MAX);
	sink_close(&sink);
	source_close(&full);
	sink_open(&sink, &source, NULL, 0);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

static void bad_memory(struct fbk_format *format)
{
	format->memory = 3;
}
static void bad_range(struct fbk_format *format)
{
	format->width_min = 2;
	format->width_max = 1;
}
static void bad_range_from(struct fbk_format *format)
{
	format->size_min = 1; /* to 0 */
}
static void bad_align(struct fbk_format *format)
{
	format->stride_align = UINT32_C(1) << 31;
}
static void bad_ratio(struct fbk_format *format)
{
	format->rate_num = 60;
}
static void bad_data(struct fbk_format *format)
{
	format->data_size = 1;
}
static void bad_size(struct fbk_format *format)
{
	format->struct_size--;
}
static const struct {
	void (*spoil)(struct fbk_format *format);
	const char *part;
} bad[] = {
	{ bad_memory, "memory" },    { bad_range, "range" }, { bad_range_from, "range" },
	{ bad_align, "2147483648" }, { bad_ratio, "ratio" }, { bad_data, "NULL" },
	{ bad_size, "struct_size" },
};

START_TEST(bad_formats)
{
	struct fbk_format format = format_of(XR24, 0), good = format_of(XR24, 0);
	const struct fbk_format *list[] = { &good, &format };
	struct source source = { 0 }, other;
	struct sink sink;
	bad[_i].spoil(&format);
	expect_refused(source_try(&source, list, 2), -EINVAL, bad[_i].part);
	ck_assert_ptr_null(source.link);
	source_open(&other, NULL, 0);
	sink_connect(&sink, "encoder");
	expect_refused(sink_accept(&sink, &other, 1, list, 2), -EINVAL, bad[_i].part);
	ck_assert_int_eq(sink_accept(&sink, &other, 1, list, 1), 0);
	sink_close(&sink);
	source_close(&other);
}
END_TEST

/* Alignments of 3 are good, and multiples that are too large keep formats apart. */
START_TEST(odd_alignments)
{
	struct fbk_format one = format_of(XR24, 0), other = format_of(XR24, 0);
	const struct fbk_format *ones[] = { &one }, *others[] = { &other };
	struct source source;
	struct sink sink;
	one.stride_align = 3;
	other.stride_align = UINT32_C(1) << 22;
	source_open(&source, ones, 1);
	sink_open(&sink, &source, others, 1);
	ck_assert_uint_eq(joined_get(sink.link, 0)->stride_align, 3U << 22);
	sink_close(&sink);
	other.stride_align = UINT32_C(1) << 24;
	sink_connect(&sink, "encoder");
	expect_refused(sink_accept(&sink, &source, 1, others, 1), -EOPNOTSUPP, "alignment");
	sink_close(&sink);
	source_close(&source);
}
END_TEST

/* A later version's structs are longer: good while the tail says nothing. */
START_TEST(struct_sizes)
{
	struct {
		struct fbk_format format;
		uint64_t tail;
	} longer = { .format = format_of(XR24, 0) };
	struct {
		struct fbk_link_desc desc;
		uint64_t tail;
	} wanted = { .desc = { .struct_size = sizeof(wanted), .role = FBK_ROLE_PRODUCER } };
	const struct fbk_format *list[] = { &longer.format };
	struct source source = { 0 };
	longer.format.struct_size = sizeof(longer);
	source_open(&source, list, 1);
	source_close(&source);
	longer.tail = 1;
	expect_refused(source_try(&source, list, 1), -E2BIG, "more than this library knows");
	int r = fbk_link_offer(stage.device, &wanted.desc, &source.offer, &source.link);
	ck_assert_int_eq(r, 0);
	fbk_link_close(source.link);
	close(source.offer);
	wanted.tail = 1;
	expect_refused(fbk_link_offer(stage.device, &wanted.desc, &source.offer, &source.link),
		       -E2BIG, "more than this library knows");
	wanted.desc.struct_size = sizeof(wanted.desc) - 1;
	expect_refused(fbk_link_offer(stage.device, &wanted.desc, &source.offer, &source.link),
		       -EINVAL, "struct_size");
}
END_TEST

/* ---------------------------------------------------------------------------------- who does not fit -- */

START_TEST(unfit)
{
	struct fbk_format nv12 = format_of(NV12, 0), small = format_of(XR24, 0);
	struct fbk_format fits = format_of(XR24, 0);
	const struct fbk_format *nv12s[] = { &nv12 }, *smalls[] = { &small },
				*fitting[] = { &fits };
	struct source source;
	struct sink sink;
	source_open(&source, fitting, 1);
	source_fill(&source, 3);
	sink_connect(&sink, "picky");
	expect_refused(sink_accept(&sink, &source, 1, nv12s, 1), -EOPNOTSUPP, "DRM format");
	/* the producer learns of it */
	struct fbk_link_info info = info_of(source.link);
	ck_assert_int_eq(info.phase, FBK_PHASE_OFFERED);
	ck_assert_msg(strstr(info.unfit, "picky") && strstr(info.unfit, "DRM format"), "%s",
		      info.unfit);
	expect_refused(source_hand(&source, 0), -EPIPE, "picky");
	/* the lists go together, and the buffers that are there don't */
	small.width_max = 16;
	expect_refused(sink_accept(&sink, &source, 1, smalls, 1), -EOPNOTSUPP, "buffer 0");
	ck_assert_ptr_nonnull(strstr(info_of(source.link).unfit, "buffer 0"));
	ck_assert_int_eq(sink_accept(&sink, &source, 1, fitting, 1), 0);
	ck_assert_int_eq(fbk_link_wait(source.link, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_str_eq(info_of(source.link).unfit, "");
	ck_assert_int_eq(source_hand(&source, 0), 1);
	ck_assert_uint_eq(sink_next(&sink, 0), 0);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

/* The consumer's number is that of its own link. */
START_TEST(buffers_of_formats)
{
	struct fbk_format formats[3] = { format_of(XR24, 1), format_of(XR24, 2),
					 format_of(NV12, 0) };
	const struct fbk_format *list[] = { &formats[0], &formats[1], &formats[2] };
	struct source source;
	struct sink sink;
	struct fbk_frame *frame = NULL;
	source_open(&source, list, 3);
	expect_refused(source_add(&source, 0, XR24, 3), -EINVAL, "none of the link's 3 formats");
	ck_assert_int_eq(source_add(&source, 0, NV12, 0), 0);
	sink_open(&sink, &source, list + 1, 2);
	expect_refused(source_add(&source, 1, XR24, 1), -EINVAL, "none of the link's 2 formats");
	ck_assert_int_eq(source_hand(&source, 0), 1);
	ck_assert_int_eq(fbk_link_next(sink.link, deadline_ms(PATIENCE_MS), &frame), 0);
	ck_assert_uint_eq(fbk_frame_buffer(frame)->format, 1);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

START_TEST(counts)
{
	struct source source;
	struct sink sink;
	source_open(&source, NULL, 0);
	sink_connect(&sink, "encoder");
	/* without buffers nothing is known */
	ck_assert_int_eq(sink_accept(&sink, &source, 64, NULL, 0), 0);
	fbk_link_close(sink.link);
	source_fill(&source, 3);
	ck_assert_int_eq(
		fbk_exchange_set_depth(source.exchange, source.link, 2, FBK_WHEN_FULL_WAIT), 0);
	expect_refused(sink_accept(&sink, &source, 2, NULL, 0), -ENOBUFS,
		       "holds 2 frames, and 2 more");
	ck_assert_ptr_nonnull(strstr(info_of(source.link).unfit, "3 buffers"));
	ck_assert_int_eq(sink_accept(&sink, &source, 1, NULL, 0), 0);
	expect_refused(fbk_exchange_set_depth(source.exchange, source.link, 3, FBK_WHEN_FULL_WAIT),
		       -ENOBUFS, "holds 1 frames, and 3 more are offered: the producer has 3");
	ck_assert_int_eq(source_add(&source, 3, XR24, 0), 0);
	ck_assert_int_eq(
		fbk_exchange_set_depth(source.exchange, source.link, 3, FBK_WHEN_FULL_WAIT), 0);
	fbk_link_close(sink.link);
	ck_assert_int_eq(
		fbk_exchange_set_depth(source.exchange, source.link, 0, FBK_WHEN_FULL_WAIT), 0);
	/* without a depth there is no sum */
	ck_assert_int_eq(sink_accept(&sink, &source, 64, NULL, 0), 0);
	sink_close(&sink);
	source_close(&source);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, stage_setup, stage_teardown);
	tcase_add_test(tcase, joined);
	tcase_add_test(tcase, one_list);
	tcase_add_test(tcase, data_tells_apart);
	tcase_add_test(tcase, too_many);
	ADD_LOOP(tcase, bad_formats, bad);
	tcase_add_test(tcase, odd_alignments);
	tcase_add_test(tcase, struct_sizes);
	tcase_add_test(tcase, unfit);
	tcase_add_test(tcase, buffers_of_formats);
	tcase_add_test(tcase, counts);
}

int main(void)
{
	return suite_main("link-format", add);
}
