// SPDX-License-Identifier: MIT
/* An exchange inside the library, for the files that make it up: exchange.c, exchange-tell.c for callbacks, and
 * consumer.c for one link of it. All under the exchange's lock. */
#pragma once

#include "link.h"

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
	uint32_t unsaid;    /* of them, who did not say that they give it back */
	int result;         /* the first error, or 0 */
	uint64_t freed;     /* when it came back, or was said to, in order */
	fbk_released_fn *fn;
	void *arg;
	struct fbk_timeline
		*kept[FBK_CONSUMERS_MAX]; /* referenced, of its releases, when it was taken early */
	size_t kept_count;
};

struct fbk_exchange {
	struct child child; /* of the context */
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

/* exchange-tell.c: while somebody is to be told, each consumer's next frame is watched. */
void exchange_watch(struct fbk_exchange *exchange);

/* exchange-tell.c: some buffer is back, and somebody is to be told. */
void exchange_tell_soon(struct fbk_exchange *exchange);

/* Whatever it has comes back in error. Called before its lane is dropped. */
void consumer_lost(struct fbk_link *link, int error);

/* Take back what is there. */
void consumer_collect(struct fbk_link *link);

/* Send it away where the time for its oldest frame is over. */
void consumer_police(struct fbk_link *link, uint64_t now);

/* What is to be waited for until its oldest frame is back: that it is given back, or that its release point is
 * reached. */
struct fbk_point consumer_awaited(struct fbk_link *link);

/* 0, or why a buffer can't be handed over to it with a point of that timeline. */
int consumer_may_hand(struct fbk_link *link, struct fbk_point acquire);
int consumer_hand(struct fbk_link *link, uint32_t index, uint32_t generation,
		  struct fbk_point acquire, uint64_t deadline_ns);

static inline struct link_sent *link_sent_at(struct fbk_link *link, uint64_t sequence)
{
	return &link->sent[sequence % FBK_RING_SIZE];
}
