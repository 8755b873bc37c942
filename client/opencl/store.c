// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>

#include "opencl.h"

/*
 * FBK_RELEASE: the device has a release with the scope of all devices and the host. Without it, fence
 * and exchange order memory for the device alone.
 */
static const char source[] =
	"#pragma OPENCL EXTENSION all : disable\n"
	"#ifdef FBK_WIDE\n"
	"#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
	"#endif\n"
	"#ifdef FBK_RELEASE\n"
	"#ifdef FBK_WIDE\n"
	"#pragma OPENCL EXTENSION cl_khr_int64_extended_atomics : enable\n"
	"#endif\n"
	"#define STORE(name, word, atomic_word, exchange) \\\n"
	"	kernel void name(global word *page, uint index, word value) \\\n"
	"	{ \\\n"
	"		atomic_store_explicit((volatile global atomic_word *)(page + index), \\\n"
	"			value, memory_order_release, memory_scope_all_svm_devices); \\\n"
	"	}\n"
	"#else\n"
	"#define STORE(name, word, atomic_word, exchange) \\\n"
	"	kernel void name(global word *page, uint index, word value) \\\n"
	"	{ \\\n"
	"		mem_fence(CLK_GLOBAL_MEM_FENCE); \\\n"
	"		exchange((volatile global word *)(page + index), value); \\\n"
	"	}\n"
	"#endif\n"
	"STORE(store32, uint, atomic_uint, atomic_xchg)\n"
	"#ifdef FBK_WIDE\n"
	"STORE(store64, ulong, atomic_ulong, atom_xchg)\n"
	"#endif\n";

/* The compiler's first line, for the sentence. */
static int build_failed(const struct fbk_cl *cl, cl_int result)
{
	char log[512] = "";
	size_t size = 0;
	clGetProgramBuildInfo(cl->program, cl->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
	char *text = calloc(1, size + 1);
	if (text) {
		clGetProgramBuildInfo(cl->program, cl->device, CL_PROGRAM_BUILD_LOG, size, text,
				      NULL);
		snprintf(log, sizeof(log), "%s", text);
		free(text);
	}
	char what[sizeof(log) + sizeof(cl->name) + 64];
	snprintf(what, sizeof(what), "%s can't compile a store to memory (%s)", cl->name, log);
	return cl_error_result(result, what);
}

int store_build(struct fbk_cl *cl)
{
	const char *text = source;
	cl_int result;
	char options[64];
	snprintf(options, sizeof(options), "%s%s%s", cl->standard ? cl->standard : "",
		 cl->standard ? " -DFBK_RELEASE" : "", cl->wide ? " -DFBK_WIDE" : "");
	cl->program = clCreateProgramWithSource(cl->context, 1, &text, NULL, &result);
	if (result != CL_SUCCESS) {
		return cl_error_result(result, "clCreateProgramWithSource");
	}
	result = clBuildProgram(cl->program, 1, &cl->device, options, NULL, NULL);
	return result == CL_SUCCESS ? 0 : build_failed(cl, result);
}

static cl_int page_pass(const struct fbk_cl *cl, const struct page *page, cl_kernel kernel)
{
	return cl->way == FBK_CL_WAY_SVM
		       ? clSetKernelArgSVMPointer(kernel, 0, page->start)
		       : clSetKernelArg(kernel, 0, sizeof(page->buffer), &page->buffer);
}

int store_create(const struct fbk_cl *cl, const struct page *page, size_t offset, bool narrow,
		 struct store *ret_store)
{
	const cl_uint index = (cl_uint)(offset / (narrow ? sizeof(uint32_t) : sizeof(uint64_t)));
	cl_int result;
	struct store store = { .narrow = narrow };
	store.kernel = clCreateKernel(cl->program, narrow ? "store32" : "store64", &result);
	if (result != CL_SUCCESS) {
		return cl_error_result(result, "clCreateKernel");
	}
	result = page_pass(cl, page, store.kernel);
	if (result == CL_SUCCESS) {
		result = clSetKernelArg(store.kernel, 1, sizeof(index), &index);
	}
	if (result != CL_SUCCESS) {
		store_destroy(&store);
		return cl_error_result(result, "clSetKernelArg");
	}
	*ret_store = store;
	return 0;
}

void store_destroy(struct store *store)
{
	clReleaseKernel(store->kernel);
}

int store_enqueue(const struct store *store, cl_command_queue queue, uint64_t value,
		  cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event)
{
	const size_t one = 1;
	const uint32_t half = (uint32_t)value;
	cl_int result = store->narrow ? clSetKernelArg(store->kernel, 2, sizeof(half), &half)
				      : clSetKernelArg(store->kernel, 2, sizeof(value), &value);
	if (result != CL_SUCCESS) {
		return cl_error_result(result, "clSetKernelArg");
	}
	result = clEnqueueNDRangeKernel(queue, store->kernel, 1, NULL, &one, &one, wait_count,
					wait_list, ret_event);
	return result == CL_SUCCESS ? 0 : cl_error_result(result, "clEnqueueNDRangeKernel");
}
