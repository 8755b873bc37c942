// SPDX-License-Identifier: MIT
#include "lib-opencl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../integration/lib-peer.h"

struct pretence pretence;

/* ------------------------------------------------------------------------------ the pretence --- */

/* The call that this executable's own one stands before. */
#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static cl_int answer(const void *value, size_t size, size_t room, void *ret_value, size_t *ret_size)
{
	if (ret_value && room < size) {
		return CL_INVALID_VALUE;
	}
	if (ret_value) {
		memcpy(ret_value, value, size);
	}
	if (ret_size) {
		*ret_size = size;
	}
	return CL_SUCCESS;
}

static const cl_name_version features[] = {
	{ 0, "__opencl_c_atomic_scope_all_devices" },
	{ 0, "__opencl_c_atomic_order_acq_rel" },
};

static const char version[] = "OpenCL C 1.2"; /* 2.0 has a release to all devices */

/* 1: it claims nothing about that. */
static cl_int claim(cl_device_info what, size_t room, void *ret_value, size_t *ret_size)
{
	const cl_bool no = CL_FALSE;
	const cl_device_svm_capabilities svm =
		pretence.svm ? CL_DEVICE_SVM_FINE_GRAIN_SYSTEM | CL_DEVICE_SVM_ATOMICS : 0;
	const char *extensions = "cl_khr_int64_base_atomics_not cl_khr_fp64";
	if (pretence.nothing) {
		return 1;
	}
	if (what == CL_DEVICE_MEM_BASE_ADDR_ALIGN && pretence.align_bits) {
		return answer(&pretence.align_bits, sizeof(cl_uint), room, ret_value, ret_size);
	}
	if (what == CL_DEVICE_EXTENSIONS && pretence.narrow) {
		return answer(extensions, strlen(extensions) + 1, room, ret_value, ret_size);
	}
	if (what == CL_DEVICE_HOST_UNIFIED_MEMORY && pretence.own_memory) {
		return answer(&no, sizeof(no), room, ret_value, ret_size);
	}
	if (what == CL_DEVICE_SVM_CAPABILITIES) {
		return answer(&svm, sizeof(svm), room, ret_value, ret_size);
	}
	if (what == CL_DEVICE_OPENCL_C_FEATURES) {
		return answer(features, pretence.release ? sizeof(features) : 0, room, ret_value,
			      ret_size);
	}
	if (what == CL_DEVICE_OPENCL_C_VERSION) {
		return answer(version, sizeof(version), room, ret_value, ret_size);
	}
	if (what == CL_DEVICE_TYPE && pretence.type) {
		return answer(&pretence.type, sizeof(cl_device_type), room, ret_value, ret_size);
	}
	return 1;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t room, void *ret_value,
		       size_t *ret_size)
{
	cl_int r = claim(what, room, ret_value, ret_size);
	return r <= 0 ? r : NEXT(clGetDeviceInfo)(device, what, room, ret_value, ret_size);
}

/* One text: ours all are. */
cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **text,
				     const size_t *lengths, cl_int *ret_result)
{
	bool known = pretence.nothing || pretence.release_defined;
	const char *texts[] = {
		known ? "" : "#define memory_scope_all_svm_devices not_known\n",
		text[0],
	};
	if (count != 1 || lengths) {
		*ret_result = CL_INVALID_VALUE;
		return NULL;
	}
	return NEXT(clCreateProgramWithSource)(context, 2, texts, NULL, ret_result);
}

cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices,
		      const char *options, void (*fn)(cl_program program, void *arg), void *arg)
{
	char all[256];
	snprintf(all, sizeof(all), "%s%s", options ? options : "",
		 pretence.release_defined ? " -D__opencl_c_atomic_scope_all_devices=1" : "");
	return NEXT(clBuildProgram)(program, count, devices, all, fn, arg);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *memory,
		      cl_int *ret_result)
{
	if (pretence.copies && flags & CL_MEM_USE_HOST_PTR) {
		flags ^= CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR;
	}
	return NEXT(clCreateBuffer)(context, flags, size, memory, ret_result);
}

/* ------------------------------------------------------------------------------- the device --- */

#define NO_DEVICE 77

/* Runs fn(arg) in a child, where nothing but check's own may report. What it returns; -1: it did not. */
static int run_apart(int (*fn)(void *arg), void *arg)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		status = fn(arg);
		fflush(stdout);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		return -1;
	}
	return WEXITSTATUS(status);
}

static int look_for_device(void *arg)
{
	struct fbk_cl *cl;
	(void)arg;
	pretence.nothing = true;
	if (fbk_cl_open(NULL, &cl) < 0) {
		printf("SKIPPED: %s\n", fbk_cl_error_detail());
		return NO_DEVICE;
	}
	fbk_cl_destroy(cl);
	return 0;
}

/* A driver may end the process, as PoCL does where it can't tell how much memory there is. */
static bool has_device(void)
{
	int status = run_apart(look_for_device, NULL);
	if (status != 0 && status != NO_DEVICE) {
		printf("SKIPPED: the OpenCL driver ended the process that asked it for a device; "
		       "what it said is above (PoCL needs /sys)\n");
	}
	return status == 0;
}

static int remove_all(void *arg)
{
	execlp("rm", "rm", "-rf", "--one-file-system", (char *)arg, (char *)NULL);
	return 1;
}

int opencl_main(const char *name, void (*add)(TCase *tcase))
{
	char cache[] = "/tmp/fence-opencl-XXXXXX";
	if (!mkdtemp(cache)) {
		perror(cache);
		return 1;
	}
	setenv("POCL_CACHE_DIR", cache, 1);
	int status = has_device() ? suite_main(name, add) : NO_DEVICE;
	return run_apart(remove_all, cache) == 0 ? status : 1;
}

struct fbk_cl *cl_must_open(void)
{
	struct fbk_cl *cl = NULL;
	int r = fbk_cl_open(NULL, &cl);
	ck_assert_msg(r == 0, "fbk_cl_open: %s", fbk_cl_error_detail());
	return cl;
}

cl_command_queue queue_create(const struct fbk_cl *cl)
{
	cl_int result;
	cl_command_queue queue = clCreateCommandQueueWithProperties(
		fbk_cl_context(cl), fbk_cl_device(cl), NULL, &result);
	ck_assert_int_eq(result, CL_SUCCESS);
	return queue;
}

cl_kernel kernel_create(const struct fbk_cl *cl, const char *source, const char *name)
{
	cl_int result;
	cl_program program =
		clCreateProgramWithSource(fbk_cl_context(cl), 1, &source, NULL, &result);
	ck_assert_int_eq(result, CL_SUCCESS);
	ck_assert_int_eq(clBuildProgram(program, 0, NULL, "", NULL, NULL), CL_SUCCESS);
	cl_kernel kernel = clCreateKernel(program, name, &result);
	ck_assert_int_eq(result, CL_SUCCESS);
	clReleaseProgram(program);
	return kernel;
}

struct fbk_device *cl_device_register(const struct fbk_cl *cl, struct fbk_context *context,
				      bool silent)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
	struct fbk_device *device = NULL;
	ck_assert_int_eq(fbk_cl_describe(cl, "opencl", &desc), 0);
	desc.silent = silent;
	int r = fbk_device_register(context, &desc, &device);
	ck_assert_msg(r == 0, "fbk_device_register: %s", fbk_error_detail());
	return device;
}

struct fbk_cl_signal *signal_must_create(struct fbk_cl *cl, struct fbk_timeline *timeline)
{
	struct fbk_cl_signal *signal = NULL;
	int r = fbk_cl_signal_create(cl, timeline, &signal);
	ck_assert_msg(r == 0, "fbk_cl_signal_create: %s", fbk_cl_error_detail());
	return signal;
}
