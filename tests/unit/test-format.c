// SPDX-License-Identifier: MIT
/* Formats that two ends of a link have in common. */
#include "daemon/rules/format.h"

#include <errno.h>
#include <string.h>

#include "client/include/fencebroker.h"
#include "tests/suite.h"

#define XR24 0x34325258
#define NV12 0x3231564e
#define MOST 64

static char detail[FBK_REASON_SIZE];
static struct format_pair pairs[MOST];

static struct format format_of(uint32_t fourcc, uint64_t modifier)
{
	return (struct format){ .memory = FBK_MEMORY_DMABUF,
				.fourcc = fourcc,
				.modifier = modifier };
}

START_TEST(joined)
{
	struct format one = format_of(XR24, 5), other = one, both;
	one.width = (struct format_range){ 16, 1920 };
	other.width = (struct format_range){ 64, 4096 };
	other.size = (struct format_range){ 0, 1 << 20 };
	one.align[FORMAT_ALIGN_STRIDE] = 48;
	other.align[FORMAT_ALIGN_STRIDE] = 64;
	other.align[FORMAT_ALIGN_SIZE] = 4096;
	one.rate = (struct format_ratio){ 60, 2 };
	other.rate = (struct format_ratio){ 30, 1 };
	one.color[FORMAT_MATRIX] = 1;
	other.color[FORMAT_ALPHA] = 2;
	other.device = 77;
	ck_assert_int_eq(format_join(&one, &other, &both), 0);
	ck_assert_uint_eq(both.width.least, 64);
	ck_assert_uint_eq(both.width.most, 1920);
	ck_assert_uint_eq(both.height.most, 0);
	ck_assert_uint_eq(both.size.most, 1 << 20);
	ck_assert_uint_eq(both.align[FORMAT_ALIGN_STRIDE], 192);
	ck_assert_uint_eq(both.align[FORMAT_ALIGN_SIZE], 4096);
	ck_assert_uint_eq(both.align[FORMAT_ALIGN_WIDTH], 1);
	ck_assert_uint_eq(both.rate.num, 60);
	ck_assert_uint_eq(both.color[FORMAT_MATRIX], 1);
	ck_assert_uint_eq(both.color[FORMAT_ALPHA], 2);
	ck_assert_uint_eq(both.device, 77);
}
END_TEST

/* Each by itself keeps two formats apart, and the reason names it. */
#define APART(field, one_value, other_value, word)                                           \
	do {                                                                                 \
		struct format one = format_of(XR24, 5), other = one;                         \
		one.field = one_value;                                                       \
		other.field = other_value;                                                   \
		detail[0] = '\0';                                                            \
		ck_assert_uint_eq(formats_join(&one, 1, &other, 1, pairs, MOST, detail), 0); \
		ck_assert_msg(strstr(detail, word), "%s: %s", word, detail);                 \
	} while (0)
#define RANGE(least, most)    \
	(struct format_range) \
	{                     \
		least, most   \
	}
#define RATIO(num, den)       \
	(struct format_ratio) \
	{                     \
		num, den      \
	}

START_TEST(apart)
{
	APART(memory, FBK_MEMORY_DMABUF, FBK_MEMORY_MEMFD, "memory");
	APART(fourcc, XR24, NV12, "DRM format");
	APART(fourcc, XR24, 0, "bytes");
	APART(modifier, 5, 6, "modifier");
	APART(device, 1, 2, "device");
	APART(width, RANGE(1, 99), RANGE(100, 200), "width");
	APART(height, RANGE(1, 99), RANGE(100, 200), "height");
	APART(size, RANGE(1, 99), RANGE(100, 200), "size");
	APART(align[0], FORMAT_ALIGN_MAX, FORMAT_ALIGN_MAX - 1, "alignment");
	APART(rate, RATIO(30, 1), RATIO(30000, 1001), "rate");
	APART(aspect, RATIO(1, 1), RATIO(12, 11), "aspect");
	APART(color[FORMAT_TRANSFER], 1, 16, "color");
}
END_TEST

START_TEST(lists)
{
	struct format producer[3] = { format_of(XR24, 1), format_of(XR24, 2), format_of(NV12, 1) };
	struct format consumer[4] = { format_of(NV12, 1), format_of(XR24, 2), format_of(XR24, 2),
				      format_of(XR24, 9) };
	ck_assert_uint_eq(formats_join(producer, 3, consumer, 4, pairs, MOST, detail), 2);
	ck_assert_uint_eq(pairs[0].producer, 1); /* the producer's order */
	ck_assert_uint_eq(pairs[0].consumer, 1);
	ck_assert_uint_eq(pairs[1].joined.fourcc, NV12);
	ck_assert_uint_eq(formats_join(producer, 3, consumer, 4, pairs, 1, detail), 1);
	/* An empty list allows all. */
	ck_assert_uint_eq(formats_join(producer, 3, NULL, 0, pairs, MOST, detail), 3);
	ck_assert_uint_eq(pairs[2].producer, 2);
	ck_assert_uint_eq(pairs[2].consumer, UINT32_MAX);
	ck_assert_uint_eq(formats_join(NULL, 0, consumer, 4, pairs, 2, detail), 2);
	ck_assert_uint_eq(formats_join(NULL, 0, NULL, 0, pairs, MOST, detail), 0);
	/* The reason is that of the nearest pair. */
	detail[0] = '\0';
	ck_assert_uint_eq(formats_join(producer, 3, &consumer[3], 1, pairs, MOST, detail), 0);
	ck_assert_msg(strstr(detail, "modifier differs"), "%s", detail);
	ck_assert_msg(strstr(detail, "0x9"), "%s", detail);
}
END_TEST

START_TEST(checked)
{
	struct format format = format_of(XR24, 0);
	ck_assert_int_eq(format_check(&format, detail), 0);
	format.memory = 0;
	ck_assert_int_eq(format_check(&format, detail), -EINVAL);
	format.memory = 3;
	ck_assert_int_eq(format_check(&format, detail), -EINVAL);
	format = format_of(XR24, 0);
	format.size = RANGE(2, 1);
	ck_assert_int_eq(format_check(&format, detail), -EINVAL);
	format.size = RANGE(2, 2);
	ck_assert_int_eq(format_check(&format, detail), 0);
	format.rate = RATIO(30, 0);
	ck_assert_int_eq(format_check(&format, detail), -EINVAL);
	format = format_of(XR24, 0);
	format.align[FORMAT_ALIGN_HEIGHT] = FORMAT_ALIGN_MAX;
	ck_assert_int_eq(format_check(&format, detail), 0);
	format.align[FORMAT_ALIGN_HEIGHT]++;
	ck_assert_int_eq(format_check(&format, detail), -EINVAL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, joined);
	tcase_add_test(tcase, apart);
	tcase_add_test(tcase, lists);
	tcase_add_test(tcase, checked);
}

int main(void)
{
	return suite_main("format", add);
}
