// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "opencl.h"

static int memory_check(const struct fbk_cl *cl, const struct fbk_memory *memory)
{
	if (memory->alignment < cl->alignment) {
		return cl_error_set(-EINVAL,
				    "the page is aligned to %zu bytes, %s imports memory at "
				    "multiples of %zu: register it with that page_align",
				    memory->alignment, cl->name, cl->alignment);
	}
	if (memory->size == sizeof(uint64_t) && !cl->wide) {
		return cl_error_set(-EOPNOTSUPP,
				    "%s has no atomics of 64 bits (cl_khr_int64_base_atomics): "
				    "register it with FBK_FENCE_MEMORY32",
				    cl->name);
	}
	return 0;
}

static int signal_import(struct fbk_cl_signal *signal)
{
	struct fbk_cl *cl = signal->cl;
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	int r = fbk_timeline_memory(signal->timeline, &memory, NULL);
	if (r < 0) {
		return cl_error_core(r);
	}
	r = memory_check(cl, &memory);
	if (r < 0) {
		return r;
	}
	r = page_get(cl, (char *)memory.address - memory.offset, memory.page_size, &signal->page);
	if (r < 0) {
		return r;
	}
	r = store_create(cl, signal->page, memory.offset, memory.size == sizeof(uint32_t),
			 &signal->store);
	if (r < 0) {
		page_put(signal->page);
	}
	return r;
}

int fbk_cl_signal_create(struct fbk_cl *cl, struct fbk_timeline *timeline,
			 struct fbk_cl_signal **ret_signal)
{
	struct fbk_cl_signal *signal = calloc(1, sizeof(*signal));
	if (!signal) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	signal->cl = cl;
	signal->timeline = timeline;
	LIST_INIT(&signal->commands);
	pthread_mutex_lock(&cl->mutex);
	int r = signal_import(signal);
	if (r == 0) {
		LIST_INSERT_HEAD(&cl->signals, signal, links);
	}
	pthread_mutex_unlock(&cl->mutex);
	if (r < 0) {
		free(signal);
		return r;
	}
	*ret_signal = signal;
	return 0;
}

void fbk_cl_signal_destroy(struct fbk_cl_signal *signal)
{
	if (!signal) {
		return;
	}
	struct fbk_cl *cl = signal->cl;
	pthread_mutex_lock(&cl->mutex);
	commands_forget(&signal->commands);
	LIST_REMOVE(signal, links);
	store_destroy(&signal->store);
	page_put(signal->page);
	pthread_mutex_unlock(&cl->mutex);
	free(signal);
}

/* -------------------------------------------------------------------------------- enqueuing -- */

/* Some drivers run a command whose wait list has failed already. */
static int list_check(struct fbk_cl_signal *signal, cl_uint count, const cl_event *list)
{
	for (cl_uint i = 0; i < count; i++) {
		if (event_status(list[i]) < 0) {
			return command_failed(signal->timeline,
					      CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		}
	}
	return 0;
}

int fbk_cl_signal_enqueue(struct fbk_cl_signal *signal, cl_command_queue queue, uint64_t value,
			  cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event)
{
	cl_event event;
	if (value == 0 || value > FBK_POINT_MAX) {
		return cl_error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				    (unsigned long long)value);
	}
	commands_look(&signal->commands);
	int r = list_check(signal, wait_count, wait_list);
	if (r < 0) {
		return r;
	}
	pthread_mutex_lock(&signal->cl->mutex);
	r = store_enqueue(&signal->store, queue, value, wait_count, wait_list, &event);
	pthread_mutex_unlock(&signal->cl->mutex);
	if (r < 0) {
		return r;
	}
	/* The command is enqueued whatever this returns. If it can't be followed and then fails, the
	 * waits end at their deadlines. */
	command_follow(&signal->commands, signal->timeline, event);
	if (ret_event) {
		*ret_event = event;
	} else {
		clReleaseEvent(event);
	}
	return 0;
}

void signals_look(struct fbk_cl *cl)
{
	struct fbk_cl_signal *signal;
	pthread_mutex_lock(&cl->mutex);
	LIST_FOREACH(signal, &cl->signals, links) {
		commands_look(&signal->commands);
	}
	pthread_mutex_unlock(&cl->mutex);
}

int fbk_cl_check(struct fbk_cl *cl, cl_int result, const char *what)
{
	if (result == CL_SUCCESS) {
		return 0;
	}
	signals_look(cl);
	return cl_error_result(result, what);
}
