// SPDX-License-Identifier: MIT
/*
 * fence-vulkan: a Vulkan device signals timelines of fencebroker by its own commands, and waits for
 * them in its queues.
 *
 *	fbk_vk_create(&handles, &vk);                         your VkDevice; or fbk_vk_open()
 *	fbk_vk_describe(vk, "gpu0", &desc);
 *	fbk_device_register(context, &desc, &device);
 *	fbk_timeline_create(device, NULL, "frames", 0, &timeline);
 *	fbk_vk_signal_create(vk, timeline, FBK_VK_BEST, &signal);
 *
 *	draw(commands);
 *	fbk_vk_signal_record(signal, commands, n);            after the work that it stands for
 *	vkEndCommandBuffer(commands);
 *	vkQueueSubmit(queue, 1, &submit, VK_NULL_HANDLE);     no CPU has a part in the rest
 *
 * Other processes wait for n as for any other point. And the other way round:
 *
 *	fbk_vk_wait_create(vk, timeline, &wait);              of somebody else
 *	fbk_vk_wait_arm(wait, n, deadline_ns, NULL, NULL);
 *	vkQueueSubmit(...);                                   waits: fbk_vk_wait_semaphore(wait), n
 *
 * Conventions: those of fencebroker.h, but that fbk_vk_error_detail() has the sentence. Vulkan 1.1 is
 * enough. The library links to no Vulkan loader: all it calls comes from a vkGetInstanceProcAddr.
 *
 * Threads: any, except where a function says otherwise. Destroying an object that another thread is
 * using, or that submitted work still uses, is an error of the caller.
 *
 * Memory model: what is known when a point is seen.
 *   fbk_vk_signal_record() records three things:
 *     1. a barrier from all commands before it in submission order (earlier submissions to this queue
 *        too), with all their writes, to the store and to reads of the host. The data is then
 *        available to the host, and the store comes after that;
 *     2. the store;
 *     3. a barrier from the store to reads of the host, so that the value need not wait for the end of
 *        the submission.
 *   A host that has seen the value (fbk_point_wait(), fbk_point_check(): an acquire) therefore sees
 *   the data, if that is in host-coherent memory: the device is FBK_VISIBLE_ORDERED. For memory that
 *   is not coherent vkInvalidateMappedMemoryRanges() has to come between, in the process that maps it.
 *   Vulkan itself promises less: by its text a host synchronises with a device by fences, events and
 *   semaphores, not by looking at memory. That looking works rests on the stores reaching memory in
 *   the order of the barrier, which holds where all of them go to one memory by one way: system
 *   memory that the host caches coherently. Data in the device's own memory, read over the bus, is not
 *   such a case: end with a read-back, or register the device as FBK_VISIBLE_FLUSH.
 *   Another device that reads system memory sees what the host sees. If its driver imported the data
 *   (a dma-buf), release the images and buffers to VK_QUEUE_FAMILY_FOREIGN_EXT before
 *   fbk_vk_signal_record(): that writes back what this device's caches and compression hold.
 *   Work behind a fbk_vk_wait_semaphore() sees what the point stands for: the library has acquired the
 *   point before it signals, and a semaphore that the host signals makes the host's writes visible.
 *   For data that another device wrote, acquire from VK_QUEUE_FAMILY_FOREIGN_EXT after it.
 */
#pragma once

#include <fencebroker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct fbk_vk;        /* a VkDevice */
struct fbk_vk_signal; /* a timeline that it signals */
struct fbk_vk_wait;   /* a timeline that its queues wait for */

/* As fbk_error_detail(), for the functions here. */
const char *fbk_vk_error_detail(void);

/* ---------------------------------------------------------------------------------- devices -- */

/* What is used where a VkDevice was made with it; a mask. */
enum fbk_vk_ability {
	FBK_VK_HOST_POINTER = 1 << 0, /* VK_EXT_external_memory_host */
	FBK_VK_DMA_BUF = 1 << 1,   /* VK_KHR_external_memory_fd, VK_EXT_external_memory_dma_buf */
	FBK_VK_STORE64 = 1 << 2,   /* features shaderInt64 and shaderBufferInt64Atomics */
	FBK_VK_TIMELINES = 1 << 3, /* feature timelineSemaphore */
	FBK_VK_SEMAPHORE_FDS = 1 << 4, /* VK_KHR_external_semaphore_fd */
	FBK_VK_MARKERS = 1 << 5,       /* VK_AMD_buffer_marker */
};

struct fbk_vk_handles {
	PFN_vkGetInstanceProcAddr get;
	VkInstance instance; /* made for Vulkan 1.1 or later */
	VkPhysicalDevice physical;
	VkDevice device;
	uint32_t abilities; /* that the device was made with */
};

/* What a VkDevice of handles->physical can be made with; neither device nor abilities are looked
 * at. */
uint32_t fbk_vk_abilities(const struct fbk_vk_handles *handles);

/* The device extensions that handles->abilities take, but for those that became part of Vulkan and are
 * no longer offered by their names. Returns how many; the names are static. The features are named
 * above. */
#define FBK_VK_EXTENSIONS 8
size_t fbk_vk_extensions(const struct fbk_vk_handles *handles,
			 const char *ret_names[FBK_VK_EXTENSIONS]);

/* For a VkDevice of one's own, which has to outlive it.
 *   -EOPNOTSUPP  no way to import memory, or Vulkan 1.0: the detail names what is missing */
int fbk_vk_create(const struct fbk_vk_handles *handles, struct fbk_vk **ret_vk);

/*
 * For programs without one: loads libvulkan.so.1, and makes a VkDevice with all abilities that it
 * can have and with one queue. `choice` may be NULL.
 *   -ENOENT      no Vulkan loader, no driver, no device of that name, or none left
 *   -EOPNOTSUPP  no device has the queue, or a way to import memory
 */
struct fbk_vk_choice {
	const char *name;              /* part of the device's; NULL: GPUs before software */
	VkQueueFlags queue;            /* what the queue can do; 0: compute */
	const char *const *extensions; /* to enable where there are; ends with NULL; may be NULL */
	PFN_vkGetInstanceProcAddr get; /* in place of the loader's; may be NULL */
	unsigned int skip; /* so many of those that fit, the best first: to try the next */
};
int fbk_vk_open(const struct fbk_vk_choice *choice, struct fbk_vk **ret_vk);

/* Takes NULL. Everything made from it is destroyed before. */
void fbk_vk_destroy(struct fbk_vk *vk);

const struct fbk_vk_handles *fbk_vk_handles(const struct fbk_vk *vk);
VkQueue fbk_vk_queue(const struct fbk_vk *vk, uint32_t *ret_family);  /* of fbk_vk_open() */
bool fbk_vk_has_extension(const struct fbk_vk *vk, const char *name); /* of choice->extensions */
const char *fbk_vk_name(const struct fbk_vk *vk);
bool fbk_vk_software(const struct fbk_vk *vk); /* the "device" is threads of this process */

/*
 * Fill in what fbk_device_register() takes; change it to taste:
 *   signals     FBK_MEMORY64. FBK_MEMORY32 is for a device without FBK_VK_STORE64 that shall go
 *               beyond point 2^32 - 1.
 *   silent      true: while somebody waits the daemon polls. It works whatever becomes of this
 *               process: stopped, busy, or not scheduled. Where you wait for the device anyway, set
 *               it to false and call fbk_timeline_signal() with the point after that wait: it returns
 *               -EALREADY, and wakes who sleeps. Nothing is polled then, but who sleeps depends on
 *               your thread. (Both together do no harm.)
 *   visibility  FBK_VISIBLE_ORDERED: see above when it is not.
 *   page_align, backings  what the driver's import takes.
 *   -ERANGE  that is more than a page can have, 2 MiB
 */
int fbk_vk_describe(const struct fbk_vk *vk, const char *name, struct fbk_device_desc *ret_desc);

/* 0, or the errno of a VkResult, with `what` and its name as the sentence. VK_ERROR_DEVICE_LOST fails
 * all timelines that this device signals, with -EIO and that cause: nothing else would tell those who
 * wait. Give it what vkQueueSubmit() and waiting for the device return. */
int fbk_vk_check(struct fbk_vk *vk, VkResult result, const char *what);

/* --------------------------------------------------------------------------------- signalling -- */

enum fbk_vk_way {
	FBK_VK_BEST = 0, /* the first of these that there is */
	FBK_VK_STORE,    /* a compute shader's atomic store of 64 bits: queues with compute only */
	FBK_VK_MARKER,   /* vkCmdWriteBufferMarkerAMD(): 32 bits */
	FBK_VK_UPDATE,   /* vkCmdUpdateBuffer(): 32 bits; any queue */
};

/*
 * The memory of a timeline that this process signals, writable for the device. The timeline has to
 * outlive it. Timelines of one set share an import.
 * 32 bits of a 64-bit payload are its low half, and only points below 2^32 can be signalled. That is
 * not for want of room: Vulkan does not promise that a copy writes 8 bytes at once, and a reader that
 * saw half of the new value would see a point that was never signalled. 4 aligned bytes are written
 * whole.
 *   -EOPNOTSUPP  the device has no such way, or took the memory in none: the detail has the reasons
 *   -EINVAL      the pages are smaller than the import's alignment: register with more page_align
 *   -EPERM       not signalled by this process in memory   -EIO  the device was lost
 */
int fbk_vk_signal_create(struct fbk_vk *vk, struct fbk_timeline *timeline, enum fbk_vk_way way,
			 struct fbk_vk_signal **ret_signal);
void fbk_vk_signal_destroy(struct fbk_vk_signal *signal); /* takes NULL */

enum fbk_vk_way fbk_vk_signal_way(const struct fbk_vk_signal *signal); /* never FBK_VK_BEST */

/*
 * Record, outside of a render pass: when all work before it is done, the device raises the payload to
 * `value`. Values have to rise in the order of execution: nobody can refuse one that does not, and
 * the daemon fails the timeline. FBK_VK_STORE leaves another compute pipeline, descriptor set 0 and
 * push constants bound. The command buffer may be submitted once only.
 * 0, before the first point, changes nothing, and makes the driver compile what it would compile with
 * that point, while others wait for it.
 *   -ERANGE  above FBK_POINT_MAX, or not below 2^32 (see above); nothing was recorded
 */
int fbk_vk_signal_record(struct fbk_vk_signal *signal, VkCommandBuffer commands, uint64_t value);

/* ------------------------------------------------------------------------------------ waiting -- */

/*
 * A timeline semaphore that follows a timeline, with the same values, as far as it was armed. It is
 * the library that signals it, from fbk_dispatch(): a program whose queue waits has to dispatch.
 *   -EOPNOTSUPP  without FBK_VK_TIMELINES
 */
int fbk_vk_wait_create(struct fbk_vk *vk, struct fbk_timeline *timeline,
		       struct fbk_vk_wait **ret_wait);

/* For VkTimelineSemaphoreSubmitInfo; belongs to `wait`. */
VkSemaphore fbk_vk_wait_semaphore(const struct fbk_vk_wait *wait);

/*
 * Let the semaphore reach `value` when the point is decided, or at the deadline: A QUEUE GOES ON also
 * when the point failed or came too late, because a device whose queue waits for ever is a hung
 * device. `fn` (may be NULL) is called after that and says which it was: what the queue made of it is
 * to be thrown away. Points below `value` count as decided then, too.
 * Arm first, then submit what waits: when arming fails nothing will let the semaphore reach `value`.
 *   -ERANGE  0, above FBK_POINT_MAX, or further ahead than the device's
 *            maxTimelineSemaphoreValueDifference
 *   else     as fbk_point_watch()
 */
int fbk_vk_wait_arm(struct fbk_vk_wait *wait, uint64_t value, uint64_t deadline_ns,
		    fbk_point_fn *fn, void *arg);

/* Let the semaphore reach all that was armed, now, and call no `fn` any more: so that the device gets
 * idle. On the thread that dispatches. */
void fbk_vk_wait_cancel(struct fbk_vk_wait *wait);

/* Cancels first. Before the timeline is closed; on the thread that dispatches; takes NULL. */
void fbk_vk_wait_destroy(struct fbk_vk_wait *wait);

/* ------------------------------------------------------------------------ memory of others --- */

/* Memory that other processes or devices see, as a buffer: what the points are about. */
struct fbk_vk_memory {
	void *address; /* aligned to the import's need, as `size` is; or NULL */
	size_t size;
	int dmabuf_fd; /* of the same memory, or -1; not taken */
	VkBufferUsageFlags usage;
};
struct fbk_vk_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
};

/* The memory has to stay until the buffer is released.
 *   -EOPNOTSUPP  the driver took it in no way: the detail has the reasons   -EINVAL  the alignment */
int fbk_vk_buffer_import(struct fbk_vk *vk, const struct fbk_vk_memory *memory,
			 struct fbk_vk_buffer *ret_buffer);
void fbk_vk_buffer_release(struct fbk_vk *vk, struct fbk_vk_buffer *buffer); /* or a zeroed one */

/* ------------------------------------------------------------------------- semaphores as fds -- */

/*
 * Between Vulkan and the kernel's fences, where the driver can. A sync_file from fbk_point_export()
 * can be imported and waited for once; one that is exported here goes to fbk_point_signal_on().
 * Opaque fds are understood by the same driver only, in another process, say.
 *   -EOPNOTSUPP  without FBK_VK_SEMAPHORE_FDS, or this driver has none of this kind: the detail says
 *                which
 */
enum fbk_vk_fd {
	FBK_VK_SYNC_FD = 1,        /* a sync_file */
	FBK_VK_OPAQUE_FD,          /* of a binary semaphore */
	FBK_VK_OPAQUE_FD_TIMELINE, /* of a timeline semaphore */
};

/* One that can be exported as that. */
int fbk_vk_semaphore_create(struct fbk_vk *vk, enum fbk_vk_fd kind, VkSemaphore *ret_semaphore);

/* A new semaphore that waits for what the fd is. Takes the fd. */
int fbk_vk_semaphore_import(struct fbk_vk *vk, enum fbk_vk_fd kind, int fd,
			    VkSemaphore *ret_semaphore);

/* Gives an fd; of FBK_VK_SYNC_FD, work that signals the semaphore was submitted before, and the fd
 * may be -1: that is done already. */
int fbk_vk_semaphore_export(struct fbk_vk *vk, enum fbk_vk_fd kind, VkSemaphore semaphore,
			    int *ret_fd);

void fbk_vk_semaphore_destroy(struct fbk_vk *vk, VkSemaphore semaphore); /* takes VK_NULL_HANDLE */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
