// SPDX-License-Identifier: MIT
/* What OpenCL, a device or a timeline lacks is named, and nothing is done by halves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../integration/lib-peer.h"
#include "lib-opencl.h"

static struct daemon server;
static struct fbk_context *context;

static void setup(void)
{
	daemon_serve(&server, NULL);
	context = peer_connect(&server);
}

static void teardown(void)
{
	fbk_disconnect(context);
	daemon_stop(&server);
}

static void expect_detail(const char *part)
{
	ck_assert_msg(strstr(fbk_cl_error_detail(), part), "%s", fbk_cl_error_detail());
}

START_TEST(no_platform)
{
	struct fbk_cl *cl = NULL;
	setenv("OCL_ICD_VENDORS", server.directory, 1); /* where nobody has put a driver */
	ck_assert_int_eq(fbk_cl_open(NULL, &cl), -ENOENT);
	expect_detail("there is no OpenCL platform");
	ck_assert_ptr_null(cl);
}
END_TEST

START_TEST(no_such_device)
{
	struct fbk_cl *cl = NULL;
	ck_assert_int_eq(fbk_cl_open("warp drive", &cl), -ENOENT);
	expect_detail("called warp drive");
	ck_assert_ptr_null(cl);
	fbk_cl_destroy(NULL);
	fbk_cl_signal_destroy(NULL);
}
END_TEST

/* What a device claims, and what comes of it. */
static const struct {
	struct pretence pretence;
	int result;
	const char *detail;
	uint32_t page_align, signals;
	enum fbk_visibility visibility;
} devices[] = {
	{ .page_align = 4096, .signals = FBK_FENCE_MEMORY64 },
	{ .pretence.narrow = true, .page_align = 4096, .signals = FBK_FENCE_MEMORY32 },
	{ .pretence.align_bits = 4096 * 8, .page_align = 4096, .signals = FBK_FENCE_MEMORY64 },
	{ .pretence.align_bits = 4097 * 8, .page_align = 8192, .signals = FBK_FENCE_MEMORY64 },
	{ .pretence.align_bits = 8 * (2 << 20),
	  .page_align = 2 << 20,
	  .signals = FBK_FENCE_MEMORY64 },
	{ .pretence.align_bits = 8 * ((2 << 20) + 1),
	  .result = -ERANGE,
	  .detail = "multiples of 4194304 bytes" },
	{ .pretence = { .own_memory = true },
	  .result = -EOPNOTSUPP,
	  .detail = "CL_DEVICE_HOST_UNIFIED_MEMORY" },
	{ .pretence = { .copies = true }, .result = -EOPNOTSUPP, .detail = "keeps a copy" },
	{ .pretence = { .copies = true, .svm = true },
	  .page_align = 4096,
	  .signals = FBK_FENCE_MEMORY64 },
	{ .pretence = { .release = true },
	  .result = -EOPNOTSUPP,
	  .detail = "can't compile a store to memory" },
	{ .pretence = { .type = CL_DEVICE_TYPE_GPU },
	  .page_align = 4096,
	  .signals = FBK_FENCE_MEMORY64,
	  .visibility = FBK_VISIBILITY_IRQ },
	{ .pretence = { .type = CL_DEVICE_TYPE_GPU, .release = true, .release_defined = true },
	  .page_align = 4096,
	  .signals = FBK_FENCE_MEMORY64 },
};

START_TEST(claims)
{
	struct fbk_cl *cl = NULL;
	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
	pretence = devices[_i].pretence;
	int r = fbk_cl_open(NULL, &cl);
	ck_assert_msg(r == devices[_i].result, "%d, %s", r, fbk_cl_error_detail());
	if (r < 0) {
		expect_detail(devices[_i].detail);
		ck_assert_ptr_null(cl);
		return;
	}
	bool ordered = devices[_i].visibility == FBK_VISIBILITY_ORDERED;
	ck_assert_int_eq(fbk_cl_describe(cl, "x", &desc), 0);
	ck_assert_uint_eq(desc.page_align, devices[_i].page_align);
	ck_assert_uint_eq(desc.signals, devices[_i].signals);
	ck_assert_int_eq(desc.visibility, devices[_i].visibility);
	ck_assert_int_eq(desc.silent, ordered);
	ck_assert_int_eq(desc.device_class, devices[_i].pretence.type == CL_DEVICE_TYPE_GPU
						    ? FBK_CLASS_GPU
						    : FBK_CLASS_CPU);
	fbk_cl_destroy(cl);
}
END_TEST

static void expect_refusal(struct fbk_cl *cl, struct fbk_timeline *timeline, int error,
			   const char *detail)
{
	struct fbk_cl_signal *signal = NULL;
	ck_assert_int_eq(fbk_cl_signal_create(cl, timeline, &signal), error);
	expect_detail(detail);
	ck_assert_ptr_null(signal);
}

START_TEST(no_atomics_of_64_bits)
{
	pretence.narrow = true;
	struct fbk_cl *cl = cl_must_open();
	struct fbk_timeline *wide = peer_timeline(peer_device(context, "wide"), "wide", 0);
	expect_refusal(cl, wide, -EOPNOTSUPP, "register it with FBK_FENCE_MEMORY32");
	struct fbk_timeline *narrow =
		peer_timeline(cl_device_register(cl, context, true), "narrow", 0);
	fbk_cl_signal_destroy(signal_must_create(cl, narrow));
	fbk_cl_destroy(cl);
}
END_TEST

/* And one that has them writes 32 where it is registered so. */
START_TEST(narrow_by_choice)
{
	struct fbk_cl *cl = cl_must_open();
	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
	struct fbk_device *device;
	ck_assert_int_eq(fbk_cl_describe(cl, "narrow", &desc), 0);
	desc.signals = FBK_FENCE_MEMORY32;
	ck_assert_int_eq(fbk_device_register(context, &desc, &device), 0);
	struct fbk_timeline *timeline = peer_timeline(device, "narrow", 0);
	struct fbk_cl_signal *signal = signal_must_create(cl, timeline);
	cl_command_queue queue = queue_create(cl);
	ck_assert_int_eq(fbk_cl_signal_enqueue(signal, queue, 7, 0, NULL, NULL), 0);
	clFinish(queue);
	ck_assert_uint_eq(fbk_timeline_value(timeline), 7);
	clReleaseCommandQueue(queue);
	fbk_cl_signal_destroy(signal);
	fbk_cl_destroy(cl);
}
END_TEST

START_TEST(alignment_above_the_page)
{
	pretence.align_bits = 65536 * 8;
	struct fbk_cl *cl = cl_must_open();
	struct fbk_timeline *small = peer_timeline(peer_device(context, "small"), "small", 0);
	expect_refusal(cl, small, -EINVAL, "multiples of 65536");
	struct fbk_timeline *fits = peer_timeline(cl_device_register(cl, context, true), "fits", 0);
	fbk_cl_signal_destroy(signal_must_create(cl, fits));
	fbk_cl_destroy(cl);
}
END_TEST

START_TEST(not_ours_to_signal)
{
	struct fbk_cl *cl = cl_must_open();
	struct fbk_context *other = peer_connect(&server);
	struct fbk_device *device = cl_device_register(cl, context, true);
	struct fbk_timeline *brokered = peer_timeline(device, "b", FBK_TIMELINE_BROKERED);
	struct fbk_timeline *mine = peer_timeline(device, "m", 0);
	expect_refusal(cl, brokered, -EPERM, "does not signal timeline b in memory");
	expect_refusal(cl, peer_open(other, mine, FBK_RIGHT_WAIT), -EPERM, "timeline m");
	fbk_disconnect(other);
	fbk_cl_destroy(cl);
}
END_TEST

START_TEST(queue_of_another_context)
{
	struct fbk_cl *cl = cl_must_open(), *other = cl_must_open();
	struct fbk_timeline *timeline =
		peer_timeline(cl_device_register(cl, context, true), "t", 0);
	struct fbk_cl_signal *signal = signal_must_create(cl, timeline);
	cl_command_queue queue = queue_create(other);
	ck_assert_int_eq(fbk_cl_signal_enqueue(signal, queue, 1, 0, NULL, NULL), -EINVAL);
	expect_detail("CL_INVALID_CONTEXT");
	clReleaseCommandQueue(queue);
	fbk_cl_signal_destroy(signal);
	fbk_cl_destroy(other);
	fbk_cl_destroy(cl);
}
END_TEST

/* A context of one's own stays. */
START_TEST(context_of_ones_own)
{
	struct fbk_cl *first = cl_must_open(), *second = NULL;
	int r = fbk_cl_create(fbk_cl_context(first), fbk_cl_device(first), &second);
	ck_assert_msg(r == 0, "fbk_cl_create: %s", fbk_cl_error_detail());
	ck_assert_str_eq(fbk_cl_name(first), fbk_cl_name(second));
	fbk_cl_destroy(second);
	clReleaseCommandQueue(queue_create(first));
	fbk_cl_destroy(first);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_set_timeout(tcase, 1000);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, no_platform);
	tcase_add_test(tcase, no_such_device);
	ADD_LOOP(tcase, claims, devices);
	tcase_add_test(tcase, no_atomics_of_64_bits);
	tcase_add_test(tcase, narrow_by_choice);
	tcase_add_test(tcase, alignment_above_the_page);
	tcase_add_test(tcase, not_ours_to_signal);
	tcase_add_test(tcase, queue_of_another_context);
	tcase_add_test(tcase, context_of_ones_own);
}

int main(void)
{
	return opencl_main("opencl refusals", add);
}
