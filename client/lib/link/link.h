// SPDX-License-Identifier: MIT
/*
 * Links. A link has two lanes: on its own it sends frames (or gives them back), on its peer's it receives. What
 * both ends do alike is here; what only one does is in its half, and comes in by `ops`. Child of its context;
 * made and closed by link-offer.c.
 *
 * Locks: a link's fields are under its lock, which is that of its exchange while it has one. It comes before the
 * context's locks. No thread sleeps under it but for an answer of the daemon.
 *
 * Memory: frames outlive the link of the program, and its context. So the link is counted: by the program, and by each
 * frame.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/lib/child.h"
#include "client/lib/flushing.h"
#include "fencebroker.h"
#include "lane.h"

struct link_consumer;
struct link_producer;

/* What the two ends do in different ways. Under the lock but where it says so. */
struct link_role {
	/* The daemon's answer was taken over; where there is a peer, its lane is open. `from` is its first frame,
	 * once the link is established. */
	int (*met)(struct fbk_link *link, uint64_t from);

	/* The peer is gone, with that error: its lane is dropped after this. */
	void (*lost)(struct fbk_link *link, int error);

	/* link_refresh(), and what follows from what it found. */
	int (*refresh)(struct fbk_link *link);

	/* The point that the next frame waits for; -ENOENT: there is no frame. */
	int (*awaited)(struct fbk_link *link, struct fbk_point *ret_point);

	/* How many frames the consumer holds, or has been offered; what it stops for. */
	bool (*busy)(struct fbk_link *link);

	/* fbk_link_stop(): the first time. */
	void (*stop)(struct fbk_link *link);

	/* The link closes: no more watches of it. Not under the lock; so are the next two. */
	void (*leave)(struct fbk_link *link);
	void (*close)(
		struct fbk_link *link); /* after the peer was notified; NULL: nothing is open */
	void (*free)(
		struct fbk_link *link); /* also at the end of the context, without the others */
};

struct joined_format;

/* Formats that both ends allow, as they were asked for. */
struct link_formats {
	uint64_t epoch, generation; /* of that time */
	struct joined_format *formats[FBK_FORMATS_MAX];
};

struct fbk_link {
	struct child child; /* of the context */
	_Atomic unsigned int refs;
	struct fbk_context *context; /* NULL: it has ended */
	struct fbk_device *device;
	enum fbk_role role;
	const struct link_role *ops;
	struct link_producer *producer; /* one of the two, by the role; the other is NULL */
	struct link_consumer *consumer;
	bool offered;
	bool closed;                /* by the program; frames may be left */
	bool stopped;               /* fbk_link_stop(): it ends with the last frame */
	bool lost;                  /* it ended with the daemon, not before */
	struct fbk_timeline *state; /* raised with each change */
	uint64_t seen;              /* its value when `info` was asked for */
	uint64_t epoch;
	uint64_t
		held; /* of a producer: buffers that a consumer which is gone may still use, by the daemon */
	struct fbk_link_info info;
	struct link_formats formats;
	uint64_t format_generation;
	uint64_t buffers; /* mask of the producer's, and their generations */
	uint32_t generations[FBK_BUFFERS_MAX];
	struct lane out;
	struct link_peer peer;
	struct link_peer
		past; /* the last one, when it is gone: its release points can still be asked for */
	uint64_t next; /* sequence of the next frame: to hand over, or to come */
	pthread_mutex_t own_lock;
	_Atomic(pthread_mutex_t *) lock; /* that, or its exchange's; changes under both */
	struct flushing flushing;
	const struct flushing *outer; /* the scope of the thread that has the lock, before that */
	bool closing; /* fbk_link_close(): callbacks of its watches do nothing any more */

	/* fbk_link_listen(); NULL: there is no listener */
	fbk_link_fn *fn;
	void *arg;
	uint64_t listening; /* the number of its calls */
	uint64_t listener;  /* the watch of the next change, by number */
	enum fbk_link_phase notified;
};

/* -EBADF in a forked child, which must not touch it. */
int link_check(const struct fbk_link *link);

/* Also the scope of flushing meanwhile. */
void link_lock(struct fbk_link *link);
void link_unlock(struct fbk_link *link);

/* link-listen.c: under the lock. */
void listener_end(struct fbk_link *link);

/* link-offer.c */
void link_ref(struct fbk_link *link);
void link_unref(struct fbk_link *link); /* not under its lock */

/* Take over what the daemon says of it. */
struct Fbk__Wire__LinkState;
void link_take_state(struct fbk_link *link, const struct Fbk__Wire__LinkState *state);

/* Ask the daemon if something changed since. What belonged to a peer that is gone is dropped. 0, or an error
 * where the daemon can't be asked. */
int link_refresh(struct fbk_link *link);

/* The present state; where the daemon can't be asked, the last one known. And the next change after that. */
int link_look(struct fbk_link *link, struct fbk_link_info *ret_info, struct fbk_point *ret_change);

/* The end of the present pairing, for a reason of ours. */
void link_give_up(struct fbk_link *link, int error, const char *reason);

/* That, and what follows at this end: the peer lied, or it is stopped. */
void link_break(struct fbk_link *link, int error, const char *reason);

/* Once it is stopped and the last frame is back: its end. Anew after each frame that comes back. */
void link_wind_down(struct fbk_link *link);

/* The same, as the callback of a watch whose `arg` is the link. */
void link_wind_down_later(void *arg, struct fbk_point point, int result);

/* -EPIPE, with the cause as detail. */
int link_over(const struct fbk_link *link);

/* May frames go over it, as far as is known? */
static inline bool link_open(const struct fbk_link *link)
{
	return link->info.phase == FBK_PHASE_ESTABLISHED && link->peer.self;
}

/* The next change of a link. */
static inline struct fbk_point link_change(const struct fbk_link *link)
{
	return (struct fbk_point){ link->state, link->seen + 1 };
}
