// SPDX-License-Identifier: MIT
/*
 * fence-opencl: an OpenCL device signals timelines of fencebroker by its own commands, and its queues
 * wait for them.
 *
 *	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
 *	fbk_cl_create(yours, device, &cl); // a cl_context; or fbk_cl_open()
 *	fbk_cl_describe(cl, "gpu0", &desc);
 *	fbk_device_register(fbk, &desc, &registered);
 *	fbk_timeline_create(registered, NULL, "frames", 0, &timeline);
 *	fbk_cl_signal_create(cl, timeline, &signal);
 *
 *	clEnqueueNDRangeKernel(queue, work, ...);
 *	// after the work that n stands for:
 *	fbk_cl_signal_enqueue(signal, queue, n, 0, NULL, NULL);
 *	clFlush(queue); // the rest needs none of your CPU code
 *
 * Other processes wait for n as for any other point. In the other direction:
 *
 *	fbk_cl_wait(cl, (struct fbk_point){ theirs, m }, deadline_ns, &event);
 *	clEnqueueNDRangeKernel(queue, work, ..., 1, &event, NULL);
 *	clReleaseEvent(event);
 *
 * Conventions: those of fencebroker.h, except that fbk_cl_error_detail() returns the sentence. OpenCL
 * 1.2 is enough.
 *
 * Threads: any, except where a function says otherwise. A caller must not destroy an object that
 * another thread or enqueued commands are using.
 *
 * Memory model: what a reader of a point may rely on.
 *   A kernel of one work-item stores the value. It runs after all earlier commands on an in-order
 *   queue, and after those of its wait list on any other. A completed command is visible to the commands
 *   that wait for it, and the store comes after that:
 *     with atomics for all devices (OpenCL C 2.0; 3.0 with __opencl_c_atomic_scope_all_devices and
 *     __opencl_c_atomic_order_acq_rel): a store with memory_order_release and
 *     memory_scope_all_svm_devices, which makes all earlier writes visible to the host;
 *
 *     else: mem_fence(CLK_GLOBAL_MEM_FENCE), then an atomic exchange. These order memory for the
 *     device only. On a device of type CPU, and on no other, the host sees the same order.
 *
 *   So fbk_cl_describe() sets FBK_VISIBILITY_ORDERED in the first case and for CPUs: a host that has seen
 *   the value (fbk_point_wait(), fbk_point_check(): an acquire) sees the data, if that is in memory that
 *   the host shares with the device, in fine-grained SVM or behind CL_MEM_USE_HOST_PTR as the page is.
 *   For other devices it sets FBK_VISIBILITY_IRQ: only the completion of the store's event tells.
 *
 *   OpenCL's text promises the first case for fine-grained SVM. For CL_MEM_USE_HOST_PTR it promises
 *   nothing until the buffer is mapped. Reading works if device and host share one memory and one copy.
 *   So the device must say so (CL_DEVICE_HOST_UNIFIED_MEMORY), and the library tries it once, when it
 *   makes `struct fbk_cl`.
 *
 *   None of this covers data in the device's own memory: end with a command that reads it back, and
 *   enqueue the signal behind that.
 *
 *   Work behind the event of fbk_cl_wait() sees the data of the point: the library acquires the point
 *   before it completes the event.
 */
#pragma once

#include <fencebroker.h> /* first: it refuses 32 bits */

#include <CL/cl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct fbk_cl;        /* a cl_context with one of its devices */
struct fbk_cl_signal; /* a timeline that it signals */

/* As fbk_error_detail(), for the functions of this header. */
const char *fbk_cl_error_detail(void);

/* ---------------------------------------------------------------------------------- devices -- */

/* How the device accesses the page of a timeline. */
enum fbk_cl_way {
	FBK_CL_WAY_SVM = 1,          /* the device takes any pointer of the process:
				  * CL_DEVICE_SVM_FINE_GRAIN_SYSTEM and CL_DEVICE_SVM_ATOMICS */
	FBK_CL_WAY_HOST_POINTER = 2, /* CL_MEM_USE_HOST_PTR over the page */
};

/*
 * For the program's own context, which has to outlive the object. Compiles the kernel that stores,
 * and runs it once on a page of the same kind.
 *   -EOPNOTSUPP  the device can't compile it, or cannot access the page: the detail has the reason for
 *                each
 *   -ERANGE      its import needs a larger alignment than a page can have, 2 MiB
 *   -EINVAL      not a device of that context
 */
int fbk_cl_create(cl_context context, cl_device_id device, struct fbk_cl **ret_cl);

/* For programs without a context: a context on the first device whose name contains `name` (NULL:
 * GPUs, else any).
 *   -ENOENT  no OpenCL platform (the ICD loader found no driver), or no such device
 *   else     as fbk_cl_create() */
int fbk_cl_open(const char *name, struct fbk_cl **ret_cl);

/* Waits of fbk_cl_wait() end with -ECANCELED. Call it on the thread that dispatches. Takes NULL.
 * Destroy the signals first. */
void fbk_cl_destroy(struct fbk_cl *cl);

/* What the object was made with, all borrowed; and how the device accesses the page. */
cl_context fbk_cl_context(const struct fbk_cl *cl);
cl_device_id fbk_cl_device(const struct fbk_cl *cl);
const char *fbk_cl_name(const struct fbk_cl *cl);
enum fbk_cl_way fbk_cl_way(const struct fbk_cl *cl);

/*
 * Fill in the descriptor for fbk_device_register(), whose struct_size is set. Change it as needed:
 *   signals     FBK_FENCE_MEMORY64, or FBK_FENCE_MEMORY32 for a device without cl_khr_int64_base_atomics.
 *   visibility  see the memory model in fence-opencl(3).
 *   silent      true if the visibility is FBK_VISIBILITY_ORDERED: the daemon polls while a waiter waits.
 *               That works even if this process is stopped, busy or not scheduled. If you wait for
 *               the device anyway, set it to false and call fbk_timeline_signal() with the point after
 *               that wait: it returns -EALREADY and wakes the waiters. The daemon then polls nothing,
 *               but sleeping waiters depend on your thread. With FBK_VISIBILITY_IRQ that call is needed:
 *               the device then writes a word that has no other reader.
 *   page_align  the need of the driver's import.
 */
int fbk_cl_describe(const struct fbk_cl *cl, const char *name, struct fbk_device_desc *ret_desc);

/* --------------------------------------------------------------------------------- signalling -- */

/*
 * Make the memory of a timeline that this process signals writable for the device. The timeline has
 * to outlive the signal. Timelines of one set share an import.
 *   -EOPNOTSUPP  a 64-bit payload, and the device has 32-bit atomics only: register with FBK_FENCE_MEMORY32
 *   -EINVAL      the page is smaller than the alignment of the driver's import: register with the
 *                page_align of fbk_cl_describe()
 *   -EPERM       this process does not signal it in memory
 */
int fbk_cl_signal_create(struct fbk_cl *cl, struct fbk_timeline *timeline,
			 struct fbk_cl_signal **ret_signal);
void fbk_cl_signal_destroy(struct fbk_cl_signal *signal); /* takes NULL */

/*
 * Enqueue: when the work before it is done (see the memory model), the device raises the payload to
 * `value`. `queue` is one of the same context and device; `wait_list` and `ret_event` are as in
 * clEnqueueNDRangeKernel(), and may be NULL. Values have to rise in the order of execution. No call can
 * refuse one that does not; the daemon fails the timeline. Nothing starts before clFlush().
 * If the command ends in an error instead (a device reset, or a failed command in its wait list), the
 * timeline fails with -EIO, and its reason names the error. The library learns of it from the driver's
 * callback. Some drivers make none for errors; the library then learns of it at the next enqueued
 * signal, in fbk_cl_check(), or when an event of fbk_cl_wait() fails. On an in-order queue the driver
 * decides whether a failed command fails those behind it: name it in the wait list to be sure.
 *   -EIO     a command in the wait list has failed: the timeline fails too, and nothing was enqueued
 *   -ERANGE  0 or above FBK_POINT_MAX; nothing was enqueued
 */
int fbk_cl_signal_enqueue(struct fbk_cl_signal *signal, cl_command_queue queue, uint64_t value,
			  cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event);

/* Return 0, or the errno of an OpenCL error with `what` and its name as the sentence. On an error the
 * library checks the enqueued commands. Pass the results of clWaitForEvents(), clFinish() and the like:
 * when a device is lost, nothing else would tell the waiters. */
int fbk_cl_check(struct fbk_cl *cl, cl_int result, const char *what);

/* ------------------------------------------------------------------------------------ waiting -- */

/*
 * A user event that follows a point: put it into a wait list. It completes when the point is reached.
 * When the point fails or the deadline passes, the event gets the error as its status, so that the
 * commands that wait for it do not run. The library completes it from fbk_dispatch(), or in this call
 * if the point is reached: a program whose queue waits has to dispatch, and to flush. The caller
 * releases the event.
 * PoCL 3.1 frees a failing command while it still uses it, unless the program holds that command's
 * event: with that driver keep events until their commands have ended.
 *   else  the error with which the point failed already, or as fbk_point_watch()
 */
int fbk_cl_wait(struct fbk_cl *cl, struct fbk_point point, uint64_t deadline_ns,
		cl_event *ret_event);

/* End the waits for points of `timeline` (NULL: of any) with -ECANCELED. Call it before the timeline
 * is closed, on the thread that dispatches. */
void fbk_cl_wait_cancel(struct fbk_cl *cl, const struct fbk_timeline *timeline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
