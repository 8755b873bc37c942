// SPDX-License-Identifier: MIT
#include <CL/cl_ext.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/struct-copy.h"
#include "opencl.h"

#define DEVICE_DESC_FIRST 48 /* how long it was in the first version */

#define PAGE_ALIGN_MIN 4096
#define PAGE_ALIGN_MAX (2 << 20)

#define PLATFORMS_MAX 16
#define DEVICES_MAX   16

/* ------------------------------------------------------------------------------- what it can -- */

/* Allocated; NULL: the device has no such text. */
static char *info_text(cl_device_id device, cl_device_info what)
{
	size_t size = 0;
	clGetDeviceInfo(device, what, 0, NULL, &size);
	char *text = calloc(1, size + 1);
	if (text && clGetDeviceInfo(device, what, size, text, NULL) != CL_SUCCESS) {
		text[0] = '\0';
	}
	return text;
}

/* Extensions come in one string, separated by spaces. */
static bool has_extension(cl_device_id device, const char *name)
{
	char *rest, *list = info_text(device, CL_DEVICE_EXTENSIONS);
	bool found = false;
	for (char *word = list ? strtok_r(list, " ", &rest) : NULL; word && !found;
	     word = strtok_r(NULL, " ", &rest)) {
		found = strcmp(word, name) == 0;
	}
	free(list);
	return found;
}

/* OpenCL C 3.0 has features, older versions none. */
static bool has_feature(cl_device_id device, const char *name)
{
	size_t size = 0;
	bool found = false;
	if (clGetDeviceInfo(device, CL_DEVICE_OPENCL_C_FEATURES, 0, NULL, &size) != CL_SUCCESS) {
		return false;
	}
	cl_name_version *list = calloc(1, size + 1);
	if (list &&
	    clGetDeviceInfo(device, CL_DEVICE_OPENCL_C_FEATURES, size, list, NULL) == CL_SUCCESS) {
		for (size_t i = 0; i < size / sizeof(*list); i++) {
			found |= strncmp(list[i].name, name, sizeof(list[i].name)) == 0;
		}
	}
	free(list);
	return found;
}

/* The language version with a release for all devices, or NULL. 2.0 always has one; in 3.0 it is
 * optional. */
static const char *release_standard(cl_device_id device)
{
	if (has_feature(device, "__opencl_c_atomic_scope_all_devices") &&
	    has_feature(device, "__opencl_c_atomic_order_acq_rel")) {
		return "-cl-std=CL3.0";
	}
	char *version = info_text(device, CL_DEVICE_OPENCL_C_VERSION);
	bool has = version && strncmp(version, "OpenCL C 2.", 11) == 0;
	free(version);
	return has ? "-cl-std=CL2.0" : NULL;
}

/* Alignment of imported memory: OpenCL gives bits, and promises no power of two. */
static size_t import_alignment(cl_device_id device)
{
	cl_uint bits = 0;
	size_t alignment = PAGE_ALIGN_MIN;
	clGetDeviceInfo(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(bits), &bits, NULL);
	while (alignment < bits / 8) {
		alignment *= 2;
	}
	return alignment;
}

static cl_device_type device_type(cl_device_id device)
{
	cl_device_type type = 0;
	clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
	return type;
}

static int info_read(struct fbk_cl *cl)
{
	char *name = info_text(cl->device, CL_DEVICE_NAME);
	if (!name) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	memccpy(cl->name, name, '\0', sizeof(cl->name) - 1);
	free(name);
	cl->alignment = import_alignment(cl->device);
	cl->standard = release_standard(cl->device);
	cl->processor = device_type(cl->device) & CL_DEVICE_TYPE_CPU;
	/* OpenCL C 2.0 has 64-bit atomic types only with both extensions. */
	cl->wide = has_extension(cl->device, "cl_khr_int64_base_atomics") &&
		   (!cl->standard || has_extension(cl->device, "cl_khr_int64_extended_atomics"));
	if (cl->alignment > PAGE_ALIGN_MAX) {
		return cl_error_set(-ERANGE,
				    "%s imports memory at multiples of %zu bytes, more than "
				    "the largest alignment of a page of timelines, %d",
				    cl->name, cl->alignment, PAGE_ALIGN_MAX);
	}
	return 0;
}

/* ------------------------------------------------------------------------- making one of it --- */

static int cl_make(cl_context context, bool ours, cl_device_id device, struct fbk_cl **ret_cl)
{
	struct fbk_cl *cl = calloc(1, sizeof(*cl));
	if (!cl) {
		if (ours) {
			clReleaseContext(context);
		}
		return cl_error_set(-ENOMEM, "out of memory");
	}
	cl->context = context;
	cl->ours = ours;
	cl->device = device;
	LIST_INIT(&cl->pages);
	LIST_INIT(&cl->signals);
	LIST_INIT(&cl->waits);
	pthread_mutex_init(&cl->mutex, NULL);
	int r = info_read(cl);
	if (r == 0) {
		r = store_build(cl);
	}
	if (r == 0) {
		r = way_choose(cl);
	}
	if (r < 0) {
		fbk_cl_destroy(cl);
		return r;
	}
	*ret_cl = cl;
	return 0;
}

int fbk_cl_create(cl_context context, cl_device_id device, struct fbk_cl **ret_cl)
{
	return cl_make(context, false, device, ret_cl);
}

void fbk_cl_destroy(struct fbk_cl *cl)
{
	if (!cl) {
		return;
	}
	fbk_cl_wait_cancel(cl, NULL);
	if (cl->program) {
		clReleaseProgram(cl->program);
	}
	if (cl->ours) {
		clReleaseContext(cl->context);
	}
	pthread_mutex_destroy(&cl->mutex);
	free(cl);
}

/* ---------------------------------------------------------------------------------- choosing -- */

static bool is_called(cl_device_id device, const char *name)
{
	char *text = info_text(device, CL_DEVICE_NAME);
	bool is = text && strcasestr(text, name);
	free(text);
	return is;
}

/* The first that fits; GPUs first, on any platform. */
static cl_device_id device_choose(cl_platform_id platform, const char *name, cl_device_id found)
{
	cl_device_id devices[DEVICES_MAX];
	cl_uint count = 0;
	if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES_MAX, devices, &count) !=
	    CL_SUCCESS) {
		return found;
	}
	for (cl_uint i = 0; i < count && i < DEVICES_MAX; i++) {
		bool better = !found || (device_type(devices[i]) & CL_DEVICE_TYPE_GPU &&
					 !(device_type(found) & CL_DEVICE_TYPE_GPU));
		if (better && (!name || is_called(devices[i], name))) {
			found = devices[i];
		}
	}
	return found;
}

int fbk_cl_open(const char *name, struct fbk_cl **ret_cl)
{
	cl_platform_id platforms[PLATFORMS_MAX];
	cl_uint count = 0;
	cl_device_id device = NULL;
	cl_int result = clGetPlatformIDs(PLATFORMS_MAX, platforms, &count);
	if (result == CL_PLATFORM_NOT_FOUND_KHR || (result == CL_SUCCESS && count == 0)) {
		return cl_error_set(-ENOENT, "there is no OpenCL platform: the ICD loader found no "
					     "driver (the package pocl-opencl-icd has one that "
					     "needs no GPU)");
	}
	if (result != CL_SUCCESS) {
		return cl_error_result(result, "clGetPlatformIDs");
	}
	for (cl_uint i = 0; i < count && i < PLATFORMS_MAX; i++) {
		device = device_choose(platforms[i], name, device);
	}
	if (!device) {
		return cl_error_set(-ENOENT, "there is no OpenCL device%s%s",
				    name ? " called " : "", name ? name : "");
	}
	cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &result);
	if (result != CL_SUCCESS) {
		return cl_error_result(result, "clCreateContext");
	}
	return cl_make(context, true, device, ret_cl);
}

/* ------------------------------------------------------------------------------- what it is --- */

cl_context fbk_cl_context(const struct fbk_cl *cl)
{
	return cl->context;
}

cl_device_id fbk_cl_device(const struct fbk_cl *cl)
{
	return cl->device;
}

const char *fbk_cl_name(const struct fbk_cl *cl)
{
	return cl->name;
}

enum fbk_cl_way fbk_cl_way(const struct fbk_cl *cl)
{
	return cl->way;
}

int fbk_cl_describe(const struct fbk_cl *cl, const char *name, struct fbk_device_desc *ret_desc)
{
	bool ordered = cl->standard || cl->processor;
	const struct fbk_device_desc desc = {
		.name = name,
		.device_class = cl->processor ? FBK_CLASS_CPU : FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = cl->wide ? FBK_FENCE_MEMORY64 : FBK_FENCE_MEMORY32,
		.silent = ordered,
		.visibility = ordered ? FBK_VISIBILITY_ORDERED : FBK_VISIBILITY_IRQ,
		.page_align = (uint32_t)cl->alignment,
	};
	size_t size;
	int r = struct_copy_out(ret_desc, &desc, sizeof(desc), DEVICE_DESC_FIRST, &size);
	return r < 0 ? cl_error_set(r, "struct_size is %zu: set it to sizeof(struct)", size) : 0;
}
