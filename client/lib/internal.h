// SPDX-License-Identifier: MIT
/*
 * What the parts of the library share. Lock order: context->mutex is the only lock; nothing is
 * called back, and nothing sleeps in a futex, while it is held. (`opening` only keeps opens and
 * closes of timelines apart.) What the hot paths (signal, check,
 * wait) touch is either set before the object is handed out and constant after, or atomic.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "fencebroker.h"
#include "proto/classify.h"
#include "proto/heap.h"
#include "proto/page.h"
#include "spin.h"

#define REPLY_TIMEOUT_NS UINT64_C(5000000000)
#define CACHE_LINE       64

struct wire_packet;
struct pending; /* a request that waits for its reply; request.c */

/* A page of the daemon's that is mapped here; shared by the timelines on it. Under the mutex. */
struct page_map {
	LIST_ENTRY(page_map) links;
	uint64_t id;
	uint64_t size;
	bool writable;
	unsigned int refs;
	const void *keeper; /* its set or device, see page_map_keep */
	bool peer;          /* never unmapped, see page_map_get_peer */
	void *memory;
};

struct fbk_watch {
	LIST_ENTRY(fbk_watch) links; /* of the context, all */
	RB_ENTRY(fbk_watch) node;    /* the same */
	TAILQ_ENTRY(fbk_watch) fired_links;
	struct fbk_point point;
	fbk_point_fn *fn;
	void *arg;
	void (*drop)(void *arg); /* frees `arg` of a watch that goes without calling fn */
	uint64_t number;         /* what the daemon calls it */
	struct heap_node armed;  /* linked in the timeline's until it is decided */
	enum {
		WATCH_AT_DAEMON,
		WATCH_ON_CELL,  /* watch-cell.c */
		WATCH_TO_DAEMON /* by the dispatch that runs */
	} place;
	uint64_t deadline_ns;
	struct heap_node expiry; /* linked in the context's while it is on a cell */
	TAILQ_ENTRY(fbk_watch) unsent_links;
	bool fired; /* on the context's fired list */
	int result;
	char *detail; /* why the daemon refused it; or NULL */
};

struct signal_pairs; /* pair.h */
struct nap;          /* uring.h */
struct uring;

/* The threads of this process that sleep on a cell; wait.c. */
struct crowd {
	_Atomic uint32_t sleepers;
	_Atomic uint32_t passed; /* the sequence at which one of them last woke the others */
};

#define PAIRS_MAX 8

struct fbk_timeline {
	/* What signals and checks touch: one cache line, the next only with more than two cells. */
	_Alignas(CACHE_LINE) const bool *ours; /* the context's */
	_Atomic uint64_t *payload;             /* or the shadow in the control page */
	struct fbk_control_slot *control;
	_Atomic uint64_t last; /* signalled here: what the next signal expects to find */
	uint32_t handle;
	uint32_t flags;
	bool writes;           /* signalled here, in memory, 64 bits at once */
	bool narrow;           /* a payload of 32 bits: narrow.c */
	_Atomic bool mirrored; /* some mirrors are signalled by this process; never false again */
	bool joining;          /* it asked for a cell; under the mutex */
	_Atomic uint32_t cell_count;                      /* of `cells`, as far as any was used */
	_Atomic(struct fbk_pair_cell *) cells[PAIRS_MAX]; /* that it looks at: pair.h */

	enum fbk_visibility visibility; /* of its device */
	bool shadow;                /* the payload is not for us: read what the daemon saw of it */
	struct signal_pairs *pairs; /* the rest about them; set before the first is shown */
	uint32_t rights;            /* grows under the mutex */
	struct fbk_context *context;
	LIST_ENTRY(fbk_timeline) links;
	unsigned int refs; /* under the mutex */
	uint64_t id;
	char name[FBK_NAME_SIZE];
	struct page_map *control_map, *payload_map;

	/* As a waiter: its cell in the daemon's pair page, one in a peer page (pair.c; set once), and
	 * how often it slept without. */
	struct fbk_pair_cell *cell;
	_Atomic(struct fbk_pair_cell *) peer;
	struct page_map *peer_map;
	struct spin spin;
	_Atomic uint32_t daemon_sleeps;
	struct crowd crowds[2]; /* on `cell`, on `peer` */

	/* Under the mutex. */
	struct heap watches;       /* that are armed, by point */
	unsigned int cell_watches; /* of these, on `peer` ... */
	struct nap *nap;           /* ... which is slept on for them */

	pthread_mutex_t mirror_lock; /* a leaf: nothing else is locked under it */
	LIST_HEAD(, fbk_mirror) mirrors;
};

_Static_assert(offsetof(struct fbk_timeline, cells[2]) == CACHE_LINE, "the hot path's cache line");

struct fbk_mirror {
	LIST_ENTRY(fbk_mirror) links; /* of the timeline */
	struct fbk_timeline *timeline;
	uint32_t number;    /* the daemon's */
	int drm_fd;         /* signalled from here; -1: by the daemon */
	uint32_t syncobj;   /* there */
	uint64_t signalled; /* the last value */
};

struct fbk_device {
	LIST_ENTRY(fbk_device) links;
	struct fbk_context *context;
	uint32_t number;
	enum fbk_backing backing;
};

struct fbk_set {
	LIST_ENTRY(fbk_set) links;
	struct fbk_context *context;
	uint32_t number;
};

struct fbk_context {
	int socket;
	int epoll; /* the pollable fd: socket and local */
	int local; /* an eventfd: something to dispatch that is not on the socket */
	int doorbell;
	bool *ours; /* a page that the kernel wipes in a forked child: false there */
	struct fbk_pair_page *pair;
	struct wire_packet *packet; /* what the one who reads reads into */
	struct classifier classifier;
	uint64_t features;
	uint64_t spin_ns;
	uint64_t max_wait_ns;
	_Atomic bool lost;     /* the daemon is gone; never false again */
	_Atomic bool stopping; /* it said so; never false again */

	pthread_mutex_t opening; /* before `mutex`: one open or close of a timeline at a time */
	pthread_mutex_t mutex;
	pthread_cond_t answered; /* a reply came, or the reader stepped down */
	bool reading;            /* a thread reads the socket */
	uint64_t next_serial;
	uint64_t next_watch;
	LIST_HEAD(, pending) pendings;
	LIST_HEAD(, fbk_device) devices;
	LIST_HEAD(, fbk_set) sets;
	LIST_HEAD(, fbk_timeline) timelines;
	LIST_HEAD(, fbk_link) link_list;
	LIST_HEAD(, fbk_exchange) exchange_list;
	LIST_HEAD(, page_map) pages;
	LIST_HEAD(, fbk_watch) watches;
	RB_HEAD(watch_tree, fbk_watch) watches_by_number; /* what the daemon calls them */
	LIST_HEAD(, export) exports; /* that the daemon has not raised yet, as far as is known */
	size_t export_count, export_sweep_at;
	TAILQ_HEAD(watch_queue, fbk_watch) fired, unsent;
	bool collecting;      /* a dispatch does, which takes them off `fired` next */
	struct heap expiries; /* of watches on cells */
	int timer;            /* a timerfd for the first of them, when there was one */
	uint64_t timer_ns;    /* when it goes off */
	struct uring *uring;  /* when one was wanted */
	struct crowd any;     /* on cell 0 */

	_Atomic bool guarded; /* the guard thread runs */
	pthread_t guard;
	int guard_stop; /* an eventfd */
};

/* error.c: the sentence of this thread's last failure. error_set returns `error`. */
__attribute__((format(printf, 2, 3))) int error_set(int error, const char *format, ...);
int error_plain(int error); /* with the errno's own sentence */

/* context.c */
int context_check(struct fbk_context *context); /* 0; -EBADF in a forked child */
bool context_lost(struct fbk_context *context);
void context_lose(struct fbk_context *context);  /* the daemon is gone: wakes everybody */
void context_rouse(struct fbk_context *context); /* make the pollable fd readable */
int context_guard(struct fbk_context *context);  /* start the guard thread if there is none */

/* object.c: at the end of a context */
void context_free_objects(struct fbk_context *context);

/* point.c */
void bell_ring(struct fbk_context *context, uint32_t handle);
int timeline_check(const struct fbk_timeline *timeline, uint64_t value);

/* narrow.c: the value of a payload of 32 bits; and raise it: 0, or -EALREADY, with what it then is;
 * else an error */
uint64_t narrow_load(const struct fbk_timeline *timeline);
int narrow_raise(struct fbk_timeline *timeline, uint64_t value, uint64_t *ret_reached);

/* page-map.c; under the mutex. page_map_get takes the fd. */
int page_map_get(struct fbk_context *context, uint64_t id, uint64_t size, int fd, bool writable,
		 struct page_map **ret_map);
void page_map_put(struct page_map *map);

/* Registered memory: part of a dma-buf, kept for the device's timelines. Does not take the fd. */
int page_map_adopt(struct fbk_context *context, uint64_t id, int dmabuf, uint64_t offset,
		   uint64_t size, const struct fbk_device *device);

/*
 * A peer page, writable. A signaling thread may hold a pointer into one that was let go of by
 * another thread: so its addresses stay mapped until the end of the context, and are used again for
 * the next such page. What that thread then does to a wrong cell is a wake too many. Takes the fd.
 */
int page_map_get_peer(struct fbk_context *context, uint64_t id, int fd, struct page_map **ret_map);
void page_maps_finish(struct fbk_context *context);

/* Until its keeper, a set or a device, goes: the daemon hands a page out writable only once. */
void page_map_keep(struct page_map *map, const void *keeper);
void page_maps_release(struct fbk_context *context, const void *keeper);

/* mirror.c */
void mirrors_signal(struct fbk_timeline *timeline);
void mirrors_free(struct fbk_timeline *timeline);

/* watch.c: fbk_point_watch() of something that `drop` frees when fn is never called. Not under the
 * mutex; `drop` is called under it. `ret_watch` is set before fn may run, also where it fails. */
int watch_create(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		 void (*drop)(void *arg), struct fbk_watch **ret_watch);

/* watch.c: call `fn` in the next dispatch. Cancelled with the second, which takes NULL. Not under the mutex. */
int watch_soon(struct fbk_context *context, fbk_point_fn *fn, void *arg,
	       struct fbk_watch **ret_watch);
void watch_cancel(struct fbk_context *context, struct fbk_watch *watch);

/* watch.c; under the mutex */
void watch_fired(struct fbk_context *context, uint64_t number, int result);
void watch_refused(struct fbk_context *context, uint64_t number, int error, const char *detail);
void watches_lost(struct fbk_context *context);
void watches_drop_timeline(struct fbk_timeline *timeline);
void watches_free(struct fbk_context *context);

/* watch-cell.c; under the mutex. The first: will it be woken by the signaler, by a cell? Then `ret_state` is what
 * its point is since. */
bool watch_on_cell(struct fbk_watch *watch, int *ret_state);
void watch_leave_cell(struct fbk_watch *watch);
void watches_woken(struct fbk_timeline *timeline);
void watches_expire(struct fbk_context *context);

/* watch.c; under the mutex */
void watch_queue(struct fbk_context *context, struct fbk_watch *watch, int result);

/* export.c; under the mutex */
void exports_lost(struct fbk_context *context);
void exports_drop_timeline(struct fbk_timeline *timeline);
void exports_free(struct fbk_context *context);

/* timeline.c; under the mutex. The one that is open by that handle, or NULL. */
struct fbk_timeline *timeline_find(struct fbk_context *context, uint32_t handle);
void timeline_free(struct fbk_timeline *timeline); /* off all lists; under the mutex */

void timeline_ref(struct fbk_timeline *timeline); /* not under the mutex */

/* wait.c */
uint64_t now_ns(void);

static inline struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
				  .tv_nsec = (long)(ns % 1000000000) };
}

/* As long as policy lets anybody wait. */
static inline uint64_t deadline_bound(const struct fbk_context *context, uint64_t deadline_ns,
				      uint64_t now)
{
	return deadline_ns > now && deadline_ns - now > context->max_wait_ns
		       ? now + context->max_wait_ns
		       : deadline_ns;
}
