// SPDX-License-Identifier: MIT
/*
 * fence-vulkan: a Vulkan device signals timelines of fencebroker by its own commands, and its queues
 * wait for them.
 *
 *	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
 *	fbk_vk_create(&handles, &vk); // your VkDevice; or fbk_vk_open()
 *	fbk_vk_describe(vk, "gpu0", &desc);
 *	fbk_device_register(context, &desc, &device);
 *	fbk_timeline_create(device, NULL, "frames", 0, &timeline);
 *	fbk_vk_signal_create(vk, timeline, FBK_VK_WAY_BEST, &signal);
 *
 *	draw(commands);
 *	fbk_vk_signal_record(signal, commands, n); // after what n stands for
 *	vkEndCommandBuffer(commands);
 *	// the device does the rest, without a CPU:
 *	vkQueueSubmit(queue, 1, &submit, VK_NULL_HANDLE);
 *
 * Other processes wait for n as for any other point. In the other direction:
 *
 *	fbk_vk_wait_create(vk, timeline, &wait); // of another signaler
 *	fbk_vk_wait_arm(wait, n, deadline_ns, NULL, NULL);
 *	// waits for n of fbk_vk_wait_semaphore(wait):
 *	vkQueueSubmit(queue, 1, &submit, VK_NULL_HANDLE);
 *
 * Conventions: those of fencebroker.h, except that fbk_vk_error_detail() returns the sentence. Vulkan
 * 1.1 is enough. The library links to no Vulkan loader: it gets all functions from a
 * vkGetInstanceProcAddr.
 *
 * Threads: any, except where a function says otherwise. A caller must not destroy an object that
 * another thread or submitted work is using.
 *
 * Memory model: what a reader of a point may rely on.
 *   fbk_vk_signal_record() records three things:
 *     1. a barrier from all commands before it in submission order (earlier submissions to this queue
 *        too), with all their writes, to the store and to reads of the host. The data is then
 *        available to the host, and the store comes after that;
 *     2. the store;
 *     3. a barrier from the store to reads of the host, so that the value need not wait for the end of
 *        the submission.
 *   A host that has seen the value (fbk_point_wait(), fbk_point_check(): an acquire) therefore sees
 *   the data, if that is in host-coherent memory: the device is FBK_VISIBILITY_ORDERED. For memory that
 *   is not coherent the process that maps it calls vkInvalidateMappedMemoryRanges() in between.
 *
 *   Vulkan itself promises less: by its text a host synchronises with a device by fences, events and
 *   semaphores, not by reading memory. Reading works if the stores reach memory in the order of the
 *   barrier. They do if all of them take one path to one memory: system memory that the host caches
 *   coherently. Data in the device's own memory, read over the bus, is not such a case: end with a
 *   read-back, or register the device as FBK_VISIBILITY_FLUSH. A read-back flushes its own path only.
 *
 *   Another device that reads system memory sees what the host sees. If its driver imported the data
 *   (a dma-buf), release the images and buffers to VK_QUEUE_FAMILY_FOREIGN_EXT before
 *   fbk_vk_signal_record(): that writes back what this device's caches and compression hold.
 *
 *   Work behind a fbk_vk_wait_semaphore() sees the data of the point: the library acquires the point
 *   before it signals, and a semaphore that the host signals makes the host's writes visible. For data
 *   that another device wrote, acquire from VK_QUEUE_FAMILY_FOREIGN_EXT after it.
 */
#pragma once

#include <fencebroker.h> /* first: it refuses 32 bits */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* C++: a function that gives a struct has its name */

struct fbk_vk;        /* a VkDevice */
struct fbk_vk_signal; /* a timeline that it signals */
struct fbk_vk_wait;   /* a timeline that its queues wait for */

/* As fbk_error_detail(), for the functions of this header. */
const char *fbk_vk_error_detail(void);

/* ---------------------------------------------------------------------------------- devices -- */

/* Vulkan features that the library uses if the VkDevice was made with them; a mask. */
enum fbk_vk_ability {
	FBK_VK_ABILITY_HOST_POINTER = 1 << 0, /* VK_EXT_external_memory_host */
	FBK_VK_ABILITY_DMA_BUF =
		1 << 1, /* VK_KHR_external_memory_fd, VK_EXT_external_memory_dma_buf */
	FBK_VK_ABILITY_STORE64 = 1 << 2,   /* features shaderInt64 and shaderBufferInt64Atomics */
	FBK_VK_ABILITY_TIMELINES = 1 << 3, /* feature timelineSemaphore */
	FBK_VK_ABILITY_SEMAPHORE_FDS = 1 << 4, /* VK_KHR_external_semaphore_fd */
	FBK_VK_ABILITY_MARKERS = 1 << 5,       /* VK_AMD_buffer_marker */
};

/* A VkDevice, and what it was made of. */
struct fbk_vk_handles {
	size_t struct_size;
	PFN_vkGetInstanceProcAddr get;
	VkInstance instance; /* made for Vulkan 1.1 or later */
	VkPhysicalDevice physical;
	VkDevice device;
	uint32_t abilities; /* those that the device was made with */
};

/* The abilities that a VkDevice of handles->physical can be made with; ignores handles->device and
 * handles->abilities. */
uint32_t fbk_vk_abilities(const struct fbk_vk_handles *handles);

/* The device extensions that handles->abilities need, except those that became part of Vulkan and that
 * the driver no longer offers by name. Returns their number; the names are static. The features are
 * those of enum fbk_vk_ability. */
#define FBK_VK_EXTENSIONS 8
size_t fbk_vk_extensions(const struct fbk_vk_handles *handles,
			 const char *ret_names[FBK_VK_EXTENSIONS]);

/* For the program's own VkDevice, which has to outlive the object.
 *   -EOPNOTSUPP  no way to import memory, or Vulkan 1.0: the detail names what is missing */
int fbk_vk_create(const struct fbk_vk_handles *handles, struct fbk_vk **ret_vk);

/*
 * For programs without a VkDevice: loads libvulkan.so.1, and makes a VkDevice with all abilities that
 * it can have and with one queue. `choice` may be NULL.
 *   -ENOENT      no Vulkan loader, no driver, no device of that name, or none left after `skip`
 *   -EOPNOTSUPP  no device has the queue, or a way to import memory
 */
struct fbk_vk_choice {
	size_t struct_size;
	const char *name;              /* part of its name; NULL: GPUs before software */
	VkQueueFlags queue;            /* needed by the queue; 0: compute */
	const char *const *extensions; /* enabled if present; ends with NULL; may be NULL */
	PFN_vkGetInstanceProcAddr get; /* in place of the loader's; may be NULL */
	unsigned int skip; /* skip that many matching devices, best first: to try the next */
};
int fbk_vk_open(const struct fbk_vk_choice *choice, struct fbk_vk **ret_vk);

/* Let go of a device. Takes NULL. Destroy everything that was made from it first. */
void fbk_vk_destroy(struct fbk_vk *vk);

const struct fbk_vk_handles *fbk_vk_handles(const struct fbk_vk *vk); /* borrowed */
VkQueue fbk_vk_queue(const struct fbk_vk *vk, uint32_t *ret_family);  /* of fbk_vk_open() */
bool fbk_vk_has_extension(const struct fbk_vk *vk, const char *name); /* of choice->extensions */
const char *fbk_vk_name(const struct fbk_vk *vk);                     /* as the driver says it */
bool fbk_vk_software(const struct fbk_vk *vk); /* a software rasteriser: threads of this process */

/*
 * Fill in the descriptor for fbk_device_register(), whose struct_size is set. Change it as needed:
 *   signals     FBK_FENCE_MEMORY64. Use FBK_FENCE_MEMORY32 for a device without FBK_VK_ABILITY_STORE64 that goes beyond
 *               point 2^32 - 1.
 *   silent      true: the daemon polls while a waiter waits. That works even if this process is
 *               stopped, busy or not scheduled. If you wait for the device anyway, set it to false
 *               and call fbk_timeline_signal() with the point after that wait: it returns -EALREADY
 *               and wakes the waiters. The daemon then polls nothing, but sleeping waiters depend on
 *               your thread. (Both together are harmless.)
 *   visibility  FBK_VISIBILITY_ORDERED: the memory model in fence-vulkan(3) says when not.
 *   page_align  the need of the driver's import.
 *   backings    what the driver can import.
 *   -ERANGE  the import needs a larger alignment than a page can have, 2 MiB
 */
int fbk_vk_describe(const struct fbk_vk *vk, const char *name, struct fbk_device_desc *ret_desc);

/* Return 0, or the errno of a VkResult with `what` and its name as the sentence. VK_ERROR_DEVICE_LOST
 * fails all timelines that this device signals, with -EIO and that cause: nothing else would tell their
 * waiters. Pass the results of vkQueueSubmit() and of waits for the device. */
int fbk_vk_check(struct fbk_vk *vk, VkResult result, const char *what);

/* --------------------------------------------------------------------------------- signalling -- */

/* By which command a device signals. */
enum fbk_vk_way {
	FBK_VK_WAY_BEST = 0, /* the first of these that works */
	FBK_VK_WAY_STORE,    /* a compute shader's atomic store of 64 bits: compute queues only */
	FBK_VK_WAY_MARKER,   /* vkCmdWriteBufferMarkerAMD(): 32 bits */
	FBK_VK_WAY_UPDATE,   /* vkCmdUpdateBuffer(): 32 bits; any queue */
};

/*
 * Make the memory of a timeline that this process signals writable for the device. The timeline has
 * to outlive the signal. Timelines of one set share an import.
 * A 32-bit store writes the low half of a 64-bit payload, and then only points below 2^32 can be
 * signalled. Vulkan does not promise that a copy writes 8 bytes at once, and a reader of half of the
 * new value would see a point that was never signalled. 4 aligned bytes are written whole.
 *   -EOPNOTSUPP  the device has no such way, or imports the memory in none: the detail has the reasons
 *   -EINVAL      the pages are smaller than the import's alignment: register with more page_align
 *   -EPERM       this process does not signal it in memory
 *   -EIO         the device was lost
 */
int fbk_vk_signal_create(struct fbk_vk *vk, struct fbk_timeline *timeline, enum fbk_vk_way way,
			 struct fbk_vk_signal **ret_signal);
void fbk_vk_signal_destroy(struct fbk_vk_signal *signal); /* takes NULL */

enum fbk_vk_way fbk_vk_signal_way(const struct fbk_vk_signal *signal); /* never FBK_VK_WAY_BEST */

/*
 * Record, outside of a render pass: when all work before it is done, the device raises the payload to
 * `value`. Values have to rise in the order of execution. No call can refuse one that does not; the
 * daemon fails the timeline. FBK_VK_WAY_STORE binds another compute pipeline, descriptor set 0 and push
 * constants. Submit the command buffer once only.
 * Value 0 before the first point changes nothing; it makes the driver compile its pipeline early,
 * instead of with the first point, while others wait for it.
 *   -ERANGE  above FBK_POINT_MAX, or not below 2^32 (see above); nothing was recorded
 */
int fbk_vk_signal_record(struct fbk_vk_signal *signal, VkCommandBuffer commands, uint64_t value);

/* ------------------------------------------------------------------------------------ waiting -- */

/*
 * A timeline semaphore that follows a timeline, with the same values, as far as it was armed. The
 * library signals it from fbk_dispatch(): a program whose queue waits has to dispatch.
 *   -EOPNOTSUPP  without FBK_VK_ABILITY_TIMELINES
 */
int fbk_vk_wait_create(struct fbk_vk *vk, struct fbk_timeline *timeline,
		       struct fbk_vk_wait **ret_wait);

/* For VkTimelineSemaphoreSubmitInfo; `wait` owns it. */
VkSemaphore fbk_vk_wait_semaphore(const struct fbk_vk_wait *wait);

/*
 * The semaphore reaches `value` when the point is decided, or at the deadline. A QUEUE GOES ON even if
 * the point failed or came too late, because a device whose queue waits for ever is a hung device.
 * `fn` (may be NULL) runs afterwards and gets the result; on a failure discard the queue's output.
 * Points below `value` count as decided then, too.
 * Arm first, then submit the waiting work: if arming fails, the semaphore never reaches `value`.
 *   -ERANGE  0, above FBK_POINT_MAX, or further ahead than the device's
 *            maxTimelineSemaphoreValueDifference
 *   else     as fbk_point_watch()
 */
int fbk_vk_wait_arm(struct fbk_vk_wait *wait, uint64_t value, uint64_t deadline_ns,
		    fbk_point_fn *fn, void *arg);

/* Let the semaphore reach all armed values now, and call no `fn` any more, so that the device gets
 * idle. Call it on the thread that dispatches. */
void fbk_vk_wait_cancel(struct fbk_vk_wait *wait);

/* Cancels first. Call it before the timeline is closed, on the thread that dispatches. Takes NULL. */
void fbk_vk_wait_destroy(struct fbk_vk_wait *wait);

/* ------------------------------------------------------------------------ memory of others --- */

/* Memory that other processes or devices share, as a buffer: the data that points order. */
struct fbk_vk_memory {
	size_t struct_size;
	void *address; /* aligned as the import needs, as is `size`; or NULL */
	size_t size;
	int dmabuf_fd; /* of the same memory, or -1; not taken */
	VkBufferUsageFlags usage;
};
struct fbk_vk_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
};

/* The memory has to stay until the buffer is released.
 *   -EOPNOTSUPP  the driver cannot import it: the detail has the reasons
 *   -EINVAL      the alignment */
int fbk_vk_buffer_import(struct fbk_vk *vk, const struct fbk_vk_memory *memory,
			 struct fbk_vk_buffer *ret_buffer);
void fbk_vk_buffer_release(struct fbk_vk *vk, struct fbk_vk_buffer *buffer); /* or a zeroed one */

/* ------------------------------------------------------------------------- semaphores as fds -- */

/*
 * Between Vulkan and the kernel's fences, if the driver can. A queue imports a sync_file from
 * fbk_point_export() and waits for it once; pass one that is exported here to fbk_point_signal_on().
 * Only the same driver understands opaque fds, in another process for example.
 *   -EOPNOTSUPP  without FBK_VK_ABILITY_SEMAPHORE_FDS, or this driver has none of this kind: the detail says
 *                which
 */
enum fbk_vk_fd {
	FBK_VK_FD_SYNC_FILE = 1,   /* a sync_file */
	FBK_VK_FD_OPAQUE,          /* of a binary semaphore */
	FBK_VK_FD_OPAQUE_TIMELINE, /* of a timeline semaphore */
};

/* A new semaphore that can be exported as `kind`. */
int fbk_vk_semaphore_create(struct fbk_vk *vk, enum fbk_vk_fd kind, VkSemaphore *ret_semaphore);

/* A new semaphore that waits for the fence of the fd. Takes the fd. */
int fbk_vk_semaphore_import(struct fbk_vk *vk, enum fbk_vk_fd kind, int fd,
			    VkSemaphore *ret_semaphore);

/* Gives an fd. With FBK_VK_FD_SYNC_FILE, submit the work that signals the semaphore first; the fd is -1 if
 * that work is already done. */
int fbk_vk_semaphore_export(struct fbk_vk *vk, enum fbk_vk_fd kind, VkSemaphore semaphore,
			    int *ret_fd);

void fbk_vk_semaphore_destroy(struct fbk_vk *vk, VkSemaphore semaphore); /* takes VK_NULL_HANDLE */

#pragma GCC diagnostic pop
#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
