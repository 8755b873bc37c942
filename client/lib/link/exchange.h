// SPDX-License-Identifier: MIT
/*
 * An exchange: which buffers of a producer are where. Child of its context. All under its lock, which is that of
 * its links too; it comes before the context's locks.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/child.h"
#include "client/lib/flushing.h"
#include "fencebroker.h"
#include "frame-bounds.h"

struct fbk_exchange;
struct lane_point;
struct link_producer;

enum buffer_state {
	BUFFER_NONE,
	BUFFER_FREE,
	BUFFER_TAKEN, /* the program has it */
	BUFFER_HANDED,
	BUFFER_BACK, /* its callback is about to run */
};

struct exchange_buffer {
	enum buffer_state state;
	struct fbk_buffer_desc desc;
	struct frame_bounds bounds;
	uint32_t generation;
	uint32_t consumers; /* that have it */
	uint32_t pending;   /* of them, those that did not give it back yet */
	int result;         /* the first error, or 0 */
	uint64_t freed;     /* when it came back, or was given back by all, in order */
	uint64_t frame;     /* the exchange's, when it was handed; 0: never */
	fbk_released_fn *fn;
	void *arg;

	/* Its acquire point, as a name: the program may close the timeline. Value 0: it is reached. */
	uint32_t acquire_handle;
	uint64_t acquire_id, acquire_value;
	int acquire_error; /* that it failed with */
	bool retracted;    /* by some consumer: it is free once that point is decided */
	struct fbk_exchange *exchange;
	uint64_t watch; /* of that point, by number; 0: none. It goes with the timeline. */

	/* Of its releases, when it was taken early; counted. */
	struct kept {
		const struct fbk_link *link;
		struct lane_point *point;
	} kept[FBK_CONSUMERS_MAX];
	size_t kept_count;
};

struct fbk_exchange {
	struct child child; /* of the context */
	struct fbk_context *context;
	pthread_mutex_t lock;
	LIST_HEAD(, link_producer) consumers;
	uint32_t consumer_count;
	struct exchange_buffer buffers[FBK_BUFFERS_MAX];
	uint64_t there; /* mask of buffers that are */
	uint64_t freed;
	uint64_t frames; /* that were handed over */
	struct flushing flushing;
	const struct flushing *outer; /* as in a link */
	bool closing;     /* fbk_exchange_destroy(): callbacks of its watches do nothing any more */
	uint64_t flushed; /* the watch of the end of flushing, by number; 0: none */
	uint64_t notifier; /* the call of the next buffer that is back, by number; 0: none */
};

/* Also the scope of flushing meanwhile. */
void exchange_lock(struct fbk_exchange *exchange);
void exchange_unlock(struct fbk_exchange *exchange);

/* The buffer of that index, which has to be there, or not to be there. */
int exchange_find(struct fbk_exchange *exchange, uint32_t index, bool there,
		  struct exchange_buffer **ret_buffer);

/* Close the timelines of its releases: the program that took it early does not wait for them any more. */
void buffer_let_go(struct exchange_buffer *buffer);
void buffer_clear(struct exchange_buffer *buffer); /* closes it */

struct fbk_exchange *exchange_new(struct fbk_context *context); /* NULL: no memory */
void exchange_enlist(struct fbk_exchange *exchange); /* child of the context from then on */
void exchange_free(struct fbk_exchange *exchange);
