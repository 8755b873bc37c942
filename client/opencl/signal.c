// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "opencl.h"

/* One that was enqueued and, when looked at last, had not ended. */
struct command {
	LIST_ENTRY(command) links;
	cl_event event;
};

static void command_drop(struct command *command)
{
	LIST_REMOVE(command, links);
	clReleaseEvent(command->event);
	free(command);
}

/* Negative: it ended in that error. */
static cl_int event_status(cl_event event)
{
	cl_int status = CL_QUEUED;
	cl_int result = clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
				       &status, NULL);
	return result < 0 ? result : status;
}

/* Nobody else would end the waits: the daemon sees that this process lives, and the memory is as it
 * was. */
static int signal_failed(struct fbk_cl_signal *signal, cl_int status)
{
	/* By number: drivers give what they like, and the names are those of other errors. */
	int r = cl_error_set(-EIO, "the OpenCL command that was to signal it ended with status %d",
			     status);
	fbk_timeline_fail(signal->timeline, r, fbk_cl_error_detail());
	return r;
}

/*
 * Under the mutex. A driver's callback would tell too, but not of every one: some call it only when
 * all went well, and none in a program that is about to free what the callback needs.
 */
static void signal_look(struct fbk_cl_signal *signal)
{
	struct command *next;
	for (struct command *command = LIST_FIRST(&signal->commands); command; command = next) {
		cl_int status = event_status(command->event);
		next = LIST_NEXT(command, links);
		if (status < 0) {
			signal_failed(signal, status);
		}
		if (status <= CL_COMPLETE) {
			command_drop(command);
		}
	}
}

void signals_look(struct fbk_cl *cl)
{
	struct fbk_cl_signal *signal;
	pthread_mutex_lock(&cl->mutex);
	LIST_FOREACH(signal, &cl->signals, links) {
		signal_look(signal);
	}
	pthread_mutex_unlock(&cl->mutex);
}

/* ------------------------------------------------------------------------- making one of it --- */

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
				    "register it with FBK_MEMORY32",
				    cl->name);
	}
	return 0;
}

static int signal_import(struct fbk_cl_signal *signal)
{
	struct fbk_cl *cl = signal->cl;
	struct fbk_memory memory;
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
	signal_look(signal);
	LIST_REMOVE(signal, links);
	while (!LIST_EMPTY(&signal->commands)) {
		command_drop(LIST_FIRST(&signal->commands));
	}
	store_destroy(&signal->store);
	page_put(signal->page);
	pthread_mutex_unlock(&cl->mutex);
	free(signal);
}

/* -------------------------------------------------------------------------------- enqueuing -- */

/* There are drivers that run a command whose wait list has failed already. */
static int list_check(struct fbk_cl_signal *signal, cl_uint count, const cl_event *list)
{
	for (cl_uint i = 0; i < count; i++) {
		if (event_status(list[i]) < 0) {
			return signal_failed(signal, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		}
	}
	return 0;
}

static int command_enqueue(struct fbk_cl_signal *signal, cl_command_queue queue, uint64_t value,
			   cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event)
{
	struct command *command = malloc(sizeof(*command));
	if (!command) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	int r = store_enqueue(&signal->store, queue, value, wait_count, wait_list, &command->event);
	if (r < 0) {
		free(command);
		return r;
	}
	LIST_INSERT_HEAD(&signal->commands, command, links);
	if (ret_event) {
		clRetainEvent(command->event);
		*ret_event = command->event;
	}
	return 0;
}

int fbk_cl_signal_enqueue(struct fbk_cl_signal *signal, cl_command_queue queue, uint64_t value,
			  cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event)
{
	if (value == 0 || value > FBK_POINT_MAX) {
		return cl_error_set(-ERANGE, "%llu is no point: they are 1 to 2^62 - 1",
				    (unsigned long long)value);
	}
	pthread_mutex_lock(&signal->cl->mutex);
	signal_look(signal);
	int r = list_check(signal, wait_count, wait_list);
	if (r == 0) {
		r = command_enqueue(signal, queue, value, wait_count, wait_list, ret_event);
	}
	pthread_mutex_unlock(&signal->cl->mutex);
	return r;
}

int fbk_cl_check(struct fbk_cl *cl, cl_int result, const char *what)
{
	if (result == CL_SUCCESS) {
		return 0;
	}
	signals_look(cl);
	return cl_error_result(result, what);
}
