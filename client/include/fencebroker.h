// SPDX-License-Identifier: MIT
/*
 * libfencebroker: memory fences and kernel fences, joined.
 *
 * A device with memory fences signals by writing a 64-bit value to memory; every other device waits
 * on kernel fences, or has none. This library speaks to fencebrokerd, which owns the shared fence
 * pages and translates between the two.
 *
 * Conventions
 *   Errors    Functions that can fail return 0 (or a count) or a negative errno; results come
 *             through ret_ parameters, which stay untouched on failure. The library never logs,
 *             never aborts, and installs no signal handler. fbk_error_detail() gives the sentence.
 *             Every call may return -ENOMEM; every call that talks to the daemon may return
 *             -ENOTCONN (the daemon is gone), -ETIMEDOUT (it did not answer in five seconds),
 *             -EDQUOT (a limit of your user is reached; the detail names it), -EMFILE (no room
 *             for an fd, here or at the daemon: the detail says which), -EPERM (policy, or a
 *             right that you do not hold) and -EOPNOTSUPP (see fbk_feature()).
 *   Time      Deadlines are absolute, CLOCK_MONOTONIC, in nanoseconds. A deadline in the past (0)
 *             never sleeps. FBK_DEADLINE_MAX, and anything further away than the policy's longest
 *             wait, means that longest wait: every wait ends.
 *   Threads   A context and all that belongs to it may be used by any thread, except where a
 *             function says otherwise. Destroying an object that another thread is using is an
 *             error of the caller. Callbacks run inside fbk_dispatch() only, on its thread; they
 *             may call anything but fbk_disconnect() and fbk_dispatch() on the same context.
 *   Fork      A context belongs to the process that made it. In a forked child every call on it
 *             returns -EBADF except fbk_disconnect(), which only frees memory.
 *   fds       "takes the fd" means: the callee closes it, on failure too. "gives an fd" means: the
 *             caller closes it; it has close-on-exec set.
 *   Bits      64-bit processes only: payloads are 64-bit words shared with hardware.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define FBK_VERSION_MAJOR 0
#define FBK_VERSION_MINOR 1
#define FBK_VERSION_PATCH 0

/* Points lie in [1, FBK_POINT_MAX]. The bound comes from waits that compare cyclically,
 * (int64_t)(payload - point) >= 0, as stream memory operations of the compute APIs do. */
#define FBK_POINT_MAX ((UINT64_C(1) << 62) - 1)

#define FBK_DEADLINE_MAX UINT64_MAX
#define FBK_NAME_SIZE    32  /* names of clients, devices and timelines, with the NUL */
#define FBK_REASON_SIZE  160 /* reasons and causes, with the NUL */

struct fbk_context;  /* a connection to the daemon */
struct fbk_device;   /* a registered engine; belongs to a context */
struct fbk_timeline; /* a 64-bit counter that only grows; belongs to a context */
struct fbk_set;      /* timelines that are always shared together; belongs to a context */
struct fbk_watch;    /* a cancellable notification of one point */
struct fbk_gate;     /* "when this point is reached, do that" */
struct fbk_mirror;   /* a standing translation of a whole timeline */
struct fbk_link;     /* a negotiated producer/consumer pair */
struct fbk_exchange; /* a ring of buffers handed back and forth over a link */
struct fbk_frame;    /* one buffer of an exchange while it is in one's hands */

/* ------------------------------------------------------------------------------------ words -- */

enum fbk_device_class {
	FBK_GPU = 1,
	FBK_ENCODER = 2,
	FBK_DECODER = 3,
	FBK_DISPLAY = 4,
	FBK_CAPTURE = 5,
	FBK_NETWORK = 6,
	FBK_COMPOSITOR = 7,
	FBK_CPU = 8,
};

/* What a device can wait on and what it can signal; a mask. A device with no bit set hands buffers
 * over by system call (dequeued = ready, requeued = given back). One that signals
 * FBK_MEMORY32 and not FBK_MEMORY64 has payloads of 32 bits in memory; points are 64-bit all the
 * same. */
enum fbk_fence_kind {
	FBK_MEMORY64 = 1 << 0,
	FBK_MEMORY32 = 1 << 1,
	FBK_SYNC_FILE = 1 << 2,
	FBK_SYNCOBJ_TIMELINE = 1 << 3,
	FBK_DMA_BUF_IMPLICIT = 1 << 4,
	FBK_EVENTFD = 1 << 5,
};

/* What a device's fence pages are made of, so that its driver can import them. */
enum fbk_backing {
	FBK_BACKING_HOST = 1 << 0,   /* memory of the system, imported by its address */
	FBK_BACKING_DMABUF = 1 << 1, /* the same, which is a dma-buf too (udmabuf) */
	FBK_BACKING_OWN = 1 << 2, /* a dma-buf that its driver allocated: fbk_device_add_memory().
				      * Only its owner maps it: other processes see values when the
				      * daemon has looked, which sleeping waits, watches and exports
				      * make it do, and checks ask for */
};

/*
 * When is data, written before the fence value, visible to somebody who sees the value? A property of
 * the device, of where its data goes and of where the fence lies: whoever registers it knows.
 */
enum fbk_visibility {
	FBK_VISIBLE_ORDERED = 0, /* the value is ordered after the data: nothing is to be done */
	FBK_VISIBLE_FLUSH = 1, /* only after a read-back of the data's target: whoever waited calls
				  * fbk_point_flush() before it touches the data */
	FBK_VISIBLE_IRQ = 2,   /* only once the device's interrupt came: the device writes a word
				  * of its own (fbk_timeline_memory()) that nobody waits for, and its
				  * process signals that value when the interrupt is there */
};

/* Rights on a timeline. Holding the token (an fd) is the right: names give nothing. */
enum fbk_right {
	FBK_RIGHT_WAIT = 1 << 0,   /* open, check, wait, watch, export */
	FBK_RIGHT_SIGNAL = 1 << 1, /* signal and fail; shared for brokered timelines only: a page in
				    * memory has one writer, the process that made the timeline */
	FBK_RIGHT_PROMISE =
		1 << 2, /* with FBK_RIGHT_WAIT: promise its points to the kernel. A point
				     * that does not come in time fails the timeline, so this is for
				     * those who ask only for what is under way */
};

/* Why a timeline failed. */
enum fbk_cause {
	FBK_CAUSE_NONE = 0,
	FBK_CAUSE_OWNER_DIED = 1,   /* the signaler's process ended without closing: -EOWNERDEAD */
	FBK_CAUSE_OWNER_LEFT = 2,   /* the signaler closed the timeline or its context: -EPIPE */
	FBK_CAUSE_OWNER_FAILED = 3, /* the signaler failed it: its own errno */
	FBK_CAUSE_DEADLINE = 4,     /* a promise or an import was not kept in time: -ETIME */
	FBK_CAUSE_POLICING = 5,     /* the payload stepped back or jumped: -EPROTO */
	FBK_CAUSE_ADMIN = 6,        /* the administrator failed it: -ECANCELED */
	FBK_CAUSE_FENCE_ERROR = 7,  /* the imported kernel fence carried an error: its errno */
	FBK_CAUSE_DAEMON_LOST = 8,  /* the daemon is gone and did not come back: -ENOTCONN */
};

/* Parts of the API that depend on the daemon's version, its policy or the kernel. */
enum fbk_feature {
	FBK_FEATURE_TIMELINES = 1,
	FBK_FEATURE_WATCHES = 2,
	FBK_FEATURE_SHARING = 3,
	FBK_FEATURE_EXPORT_EVENTFD = 4,
	FBK_FEATURE_IMPORT_EVENTFD = 5,
	FBK_FEATURE_EXPORT_SYNC_FILE = 6,
	FBK_FEATURE_IMPORT_SYNC_FILE = 7,
	FBK_FEATURE_SYNCOBJ = 8,
	FBK_FEATURE_DMA_BUF_IMPLICIT = 9,
	FBK_FEATURE_PROMISE = 10,
	FBK_FEATURE_MIRRORS = 11,
	FBK_FEATURE_GATES = 12,
	FBK_FEATURE_LINKS = 13,
	FBK_FEATURE_EXCHANGES = 14,
	FBK_FEATURE_TIMELINE_MEMORY = 15, /* fbk_timeline_memory() as a dma-buf */
	FBK_FEATURE_MEMORY32 = 16,
	FBK_FEATURE_RECONNECT = 17,
};

/*
 * How one side of a link comes to know of a point that the other signals: forward (acquire) and back
 * (release) each have one. Cheapest first; the first that both devices, policy, kernel and visibility
 * allow is taken. `fencectl explain A B` says which, and why not the others.
 */
enum fbk_route {
	FBK_ROUTE_NONE = 0,
	FBK_ROUTE_NATIVE = 1,         /* it looks at the memory itself: no request for any frame */
	FBK_ROUTE_SYNCOBJ_MIRROR = 2, /* a drm_syncobj timeline that follows, same values */
	FBK_ROUTE_EVENTFD = 3,        /* an eventfd for each point */
	FBK_ROUTE_GATE = 4, /* it waits for nothing: its process does its system call then */
	FBK_ROUTE_DMA_BUF_IMPLICIT = 5,  /* a promise in the buffer's own fences */
	FBK_ROUTE_SYNC_FILE_LATE = 6,    /* a sync_file once the point is reached */
	FBK_ROUTE_SYNC_FILE_PROMISE = 7, /* a sync_file before; acquire only */
	FBK_ROUTE_CPU_WAIT = 8,          /* its process waits, then starts the device */
};

/* A point on a timeline. A value type: copying it takes no reference on the timeline. */
struct fbk_point {
	struct fbk_timeline *timeline;
	uint64_t value;
};

/* The point that is always reached. */
#define FBK_POINT_SIGNALLED ((struct fbk_point){ NULL, 0 })

/* --------------------------------------------------------------------------------- contexts -- */

/*
 * Connect to the daemon. `socket_path` NULL means $FENCEBROKER_SOCKET, else the user's daemon
 * ($XDG_RUNTIME_DIR/fencebroker/socket) if there is one, else /run/fencebroker/socket.
 *   -ENOENT, -ECONNREFUSED  no daemon there        -EPROTONOSUPPORT  no protocol version in common
 *   -EPERM                  policy refuses you     -ENAMETOOLONG     no path of a socket
 */
int fbk_connect(const char *socket_path, struct fbk_context **ret_context);

/* End the connection and free the context and all that belongs to it. Timelines that this process
 * signals fail with FBK_CAUSE_OWNER_LEFT for everybody else. Takes NULL. */
void fbk_disconnect(struct fbk_context *context);

/* The one pollable fd of this context: readable when fbk_dispatch() has something to do. Stays the
 * same for the life of the context, is not given to the caller, and may sit in any event loop. */
int fbk_context_fd(struct fbk_context *context);

/* Run the callbacks that are due; never sleeps. Returns how many ran, or -ENOTCONN once the daemon
 * is lost and all callbacks have been told. Where the loop reports edges only (EPOLLET), call it
 * until it returns 0 or an error. */
int fbk_dispatch(struct fbk_context *context);

/* 1 when the feature works on this connection, 0 when not. Calls that belong to a feature that
 * does not work return -EOPNOTSUPP. `ret_why` (may be NULL) gets a static sentence when it is 0. */
int fbk_feature(struct fbk_context *context, enum fbk_feature feature, const char **ret_why);

/* The daemon said that it is about to stop (and fbk_context_fd() became readable): what is promised
 * is still kept or failed, nothing new is promised, then it is gone. */
bool fbk_context_stopping(struct fbk_context *context);

/* The sentence that belongs to the last failed call of this thread; "" if it had none. Valid until
 * the next call of this thread. */
const char *fbk_error_detail(void);

/* ---------------------------------------------------------------------------------- devices -- */

struct fbk_device_desc {
	const char *name;            /* 1 to 31 printable bytes without space, unique per context */
	enum fbk_device_class class; /* what policy is asked about */
	uint32_t waits;              /* mask of enum fbk_fence_kind */
	uint32_t signals;            /* mask of enum fbk_fence_kind */
	bool silent;                 /* signals without notifying the CPU: while somebody waits, the
				      * daemon polls its memory */
	enum fbk_visibility visibility;
	uint32_t page_align; /* bytes that its import of fence memory needs; 0: by class */
	uint32_t backings; /* mask of enum fbk_backing that its driver takes; 0: host. The first of
			      * dma-buf, host, own that works here is taken */
	uint32_t routes;   /* mask of 1 << enum fbk_route that it puts up with; 0: all */
};

/*   -EPERM   policy: the detail names the rule     -EEXIST  this context has a device of that name
 *   -EINVAL  a bad name, mask or alignment: the detail says which
 *   -EOPNOTSUPP  none of its backings works here: the detail says what is missing */
int fbk_device_register(struct fbk_context *context, const struct fbk_device_desc *desc,
			struct fbk_device **ret_device);

/* The one that was taken. */
enum fbk_backing fbk_device_backing(const struct fbk_device *device);

/*
 * Memory for the fence pages of a device with FBK_BACKING_OWN: `size` bytes from `offset` of a dma-buf
 * of its driver, which nobody else uses and which is zeroed. Both are multiples of 4096, `size` a power
 * of two up to 2 MiB. Timelines that are made after it lie in it, 128 bytes each, behind a header of
 * 128; more memory may be added. Does not take the fd. When the driver takes the memory away,
 * its timelines fail with -EIO.
 *   -EINVAL  not a dma-buf, too small, or badly aligned   -EOPNOTSUPP  another backing is in force
 *   -ENODEV  it can't be mapped: the detail says more
 */
int fbk_device_add_memory(struct fbk_device *device, int dmabuf_fd, uint64_t offset, uint64_t size);

/* Its timelines fail with FBK_CAUSE_OWNER_LEFT. Takes NULL. */
void fbk_device_unregister(struct fbk_device *device);

/* -------------------------------------------------------------------------------- timelines -- */

enum fbk_timeline_flags {
	/* Signalled by the daemon: by fbk_point_signal_on(), or by fbk_timeline_signal(), which then
	 * is a request. Lives in a page that only the daemon writes. */
	FBK_TIMELINE_BROKERED = 1 << 0,
};

/* A set keeps timelines on the same pages: who may open one of them can read all their values.
 * Without a set each timeline has pages of its own. */
int fbk_set_create(struct fbk_context *context, struct fbk_set **ret_set);
void fbk_set_destroy(struct fbk_set *set); /* its timelines live on; takes NULL */

/* A new timeline at value 0. `set` may be NULL. `name` is for people.
 *   -ENOSPC  the set is full, the device's own memory is, or 4095 timelines are open
 *   -EINVAL  flags or name */
int fbk_timeline_create(struct fbk_device *device, struct fbk_set *set, const char *name,
			uint32_t flags, struct fbk_timeline **ret_timeline);

/* Make a token for this timeline: an fd that gives `rights` (a mask, no more than one's own) to
 * whoever presents it. A duplicate of the fd is as good; a re-opened copy is worth nothing.
 *   -EPERM  a right that you do not hold, or FBK_RIGHT_SIGNAL of a timeline in memory */
int fbk_timeline_share(struct fbk_timeline *timeline, uint32_t rights, int *ret_token_fd);

/* Open the timeline of a token (does not take the fd). Opening twice gives the same object with
 * one more reference.
 *   -EBADF  not a token of this daemon, or one whose maker closed the timeline */
int fbk_timeline_open(struct fbk_context *context, int token_fd,
		      struct fbk_timeline **ret_timeline);

/* Close; the last reference of the signaler fails it with FBK_CAUSE_OWNER_LEFT. Takes NULL. */
void fbk_timeline_close(struct fbk_timeline *timeline);

/*
 * Raise the payload to `value`: every point up to it is signalled. No system call when nobody
 * sleeps. Writes made before the call are visible to whoever sees the point reached.
 * A device that stores to the payload by itself wakes nobody who sleeps: signal its value after it,
 * from its interrupt, say. That returns -EALREADY, and wakes them. One that has no interrupt is
 * registered as silent.
 * With a payload of 32 bits, a signal that is 2^31 or more above what the daemon has seen asks it to
 * look first.
 *   -EALREADY  not above the payload; nothing changed   -ERANGE  0 or above FBK_POINT_MAX, or of
 *              32 bits and more than 2^30 above the payload
 *   -EPERM     without FBK_RIGHT_SIGNAL                 else     the timeline's error: it failed
 */
int fbk_timeline_signal(struct fbk_timeline *timeline, uint64_t value);

/* Of the device that signals it. A brokered one is ordered. */
enum fbk_visibility fbk_timeline_visibility(const struct fbk_timeline *timeline);

/* Fail the timeline: points that were reached stay reached, all others fail with `error` (a
 * negative errno). `reason` (may be NULL) travels to whoever asks fbk_timeline_info().
 *   -EALREADY  it failed before   -EINVAL  not a negative errno */
int fbk_timeline_fail(struct fbk_timeline *timeline, int error, const char *reason);

/* The largest value that is signalled now. */
uint64_t fbk_timeline_value(const struct fbk_timeline *timeline);

struct fbk_timeline_info {
	uint64_t id; /* the daemon's number: fencectl shows the same */
	char name[FBK_NAME_SIZE];
	uint32_t rights; /* yours */
	uint32_t flags;  /* enum fbk_timeline_flags */
	uint64_t value;
	enum fbk_cause cause;         /* FBK_CAUSE_NONE while it is alive */
	int error;                    /* negative errno, 0 while it is alive */
	uint64_t failed_from;         /* first point that failed; UINT64_MAX while alive */
	char reason[FBK_REASON_SIZE]; /* one sentence that names owner and cause */
	char device[FBK_NAME_SIZE];   /* the signaling device ... */
	enum fbk_device_class class;
	pid_t pid; /* ... its process and user; 0 while not known */
	uid_t uid;
};

/* Owner, state, cause. A request to the daemon; works without it from what is known here. */
int fbk_timeline_info(struct fbk_timeline *timeline, struct fbk_timeline_info *ret_info);

/* Memory of the payload, for a device that writes it: pointer, or dma-buf + offset. Signaler only.
 * `ret_dmabuf_fd` may be NULL; gives an fd. Who holds that can write: keep it to the driver.
 *   -EOPNOTSUPP  the device's pages are not FBK_BACKING_DMABUF */
struct fbk_memory {
	void *address;
	size_t size;      /* of the payload word: 8, or 4 */
	size_t page_size; /* the mapping around it, aligned to `alignment` */
	size_t offset;    /* of the payload in that mapping and in the dma-buf */
	size_t alignment;
};
int fbk_timeline_memory(struct fbk_timeline *timeline, struct fbk_memory *ret_memory,
			int *ret_dmabuf_fd);

/* ----------------------------------------------------------------------------------- points -- */

/* 0 reached, -EAGAIN not yet, else the error it failed with. No system call. Data written before
 * the signal is visible once this returned 0 (for FBK_VISIBLE_ORDERED devices). */
int fbk_point_check(struct fbk_point point);

/*
 * Make the data behind a reached point visible to this thread, where its device is one of
 * FBK_VISIBLE_FLUSH: by reading both ends of `data` back, as it is mapped here, or by what the driver
 * of the dma-buf does before a CPU reads. Else nothing is done.
 *   -EAGAIN  not reached   -EBADF  not a dma-buf   else the point's error
 */
int fbk_point_flush(struct fbk_point point, const void *data, size_t size);
int fbk_point_flush_dmabuf(struct fbk_point point, int dmabuf_fd);

/* Wait: spins shortly, then sleeps.
 *   0 reached   -ETIMEDOUT the deadline came first   else the error the point failed with */
int fbk_point_wait(struct fbk_point point, uint64_t deadline_ns);

/* Wait for any: the index of one that is reached, or of the first that failed (`ret_index`).
 * Returns that point's 0 or error, or -ETIMEDOUT with `ret_index` untouched. All of one context.
 *   -EINVAL  count 0, or points of different contexts */
int fbk_point_wait_any(const struct fbk_point *points, size_t count, uint64_t deadline_ns,
		       size_t *ret_index);

/* Wait for all: 0 when all are reached; an error as soon as one failed, `ret_index` (may be NULL)
 * says which; -ETIMEDOUT: `ret_index` says which is not reached. */
int fbk_point_wait_all(const struct fbk_point *points, size_t count, uint64_t deadline_ns,
		       size_t *ret_index);

/* Signal a point: fbk_timeline_signal(point.timeline, point.value). */
int fbk_point_signal(struct fbk_point point);

/* Fail the point, and with it the rest of its timeline. */
int fbk_point_fail(struct fbk_point point, int error);

/*
 * The point (of a FBK_TIMELINE_BROKERED timeline with FBK_RIGHT_SIGNAL) follows a kernel fence:
 * reached when that fence signals, failed when it carries an error or when the policy's longest
 * import passes. Takes the fd. Points are given in rising order and reached in that order, even
 * when the fences signal out of order.
 *   -EBADF      not an open fd, or of a kind that is refused: the detail names the kind
 *   -EALREADY   not above the points given before
 *   -EDEADLK    the fence is one that the daemon made for a point, which waits for this one: the
 *               detail names the cycle (fbk_point_depends() says more)
 */
int fbk_point_signal_on(struct fbk_point point, int fence_fd);

/*
 * Tell that who signals `point` (FBK_RIGHT_SIGNAL) waits for `on` (FBK_RIGHT_WAIT) first. The daemon
 * refuses what would close a cycle, in which all would wait until their deadlines. It also finds by
 * itself that a point follows a fence which it made for another one, when that comes back as it went
 * out: an eventfd, a syncobj or a promised sync_file, not one that was merged, relayed or put into
 * something else; nor mirrors. Of frames that either signaler handed over it knows that one in a buffer which
 * is still read comes after that one's release. What it can't see is ended by its deadline.
 * It is forgotten once either point is decided, or when this context ends. Where `on` is reached there
 * is nothing to wait for: 0. Neither signals nor waits for anything.
 *   -EDEADLK   it closes a cycle: the detail names it
 *   -EALREADY  `point` is reached          -ERANGE  0 or above FBK_POINT_MAX
 *   -ELOOP     the daemon would have to look at more than 1024 waits, from both ends, to tell
 *   -EINVAL    points of different contexts   else  the error that one of them failed with
 */
int fbk_point_depends(struct fbk_point point, struct fbk_point on);

/* What a sleeping wait, or a deadline that passed, is about: who has to signal this point, whom
 * that one waits for in turn, and the state of the last in the chain, as a sentence. */
int fbk_point_blame(struct fbk_point point, char *ret_text, size_t text_size);

/* ---------------------------------------------------------------------------------- watches -- */

/* `result`: 0 reached, -ETIMEDOUT, or the error that the point failed with. The watch is gone when
 * the callback runs. */
typedef void fbk_point_fn(void *arg, struct fbk_point point, int result);

/* Call `fn` once from fbk_dispatch() when the point is decided or the deadline passes, also when it
 * already is; for points of one timeline that are reached, in rising order. Does not wait for the
 * daemon: what that has against it (-EDQUOT, say) comes as the result, with its fbk_error_detail().
 * `ret_watch` may be NULL: then it can't be cancelled.
 * After the first few of a timeline its signaler makes the context's fd readable by itself, and the daemon has no
 * part in it: that takes io_uring, as of Linux 6.7, and that the watch is made on the thread that dispatches.
 * With FENCEBROKER_IO_URING=no in the environment io_uring is not asked for.
 *   -EINVAL  FBK_POINT_SIGNALLED, which belongs to no context that could be dispatched */
int fbk_point_watch(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		    struct fbk_watch **ret_watch);

/* After this `fn` is not called any more. Not after it was called. Takes NULL. Call it on the
 * thread that dispatches. */
void fbk_watch_cancel(struct fbk_watch *watch);

/* --------------------------------------------------------------------- exports and imports --- */

/*
 * A kernel primitive that signals when the point is decided (late export: it is never promised to
 * the kernel before).
 *   FBK_EVENTFD           becomes readable once: when the point is reached, fails, the deadline
 *                         passes, or the daemon is gone. It cannot say which: ask
 *                         fbk_point_check() (0 reached, -EAGAIN the deadline passed, else failed).
 *                         Do not write to it. An eventfd is never a sync_file.
 *   FBK_SYNC_FILE         a sync_file that is signalled: the call waits for the point first, as
 *                         fbk_point_wait() does, and returns what that returns. A failed point
 *                         gives its error and no fd: a signalled sync_file would say success.
 *   FBK_SYNCOBJ_TIMELINE  a new drm_syncobj, whose timeline point of the same value signals. It has
 *                         no fence until then: wait for it with DRM_IOCTL_SYNCOBJ_EVENTFD, or with
 *                         DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT. Failed or expired, its payload is set to
 *                         FBK_SYNCOBJ_FAILED or above: whoever waits goes on, and who queries sees.
 */
#define FBK_SYNCOBJ_FAILED (UINT64_C(1) << 62)
int fbk_point_export(struct fbk_point point, enum fbk_fence_kind kind, uint64_t deadline_ns,
		     int *ret_fd);

/*
 * A kernel fence as a point: a new brokered timeline whose point 1 follows that fence. For a stream
 * of fences make one timeline and use fbk_point_signal_on(). Takes the fd; errors as there. Close
 * ret_point->timeline when done.
 */
int fbk_import(struct fbk_device *device, int fence_fd, struct fbk_point *ret_point);

/* The same for several fences at once: reached when all of them have signalled. If some carry an
 * error the point fails with the first of these, once all are done. (The kernel's own merge of
 * sync_files drops those that have signalled already, and with them their errors.) Takes the fds.
 *   -EINVAL  not 1 to FBK_FENCES_MAX of them, or a drm_syncobj among several */
#define FBK_FENCES_MAX 16
int fbk_point_signal_on_all(struct fbk_point point, const int *fence_fds, size_t count);

/* What kind of fence an fd is, seen without touching the object behind it: one of enum
 * fbk_fence_kind, or -EBADF (the detail names what it is instead). */
int fbk_fence_classify(struct fbk_context *context, int fd);

/* ------------------------------------------------------------------ syncobjs and mirrors -- */

/*
 * A drm_syncobj is a container of kernel fences that any holder can signal or reset: make one for
 * each consumer, and share it with nobody else. It is not tied to a DRM device: one from the daemon
 * opens on any. None of these calls takes its syncobj_fd.
 */

/* A new, empty syncobj, for programs that have no DRM device open. Gives an fd. */
int fbk_syncobj_create(struct fbk_context *context, int *ret_syncobj_fd);

/*
 * As fbk_point_signal_on(), for a point of a timeline syncobj, or (syncobj_point 0) for the fence
 * that a binary syncobj holds now. A point for which nothing was submitted yet is waited for.
 *   -ENOENT      a binary syncobj without a fence
 *   -EOPNOTSUPP  nothing was submitted yet, and the daemon's kernel cannot wait for that (Linux
 *                6.6 can)
 */
int fbk_point_signal_on_syncobj(struct fbk_point point, int syncobj_fd, uint64_t syncobj_point);

/*
 * A standing translation of a whole timeline, same values on both sides, made once: no request is
 * made for any point. Values only grow; signals that come close together may arrive as one.
 *
 * To: the syncobj follows the timeline. Where this process signals the timeline in memory and has a
 * DRM device with syncobj timelines, fbk_timeline_signal() signals the syncobj too, without the
 * daemon; else the daemon does. When the timeline fails, or who made the mirror dies, the syncobj
 * is set to FBK_SYNCOBJ_FAILED, which ends every wait; a kernel consumer sees that as success.
 *
 * From: the timeline, a FBK_TIMELINE_BROKERED one with FBK_RIGHT_SIGNAL, follows the syncobj. The
 * error of a fence in it fails the timeline; so does a syncobj that was reset or stepped back, when
 * somebody looks at the timeline next.
 *   -EBUSY  the timeline follows a syncobj already
 */
int fbk_mirror_to_syncobj(struct fbk_timeline *timeline, int syncobj_fd,
			  struct fbk_mirror **ret_mirror);
int fbk_mirror_from_syncobj(struct fbk_timeline *timeline, int syncobj_fd,
			    struct fbk_mirror **ret_mirror);

/* Nothing is translated any more; what is not signalled by then stays so. Takes NULL. Closing the
 * timeline ends its mirrors too, and frees them. */
void fbk_mirror_destroy(struct fbk_mirror *mirror);

/* -------------------------------------------------------------------- promises and dma-bufs -- */

/*
 * A sync_file before the point is reached. The kernel has to rely on it, so the daemon ends it:
 * policy gives the time (a second, at most 1.5 s), and then the timeline fails with
 * FBK_CAUSE_DEADLINE, its owner is blamed, and gets no further promise until a point of its is
 * reached again. So the owner has to agree, by a token with FBK_RIGHT_PROMISE. What the kernel
 * cannot be told is that it failed: THE CONSUMER SEES SUCCESS, and may show or read a buffer that
 * is not finished. So: for acquiring only, never for a release. Off unless policy allows it.
 * A point that is reached already gives a signalled sync_file.
 *   -EPERM       without FBK_RIGHT_PROMISE, or policy: the detail says which
 *   -ETIME       the owner broke its last promise
 *   -ESHUTDOWN   the daemon is stopping
 */
int fbk_point_promise(struct fbk_point point, int *ret_sync_file);

/*
 * Put a promise into a dma-buf's implicit fences (DMA_BUF_IOCTL_IMPORT_SYNC_FILE), as its writer or
 * as a reader, for consumers that know nothing else. Policy has a key of its own for this. Does not
 * take the fd.
 */
int fbk_point_attach_dmabuf(struct fbk_point point, int dmabuf_fd, bool for_write);

/*
 * The point follows what a dma-buf's implicit fences are now (DMA_BUF_IOCTL_EXPORT_SYNC_FILE): who
 * wants to write waits for all its users (`for_write`), who wants to read for its writers. Without
 * fences it is reached at once. Does not take the fd.
 */
int fbk_point_signal_on_dmabuf(struct fbk_point point, int dmabuf_fd, bool for_write);

/* ------------------------------------------------------------------------------------ gates -- */

/*
 * "When this point is reached, do that": for devices that wait for nothing themselves. A gate opens
 * in fbk_dispatch(), in the order in which points were reached, and calls `done` once (may be
 * NULL): 0, or the error of the action; or, where it was not done, -ETIMEDOUT or the point's error. The
 * gate is gone when `done` runs. Errors of the call itself as for fbk_point_watch().
 */
int fbk_gate_function(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		      struct fbk_gate **ret_gate);

/* drmModeAtomicCommit(drm_fd, a copy of request, flags, user_data). Borrows drm_fd until then, and
 * what the request names: fds (IN_FENCE_FD), memory (OUT_FENCE_PTR) and blobs.
 * -EBUSY is passed to `done` like every error: the display still flips; commit again after that. */
struct _drmModeAtomicReq;
int fbk_gate_atomic_commit(struct fbk_point point, uint64_t deadline_ns, int drm_fd,
			   struct _drmModeAtomicReq *request, uint32_t flags, void *user_data,
			   fbk_point_fn *done, void *arg, struct fbk_gate **ret_gate);

/* VIDIOC_QBUF with a copy of `buffer` (its planes too): a capture buffer goes back to the device
 * only once nobody reads it any more. Borrows video_fd until then. */
struct v4l2_buffer;
int fbk_gate_v4l2_queue(struct fbk_point point, uint64_t deadline_ns, int video_fd,
			const struct v4l2_buffer *buffer, fbk_point_fn *done, void *arg,
			struct fbk_gate **ret_gate);

/* The action is not done and `done` not called. Not after it was called. Takes NULL. On the thread
 * that dispatches. */
void fbk_gate_cancel(struct fbk_gate *gate);

/* ------------------------------------------------------------------------------------ links -- */

/*
 * A link is a producer's device and a consumer's device that hand buffers to each other: forward with an
 * acquire point, back with a release point. Each way takes the cheapest route that both devices, policy and
 * kernel allow. One side makes an offer, an fd, and passes it to the other over whatever they share;
 * who holds it may accept. One accepts at a time: when it leaves or dies, the next may, with the same offer, so
 * a restarted or another process goes on where the last one ended.
 */
enum fbk_role { FBK_PRODUCER = 1, FBK_CONSUMER = 2 };

enum fbk_link_phase {
	FBK_LINK_OFFERED = 1,     /* nobody is at the other end */
	FBK_LINK_ACCEPTED = 2,    /* the producer has not looked yet */
	FBK_LINK_ESTABLISHED = 3, /* buffers may go */
	FBK_LINK_ENDED = 4,       /* for this end: see fbk_link_cause() */
};

/* `role` is that of the offering side. Gives an fd. */
int fbk_link_offer(struct fbk_device *device, enum fbk_role role, int *ret_offer_fd,
		   struct fbk_link **ret_link);

/*
 * Does not take the fd.
 *   -EBADF       not an offer            -EBUSY   somebody accepted it and is alive
 *   -EOPNOTSUPP  no route: the detail names the missing capability
 *   -ELOOP       an offer of this context's own: a link to oneself
 */
int fbk_link_accept(struct fbk_device *device, int offer_fd, struct fbk_link **ret_link);

/*
 * Offers by name, for processes that share nothing but the daemon, where policy allows both: the name is
 * 1 to 31 printable characters without space, by convention SERVICE.WHICH. Of the offering end only; it
 * replaces the link's last name, and goes with the link. "" or NULL takes it away. Several links of one
 * user may carry the same name: a service that serves several.
 *   -EPERM  policy: the detail names the rule; or the accepting end
 *   -EEXIST  another user's link has the name     -EINVAL  a bad name
 *   -EPIPE   the link is over
 */
int fbk_link_publish(struct fbk_link *link, const char *name);

/*
 * The offer of a link of that name that nobody has accepted now, the oldest; for fbk_link_accept(), where
 * somebody else may be faster (-EBUSY: find again). Gives an fd. Whom one met, fbk_link_info() says: names
 * are given by policy, so ask that for more. Links of the context's own are passed over.
 *   -ENOENT  there is none                        -EBUSY   all are taken: the detail says by whom
 *   -EPERM   policy: the detail names the rule    -EINVAL  a bad name
 */
int fbk_link_find(struct fbk_context *context, const char *name, int *ret_offer_fd);

/* Buffers that are at the other end come back to their producer, in error. Takes NULL. */
void fbk_link_close(struct fbk_link *link);

struct fbk_link_info {
	enum fbk_link_phase phase;
	enum fbk_role role;
	enum fbk_route acquire, release; /* FBK_ROUTE_NONE before there is a peer */
	char acquire_why[FBK_REASON_SIZE], release_why[FBK_REASON_SIZE];
	char peer[FBK_NAME_SIZE]; /* its device, process and user */
	pid_t pid;
	uid_t uid;
	int error;                   /* of the last end: negative errno, 0: there was none */
	char cause[FBK_REASON_SIZE]; /* and in a sentence */
};
int fbk_link_info(struct fbk_link *link, struct fbk_link_info *ret_info);

/* Why it ended, in a sentence; "" while it has not. Valid until the next call of this thread. */
const char *fbk_link_cause(struct fbk_link *link);

/* End it for the peer, with a sentence (may be NULL) of why that goes into its cause, of which some 80 bytes
 * are kept. What either has of the other goes as with fbk_link_close().
 *   -EPIPE  nobody is at the other end   -EINVAL  not a negative errno */
int fbk_link_fail(struct fbk_link *link, int error, const char *reason);

/* As fbk_point_blame(), of the next frame: that it comes, or, for a producer, comes back.
 *   -EPIPE  nobody is at the other end   -ENOENT  the consumer has none */
int fbk_link_blame(struct fbk_link *link, char *ret_text, size_t text_size);

/* Wait until it is established. */
int fbk_link_wait(struct fbk_link *link, uint64_t deadline_ns);

/* Call `fn` from fbk_dispatch() whenever the phase changed, until the link is closed. One at a time. */
typedef void fbk_link_fn(void *arg, struct fbk_link *link, enum fbk_link_phase phase);
int fbk_link_listen(struct fbk_link *link, fbk_link_fn *fn, void *arg);

/* -------------------------------------------------------------------------------- exchanges -- */

/*
 * A producer's ring of buffers, handed over one or several links. Each consumer gets every frame that is
 * handed after it came, in order, and gives it back in that order; a buffer is free again when all have.
 * A producer's calls on one exchange are made one at a time.
 */
#define FBK_BUFFERS_MAX   64
#define FBK_PLANES_MAX    4
#define FBK_CONSUMERS_MAX 16

struct fbk_buffer_desc {
	int fd;                 /* dma-buf, or memfd that is sealed against shrinking */
	uint32_t width, height; /* for people and consumers: not checked against the size */
	uint32_t format;        /* DRM fourcc (drm_fourcc.h) */
	uint64_t modifier;      /* DRM format modifier */
	uint32_t plane_count;
	uint32_t offset[FBK_PLANES_MAX], stride[FBK_PLANES_MAX];
};

/* `link` as its producer; the first of possibly several. */
int fbk_exchange_create(struct fbk_link *link, struct fbk_exchange **ret_exchange);

/* One more consumer, at any time; closing its link takes it away. */
int fbk_exchange_attach(struct fbk_exchange *exchange, struct fbk_link *link);

/* Callbacks that are due are not called any more. The links stay. Takes NULL. */
void fbk_exchange_destroy(struct fbk_exchange *exchange);

/* Takes the fd; the daemon keeps the buffer for as long as it may be in use.
 *   -EEXIST  there is one at this index   -EINVAL  the index, or no buffer: the detail says more */
int fbk_exchange_add(struct fbk_exchange *exchange, uint32_t index,
		     const struct fbk_buffer_desc *buffer);
/*   -EBUSY   a consumer has it */
int fbk_exchange_remove(struct fbk_exchange *exchange, uint32_t index);

/* A buffer that nobody uses: the one that came back first. Waits for one. It is the caller's until it is
 * handed over.
 *   -ETIMEDOUT   all are in use          -ENOENT  there are none */
int fbk_exchange_take(struct fbk_exchange *exchange, uint64_t deadline_ns, uint32_t *ret_index);

/*
 * The same for a device that waits by itself: a buffer that all consumers gave back, though their devices may still
 * read it. `ret_releases`, with room for FBK_CONSUMERS_MAX, gets the points that have to be reached before it
 * is written; none where `*ret_count` is 0. fbk_release_fd() gives an fd for such a point by the link's release route; the
 * routes native, gate and cpu-wait have none (-EOPNOTSUPP): wait for the point itself. They are the
 * caller's to look at until the buffer is handed over or removed, also where the consumer has left: then they fail.
 */
struct fbk_release {
	struct fbk_link *link;
	struct fbk_point point;
};
int fbk_exchange_take_early(struct fbk_exchange *exchange, uint64_t deadline_ns,
			    uint32_t *ret_index, struct fbk_release *ret_releases,
			    size_t *ret_count);
int fbk_release_fd(const struct fbk_release *release, int *ret_fd);

/*
 * Hand it over: readable once `acquire` is reached, to be back by `deadline_ns`. A consumer that does not
 * give it back by then is sent away, with that as the cause. `on_released` (may be NULL) runs once from
 * fbk_dispatch() when all consumers gave it back, or are gone: then `result` is negative, as it
 * is when one released it in error. The buffer is the caller's again then; without `on_released` it is free
 * for fbk_exchange_take().
 * On an error nobody was handed anything.
 *   -ENOTCONN    no consumer is there: the detail says why not
 *   -EBUSY       it is handed over already
 *   -ENOSPC      points of more than 16 timelines    -ENOBUFS  64 frames were taken early and are not released
 */
typedef void fbk_released_fn(void *arg, int result);
int fbk_exchange_hand(struct fbk_exchange *exchange, uint32_t index, struct fbk_point acquire,
		      uint64_t deadline_ns, fbk_released_fn *on_released, void *arg);

/* ----------------------------------------------------------------------------------- frames -- */

/*
 * The consumer's side: the next frame, in order. Where the route is FBK_ROUTE_CPU_WAIT it is readable when this
 * returns; where it is FBK_ROUTE_DMA_BUF_IMPLICIT, by what the buffer's fences say; else see below.
 * A frame whose acquire point failed goes back by itself, and that error is returned: the next call goes on.
 *   -ETIMEDOUT   there is none yet        -EPIPE   the link ended: fbk_link_cause()
 */
int fbk_link_next(struct fbk_link *link, uint64_t deadline_ns, struct fbk_frame **ret_frame);

/* For event loops: call `fn` once from fbk_dispatch() when fbk_link_next() would not wait, because a frame is
 * there or the link ended. Replaces the last call that is not through yet. */
typedef void fbk_next_fn(void *arg, struct fbk_link *link);
int fbk_link_watch(struct fbk_link *link, fbk_next_fn *fn, void *arg);

uint32_t fbk_frame_index(const struct fbk_frame *frame);
int fbk_frame_dmabuf(const struct fbk_frame *frame); /* borrowed until released, or the next
						       * frame after its producer is gone; -1: not held */
const struct fbk_buffer_desc *fbk_frame_buffer(const struct fbk_frame *frame);

/* The point to wait for: with the routes native and gate it is all there is to know; with syncobj-mirror its
 * value is the point of the syncobj. Its timeline is borrowed from the link. */
struct fbk_point fbk_frame_acquire(const struct fbk_frame *frame);

/* What to wait for by the routes eventfd, syncobj-mirror and sync_file. Borrowed until released.
 *   -EOPNOTSUPP  the route gives none     -ESTALE  not held any more: its producer is gone */
int fbk_frame_acquire_fd(struct fbk_frame *frame);

/*
 * Give it back: now (`result` 0, or a negative errno when it could not be used); once `release` is reached,
 * a point of a timeline of one's own; or once a kernel fence signals (takes the fd). Frees the frame, unless
 * an error says that nothing changed:
 *   -EINVAL   not the oldest that is held: out of turn
 *   -ESTALE   not held any more
 *   else      of the fence or point, as fbk_point_signal_on() has it
 */
int fbk_frame_release(struct fbk_frame *frame, int result);
int fbk_frame_release_at(struct fbk_frame *frame, struct fbk_point release);
int fbk_frame_release_on(struct fbk_frame *frame, int fence_fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
