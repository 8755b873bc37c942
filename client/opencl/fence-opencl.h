// SPDX-License-Identifier: MIT
/*
 * fence-opencl: an OpenCL device signals timelines of fencebroker by its own commands, and its queues
 * wait for them.
 *
 *	fbk_cl_create(context, device, &cl);                  your cl_context; or fbk_cl_open()
 *	fbk_cl_describe(cl, "gpu0", &desc);
 *	fbk_device_register(fbk, &desc, &registered);
 *	fbk_timeline_create(registered, NULL, "frames", 0, &timeline);
 *	fbk_cl_signal_create(cl, timeline, &signal);
 *
 *	clEnqueueNDRangeKernel(queue, work, ...);
 *	fbk_cl_signal_enqueue(signal, queue, n, 0, NULL, NULL);       behind the work it stands for
 *	clFlush(queue);                                       no CPU code of yours has a part in the rest
 *
 * Other processes wait for n as for any other point. And the other way round:
 *
 *	fbk_cl_wait(cl, (struct fbk_point){ theirs, m }, deadline_ns, &event);
 *	clEnqueueNDRangeKernel(queue, work, ..., 1, &event, NULL);
 *	clReleaseEvent(event);
 *
 * Conventions: those of fencebroker.h, but that fbk_cl_error_detail() has the sentence. OpenCL 1.2 is
 * enough.
 *
 * Threads: any, except where a function says otherwise. Destroying an object that another thread is
 * using, or that enqueued commands still use, is an error of the caller.
 *
 * Memory model: what is known when a point is seen.
 *   The value is stored by a kernel of one work-item, which runs after what it is enqueued behind: on
 *   an in-order queue all earlier commands, on any other those of its wait list. A command that has
 *   completed is visible to the commands that wait for it, and the store comes after that:
 *     with atomics for all devices (OpenCL C 2.0; 3.0 with __opencl_c_atomic_scope_all_devices and
 *     __opencl_c_atomic_order_acq_rel): a store with memory_order_release and
 *     memory_scope_all_svm_devices, which makes what happened before it visible to the host;
 *     else: mem_fence(CLK_GLOBAL_MEM_FENCE), then an atomic exchange. These order memory for the
 *     device only. What the host sees follows from it on a device of type CPU, and on no other.
 *   So fbk_cl_describe() says FBK_VISIBLE_ORDERED in the first case and for CPUs: who has seen the
 *   value (fbk_point_wait(), fbk_point_check(): an acquire) sees the data, if that is in memory that
 *   the host shares with the device, in fine-grained SVM or behind CL_MEM_USE_HOST_PTR as the page is.
 *   For others it says FBK_VISIBLE_IRQ: only the completion of the store's event tells.
 *   OpenCL's text promises the first case for fine-grained SVM. For CL_MEM_USE_HOST_PTR it promises
 *   nothing until the buffer is mapped; that looking works rests on device and host sharing one memory
 *   and one copy, which is why a device must say so (CL_DEVICE_HOST_UNIFIED_MEMORY), and is tried out
 *   once, when `struct fbk_cl` is made.
 *   Data in the device's own memory is not meant by any of this: end with a command that reads it
 *   back, and enqueue the signal behind that.
 *   Work behind the event of fbk_cl_wait() sees what the point stands for: the library has acquired
 *   the point before it completes the event.
 */
#pragma once

#include <CL/cl.h>
#include <fencebroker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct fbk_cl;        /* a cl_context with one of its devices */
struct fbk_cl_signal; /* a timeline that it signals */

/* As fbk_error_detail(), for the functions here. */
const char *fbk_cl_error_detail(void);

/* ---------------------------------------------------------------------------------- devices -- */

/* How the device gets at the page of a timeline. */
enum fbk_cl_way {
	FBK_CL_SVM = 1,          /* any pointer of the process is one of the device's:
				  * CL_DEVICE_SVM_FINE_GRAIN_SYSTEM and CL_DEVICE_SVM_ATOMICS */
	FBK_CL_HOST_POINTER = 2, /* CL_MEM_USE_HOST_PTR over the page */
};

/*
 * For a context of one's own, which has to outlive it. Compiles the kernel that stores, and runs it
 * once on a page of the same kind.
 *   -EOPNOTSUPP  the device can't compile it, or the page is memory to it in no way: the detail has
 *                the reason for each
 *   -ERANGE      its import needs memory aligned to more than a page can be, 2 MiB
 *   -EINVAL      not a device of that context
 */
int fbk_cl_create(cl_context context, cl_device_id device, struct fbk_cl **ret_cl);

/* For programs without one: a context on the first device whose name has `name` in it (NULL: GPUs,
 * else any).
 *   -ENOENT  no OpenCL platform (the ICD loader found no driver), or no such device   else as above */
int fbk_cl_open(const char *name, struct fbk_cl **ret_cl);

/* What waits by fbk_cl_wait() ends with -ECANCELED; on the thread that dispatches. Takes NULL.
 * Signals are destroyed before. */
void fbk_cl_destroy(struct fbk_cl *cl);

cl_context fbk_cl_context(const struct fbk_cl *cl); /* both borrowed */
cl_device_id fbk_cl_device(const struct fbk_cl *cl);
const char *fbk_cl_name(const struct fbk_cl *cl);
enum fbk_cl_way fbk_cl_way(const struct fbk_cl *cl);

/*
 * Fill in what fbk_device_register() takes; change it to taste:
 *   signals     FBK_MEMORY64, or FBK_MEMORY32 for a device without cl_khr_int64_base_atomics.
 *   visibility  see the memory model above.
 *   silent      true where the visibility is FBK_VISIBLE_ORDERED: while somebody waits the daemon
 *               polls. It works whatever becomes of this process: stopped, busy, or not scheduled.
 *               Where you wait for the device anyway, set it to false and call fbk_timeline_signal()
 *               with the point after that wait: it returns -EALREADY, and wakes who sleeps. Nothing is
 *               polled then, but who sleeps depends on your thread. With FBK_VISIBLE_IRQ you have to:
 *               what the device writes is then a word that nobody else looks at.
 *   page_align  what the driver's import takes.
 */
void fbk_cl_describe(const struct fbk_cl *cl, const char *name, struct fbk_device_desc *ret_desc);

/* --------------------------------------------------------------------------------- signalling -- */

/*
 * The memory of a timeline that this process signals, writable for the device. The timeline has to
 * outlive it. Timelines of one set share an import.
 *   -EOPNOTSUPP  64 bits, and the device has atomics of 32 only: register with FBK_MEMORY32
 *   -EINVAL      the page is smaller than what the driver's import is aligned to: register with
 *                the page_align of fbk_cl_describe()
 *   -EPERM       not signalled by this process in memory
 */
int fbk_cl_signal_create(struct fbk_cl *cl, struct fbk_timeline *timeline,
			 struct fbk_cl_signal **ret_signal);
void fbk_cl_signal_destroy(struct fbk_cl_signal *signal); /* takes NULL */

/*
 * Enqueue: when the work before it is done (see the memory model), the device raises the payload to
 * `value`. `queue` is one of the same context and device; `wait_list` and `ret_event` are as in
 * clEnqueueNDRangeKernel(), and may be NULL. Values have to rise in the order of execution: nobody
 * can refuse one that does not, and the daemon fails the timeline. Nothing starts before clFlush().
 * When the command ends in an error instead (the device was reset, or what it waits for failed), the
 * timeline fails with -EIO, and its reason names the error, as soon as the library hears of it: when
 * the driver calls it back, or, since some drivers do not for errors, with the next signal that is
 * enqueued, in fbk_cl_check(), and when an event of fbk_cl_wait() fails. On an in-order queue it is up
 * to the driver whether a failed command takes those behind it along: name it in the wait list to be
 * sure.
 *   -EIO     something in the wait list has failed: so has the timeline, and nothing was enqueued
 *   -ERANGE  0 or above FBK_POINT_MAX; nothing was enqueued
 */
int fbk_cl_signal_enqueue(struct fbk_cl_signal *signal, cl_command_queue queue, uint64_t value,
			  cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event);

/* 0, or the errno of an OpenCL error, with `what` and its name as the sentence. An error makes the
 * library look at what was enqueued. Give it what clWaitForEvents(), clFinish() and the like return:
 * when a device was lost, nothing else would tell those who wait. */
int fbk_cl_check(struct fbk_cl *cl, cl_int result, const char *what);

/* ------------------------------------------------------------------------------------ waiting -- */

/*
 * A user event that follows a point: give it to a wait list. It completes when the point is reached;
 * when that fails, or the deadline passes, the event has the error as its status, so that what waits
 * for it is not run. The library completes it from fbk_dispatch(), or here if it is reached: a program
 * whose queue waits has to dispatch, and to flush. The event is the caller's to release.
 * PoCL 3.1 frees a command that fails while it still uses it, unless the program has kept the event of
 * that command: keep them with that driver, until they have ended.
 *   else  the error with which the point failed already, or as fbk_point_watch()
 */
int fbk_cl_wait(struct fbk_cl *cl, struct fbk_point point, uint64_t deadline_ns,
		cl_event *ret_event);

/* End what waits for points of `timeline` (NULL: of any) with -ECANCELED. Before the timeline is
 * closed; on the thread that dispatches. */
void fbk_cl_wait_cancel(struct fbk_cl *cl, const struct fbk_timeline *timeline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
