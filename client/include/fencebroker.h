// SPDX-License-Identifier: MIT
/*
 * libfencebroker: memory fences and kernel fences, joined.
 *
 * A device with memory fences signals by writing a 64-bit value to memory. Every other device waits
 * on kernel fences, or has none. This library talks to fencebrokerd, which owns the shared fence
 * pages and translates between the two.
 *
 * Conventions
 *   Errors    Functions that can fail return 0 (or a count) or a negative errno; results come
 *             through ret_ parameters, which stay untouched on failure. The library never logs,
 *             never aborts, and installs no signal handler. fbk_error_detail() returns a sentence
 *             about the last call that failed. What every call may return is below.
 *
 *             -EAGAIN, -ETIMEDOUT, -ENOTCONN, -EBADF, -EALREADY and -ECANCELED are the library's:
 *             they never come from others. A timeline that its owner failed with one of these, a
 *             kernel fence that carries one (the kernel ends innocent requests of a reset GPU
 *             with -EAGAIN), a frame released with one: all of them return -EREMOTEIO. The infos
 *             (fbk_timeline_info(), fbk_link_info()) keep the original.
 *   Daemon    What a program calls per frame does not wait for the daemon: signals, points that follow fences, watches,
 *             cancels, closes, frames. It is sent, and not answered; what the daemon refuses comes through the timeline,
 *             which fails once the points before are decided: fbk_timeline_info() has errno and reason. Requests that its
 *             socket has no room for wait in the context, in order with all that is sent later: up to 65536 with up to
 *             256 fds, then those calls return -EAGAIN. A thread of the library sends them when there is room.
 *   Time      Deadlines are absolute, CLOCK_MONOTONIC, in nanoseconds. A call with a deadline in
 *             the past (0) never sleeps. FBK_DEADLINE_MAX, and every deadline beyond the policy's
 *             longest wait, means that longest wait: every wait ends.
 *   Threads   Any thread may use a context and all that belongs to it; none may destroy an object
 *             that another thread is using. Signals of the program disturb no call: none returns -EINTR. The thread of the
 *             library blocks them all. No function is a cancellation point, and callbacks run with cancelling disabled: a
 *             thread that is cancelled ends once it is back in its program; fbk_context_set_flushing() ends what it sleeps
 *             in. A callback returns: it may not end its thread, nor throw. Asynchronous cancelling
 *             (PTHREAD_CANCEL_ASYNCHRONOUS) is not supported inside a call. Callbacks run inside fbk_dispatch() only, on its thread,
 *             and with no lock held; they may call anything but fbk_disconnect() and fbk_dispatch()
 *             on the same context. Beyond that:
 *
 *	object    threads          sleeps to a deadline  waits for a reply
 *	context   ends when no     -                     connect, disconnect,
 *	          call is left                           dispatch (changed link)
 *	device,   any              -                     register, add_memory,
 *	set                                              unregister, create,
 *	                                                 destroy
 *	timeline  any              -                     create, open, share,
 *	                                                 fail, info, memory (its
 *	                                                 dma-buf)
 *	point     any              wait, export          export, import,
 *	                           (sync_file)           promise, attach,
 *	                                                 depends, blame
 *	watch,    any              cancel, for a         -
 *	gate                       callback that runs
 *	                           elsewhere, no limit
 *	mirror    any              -                     to_ and from_syncobj
 *	link      close, when no   wait, next            all; watch and next
 *	          call is left                           when the link changed
 *	exchange  one at a time;   take, release_fd      all but hand; hand and
 *	          set_flushing:                          take, when a link
 *	          any                                    changed
 *	frame     any              acquire_fd            the first release of a
 *	                                                 kind in a buffer
 *
 *             A wait for a reply ends by the context's timeout; fbk_context_set_flushing() ends both.
 *             Checks, signals in memory, and whatever is not named here, do neither.
 *   Fork      A context belongs to the process that made it. In a forked child every call on it, and
 *             on what belongs to it, returns -EBADF or does nothing; but fbk_disconnect() frees the
 *             memory. What an object says of itself can be read until then.
 *   fds       "takes the fd" means: the callee closes it, on failure too. "gives an fd" means: the
 *             caller closes it; it has close-on-exec set.
 *   Structs   One that is passed by pointer begins with `struct_size`: set it to sizeof(struct), in one that is filled in
 *             too, and the rest to zeros. Smaller than in the first version is -EINVAL; larger than this library knows is
 *             -E2BIG unless its tail is zero. Those passed by value, and elements of arrays, never change.
 *   Bits      64-bit processes only: payloads are 64-bit words shared with hardware.
 *
 * Errors of every call; all but the first only of calls that talk to the daemon:
 *   -ENOMEM      there is no memory
 *   -ENOTCONN    the daemon is gone
 *   -ETIMEDOUT   it did not answer in time: fbk_context_set_timeout()
 *   -EPROTO      it answered what is none of its protocol
 *   -EDQUOT      a limit of your user is reached; the detail names it
 *   -EMFILE      no room for an fd, here or at the daemon: the detail says which
 *   -EPERM       policy, a right that you do not hold, or the other end of a link
 *   -EOPNOTSUPP  a feature that does not work here: fbk_feature()
 *   -ENOSYS      this kernel lacks a system call, or a sandbox refuses it: the detail names it
 */
#pragma once

#if !defined(__LP64__)
#error "fencebroker is for 64-bit processes: a fence is a 64-bit word that hardware writes"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* C++: a function that gives a struct has its name */

/* Of this header. */
#define FBK_VERSION_MAJOR 0
#define FBK_VERSION_MINOR 1
#define FBK_VERSION_PATCH 0

/* Points lie in [1, FBK_POINT_MAX]. The bound serves waits that compare cyclically,
 * (int64_t)(payload - point) >= 0, as stream memory operations of the compute APIs do. */
#define FBK_POINT_MAX ((UINT64_C(1) << 62) - 1)

#define FBK_DEADLINE_MAX UINT64_MAX /* the policy's longest wait */
#define FBK_NAME_SIZE    32         /* names of clients, devices and timelines, with the NUL */
#define FBK_REASON_SIZE  160        /* reasons and causes, with the NUL */

struct fbk_context;  /* a connection to the daemon */
struct fbk_device;   /* a registered engine; belongs to a context */
struct fbk_timeline; /* a 64-bit counter that only grows; belongs to a context */
struct fbk_set;      /* timelines that are always shared together; belongs to a context */
struct fbk_watch;    /* a callback that can be cancelled: of a point, or of a link */
struct fbk_gate;     /* "when this point is reached, do that" */
struct fbk_mirror;   /* a standing translation of a whole timeline */
struct fbk_link;     /* a negotiated producer/consumer pair */
struct fbk_exchange; /* a ring of buffers handed back and forth over a link */
struct fbk_frame;    /* one buffer of an exchange while the consumer holds it */

/* ------------------------------------------------------------------------------------ words -- */

/* What a device is; policy decides by it. */
enum fbk_device_class {
	FBK_CLASS_GPU = 1,
	FBK_CLASS_ENCODER = 2,
	FBK_CLASS_DECODER = 3,
	FBK_CLASS_DISPLAY = 4,
	FBK_CLASS_CAPTURE = 5,
	FBK_CLASS_NETWORK = 6,
	FBK_CLASS_COMPOSITOR = 7,
	FBK_CLASS_CPU = 8,
};

/* What a device can wait on and what it can signal; a mask. A device with no bit set hands buffers
 * over by system call (dequeue acquires, requeue releases). A device that signals FBK_FENCE_MEMORY32 and
 * not FBK_FENCE_MEMORY64 has 32-bit payloads in memory; its points have 64 bits all the same. */
enum fbk_fence_kind {
	FBK_FENCE_MEMORY64 = 1 << 0,
	FBK_FENCE_MEMORY32 = 1 << 1,
	FBK_FENCE_SYNC_FILE = 1 << 2,
	FBK_FENCE_SYNCOBJ_TIMELINE = 1 << 3,
	FBK_FENCE_DMA_BUF_IMPLICIT = 1 << 4,
	FBK_FENCE_EVENTFD = 1 << 5,
};

/* What a device's fence pages are made of, so that its driver can import them. */
enum fbk_backing {
	FBK_BACKING_HOST = 1 << 0,   /* system memory, imported by its address */
	FBK_BACKING_DMABUF = 1 << 1, /* system memory that is a dma-buf too (udmabuf) */
	FBK_BACKING_OWN = 1 << 2, /* a dma-buf that its driver allocated: fbk_device_add_memory().
				      * Only the owner and the daemon map it. Other processes see a
				      * value once the daemon has looked; sleeping waits, watches,
				      * exports and checks make it look */
};

/*
 * When is data that was written before the fence value visible to a reader of that value? The answer
 * depends on the device, on where its data goes and on where the fence lies. The process that
 * registers the device knows it.
 */
enum fbk_visibility {
	FBK_VISIBILITY_ORDERED =
		0, /* the value is ordered after the data: a waiter need do nothing */
	FBK_VISIBILITY_FLUSH = 1, /* only after a read-back of the data: the waiter calls
				  * fbk_point_flush() before it touches the data. A read-back
				  * flushes the path that it reads by, and no other */
	FBK_VISIBILITY_IRQ = 2,   /* only once the device's interrupt came: the device writes a word
				  * of its own (fbk_timeline_memory()) that has no waiters, and its
				  * process signals that value when the interrupt comes */
};

/* Rights on a timeline. The token (an fd) gives them; names give none. */
enum fbk_right {
	FBK_RIGHT_WAIT = 1 << 0,   /* open, check, wait, watch, export */
	FBK_RIGHT_SIGNAL = 1 << 1, /* signal and fail; shared for brokered timelines only: a page in
				    * memory has one writer, the process that made the timeline */
	FBK_RIGHT_PROMISE =
		1 << 2, /* with FBK_RIGHT_WAIT: promise its points to the kernel. A broken
				     * promise fails the timeline, so give this right only to
				     * processes that promise work under way */
};

/* Why a timeline failed. */
enum fbk_cause {
	FBK_CAUSE_NONE = 0,
	FBK_CAUSE_OWNER_DIED = 1,   /* the signaler's process ended without closing: -EOWNERDEAD */
	FBK_CAUSE_OWNER_LEFT = 2,   /* the signaler closed the timeline or its context: -EPIPE */
	FBK_CAUSE_OWNER_FAILED = 3, /* the signaler failed it: its own errno */
	FBK_CAUSE_DEADLINE = 4,    /* a promise, or a dead consumer's release, never came: -ETIME */
	FBK_CAUSE_POLICING = 5,    /* the payload stepped back or jumped: -EPROTO */
	FBK_CAUSE_ADMIN = 6,       /* the administrator failed it: -ECONNABORTED */
	FBK_CAUSE_FENCE_ERROR = 7, /* the imported kernel fence failed, or is refused: its errno */
	FBK_CAUSE_DAEMON_LOST = 8, /* the daemon is gone and did not come back: -ENOTCONN */
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
 * How one side of a link learns that the other side's point is reached. The acquire (producer ->
 * consumer) and the release (producer <- consumer) each have a route. Cheapest first; the link takes
 * the first that both devices, policy, kernel and visibility allow. `fencectl explain A B` shows
 * which, and why not the others.
 */
enum fbk_route {
	FBK_ROUTE_NONE = 0,
	FBK_ROUTE_NATIVE = 1,         /* the waiter reads the memory itself: no request per frame */
	FBK_ROUTE_SYNCOBJ_MIRROR = 2, /* a drm_syncobj timeline that follows, same values */
	FBK_ROUTE_EVENTFD = 3,        /* an eventfd for each point */
	FBK_ROUTE_GATE = 4, /* no fence: the waiter's process does its system call at the point */
	FBK_ROUTE_DMA_BUF_IMPLICIT = 5,  /* a promise in the buffer's own fences */
	FBK_ROUTE_SYNC_FILE_LATE = 6,    /* a sync_file once the point is reached */
	FBK_ROUTE_SYNC_FILE_PROMISE = 7, /* a sync_file before; acquire only */
	FBK_ROUTE_CPU_WAIT = 8,          /* the waiter's process waits, then starts the device */
};

/* A point on a timeline. A value type: copying it takes no reference on the timeline. */
struct fbk_point {
	struct fbk_timeline *timeline;
	uint64_t value;
};

/* The point that is always reached. */
#ifdef __cplusplus
#define FBK_POINT_SIGNALLED (fbk_point{ nullptr, 0 })
#else
#define FBK_POINT_SIGNALLED ((struct fbk_point){ NULL, 0 })
#endif

/* --------------------------------------------------------------------------------- contexts -- */

/*
 * Connect to the daemon. `socket_path` NULL means $FENCEBROKER_SOCKET, else the user's daemon
 * ($XDG_RUNTIME_DIR/fencebroker/socket) if there is one, else /run/fencebroker/socket. A program that runs with more
 * privileges than its caller (set-user-ID, file capabilities) does not look at the environment: secure_getenv(3).
 *   -ENOENT, -ECONNREFUSED  no daemon there
 *   -EPROTONOSUPPORT        no protocol version in common
 *   -EPERM                  policy refuses you
 *   -ENAMETOOLONG           the path is too long for a socket
 *   -EXDEV                  the daemon is in another time namespace: deadlines would mean another time there
 *   else                    what socket(2) and connect(2) say
 */
int fbk_connect(const char *socket_path, struct fbk_context **ret_context);

/*
 * Connect over a connected socket: the one that RegisterDevice() of org.fencebroker1 on D-Bus returned, which sandboxed
 * programs can reach. Takes the fd, also when it fails. The device that was registered with it is
 * fbk_context_device(). The process that calls this is the client from then on.
 *   -EPROTO  the socket is not connected to a daemon
 */
int fbk_connect_fd(int socket_fd, struct fbk_context **ret_context);

/* The device that was registered over D-Bus with this connection; NULL: none. As any device, it can be unregistered. */
struct fbk_device *fbk_context_device(struct fbk_context *context);

/* End the connection and free the context and all that belongs to it. Timelines that this process
 * signals fail with FBK_CAUSE_OWNER_LEFT for all other processes. Takes NULL. */
void fbk_disconnect(struct fbk_context *context);

/* The one pollable fd of this context: readable when fbk_dispatch() has something to do. It stays
 * the same for the life of the context, which owns it; any event loop can poll it. */
int fbk_context_fd(struct fbk_context *context);

/* Run the callbacks that are due, at most 64 of them: while some are left the fd stays readable. Returns how many ran, or
 * -ENOTCONN once the daemon is gone and all callbacks have run. In a loop that reports edges only (EPOLLET), call it until
 * it returns 0 or an error. */
int fbk_dispatch(struct fbk_context *context);

/* Set how long a request waits for the daemon's answer, from now on; at first 5 seconds. A request that
 * takes a deadline waits for the shorter of both.
 *   -EINVAL  a time of 0 */
int fbk_context_set_timeout(struct fbk_context *context, uint64_t timeout_ns);

/*
 * Stop threads: while this is true, no call of the context sleeps or waits for the daemon. Those that do end with -ECANCELED,
 * and so does each that would; calls that need not sleep work as ever. Stays so until it is set to false. From any thread,
 * and from callbacks. To end a program with threads: set it, join them, fbk_disconnect().
 * fbk_link_set_flushing() and fbk_exchange_set_flushing() do the same for calls of one link or one exchange.
 */
int fbk_context_set_flushing(struct fbk_context *context, bool flushing);

/*
 * Whether a feature works on this connection: 1, or 0. Calls that belong to a feature that
 * does not work return -EOPNOTSUPP. `ret_why` (may be NULL) gets a static sentence when it is 0.
 * Features come and go with the daemon's devices and policy. A change makes fbk_context_fd() readable; after
 * fbk_dispatch() this returns the new state, and what was refused may be tried again: fbk_link_accept(), too.
 */
int fbk_feature(struct fbk_context *context, enum fbk_feature feature, const char **ret_why);

/* True once the daemon has announced that it stops, by which fbk_context_fd() became readable: it keeps or fails the
 * promises under way, makes no new ones, and then ends. */
bool fbk_context_stopping(struct fbk_context *context);

/*
 * The sentence about the last call of this thread that failed; "" if it had none. Valid until the next one fails. Where a
 * point failed it names the timeline, its device and process, and the cause; fbk_timeline_info() has the owner's reason. In
 * a callback with a negative result it is about that result. A call that succeeds leaves it alone, as do those that return
 * no error, and -EAGAIN of fbk_point_check() and fbk_frame_error(), which is no failure.
 */
const char *fbk_error_detail(void);

/* ---------------------------------------------------------------------------------- devices -- */

/* What a program says of its device. */
struct fbk_device_desc {
	size_t struct_size;
	const char *name; /* 1 to 31 printable bytes without space, unique per context */
	enum fbk_device_class device_class; /* policy decides by it */
	uint32_t waits;                     /* mask of enum fbk_fence_kind */
	uint32_t signals;                   /* mask of enum fbk_fence_kind */
	bool silent; /* signals without notifying the CPU: the daemon polls its
				      * memory while a waiter waits */
	enum fbk_visibility visibility;
	uint32_t page_align; /* bytes that its import of fence memory needs; 0: by class */
	uint32_t backings;   /* mask of enum fbk_backing that its driver takes; 0: host. The daemon
			      * takes the first of dma-buf, host, own that works here */
	uint32_t routes;     /* accepted routes, a mask of 1 << enum fbk_route; 0: all */
};

/* Register a device: its timelines come from it, and links connect it.
 *   -EPERM       policy: the detail names the rule
 *   -EEXIST      this context has a device of that name
 *   -EINVAL      a bad name, mask or alignment: the detail says which
 *   -EOPNOTSUPP  none of its backings works here: the detail says what is missing */
int fbk_device_register(struct fbk_context *context, const struct fbk_device_desc *desc,
			struct fbk_device **ret_device);

/* The backing in force. */
enum fbk_backing fbk_device_backing(const struct fbk_device *device);

/*
 * Add memory for the fence pages of a device with FBK_BACKING_OWN: `size` bytes from `offset` of a
 * dma-buf of its driver. The memory must be zeroed and have no other user. Both numbers are multiples
 * of 4096, and `size` is a power of two up to 2 MiB. Timelines created afterwards lie in it, 128 bytes
 * each, behind a header of 128; more memory may be added. Does not take the fd. When the driver takes
 * the memory away, its timelines fail with -EIO.
 *   -EBADF       not a dma-buf
 *   -EINVAL      too small, or badly aligned
 *   -ENODEV      it can't be mapped: the detail says more
 *   -EOPNOTSUPP  another backing is in force
 */
int fbk_device_add_memory(struct fbk_device *device, int dmabuf_fd, uint64_t offset, uint64_t size);

/* End a device: its timelines fail with FBK_CAUSE_OWNER_LEFT. Takes NULL. */
void fbk_device_unregister(struct fbk_device *device);

/* -------------------------------------------------------------------------------- timelines -- */

/* How a timeline is made; a mask. */
enum fbk_timeline_flags {
	/* Signalled by the daemon: by fbk_point_signal_on(), or by fbk_timeline_signal(), which then
	 * is a request. Lives in a page that only the daemon writes. */
	FBK_TIMELINE_BROKERED = 1 << 0,
};

/* A set keeps timelines on the same pages: a process that may open one can read the values of all.
 * Without a set each timeline has pages of its own. */
int fbk_set_create(struct fbk_context *context, struct fbk_set **ret_set);
void fbk_set_destroy(struct fbk_set *set); /* its timelines live on; takes NULL */

/* A new timeline at value 0. `set` may be NULL. `name` is for people.
 *   -ENOSPC  the set or the device's own memory is full, or 4095 timelines are open
 *   -EINVAL  flags or name */
int fbk_timeline_create(struct fbk_device *device, struct fbk_set *set, const char *name,
			uint32_t flags, struct fbk_timeline **ret_timeline);

/* Make a token for this timeline: an fd that gives `rights` (a mask, no more than the caller's own)
 * to any process that presents it, or a duplicate of it. The file has mode 0: only a process with CAP_DAC_OVERRIDE can open
 * it anew, and has the token then. Each call makes another, charged until the timeline is closed here: keep the fd to
 * share with more.
 *   -EPERM   a right that you do not hold, or FBK_RIGHT_SIGNAL of a timeline in memory
 *   -EINVAL  no mask of rights */
int fbk_timeline_share(struct fbk_timeline *timeline, uint32_t rights, int *ret_token_fd);

/* Open the timeline of a token (does not take the fd). Opening twice gives the same object with
 * one more reference.
 *   -EBADF   not a token of this daemon, or its maker closed the timeline
 *   -ENOENT  it has ended: the detail says how
 *   -ENOSPC  4095 timelines are open
 *   -EAGAIN  its signaler has not mapped it yet */
int fbk_timeline_open(struct fbk_context *context, int token_fd,
		      struct fbk_timeline **ret_timeline);

/* Close a timeline. When the signaler closes its last reference, the timeline fails with FBK_CAUSE_OWNER_LEFT, as soon as the daemon
 * has heard of it. Watches, gates, mirrors and exports keep its memory, but end with the last close. Takes NULL. */
void fbk_timeline_close(struct fbk_timeline *timeline);

/*
 * Raise the payload to `value`: every point up to it is signalled. No system call unless a waiter
 * sleeps. Writes made before the call are visible to every thread that sees the point reached.
 * A device that stores to the payload by itself wakes no sleeping waiter. Signal its value after it
 * did, from its interrupt for example: that returns -EALREADY and wakes the waiters. Register a device
 * without an interrupt as silent.
 * With a 32-bit payload, a signal that is 2^31 or more above what the daemon has seen asks the daemon
 * to look first.
 * A brokered timeline is raised when the daemon has the request, once all points given before are decided; what has to be
 * raised by two processes at once is raised to the higher value.
 *   -EALREADY  not above the payload, or, brokered, what was given here before; nothing changed
 *   -ERANGE    0 or above FBK_POINT_MAX; with a 32-bit payload also more than 2^30 above the payload
 *   -EPERM     without FBK_RIGHT_SIGNAL
 *   -EBUSY     it follows a syncobj
 *   else       the timeline's error: it failed
 */
int fbk_timeline_signal(struct fbk_timeline *timeline, uint64_t value);

/* The visibility of the device that signals it; a brokered timeline is ordered. */
enum fbk_visibility fbk_timeline_visibility(const struct fbk_timeline *timeline);

/* Fail the timeline: points that were reached stay reached, all others fail with `error` (a
 * negative errno). fbk_timeline_info() returns `reason` (may be NULL) to every process.
 *   -EALREADY  it failed before
 *   -EINVAL    not a negative errno */
int fbk_timeline_fail(struct fbk_timeline *timeline, int error, const char *reason);

/* The largest value that is signalled now. */
uint64_t fbk_timeline_value(const struct fbk_timeline *timeline);

/* What a timeline is. */
struct fbk_timeline_info {
	size_t struct_size;
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
	enum fbk_device_class device_class;
	pid_t pid; /* ... its process and user; 0 while not known */
	uid_t uid;
};

/* Owner, state, cause. A request to the daemon; without a daemon, what the library knows: a timeline that failed before
 * keeps its cause and names its owner. Links likewise keep the cause that they ended with. */
int fbk_timeline_info(struct fbk_timeline *timeline, struct fbk_timeline_info *ret_info);

/* Memory of the payload, for a device that writes it: pointer, or dma-buf + offset. Signaler only.
 * `ret_dmabuf_fd` may be NULL; gives an fd. Its holder can write the page: give it to the driver
 * only.
 *   -EPERM       this process does not signal it in memory
 *   -EOPNOTSUPP  the device's pages are not FBK_BACKING_DMABUF */
struct fbk_memory {
	size_t struct_size;
	void *address;
	size_t size;      /* of the payload word: 8, or 4 */
	size_t page_size; /* the mapping around it, aligned to `alignment` */
	size_t offset;    /* of the payload in that mapping and in the dma-buf */
	size_t alignment;
};
int fbk_timeline_memory(struct fbk_timeline *timeline, struct fbk_memory *ret_memory,
			int *ret_dmabuf_fd);

/* ----------------------------------------------------------------------------------- points -- */

/* Look at a point, without a system call: 0 once it is reached. Data written before the signal is visible then (for
 * FBK_VISIBILITY_ORDERED devices).
 *   -EAGAIN    not yet
 *   -ENOTCONN  not yet, and the daemon is gone
 *   else       the error that it failed with */
int fbk_point_check(struct fbk_point point);

/*
 * Make the data behind a reached point visible to this thread, if its device is FBK_VISIBILITY_FLUSH;
 * else nothing happens. fbk_point_flush() reads both ends of `data` back, as this process maps it; fbk_point_flush_dmabuf()
 * does what the dma-buf's driver does before a CPU reads. A read-back flushes its own path only: data
 * behind another mapping or another device needs a flush of its own.
 *   -EAGAIN  not reached
 *   -EBADF   not a dma-buf
 *   else     the point's error
 */
int fbk_point_flush(struct fbk_point point, const void *data, size_t size);
int fbk_point_flush_dmabuf(struct fbk_point point, int dmabuf_fd);

/* Wait: spins shortly, then sleeps. 0 is reached.
 *   -ETIMEDOUT  the deadline came first
 *   else        the error that the point failed with */
int fbk_point_wait(struct fbk_point point, uint64_t deadline_ns);

/* Wait for any: `ret_index` gets the index of one that is reached, or of the first that failed.
 * Returns 0 or the error of that point. All points belong to one context.
 *   -ETIMEDOUT  the deadline came first; `ret_index` is untouched
 *   -EINVAL     count 0, or points of different contexts
 *   else        the error that the point of `ret_index` failed with */
int fbk_point_wait_any(const struct fbk_point *points, size_t count, uint64_t deadline_ns,
		       size_t *ret_index);

/* Wait for all: 0 when all are reached. Returns an error as soon as one failed, and `ret_index` (may
 * be NULL) says which.
 *   -ETIMEDOUT  `ret_index` says which is not reached
 *   -EINVAL     count 0, or points of different contexts
 *   else        the error that the point of `ret_index` failed with */
int fbk_point_wait_all(const struct fbk_point *points, size_t count, uint64_t deadline_ns,
		       size_t *ret_index);

/* Signal a point: fbk_timeline_signal() of point.timeline with point.value.
 *   -EINVAL  FBK_POINT_SIGNALLED
 *   else     as fbk_timeline_signal() */
int fbk_point_signal(struct fbk_point point);

/*
 * The point (of a FBK_TIMELINE_BROKERED timeline with FBK_RIGHT_SIGNAL) follows a kernel fence: the
 * point is reached when the fence signals, and fails when the fence carries an error. It may take as long
 * as this process lives: waits end by their own deadlines. Takes the fd. The caller gives points in rising
 * order, and they are reached in that order, even when the fences signal out of order. An eventfd, a syncobj's point or a
 * promised sync_file that the daemon made for a point, and that comes back unchanged while it is pending, stands for that
 * point: what the fence says at the end of its export is not taken for it.
 *   -EBADF     not an open fd, or of a refused kind: the detail names the kind
 *   -EALREADY  not above the points given before through this process
 *   -EINVAL    not a brokered timeline, or FBK_POINT_SIGNALLED
 *   -ERANGE    0 or above FBK_POINT_MAX
 *   -EBUSY     it follows a syncobj, by a mirror of this process
 *   -EAGAIN    the daemon takes nothing, and as much waits as may; the fd is closed
 *   else       the timeline's error: it failed
 * The rest the daemon finds, and the timeline fails with it: a limit (-EDQUOT), or -EDEADLK: the daemon made the fence for
 * a point that waits for this one, and the reason names the cycle (fbk_point_depends() says more).
 */
int fbk_point_signal_on(struct fbk_point point, int fence_fd);

/*
 * Declare that the signaler of `point` (FBK_RIGHT_SIGNAL) waits for `on` (FBK_RIGHT_WAIT) first. The
 * daemon refuses a declaration that closes a cycle, in which every wait would end at its deadline
 * only. Neither signals nor waits for anything.
 * The daemon also finds a dependency by itself where a point follows a fence that it made for another
 * point: an eventfd, a syncobj or a promised sync_file that comes back unchanged. It does not recognise
 * a merged or relayed fence, one inside something else, or a mirror. For frames that a signaler handed
 * over, it knows that a frame in a buffer that is still read comes after that read's release. Deadlines
 * end what it cannot see.
 * The daemon forgets the declaration once either point is decided, or when this context ends. If `on`
 * is reached there is nothing to wait for: 0.
 *   -EDEADLK   it closes a cycle: the detail names it
 *   -EALREADY  `point` is reached
 *   -ERANGE    0 or above FBK_POINT_MAX
 *   -ELOOP     deciding would take a look at more than 1024 waits, from both ends
 *   -EINVAL    points of different contexts
 *   else       the error that one of them failed with
 */
int fbk_point_depends(struct fbk_point point, struct fbk_point on);

/* Explain a sleeping wait, or a passed deadline, in one sentence: who has to signal this point, whom
 * that signaler waits for in turn, and the state of the last process in the chain. */
int fbk_point_blame(struct fbk_point point, char *ret_text, size_t text_size);

/* ---------------------------------------------------------------------------------- watches -- */

/*
 * A callback belongs to the library, unless its caller asks for a handle: `ret_watch` (or `ret_gate`, below), which may be
 * NULL. Such a handle is set before the callback can run. It is valid until fbk_watch_cancel(), which it is owed once, also
 * after the callback ran, and when its timeline or link was closed; fbk_disconnect() frees those that are left.
 *
 * What becomes of a callback: it runs; or it is cancelled; or its link or exchange is closed, or its context ends, which
 * cancel it too. A timeline that is closed decides the watches and gates of its points with -ECANCELED.
 */

/* Cancel a callback. Afterwards it does not run, and will not: if it runs on another thread this waits until it has returned. From
 * within the callback it returns at once. Any thread; two callbacks that cancel each other on two threads wait for ever.
 * Takes NULL. */
void fbk_watch_cancel(struct fbk_watch *watch);

/* `result`: 0 reached, -ETIMEDOUT, -ECANCELED, or the error that the point failed with. The memory of its timeline stays until
 * the callback has returned; after -ECANCELED it is no timeline any more. */
typedef void fbk_point_fn(void *arg, struct fbk_point point, int result);

/* Call `fn` once from fbk_dispatch() when the point is decided or the deadline passes, also if it is
 * decided already. Watches of one timeline whose points are reached fire in rising order. The call does
 * not wait for the daemon: a refusal (-EDQUOT, for example) comes as the result, with its
 * fbk_error_detail().
 * After the first few watches of a timeline its signaler makes the context's fd readable directly, without
 * the daemon. That needs io_uring (Linux 6.7), and the watch has to be made on the thread that dispatches.
 * With FENCEBROKER_IO_URING=no in the environment the library does not use io_uring.
 *   -EINVAL  FBK_POINT_SIGNALLED, which belongs to no context that could dispatch it
 *   -ERANGE  0 or above FBK_POINT_MAX */
int fbk_point_watch(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		    struct fbk_watch **ret_watch);

/* --------------------------------------------------------------------- exports and imports --- */

/*
 * A kernel primitive that signals when the point is decided (late export: the kernel gets no promise).
 *   FBK_FENCE_EVENTFD           becomes readable once: when the point is reached, fails, the deadline
 *                               passes, or the daemon is gone. It cannot say which: ask
 *                               fbk_point_check() (0 reached, -EAGAIN the deadline passed, else failed).
 *                               Do not write to it. An eventfd is never a sync_file.
 *   FBK_FENCE_SYNC_FILE         a sync_file that is signalled: the call waits for the point first, as
 *                               fbk_point_wait() does, and returns what that returns. A failed point
 *                               gives its error and no fd: a signalled sync_file would say success.
 *   FBK_FENCE_SYNCOBJ_TIMELINE  a new drm_syncobj, whose timeline point of the same value signals. It has
 *                               no fence until then: wait for it with DRM_IOCTL_SYNCOBJ_EVENTFD, or with
 *                               DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT. When the point fails or expires, the
 *                               daemon sets the payload to FBK_SYNCOBJ_FAILED or above: every wait ends, and
 *                               a query shows why. A syncobj can hold fences with errors, but the fence that
 *                               TIMELINE_SIGNAL attaches cannot carry one, and waits do not report them yet.
 *   -EOPNOTSUPP  the kind can't be exported here; FBK_POINT_SIGNALLED as anything but an eventfd
 *   -ERANGE      0 or above FBK_POINT_MAX
 */
#define FBK_SYNCOBJ_FAILED (UINT64_C(1) << 62)
int fbk_point_export(struct fbk_point point, enum fbk_fence_kind kind, uint64_t deadline_ns,
		     int *ret_fd);

/*
 * As fbk_point_export(), to a point of an existing drm_syncobj, as linux-drm-syncobj-v1 and PipeWire hand them over: `syncobj_point` signals
 * when the point is reached. When it fails, or the deadline passes, that point stays without a fence: whoever waits for it
 * waits on, by a deadline of its own, since nothing but the end of all its points could say "failed" there. Does not take
 * the fd.
 *   -EINVAL      a fence was submitted for that point, or for a later one; or 0, or the point that is always reached
 *   -EBADF       not a drm_syncobj
 *   -EOPNOTSUPP  the daemon has no DRM device with syncobj timelines
 */
int fbk_point_export_to_syncobj(struct fbk_point point, int syncobj_fd, uint64_t syncobj_point,
				uint64_t deadline_ns);

/*
 * A kernel fence as a point: a new brokered timeline whose point 1 follows that fence. For a stream
 * of fences make one timeline and use fbk_point_signal_on(), whose errors are those of this call, too. Takes the fd. Close
 * ret_point->timeline when done.
 */
int fbk_import(struct fbk_device *device, int fence_fd, struct fbk_point *ret_point);

/* As fbk_point_signal_on(), for several fences at once: reached when all of them have signalled. If some carry an
 * error the point fails with the first of these, once all are done. (The kernel's own merge of
 * sync_files drops those that have signalled already, and with them their errors.) Takes the fds.
 *   -EINVAL  not 1 to FBK_FENCES_MAX of them, or a drm_syncobj among several */
#define FBK_FENCES_MAX 16
int fbk_point_signal_on_all(struct fbk_point point, const int *fence_fds, size_t count);

/* What kind of fence an fd is, seen without touching the object behind it: one of enum fbk_fence_kind.
 *   -EBADF  none: the detail names what it is instead */
int fbk_fence_classify(struct fbk_context *context, int fd);

/* ------------------------------------------------------------------ syncobjs and mirrors -- */

/*
 * A drm_syncobj is a container of kernel fences that any holder can signal or reset: create one for
 * each consumer, and share it with no other process. It is not tied to a DRM device: a syncobj of the
 * daemon opens on any device. None of these calls takes its syncobj_fd.
 */

/* A new, empty syncobj, for programs that have no DRM device open. Gives an fd. */
int fbk_syncobj_create(struct fbk_context *context, int *ret_syncobj_fd);

/*
 * As fbk_point_signal_on(), for a point of a timeline syncobj, or (syncobj_point 0) for the fence
 * that a binary syncobj holds now: that one the daemon takes before the call returns, so it waits for its answer. For a
 * point without a submission the daemon waits for one; where its kernel cannot (Linux 6.6 can), the timeline fails with
 * -EOPNOTSUPP.
 *   -ENOENT      a binary syncobj without a fence
 */
int fbk_point_signal_on_syncobj(struct fbk_point point, int syncobj_fd, uint64_t syncobj_point);

/*
 * A standing translation of a whole timeline, same values on both sides, set up once: no request per
 * point. Values only grow; signals that come close together may arrive as one.
 *
 * fbk_mirror_to_syncobj(): the syncobj follows the timeline. If this process signals the timeline in memory and has a DRM
 * device with syncobj timelines, fbk_timeline_signal() signals the syncobj too, without the daemon;
 * else the daemon does. When the timeline fails, or the maker of the mirror dies, the syncobj is set to
 * FBK_SYNCOBJ_FAILED, which ends every wait; a kernel consumer sees that as success. The fence that
 * TIMELINE_SIGNAL attaches cannot carry the error.
 *
 * fbk_mirror_from_syncobj(): the timeline, a FBK_TIMELINE_BROKERED one with FBK_RIGHT_SIGNAL, follows the syncobj. An error
 * of a fence in it fails the timeline. A syncobj that was reset or stepped back fails it too, at the
 * next look at the timeline.
 *   -EBUSY   the timeline follows a syncobj already
 *   -EBADF   not a drm_syncobj
 *   -EINVAL  to: the syncobj is ahead of the timeline; from: the timeline is not brokered
 *   else     the timeline's error: it failed
 */
int fbk_mirror_to_syncobj(struct fbk_timeline *timeline, int syncobj_fd,
			  struct fbk_mirror **ret_mirror);
int fbk_mirror_from_syncobj(struct fbk_timeline *timeline, int syncobj_fd,
			    struct fbk_mirror **ret_mirror);

/* Stop translating, as soon as the daemon has heard of it; both sides keep their values. Closing the timeline ends its
 * mirrors too: this then frees one. Takes NULL. */
void fbk_mirror_destroy(struct fbk_mirror *mirror);

/* -------------------------------------------------------------------- promises and dma-bufs -- */

/*
 * A tool for a lab. The kernel's documentation forbids fences that a process signals, so only a daemon that was built with
 * -DFBK_PROMISES=ON makes them, and that of a distribution answers -EOPNOTSUPP; ask fbk_feature() for FBK_FEATURE_PROMISE.
 *
 * A sync_file before the point is reached. The kernel depends on it, so the daemon bounds it: after
 * the policy's time (a second, at most 1.5 s) the timeline fails with FBK_CAUSE_DEADLINE. Its owner is
 * blamed, and gets no further promise until one of its points is reached. So the owner has to agree, by
 * a token with FBK_RIGHT_PROMISE. The kernel cannot learn of the failure: THE CONSUMER SEES SUCCESS,
 * and may show or read a buffer that is not finished. So use promises for acquire points only, never
 * for a release. Off unless policy allows them. A point that is reached gives a signalled sync_file.
 *   -EOPNOTSUPP  the daemon was built without promises, or nothing here makes them: the detail says which
 *   -EPERM       without FBK_RIGHT_PROMISE, or policy: the detail says which
 *   -ETIME       the owner broke its last promise
 *   -ESHUTDOWN   the daemon is stopping
 */
int fbk_point_promise(struct fbk_point point, int *ret_sync_file);

/*
 * Put a promise into a dma-buf's implicit fences (DMA_BUF_IOCTL_IMPORT_SYNC_FILE), as its writer or
 * as a reader, for consumers that know nothing else. Policy has a key of its own for this. Errors as fbk_point_promise().
 * Does not take the fd.
 */
int fbk_point_attach_dmabuf(struct fbk_point point, int dmabuf_fd, bool for_write);

/*
 * The point follows a dma-buf's implicit fences of this moment (DMA_BUF_IOCTL_EXPORT_SYNC_FILE). A
 * writer (`for_write`) waits for all users, a reader for the writers. Without fences the point is
 * reached at once. Does not take the fd.
 */
int fbk_point_signal_on_dmabuf(struct fbk_point point, int dmabuf_fd, bool for_write);

/* ------------------------------------------------------------------------------------ gates -- */

/*
 * "When this point is reached, do that": for devices that wait on no fence. A gate opens in
 * fbk_dispatch(), in the order in which points were reached, and calls `done` (may be NULL) once. Its
 * result is 0, or the error of the action; if the action did not run, what a watch gets. `ret_gate` as `ret_watch`. Errors of
 * the call itself as for fbk_point_watch().
 */

/* As fbk_watch_cancel(), for the action and `done`. */
void fbk_gate_cancel(struct fbk_gate *gate);

/* ----------------------------------------------------------------------------------- formats -- */

/*
 * What a buffer of a link may be: a format. Each end gives a list, in the order of its preference, before the link has a peer; what
 * both lists allow is what the producer allocates from.
 */
#define FBK_FORMATS_MAX     64
#define FBK_FORMAT_DATA_MAX 4096
#define FBK_BUFFERS_MAX     64
#define FBK_PLANES_MAX      4
#define FBK_CONSUMERS_MAX   16
#define FBK_DAMAGE_MAX      16
#define FBK_FRAME_USER_MAX  64

/* What a buffer is made of. */
enum fbk_memory_kind {
	FBK_MEMORY_DMABUF = 1,
	FBK_MEMORY_MEMFD = 2, /* sealed against shrinking */
};

/* The colors of the picture; 0: not stated, which goes with anything. Numbers of the first three: ITU-T H.273. */
struct fbk_color {
	uint8_t primaries, transfer, matrix;
	uint8_t range;           /* 1: limited, 2: full */
	uint8_t chroma_location; /* 1 + H.273's ChromaLocType */
	uint8_t alpha;           /* 1: none, 2: premultiplied, 3: straight */
	/* These say what the picture is, and exclude nothing: a joined format has the producer's, if it states any. */
	uint16_t max_cll, max_fall;          /* CTA-861.3, cd/m2 */
	uint16_t primary_x[3], primary_y[3]; /* SMPTE ST 2086, in units of 0.00002: R, G, B */
	uint16_t white_x, white_y;
	uint32_t luminance_max, luminance_min; /* the same, in units of 0.0001 cd/m2 */
};

/* What a buffer may be. */
struct fbk_format {
	size_t struct_size;
	enum fbk_memory_kind memory;
	uint32_t fourcc;   /* DRM fourcc (drm_fourcc.h); 0: bytes */
	uint64_t modifier; /* DRM format modifier; DRM_FORMAT_MOD_INVALID: the driver's own */
	uint64_t device;   /* dev_t of the device that has to be able to use it; 0: any */
	uint32_t width_min, width_max, height_min, height_max; /* pixels; 0, 0: any */
	uint64_t size_min, size_max;                           /* bytes of a buffer; 0, 0: any */
	/* Joined with the other end's by their least common multiple; 0: 1. */
	uint32_t stride_align, offset_align, size_align, width_align, height_align;
	uint32_t rate_num, rate_den;     /* frames a second; 0: not stated */
	uint32_t aspect_num, aspect_den; /* of a pixel */
	struct fbk_color color;
	/* The application's own, for caps and the like: copied, compared with nothing, and given to the other end: in a
	 * joined format it is the peer's. */
	const void *data;
	size_t data_size; /* at most FBK_FORMAT_DATA_MAX */
};

/* ------------------------------------------------------------------------------------ links -- */

/*
 * A link connects a producer's device and a consumer's device that hand buffers to each other: -> with an
 * acquire point, <- with a release point. Each way takes the cheapest route that both devices, policy and
 * kernel allow. One side makes an offer, an fd, and passes it to the other over any socket that they share;
 * its holder may accept. A link has one accepting end at a time. When that end leaves or dies, the next may
 * accept the same offer, so a restarted or another process goes on where the last one ended.
 *
 * Frames go out in order and come back in any order, each by a release of its own: whatever becomes of one occupies,
 * delays or frees no other buffer.
 */

/* Which end of a link this is. */
enum fbk_role { FBK_ROLE_PRODUCER = 1, FBK_ROLE_CONSUMER = 2 };

/* How far a link is. */
enum fbk_link_phase {
	FBK_PHASE_OFFERED = 1,     /* no peer at the other end */
	FBK_PHASE_ACCEPTED = 2,    /* the producer has not joined yet */
	FBK_PHASE_ESTABLISHED = 3, /* buffers may go */
	FBK_PHASE_ENDED = 4,       /* for this end: see fbk_link_cause() */
};

/* Which frame a consumer gets next. */
enum fbk_delivery {
	FBK_DELIVERY_FIFO = 0,    /* each frame, in order */
	FBK_DELIVERY_MAILBOX = 1, /* the newest that is reached; older ones go back unread */
};

/* What a consumer wants, whichever end it is. */
struct fbk_consumer_desc {
	size_t struct_size;
	enum fbk_delivery delivery;
	uint32_t
		hold; /* frames that it holds at once: 1 to 64; 0: 1. fbk_link_next() gives no more */
};

/* What a program wants of a link. */
struct fbk_link_desc {
	size_t struct_size;
	enum fbk_role role;                      /* of an offer; an accepting end has the other */
	const struct fbk_format *const *formats; /* NULL: any */
	size_t format_count;
	const struct fbk_consumer_desc *consumer; /* for a consumer; NULL: fifo, 1 */
};

/*
 * Offer a link: `ret_offer_fd` is for the other end, by which it accepts. `desc` may be NULL, and freed after the call. Gives
 * an fd.
 *   -E2BIG   more than FBK_FORMATS_MAX formats, or more data of one: the detail has the numbers
 *   -EINVAL  a format that is none: the detail says what is wrong
 */
int fbk_link_offer(struct fbk_device *device, const struct fbk_link_desc *desc, int *ret_offer_fd,
		   struct fbk_link **ret_link);

/*
 * Accept an offer: the routes are chosen here. Does not take the fd. `desc` may be NULL. Its errors are those of
 * fbk_link_offer(), and these. The offering end learns of -EOPNOTSUPP and -ENOBUFS (fbk_link_info()'s `unfit`).
 *   -EBADF       not an offer
 *   -EBUSY       another live process has accepted it
 *   -EPIPE       it is over: the detail says how; or its producer's lane is broken
 *   -EOPNOTSUPP  no route; no format that both lists allow; or a buffer of the producer's is of none of these: the
 *                detail names what is missing
 *   -ELOOP       an offer of this context's own: a link to oneself
 *   -ENOBUFS     the producer has buffers, and too few for `hold` and the depth that it has set: the detail has the
 *                numbers
 */
int fbk_link_accept(struct fbk_device *device, int offer_fd, const struct fbk_link_desc *desc,
		    struct fbk_link **ret_link);

/*
 * A format that both ends allow, joined, by its number from 0. Valid until the link closes, or a later call finds that its
 * formats have changed (fbk_link_info()'s generation). The numbers stay.
 *   -ENOENT   there are no more: none at all where neither end gave a list
 *   -ENOTSUP  the consumer refused buffers of it: go on with the next number
 *   -EPIPE    no peer at the other end
 */
int fbk_link_format(struct fbk_link *link, uint32_t number, const struct fbk_format **ret_format);

/*
 * Offer by name, for processes that share nothing but the daemon, where policy allows both sides. The name
 * has 1 to 31 printable characters without space, by convention SERVICE.WHICH. Only the offering end
 * publishes. It replaces the link's last one and ends with the link; "" or NULL removes it. Several
 * links of one user may carry the same name, for a service with several clients.
 *   -EPERM   policy: the detail names the rule; or the accepting end
 *   -EEXIST  another user's link has the name
 *   -EINVAL  a bad name
 *   -EPIPE   the link has ended
 */
int fbk_link_publish(struct fbk_link *link, const char *name);

/*
 * Find the oldest link of that name without an accepting end, and give its offer for fbk_link_accept(). A
 * faster process may accept first (-EBUSY: find again). fbk_link_info() names the peer; policy decides who
 * may publish a name, so base trust on that. Links of the same context are skipped. Gives an fd.
 *   -ENOENT  there is none
 *   -EBUSY   all are taken: the detail says by whom
 *   -EPERM   policy: the detail names the rule
 *   -EINVAL  a bad name
 */
int fbk_link_find(struct fbk_context *context, const char *name, int *ret_offer_fd);

/*
 * Stop a link: nothing new comes, or may be handed over; frames that are held stay valid, and the link lives until the last of
 * them is released and its release point is decided. Then its phase is FBK_PHASE_ENDED. Any thread, and any number of
 * times.
 */
int fbk_link_stop(struct fbk_link *link);

/* End the link at once, for emergencies: no thread may be in a call with this link, or with a frame of it; a callback that runs on
 * another thread is waited for. Frames that a consumer holds are given back after the fences in their dma-bufs; its producer gets -EPIPE. A CPU mapping that is still read
 * holds nothing. A producer takes back what its consumer has without waiting for it: stop the link instead. Takes
 * NULL. */
void fbk_link_close(struct fbk_link *link);

/* What a link is, of both ends; as fbk_timeline_info(). */
struct fbk_link_info {
	size_t struct_size;
	enum fbk_link_phase phase;
	enum fbk_role role;
	enum fbk_route acquire, release; /* FBK_ROUTE_NONE before there is a peer */
	char acquire_why[FBK_REASON_SIZE], release_why[FBK_REASON_SIZE];
	char peer[FBK_NAME_SIZE]; /* its device, process and user */
	pid_t pid;
	uid_t uid;
	int error;                   /* of the last end: negative errno; 0: it never ended */
	char cause[FBK_REASON_SIZE]; /* the same as a sentence */
	uint64_t generation;         /* raised when formats or buffers change */
	uint32_t hold;               /* the consumer's */
	enum fbk_delivery delivery;
	bool paused; /* by the consumer */
	uint32_t
		held; /* of a producer: buffers that a consumer which is gone held, and that may still be read */
	uint64_t accepted, refused; /* by the consumer (fbk_link_import()): masks of buffers */
	char unfit
		[FBK_REASON_SIZE]; /* the last that could not accept the offer, and why; "": none */
};
int fbk_link_info(struct fbk_link *link, struct fbk_link_info *ret_info);

/* Why a link ended, in a sentence; "" before it ends. Valid until the next call of this thread. */
const char *fbk_link_cause(struct fbk_link *link);

/* End the link for the peer. Its cause contains some 80 bytes of `reason` (may be NULL). Buffers of either
 * side are treated as by fbk_link_close().
 *   -EPIPE   no peer at the other end
 *   -EINVAL  not a negative errno */
int fbk_link_fail(struct fbk_link *link, int error, const char *reason);

/* As fbk_point_blame(), for the next frame: who keeps it from arriving, or, for a producer, from coming
 * back.
 *   -EPIPE   no peer at the other end
 *   -ENOENT  the consumer has none */
int fbk_link_blame(struct fbk_link *link, char *ret_text, size_t text_size);

/* As fbk_context_set_flushing(), for calls of this link and its frames: fbk_link_next() above all. Those of its exchange go
 * on. */
int fbk_link_set_flushing(struct fbk_link *link, bool flushing);

/* Wait until the link is established: both ends are there, and the producer has its exchange.
 *   -ETIMEDOUT  the detail says what lacks
 *   -EPIPE      it has ended: the detail says how */
int fbk_link_wait(struct fbk_link *link, uint64_t deadline_ns);

/* Call `fn` from fbk_dispatch() at each phase change, until it is cancelled or the link is closed. One listener at a time: a
 * later one replaces it. */
typedef void fbk_link_fn(void *arg, struct fbk_link *link, enum fbk_link_phase phase);
int fbk_link_listen(struct fbk_link *link, fbk_link_fn *fn, void *arg,
		    struct fbk_watch **ret_watch);

/* The consumer wants no frames for a while, or again. Frames that are offered are retracted; those that it holds stay
 * due. The first after a pause has FBK_FRAME_DISCONT.
 *   -EPERM  this end is the producer's
 *   -EPIPE  the link was stopped */
int fbk_link_pause(struct fbk_link *link, bool paused);

/* -------------------------------------------------------------------------------- exchanges -- */

/*
 * A producer's buffers, handed over one or several links. A buffer is free again when each consumer that got it has
 * released it, or has had no time to take it (fbk_delivery); and for nothing else: a consumer that is late is named, and
 * keeps the buffer. What a consumer held when it died, or its session ended, comes back with -EOWNERDEAD once its
 * process is gone and the fences in the dma-buf, and those of fbk_frame_release_on(), have signalled; the others and the
 * link go on meanwhile. Another process that shares the consumer's device fd or its mapping is not seen.
 * A producer makes its calls on one exchange one at a time.
 */

/* A buffer of an exchange. */
struct fbk_buffer_desc {
	size_t struct_size;
	enum fbk_memory_kind memory;
	/* The number of the link's format that it is of. On a link where that is another one, and before there is a
	 * peer, it is of the first one that it fits; a consumer sees the number of its own link. */
	uint32_t format;
	uint32_t width, height; /* pixels */
	uint32_t plane_count;
	int fd[FBK_PLANES_MAX]; /* -1: that of plane 0 */
	uint64_t offset[FBK_PLANES_MAX], stride[FBK_PLANES_MAX];
	uint32_t fourcc;
	uint64_t modifier;
	/* Of this buffer's data; 0: the device's. A consumer sees the one that holds. The route that is chosen when a
	 * peer accepts allows for that of all buffers that are there. With FBK_VISIBILITY_FLUSH and FBK_ROUTE_CPU_WAIT,
	 * fbk_link_next() has read a dma-buf back. */
	enum fbk_visibility visibility;
};

/* How a consumer's slowness counts. */
enum fbk_when_full {
	FBK_WHEN_FULL_WAIT = 0, /* its frames hold buffers back until it takes them */
	FBK_WHEN_FULL_SKIP = 1, /* it gets no frame while it has `depth` */
};

/* Make an exchange: `link` as its producer; the first of possibly several.
 *   -EPERM  this end is the consumer's
 *   -EBUSY  the link has an exchange */
int fbk_exchange_create(struct fbk_link *link, struct fbk_exchange **ret_exchange);

/* Add one more consumer, at any time; closing its link removes it.
 *   -EPERM   this end is the consumer's
 *   -EBUSY   the link has an exchange
 *   -ENOSPC  it has FBK_CONSUMERS_MAX
 *   -EINVAL  a link of another context */
int fbk_exchange_attach(struct fbk_exchange *exchange, struct fbk_link *link);

/*
 * How much one of its links may leave waiting: at most `depth` frames offered and not taken (1 to 64; 0: as many as there are buffers), and
 * what happens to the next one then.
 *   -ENOBUFS  hold + depth is more than there are buffers now, if there are any: the detail has the numbers. It is compared
 *             when a consumer accepts, too, with the most buffers that there were since: add all first, then replace any
 *   -EINVAL   neither a depth nor what to do, or no link of the exchange
 */
int fbk_exchange_set_depth(struct fbk_exchange *exchange, struct fbk_link *link, uint32_t depth,
			   enum fbk_when_full when_full);

/* End an exchange. Callbacks do not run any more: one that runs on another thread is waited for. The links stay. Takes NULL. */
void fbk_exchange_destroy(struct fbk_exchange *exchange);

/* As fbk_context_set_flushing(), for calls of this exchange: fbk_exchange_take() above all. Those of its links go on. */
int fbk_exchange_set_flushing(struct fbk_exchange *exchange, bool flushing);

/* Add a buffer. Takes the fds; the daemon keeps the buffer as long as it may be in use.
 *   -EEXIST   a buffer is at this index
 *   -EINVAL   the index, or not a buffer, or of none of a link's formats: the detail says more
 *   -ENOTSUP  a consumer has refused a buffer of this memory kind, fourcc and modifier (until it leaves), or waits by a
 *             route that does not read back what has to be: the detail says who and why */
int fbk_exchange_add(struct fbk_exchange *exchange, uint32_t index,
		     const struct fbk_buffer_desc *buffer);

/* Take a buffer out.
 *   -EBUSY   a consumer has it
 *   -ENOENT  there is no buffer at this index
 *   -EINVAL  the index */
int fbk_exchange_remove(struct fbk_exchange *exchange, uint32_t index);

/*
 * The remedy against a consumer that keeps what it has, also one that is gone: the index is free for new memory
 * (fbk_exchange_add()) at once, on all links. The old memory stays with those that hold it: their release is -ESTALE, and
 * its `on_released` does not run.
 *   -EINVAL  it is not out
 *   -ENOENT  there is no buffer at this index
 */
int fbk_exchange_abandon(struct fbk_exchange *exchange, uint32_t index);

/* Take the free buffer that came back first; waits for one. It belongs to the caller until it is handed over. `ret_age`
 * (may be NULL): how many frames ago its content was drawn; 0: never (EGL_EXT_buffer_age).
 *   -ETIMEDOUT  consumers have all of them, or a link is full
 *   -ENOENT     there are none
 *   -EBUSY      this process has all of them: none would come back */
int fbk_exchange_take(struct fbk_exchange *exchange, uint64_t deadline_ns, uint32_t *ret_index,
		      uint32_t *ret_age);

/*
 * As fbk_exchange_take(), for a device that waits by itself: take a buffer that all consumers gave back, though their devices may still
 * read it, or one that was retracted, though this device may still draw it. `ret_releases`, with room for
 * FBK_CONSUMERS_MAX + 1, gets the points that have to be reached before the device writes; `*ret_count` 0 means that
 * there are none.
 */
struct fbk_release {
	struct fbk_link *
		link; /* NULL: a point of the caller's own, the acquire point of a frame that was retracted */
	struct fbk_point point;
};
int fbk_exchange_take_early(struct fbk_exchange *exchange, uint64_t deadline_ns,
			    uint32_t *ret_index, uint32_t *ret_age,
			    struct fbk_release *ret_releases, size_t *ret_count);

/* The point of a release as the route gives it, for a device that waits by a fence: as fbk_frame_acquire_fd(), but gives an fd.
 *   -EOPNOTSUPP  the route gives none, or it is a point of the caller's own: wait for the point
 *   -ESTALE      the consumer is gone, or releases this buffer by another timeline now */
int fbk_release_fd(const struct fbk_release *release, uint64_t deadline_ns, int *ret_fd);

/* ------------------------------------------------------------------------------ what a frame says -- */

#define FBK_TIME_NONE INT64_MIN /* a time that is not stated */

/* Of one frame; a mask. */
enum fbk_frame_flags {
	FBK_FRAME_KEY = 1 << 0,
	FBK_FRAME_CORRUPT = 1 << 1,
	FBK_FRAME_DISCONT = 1 << 2, /* something is missing before it */
	FBK_FRAME_LAST = 1 << 3,
	FBK_FRAME_HEADER = 1 << 4,
	FBK_FRAME_PROTECTED = 1 << 5, /* reserved: to forbid routes over the CPU; refused today */
};

/* A part of a picture, in pixels. */
struct fbk_rectangle {
	int32_t x, y;
	uint32_t width, height;
};

/* What a producer says of a frame; FBK_FRAME_META_INIT states nothing. Times are CLOCK_MONOTONIC nanoseconds, or FBK_TIME_NONE.
 * Rectangles lie within the buffer's width and height, where it has these, and end below 2^31; no damage is empty; bytes
 * lie within the plane's memory. So a consumer need not check what it gets: it gets less damage than its producer wrote
 * where that lies outside, and the link ends where something else does. */
struct fbk_frame_meta {
	size_t struct_size;
	uint32_t flags;
	int64_t pts_ns, dts_ns, duration_ns;
	int64_t capture_ns;
	uint32_t capture;     /* what that is: 1 start, 2 end of exposure */
	uint32_t field_order; /* 0: progressive; 1: top, 2: bottom first; 3: top, 4: bottom alone */
	uint32_t transform;   /* as wl_output.transform */
	struct fbk_rectangle crop;                                        /* width 0: all of it */
	uint32_t data_offset[FBK_PLANES_MAX], bytes_used[FBK_PLANES_MAX]; /* 0: all of the plane */
	uint32_t damage_count; /* 0: everything may have changed */
	struct fbk_rectangle damage[FBK_DAMAGE_MAX];
	uint32_t user_size;
	uint8_t user[FBK_FRAME_USER_MAX]; /* the application's own */
};
#define FBK_FRAME_META_INIT                                                                    \
	{                                                                                      \
		sizeof(struct fbk_frame_meta), 0, FBK_TIME_NONE, FBK_TIME_NONE, FBK_TIME_NONE, \
			FBK_TIME_NONE, 0, 0, 0, { 0, 0, 0, 0 }, { 0 }, { 0 }, 0,               \
			{ { 0, 0, 0, 0 } }, 0,                                                 \
		{                                                                              \
			0                                                                      \
		}                                                                              \
	}

/*
 * Hand a buffer over: consumers may read it once `acquire` is reached, and are to give it back by `deadline_ns`; who is
 * late is listed (`fencectl stuck`) and named by fbk_link_blame(), and keeps the buffer. `meta` may be NULL.
 * `on_released` (may be NULL) runs once from fbk_dispatch() when all consumers are done with it. Its `result` is negative
 * if one is gone or released the buffer with an error. The buffer then belongs to the caller; without
 * `on_released` it is free for fbk_exchange_take().
 * Returns the number of links that it was offered on: 0 while all of them are paused or skip it; then the buffer stays the
 * caller's. A consumer that has refused the buffer skips it. On an error no consumer gets it.
 *   -EPIPE    no consumer is there: the detail says why
 *   -ENOTSUP  each consumer that is there refused the buffer: the detail names one
 *   -EBUSY    it is handed over already
 *   -ENOENT   there is no buffer at this index
 *   -ERANGE   the point is 0 or above FBK_POINT_MAX
 *   -EINVAL   `meta` says what no frame of this buffer can: the detail names the rectangle or plane, and the size; or
 *             unknown flags
 *   -EPERM    this process may not wait for the timeline of `acquire`: a consumer could not either
 *   -EAGAIN   as much is waiting for the daemon as may
 */
typedef void fbk_released_fn(void *arg, int result);
int fbk_exchange_hand(struct fbk_exchange *exchange, uint32_t index, struct fbk_point acquire,
		      uint64_t deadline_ns, const struct fbk_frame_meta *meta,
		      fbk_released_fn *on_released, void *arg);

/* ----------------------------------------------------------------------------------- frames -- */

/*
 * The consumer's side: the next frame. With FBK_DELIVERY_MAILBOX the newest that is reached, else the oldest. With
 * FBK_ROUTE_CPU_WAIT the buffer is readable when this returns; with FBK_ROUTE_DMA_BUF_IMPLICIT, once the
 * buffer's own fences signal; with any other route, once the point of fbk_frame_acquire() is reached.
 * A frame whose acquire point failed is a frame, too: it comes with fbk_frame_error() < 0, counts to `hold`, and is
 * released as any other. It displaces none: a mailbox delivers it when no reached one is there and none before it is
 * pending; one that a newer reached frame displaces goes back by itself, as all that are older do.
 * A frame is an object of the caller, with one reference: valid until the last fbk_frame_unref(), whatever becomes of the
 * link.
 *   -ETIMEDOUT  there is none yet
 *   -EPIPE      the link ended, or was stopped and nothing more comes: the detail says how
 *   -ENOBUFS    `hold` frames are held: release one
 *   -EPERM      this end is the producer's
 */
int fbk_link_next(struct fbk_link *link, uint64_t deadline_ns, struct fbk_frame **ret_frame);

/* For event loops: call `fn` once from fbk_dispatch() when fbk_link_next() has something to do, because a frame is
 * there, the link ended or is flushing, or there are buffers to import. Replaces a pending one, which never runs.
 *   -EPERM  this end is the producer's */
typedef void fbk_next_fn(void *arg, struct fbk_link *link);
int fbk_link_watch(struct fbk_link *link, fbk_next_fn *fn, void *arg, struct fbk_watch **ret_watch);

/*
 * The buffers that a consumer is given: `fn` runs for each, before a frame comes in it, to import it, and says whether the
 * consumer can use it: 0, or a negative errno. One that it refuses never comes, and its producer drops that modifier.
 * `buffer` NULL: the one at this index is gone, and so is the use of what was made of it once its frames are released;
 * the result does not matter. `fn` runs inside this call, for the buffers that are there, and inside fbk_link_next(), when
 * they have changed (generation of fbk_link_info()); it must call neither of them. The fds of `buffer` are borrowed.
 * Without this, or with `fn` NULL, a consumer accepts all.
 *   -EPERM  this end is the producer's
 */
typedef int fbk_buffer_fn(void *arg, struct fbk_link *link, uint32_t index,
			  const struct fbk_buffer_desc *buffer);
int fbk_link_import(struct fbk_link *link, fbk_buffer_fn *fn, void *arg);

/* One more reference on a frame. Returns it. */
struct fbk_frame *fbk_frame_ref(struct fbk_frame *frame);

/* One less. The last one releases a frame that is still held, with -EREMOTEIO. Takes NULL. */
void fbk_frame_unref(struct fbk_frame *frame);

/* The number of a frame on its link, the index of its buffer in the exchange, that buffer, and what its producer said of it;
 * the last two are borrowed until the last unref. */
uint64_t fbk_frame_sequence(const struct fbk_frame *frame);
uint32_t fbk_frame_index(const struct fbk_frame *frame);
const struct fbk_buffer_desc *fbk_frame_buffer(const struct fbk_frame *frame);
const struct fbk_frame_meta *fbk_frame_meta(const struct fbk_frame *frame);

/* The acquire point to wait for. The routes native and gate need nothing else; with syncobj-mirror its value is
 * the point of the syncobj. The link owns its timeline. */
struct fbk_point fbk_frame_acquire(const struct fbk_frame *frame);

/*
 * The fd to wait on with the routes eventfd, syncobj-mirror and sync_file. Borrowed until the last unref. The first call
 * fetches it from the daemon, until the deadline; with sync_file-late, once the point is reached. Later calls need neither.
 *   -EOPNOTSUPP  the route gives none
 *   -ESTALE      no longer held: its producer is gone
 *   -ETIMEDOUT   none until the deadline: call again
 *   else         fbk_frame_error(), where there is nothing to wait for
 */
int fbk_frame_acquire_fd(struct fbk_frame *frame, uint64_t deadline_ns);

/*
 * What its acquire point came to, after a wait on that fd, which cannot tell: 0, -EAGAIN, or the error. Also why the frame
 * can't be used where the point does not say so: -EPIPE, its producer closed that timeline before this process had opened
 * it; or with the routes cpu-wait and dma-buf-implicit, what its buffer can't be made readable for.
 */
int fbk_frame_error(struct fbk_frame *frame);

/*
 * Release a frame, once, in any order:
 *   fbk_frame_release()        now. `result` is 0, or a negative errno when the frame could not be used; 0 for a frame
 *                              that failed counts as its error.
 *   fbk_frame_release_later()  once the point is reached that this gives. It is of the buffer's own release timeline, in
 *                              memory, which the consumer or its device signals; its value is the number of this use.
 *   fbk_frame_release_on()     once a kernel fence signals. Takes the fd. Of several the caller makes one:
 *                              SYNC_IOC_MERGE, or a point that follows them by fbk_point_signal_on_all(), exported.
 * The frame stays an object until its last unref.
 * None of them waits for the daemon. The release timelines by which the consumer's device signals are made when a buffer
 * comes; only the first release of another kind for a buffer makes its timeline, and waits. The daemon gets the fence before
 * the producer is told of the release.
 *   -ESTALE   it was released, abandoned by its producer, or its producer is gone
 *   -EINVAL   `result` is neither 0 nor a negative errno: the frame is held still
 *   -EDQUOT, -ENFILE  a limit of this user, of the release timeline: the frame is held still
 *   -EAGAIN   the daemon takes nothing, and as much waits as may: the frame is held still, and the fence closed
 *   else      an error of the fence or point, as fbk_point_signal_on() returns it
 */
int fbk_frame_release(struct fbk_frame *frame, int result);
int fbk_frame_release_later(struct fbk_frame *frame, struct fbk_point *ret_point);
int fbk_frame_release_on(struct fbk_frame *frame, int fence_fd);

#pragma GCC diagnostic pop
#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
