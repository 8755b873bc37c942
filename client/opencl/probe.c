// SPDX-License-Identifier: MIT
/*
 * Does the device write to the memory of a page itself? A driver may accept a host pointer and work on
 * a copy until the buffer is mapped; OpenCL has no query for that, so try it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "opencl.h"

#define PROBE_OFFSET 128 /* offset of a page's first slot */
#define PROBE_VALUE  UINT32_C(0x5eeded)

/* Mapped at a multiple of its size, like a page. */
static void *memory_map(int fd, size_t size)
{
	char *room = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED) {
		return NULL;
	}
	size_t before = (size - (uintptr_t)room % size) % size;
	void *memory =
		mmap(room + before, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (memory == MAP_FAILED) {
		munmap(room, 2 * size);
		return NULL;
	}
	munmap(room, before);
	munmap(room + before + size, size - before);
	return memory;
}

/* The same kind of memory as a page of timelines. */
static void *memory_create(size_t size)
{
	int fd = memfd_create("fence-opencl", MFD_CLOEXEC);
	if (fd < 0) {
		return NULL;
	}
	void *memory = ftruncate(fd, (off_t)size) < 0 ? NULL : memory_map(fd, size);
	close(fd);
	return memory;
}

/* Wait for the kernel without a call that might synchronise host and device memory. */
static int store_run(const struct fbk_cl *cl, const struct store *store)
{
	cl_int result;
	cl_event event;
	cl_command_queue queue = clCreateCommandQueue(cl->context, cl->device, 0, &result);
	if (result != CL_SUCCESS) {
		return cl_error_result(result, "clCreateCommandQueue");
	}
	int r = store_enqueue(store, queue, PROBE_VALUE, 0, NULL, &event);
	if (r == 0) {
		result = clWaitForEvents(1, &event);
		r = result == CL_SUCCESS ? 0 : cl_error_result(result, "a store to memory");
		clReleaseEvent(event);
	}
	clReleaseCommandQueue(queue);
	return r;
}

static int page_try(const struct fbk_cl *cl, void *memory)
{
	struct page page = { .start = memory };
	struct store store;
	int r = page_import(cl, &page, cl->alignment);
	if (r < 0) {
		return r;
	}
	r = store_create(cl, &page, PROBE_OFFSET, !cl->wide, &store);
	if (r == 0) {
		r = store_run(cl, &store);
		store_destroy(&store);
	}
	/* acquire: as a waiter reads it */
	uint32_t seen =
		__atomic_load_n((uint32_t *)((char *)memory + PROBE_OFFSET), __ATOMIC_ACQUIRE);
	if (r == 0 && seen != PROBE_VALUE) {
		r = cl_error_set(-EOPNOTSUPP,
				 "it keeps a copy: its stores do not reach the memory");
	}
	page_release(&page);
	return r;
}

static int way_try(struct fbk_cl *cl, enum fbk_cl_way way)
{
	void *memory = memory_create(cl->alignment);
	if (!memory) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	cl->way = way;
	int r = page_try(cl, memory);
	munmap(memory, cl->alignment);
	return r;
}

static bool has_svm(const struct fbk_cl *cl)
{
	const cl_device_svm_capabilities needed =
		CL_DEVICE_SVM_FINE_GRAIN_SYSTEM | CL_DEVICE_SVM_ATOMICS;
	cl_device_svm_capabilities has = 0;
	clGetDeviceInfo(cl->device, CL_DEVICE_SVM_CAPABILITIES, sizeof(has), &has, NULL);
	return (has & needed) == needed;
}

static bool has_unified_memory(const struct fbk_cl *cl)
{
	cl_bool has = CL_FALSE;
	clGetDeviceInfo(cl->device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(has), &has, NULL);
	return has;
}

static const struct {
	enum fbk_cl_way way;
	bool (*has)(const struct fbk_cl *cl);
	const char *name, *lacks;
} ways[] = {
	{ FBK_CL_WAY_SVM, has_svm, "SVM",
	  "it lacks CL_DEVICE_SVM_FINE_GRAIN_SYSTEM or CL_DEVICE_SVM_ATOMICS" },
	{ FBK_CL_WAY_HOST_POINTER, has_unified_memory, "CL_MEM_USE_HOST_PTR",
	  "it has memory of its own, and lacks CL_DEVICE_HOST_UNIFIED_MEMORY" },
};

int way_choose(struct fbk_cl *cl)
{
	char reasons[768] = "";
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		size_t length = strlen(reasons);
		if (ways[i].has(cl) && way_try(cl, ways[i].way) == 0) {
			return 0;
		}
		snprintf(reasons + length, sizeof(reasons) - length, "%s %s: %s",
			 length > 0 ? ";" : "", ways[i].name,
			 ways[i].has(cl) ? fbk_cl_error_detail() : ways[i].lacks);
	}
	return cl_error_set(-EOPNOTSUPP, "%s can't write to fence memory:%s", cl->name, reasons);
}
