// SPDX-License-Identifier: MIT
/*
 * What the parts of fence-opencl share. cl->mutex guards the three lists and their entries. It may be
 * held over requests to the daemon, never over a callback. All else is constant once made.
 */
#pragma once

#include "fence-opencl.h"

#include <bsd/sys/queue.h>
#include <pthread.h>

/* A page of timelines on the device, shared by their signals. */
struct page {
	LIST_ENTRY(page) links;
	void *start;
	unsigned int refs;
	cl_mem buffer; /* NULL with FBK_CL_WAY_SVM */
};

/* store.c: the kernel that stores. One thread at a time for each. */
struct store {
	cl_kernel kernel;
	bool narrow; /* 32 bits */
};

struct command;
LIST_HEAD(commands, command); /* guarded by command.c */

struct fbk_cl_signal {
	LIST_ENTRY(fbk_cl_signal) links;
	struct fbk_cl *cl;
	struct fbk_timeline *timeline;
	struct page *page;
	struct store store;
	struct commands commands;
};

/* An event that follows a point. */
struct wait {
	LIST_ENTRY(wait) links;
	struct fbk_cl *cl;
	const struct fbk_timeline *timeline;
	struct fbk_watch *watch;
	bool pending; /* on the list: whoever takes it off ends it */
	cl_event event;
};

struct fbk_cl {
	cl_context context;
	bool ours; /* fbk_cl_open() made the context */
	cl_device_id device;
	char name[128];
	size_t alignment; /* of imported memory */
	bool wide;        /* the device has 64-bit atomics */
	const char
		*standard; /* build option for a release that reaches the host; NULL: none does */
	bool processor;    /* the device is a CPU */
	enum fbk_cl_way way;
	cl_program program;

	pthread_mutex_t mutex;
	LIST_HEAD(, page) pages;
	LIST_HEAD(, fbk_cl_signal) signals;
	LIST_HEAD(, wait) waits;
};

/* error.c: set the sentence; return `error`. */
__attribute__((format(printf, 2, 3))) int cl_error_set(int error, const char *format, ...);
int cl_error_core(int error); /* error of a call of libfencebroker */
int cl_error_result(cl_int result, const char *what);

/* page.c */
int page_import(const struct fbk_cl *cl, struct page *page, size_t size);
void page_release(struct page *page);
int page_get(struct fbk_cl *cl, void *start, size_t size, struct page **ret_page);
void page_put(struct page *page); /* both under the mutex */

/* store.c: `value` goes to `offset` of the page. */
int store_build(struct fbk_cl *cl);
int store_create(const struct fbk_cl *cl, const struct page *page, size_t offset, bool narrow,
		 struct store *ret_store);
void store_destroy(struct store *store);
int store_enqueue(const struct store *store, cl_command_queue queue, uint64_t value,
		  cl_uint wait_count, const cl_event *wait_list, cl_event *ret_event);

/*
 * command.c: follows enqueued commands. Nothing else ends the waits when one fails: to the daemon this
 * process is alive, and its memory is unchanged. Any thread; a list has to stay until
 * commands_forget().
 */
int command_follow(struct commands *list, struct fbk_timeline *timeline, cl_event event);
void commands_look(struct commands *list);   /* fail the timelines of failed commands */
void commands_forget(struct commands *list); /* look once more; then the timeline may close */
int command_failed(struct fbk_timeline *timeline, cl_int status); /* -EIO */
cl_int event_status(cl_event event); /* negative: it ended in that error */

/* signal.c: commands_look() for all signals. */
void signals_look(struct fbk_cl *cl);

/* probe.c: choose cl->way by trying each. */
int way_choose(struct fbk_cl *cl);
