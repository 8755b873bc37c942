// SPDX-License-Identifier: MIT
/*
 * Links inside the library. A link has two lanes: on the one it sends frames (or gives them back), on the other it
 * receives. Both ends of it are the same in this; exchange.c is what a producer makes of it, frame.c what
 * a consumer does.
 *
 * Locks: a link's fields are under its lock, which is that of its exchange while it has one. It comes before the
 * context's. Nobody sleeps under it but for an answer of the daemon.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "child.h"
#include "fencebroker.h"
#include "proto/lane.h"
#include "proto/page.h"

struct lane {
	struct fbk_timeline *timeline; /* NULL: nobody is there */
	/* Timelines whose points go over it, by number: of the one that sends their ids, since they stay its
	 * own; of the one that receives what it opened. */
	uint64_t ids[1 + FBK_LANE_POINTS];
	struct fbk_timeline *points[1 + FBK_LANE_POINTS];
	int syncobjs[1 + FBK_LANE_POINTS]; /* that follow them; 0: none */
	uint32_t count;
};

/* A frame in the consumer's hands, or on its way back behind one that is. */
struct fbk_frame {
	struct fbk_link *link;
	uint64_t sequence; /* 0: not in use */
	uint32_t index;
	struct fbk_point acquire;
	int acquire_fd;         /* -1: none yet */
	bool held;              /* by the program */
	struct lane_entry back; /* once it is not */
};

struct link_buffer {
	struct fbk_buffer_desc desc; /* fd -1: not there */
	uint64_t epoch;              /* whose it is */
	uint32_t generation;
};

/* What a producer handed over and has not back. */
struct link_sent {
	uint32_t index;
	uint64_t deadline_ns;
	/* once it was given back */
	struct fbk_point release; /* to be reached still */
	int result;
	bool early; /* the buffer was taken before that */
};

struct fbk_link {
	struct child child; /* of the context */
	struct fbk_context *context;
	struct fbk_device *device;
	enum fbk_role role;
	bool offered;
	struct fbk_timeline *state; /* raised with each change */
	uint64_t seen;              /* its value when `info` was asked for */
	uint64_t epoch;
	struct fbk_link_info info;
	struct lane out, in;
	struct lane
		past; /* the last peer's, when it is gone: somebody may sleep on its timelines still */
	uint64_t next; /* sequence of the next frame: to hand over, or to come */
	pthread_mutex_t own_lock;
	pthread_mutex_t *lock; /* that, or its exchange's */

	/* a producer's */
	LIST_ENTRY(fbk_link) exchange_links;
	struct fbk_exchange *exchange;
	uint64_t said;     /* the next one to be given back */
	uint64_t returned; /* the next one whose release point is to be reached; not above that */
	struct link_sent sent[FBK_RING_SIZE];
	struct fbk_watch *watch; /* for that one; NULL: none */

	/* a consumer's */
	uint64_t oldest; /* that was not given back */
	struct link_buffer buffers[FBK_BUFFERS_MAX];
	struct fbk_frame frames[FBK_RING_SIZE];
	struct fbk_timeline *fences; /* whose points follow kernel fences; NULL: none yet */
	fbk_next_fn *next_fn;        /* to be told of the next frame */
	void *next_arg;
	struct fbk_watch *frame_watch, *change_watch; /* of the next ones */

	/* who listens */
	fbk_link_fn *fn;
	void *arg;
	struct fbk_watch *listener;
	enum fbk_link_phase told;
};

/* Ask the daemon if something changed since. What belonged to a peer that is gone is dropped: `lost` is called
 * before that. 0, or an error where the daemon can't be asked. */
int link_refresh(struct fbk_link *link, void (*lost)(struct fbk_link *link, int error));

/* The end of the present pairing, for a reason of ours. */
void link_give_up(struct fbk_link *link, int error, const char *reason);

/* -EPIPE, with the cause as detail. */
int link_over(const struct fbk_link *link);

/* link_refresh() as the end that it is has it: exchange.c's or frame.c's. Under the lock. */
int link_renew(struct fbk_link *link);

/* May frames go over it, as far as is known? */
static inline bool link_open(const struct fbk_link *link)
{
	return link->info.phase == FBK_LINK_ESTABLISHED && link->in.timeline;
}

/* The next change of a link. */
static inline struct fbk_point link_change(const struct fbk_link *link)
{
	return (struct fbk_point){ link->state, link->seen + 1 };
}

/* lane.c: the number of a timeline of ours for the peer; 0 of none. Negative: an error. */
int link_number_of(struct fbk_link *link, const struct fbk_timeline *timeline);

/* A point of the peer's as that route gives it: gives an fd. -EOPNOTSUPP: it gives none. */
int link_fence(struct fbk_link *link, enum fbk_route route, struct fbk_point point, int *ret_fd);

/* The peer's timeline of that number. */
int link_point_of(struct fbk_link *link, const struct lane_entry *entry,
		  struct fbk_point *ret_point);

int lane_send(const struct lane *lane, const struct lane_entry *entry);

/* Once its point is reached. -EPROTO: the ring does not have that entry. */
int lane_receive(const struct lane *lane, uint64_t sequence, struct lane_entry *ret_entry);

void lane_drop(struct lane *lane); /* closes what it has */
void lane_close_syncobjs(struct lane *lane);

/* exchange.c: what link_refresh() does, and who is back, or late (`now` is read before; 0: nobody is late); under
 * the lock */
int exchange_refresh(struct fbk_exchange *exchange, uint64_t now);
void exchange_remove_link(struct fbk_link *link);

/* frame.c: the same */
int frames_refresh(struct fbk_link *link);
void frames_drop(struct fbk_link *link);

void frames_unwatch(struct fbk_link *link);
