// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "opencl.h"

/*
 * Lives until the driver calls back. Some drivers make no callback for a failed command: it stays in the
 * list, in case they do later. So the library also polls for failures.
 */
struct command {
	LIST_ENTRY(command) links;
	unsigned int refs;             /* the pending callback, and each reader */
	struct fbk_timeline *timeline; /* NULL: failed already, or forgotten */
	cl_event event;
};

/* One for all lists: a command may outlive its signal. It may be held over requests to the daemon, not
 * over calls of OpenCL: some drivers hold a lock of the event in their callback. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct commands forgotten = LIST_HEAD_INITIALIZER(forgotten);

cl_int event_status(cl_event event)
{
	cl_int status = CL_QUEUED;
	cl_int result = clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status),
				       &status, NULL);
	return result < 0 ? result : status;
}

int command_failed(struct fbk_timeline *timeline, cl_int status)
{
	/* By number: drivers return arbitrary values, and the names belong to other errors. */
	int r = cl_error_set(-EIO, "the OpenCL command that should signal it ended with status %d",
			     status);
	fbk_timeline_fail(timeline, r, fbk_cl_error_detail());
	return r;
}

/* Under the mutex. */
static void command_look(struct command *command, cl_int status)
{
	if (status < 0 && command->timeline) {
		command_failed(command->timeline, status);
		command->timeline = NULL;
	}
}

/* Under the mutex. */
static struct command *command_ref(struct command *command)
{
	if (command) {
		command->refs++;
	}
	return command;
}

/* Called with the mutex, which it unlocks. */
static void command_unref(struct command *command)
{
	bool last = --command->refs == 0;
	if (last) {
		LIST_REMOVE(command, links);
	}
	pthread_mutex_unlock(&mutex);
	if (last) {
		clReleaseEvent(command->event);
		free(command);
	}
}

/* Runs on any thread, and at once if the command has ended. */
static void command_ended(cl_event event, cl_int status, void *arg)
{
	struct command *command = arg;
	(void)event;
	pthread_mutex_lock(&mutex);
	command_look(command, status);
	command_unref(command);
}

int command_follow(struct commands *list, struct fbk_timeline *timeline, cl_event event)
{
	struct command *command = malloc(sizeof(*command));
	if (!command) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	*command = (struct command){ .refs = 1, .timeline = timeline, .event = event };
	clRetainEvent(event);
	pthread_mutex_lock(&mutex);
	LIST_INSERT_HEAD(list, command, links);
	pthread_mutex_unlock(&mutex);
	cl_int result = clSetEventCallback(event, CL_COMPLETE, command_ended, command);
	if (result != CL_SUCCESS) {
		command_ended(event, CL_COMPLETE, command);
		return cl_error_result(result, "clSetEventCallback");
	}
	return 0;
}

void commands_look(struct commands *list)
{
	pthread_mutex_lock(&mutex);
	struct command *command = command_ref(LIST_FIRST(list));
	while (command) {
		pthread_mutex_unlock(&mutex);
		cl_int status = event_status(command->event);
		pthread_mutex_lock(&mutex);
		command_look(command, status);
		struct command *next = command_ref(LIST_NEXT(command, links));
		command_unref(command);
		pthread_mutex_lock(&mutex);
		command = next;
	}
	pthread_mutex_unlock(&mutex);
}

void commands_forget(struct commands *list)
{
	commands_look(list);
	pthread_mutex_lock(&mutex);
	while (!LIST_EMPTY(list)) {
		struct command *command = LIST_FIRST(list);
		LIST_REMOVE(command, links);
		command->timeline = NULL;
		LIST_INSERT_HEAD(&forgotten, command, links);
	}
	pthread_mutex_unlock(&mutex);
}
