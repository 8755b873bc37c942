// SPDX-License-Identifier: MIT
/*
 * What the tests of fence-opencl share: a queue on the device that there is, and a device that claims
 * to be less, or more, than it is. One thread at a time.
 */
#pragma once

#include "../integration/lib-daemon.h"
#include "client/opencl/fence-opencl.h"

/* What the device claims, whatever it is: nothing of SVM, and no release to all devices, unless it
 * says so here. Calls of OpenCL from this executable go through it. */
struct pretence {
	bool nothing;         /* the device as it is */
	cl_uint align_bits;   /* CL_DEVICE_MEM_BASE_ADDR_ALIGN */
	bool narrow;          /* no cl_khr_int64_base_atomics */
	bool own_memory;      /* no CL_DEVICE_HOST_UNIFIED_MEMORY */
	bool copies;          /* CL_MEM_USE_HOST_PTR makes a copy */
	bool svm;             /* fine-grained, with atomics, for all memory */
	bool release;         /* to all devices, in OpenCL C 3.0 ... */
	bool release_defined; /* ... and its compiler knows it */
	cl_device_type type;
};
extern struct pretence pretence;

struct fbk_cl *cl_must_open(void);
cl_command_queue queue_create(const struct fbk_cl *cl);
cl_kernel kernel_create(const struct fbk_cl *cl, const char *source, const char *name);

/* A device as fbk_cl_describe() has it, but for `silent`. */
struct fbk_device *cl_device_register(const struct fbk_cl *cl, struct fbk_context *context,
				      bool silent);
struct fbk_cl_signal *signal_must_create(struct fbk_cl *cl, struct fbk_timeline *timeline);

/* main() of a suite, or of a skip with the reason. Kernels are compiled into a directory that is gone
 * when it ends. A driver that has started has threads, and does not survive a fork: tests start what
 * they fork before they touch OpenCL. */
int opencl_main(const char *name, void (*add)(TCase *tcase));
