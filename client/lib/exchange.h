// SPDX-License-Identifier: MIT
/* An exchange inside the library, for the two files that make it up: exchange.c, and consumer.c for one link of
 * it. All under the exchange's lock. */
#pragma once

#include "link.h"

#define CONSUMERS_MAX 16

enum buffer_state {
	BUFFER_NONE,
	BUFFER_FREE,
	BUFFER_TAKEN, /* the program has it */
	BUFFER_HANDED,
	BUFFER_BACK, /* with whom it is about to be told so */
};

struct exchange_buffer {
	enum buffer_state state;
	struct fbk_buffer_desc desc;
	uint32_t generation;
	uint32_t consumers; /* that have it */
	int result;         /* the first error, or 0 */
	uint64_t freed;     /* when it came back, in order */
	fbk_released_fn *fn;
	void *arg;
};

struct fbk_exchange {
	LIST_ENTRY(fbk_exchange) links; /* of the context */
	struct fbk_context *context;
	pthread_mutex_t lock;
	LIST_HEAD(, fbk_link) consumers;
	uint32_t consumer_count;
	struct exchange_buffer buffers[FBK_BUFFERS_MAX];
	uint64_t freed;
	struct fbk_watch
		*teller; /* runs the callbacks of those that are back; NULL: there are none */
	bool *destroyed; /* of the callback loop that runs; or NULL */
};

/* exchange.c: some buffer is back, and somebody is to be told. */
void exchange_tell_soon(struct fbk_exchange *exchange);

/* Whatever it has comes back in error. Called before its lane is dropped. */
void consumer_lost(struct fbk_link *link, int error);

/* Take back what is there. */
void consumer_collect(struct fbk_link *link);

/* Send it away where the time for its oldest frame is over. */
void consumer_police(struct fbk_link *link, uint64_t now);

/* What is to be waited for until its oldest frame is back: that it was given back, then that point. -EAGAIN, or
 * 0 with how it came back, or what is wrong with the consumer. */
int consumer_head(struct fbk_link *link, struct fbk_point *ret_point, int *ret_result);

int consumer_hand(struct fbk_link *link, uint32_t index, uint32_t generation,
		  struct fbk_point acquire, uint64_t deadline_ns);

static inline struct link_sent *link_sent_at(struct fbk_link *link, uint64_t sequence)
{
	return &link->sent[sequence % FBK_RING_SIZE];
}
