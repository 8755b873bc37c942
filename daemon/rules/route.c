// SPDX-License-Identifier: MIT
/*
 * The rules. Routes are tried in the order of enum fbk_route, cheapest first; the first one that passes
 * all checks is taken.
 *
 *   The signaler's fences must become points. Payloads in memory are points; for a device that signals
 *   nothing its process writes them. Fences of all other kinds are imported, where this daemon can do so.
 *   Where it can import none of a device's kinds, there is no route from that device.
 *
 *   Either side may leave routes out; a route must be accepted by both.
 *
 *   The waiter must support what the route delivers. A gate is for devices without fences, and the
 *   process of any device can wait. Native needs payloads of exactly the width that the waiter compares:
 *   a waiter that compares 32 bits of a payload of 64 never sees its poison. Native needs payloads that
 *   are written without a request to the daemon, so an import is never native. And native needs pages that
 *   both sides map; registered memory of one side's driver is not such a page.
 *
 *   Data that becomes visible after its fence (FBK_VISIBILITY_FLUSH) must be flushed by a process between
 *   the two devices. So the fence must not reach a waiter that acts on it without a process: hardware
 *   that compares memory, or the kernel by a syncobj or a promise. The receiver of an eventfd can flush,
 *   and so can the process that waits before it hands out a late sync_file. Data that is visible after an
 *   interrupt (FBK_VISIBILITY_IRQ) needs no flush: a process signals the point after it, in 64 bits.
 *
 *   A promise needs policy for the device that signals, and policy once more for a dma-buf's own fences.
 *   No release is promised, since an expired promise reads as success. A late sync_file is legal and
 *   cheaper, so a promise is only for devices that leave out the late sync_file.
 */
#include "route.h"

#include <stdio.h>
#include <string.h>

#include "kind.h"

#define FEATURE(name) (UINT64_C(1) << FBK_FEATURE_##name)

#define MEMORY (uint32_t)(FBK_FENCE_MEMORY64 | FBK_FENCE_MEMORY32)

struct question {
	const struct route_device *signaler;
	const struct route_device *waiter;
	enum route_way way;
	const struct route_world *world;
};

struct rule {
	const char *name;
	uint32_t waits;         /* kinds that the waiter must wait on; 0: see check_kind() */
	uint64_t features;      /* needs all of these */
	bool before_process;    /* hardware or the kernel acts on the fence, without a process */
	bool promise, implicit; /* needs a promise; one in a dma-buf's fences */
	const char *taken;      /* the sentence that follows the waiter's name */
};

static const struct rule rules[ROUTE_COUNT] = {
	[FBK_ROUTE_NONE] = { .name = "none" },
	[FBK_ROUTE_NATIVE] = { .name = "native",
			       .before_process = true,
			       .taken = "looks at the memory itself" },
	[FBK_ROUTE_SYNCOBJ_MIRROR] = { .name = "syncobj-mirror",
				       .waits = FBK_FENCE_SYNCOBJ_TIMELINE,
				       .features = FEATURE(MIRRORS),
				       .before_process = true,
				       .taken = "waits on a drm_syncobj that follows" },
	[FBK_ROUTE_EVENTFD] = { .name = "eventfd",
				.waits = FBK_FENCE_EVENTFD,
				.features = FEATURE(EXPORT_EVENTFD),
				.taken = "gets an eventfd for each point" },
	[FBK_ROUTE_GATE] = { .name = "gate",
			     .features = FEATURE(GATES),
			     .taken = "waits on nothing: its system call is made at the point" },
	[FBK_ROUTE_DMA_BUF_IMPLICIT] = { .name = "dma-buf-implicit",
					 .waits = FBK_FENCE_DMA_BUF_IMPLICIT,
					 .features = FEATURE(DMA_BUF_IMPLICIT) | FEATURE(PROMISE),
					 .before_process = true,
					 .promise = true,
					 .implicit = true,
					 .taken = "finds a promise in the buffer's own fences" },
	[FBK_ROUTE_SYNC_FILE_LATE] = { .name = "sync_file-late",
				       .waits = FBK_FENCE_SYNC_FILE,
				       .features = FEATURE(EXPORT_SYNC_FILE),
				       .taken = "gets a sync_file once the point is reached" },
	[FBK_ROUTE_SYNC_FILE_PROMISE] = { .name = "sync_file-promise",
					  .waits = FBK_FENCE_SYNC_FILE,
					  .features = FEATURE(PROMISE),
					  .before_process = true,
					  .promise = true,
					  .taken = "gets a promised sync_file before the point" },
	[FBK_ROUTE_CPU_WAIT] = { .name = "cpu-wait",
				 .taken = "is started by its process, which waits" },
};

/* The features that a route can lack, and the sentence for each. */
static const struct {
	uint64_t feature;
	const char *lack;
} lacks[] = {
	{ FEATURE(MIRRORS), "nothing makes syncobj mirrors here: see `fencectl doctor`" },
	{ FEATURE(EXPORT_EVENTFD), "eventfds can't be exported here: see `fencectl doctor`" },
	{ FEATURE(GATES), "this daemon knows no gates: it is older than its clients" },
	{ FEATURE(DMA_BUF_IMPLICIT),
	  "a dma-buf's fences can't be used here: see `fencectl doctor`" },
	{ FEATURE(EXPORT_SYNC_FILE), "nothing makes a sync_file here: see `fencectl doctor`" },
	{ FEATURE(PROMISE), "promises are off, or nothing makes them: see `fencectl status`" },
};

#define LACKS (sizeof(lacks) / sizeof(lacks[0]))

/* The feature that an import of each kind needs. Memory needs no import. */
static const struct {
	uint32_t kind;
	uint64_t feature;
} imports[] = {
	{ FBK_FENCE_SYNC_FILE, FEATURE(IMPORT_SYNC_FILE) },
	{ FBK_FENCE_SYNCOBJ_TIMELINE, FEATURE(SYNCOBJ) },
	{ FBK_FENCE_DMA_BUF_IMPLICIT, FEATURE(DMA_BUF_IMPLICIT) },
	{ FBK_FENCE_EVENTFD, FEATURE(IMPORT_EVENTFD) },
};

#define IMPORTS (sizeof(imports) / sizeof(imports[0]))

const char *route_name(enum fbk_route route)
{
	return (size_t)route < ROUTE_COUNT ? rules[route].name : "no route";
}

static bool takes(const struct route_device *device, enum fbk_route route)
{
	return device->routes == 0 || device->routes & (1U << route);
}

/* The width of its payloads in memory. 0: its fences are imported, so the daemon writes its points. */
static uint32_t payload_kind(const struct route_device *signaler)
{
	if (signaler->signals == 0) {
		return FBK_FENCE_MEMORY64;
	}
	if ((signaler->signals & MEMORY) == 0) {
		return 0;
	}
	bool by_process = signaler->visibility == FBK_VISIBILITY_IRQ;
	return signaler->signals & FBK_FENCE_MEMORY64 || by_process ? FBK_FENCE_MEMORY64
								    : FBK_FENCE_MEMORY32;
}

/* -------------------------------------------------------------------------------------- checks -- */

/* True where this check passes; else `ret_why` gets the reason. No reason is longer than 103 characters,
 * so that explain_none() can append to it. */
typedef bool check_fn(const struct question *question, enum fbk_route route, char *ret_why);

static bool check_points(const struct question *question, enum fbk_route route, char *ret_why)
{
	(void)route;
	const struct route_device *signaler = question->signaler;
	const char *kinds[KIND_COUNT];
	if (payload_kind(signaler)) {
		return true;
	}
	for (size_t i = 0; i < IMPORTS; i++) {
		if (signaler->signals & imports[i].kind &&
		    question->world->features & imports[i].feature) {
			return true;
		}
	}
	size_t count = kind_names(signaler->signals, kinds);
	size_t used =
		(size_t)snprintf(ret_why, FBK_REASON_SIZE,
				 "no import for the fences that %s signals: ", signaler->name);
	for (size_t i = 0; i < count && used < FBK_REASON_SIZE; i++) {
		used += (size_t)snprintf(ret_why + used, FBK_REASON_SIZE - used, "%s%s",
					 i > 0 ? ", " : "", kinds[i]);
	}
	if (used < FBK_REASON_SIZE) {
		snprintf(ret_why + used, FBK_REASON_SIZE - used, "; see `fencectl doctor`");
	}
	return false;
}

static bool check_masks(const struct question *question, enum fbk_route route, char *ret_why)
{
	const struct route_device *who = !takes(question->waiter, route)     ? question->waiter
					 : !takes(question->signaler, route) ? question->signaler
									     : NULL;
	if (who) {
		snprintf(ret_why, FBK_REASON_SIZE, "%s does not accept this route", who->name);
	}
	return !who;
}

static bool check_native(const struct question *question, char *ret_why)
{
	const struct route_device *signaler = question->signaler;
	const struct route_device *waiter = question->waiter;
	uint32_t kind = payload_kind(signaler);
	if (!kind) {
		snprintf(ret_why, FBK_REASON_SIZE, "%s signals nothing in memory", signaler->name);
	} else if (!(waiter->waits & kind)) {
		snprintf(ret_why, FBK_REASON_SIZE, "%s does not wait on %s, which %s has",
			 waiter->name, kind_name(kind), signaler->name);
	} else if (signaler->backing == FBK_BACKING_OWN) {
		snprintf(ret_why, FBK_REASON_SIZE,
			 "only %s and the daemon map its registered memory", signaler->name);
	} else if (waiter->backing == FBK_BACKING_OWN) {
		snprintf(ret_why, FBK_REASON_SIZE, "%s can map no fence memory but its own",
			 waiter->name);
	} else {
		return true;
	}
	return false;
}

static bool check_kind(const struct question *question, enum fbk_route route, char *ret_why)
{
	const struct route_device *waiter = question->waiter;
	uint32_t wanted = rules[route].waits;
	if (route == FBK_ROUTE_NATIVE) {
		return check_native(question, ret_why);
	}
	if (route == FBK_ROUTE_GATE && waiter->waits) {
		snprintf(ret_why, FBK_REASON_SIZE,
			 "%s waits on fences: a gate is for devices without fences", waiter->name);
		return false;
	}
	if (wanted & ~waiter->waits) {
		snprintf(ret_why, FBK_REASON_SIZE, "%s does not wait on %s", waiter->name,
			 kind_name(wanted));
		return false;
	}
	return true;
}

static bool check_visibility(const struct question *question, enum fbk_route route, char *ret_why)
{
	const struct route_device *signaler = question->signaler;
	if (signaler->visibility != FBK_VISIBILITY_FLUSH || !rules[route].before_process) {
		return true;
	}
	snprintf(ret_why, FBK_REASON_SIZE, "%s needs a read-back before its data is visible",
		 signaler->name);
	return false;
}

static bool check_way(const struct question *question, enum fbk_route route, char *ret_why)
{
	if (question->way != ROUTE_RELEASE || !rules[route].promise) {
		return true;
	}
	snprintf(ret_why, FBK_REASON_SIZE,
		 "no release is promised: a promise that expires reads as success");
	return false;
}

static bool check_features(const struct question *question, enum fbk_route route, char *ret_why)
{
	uint64_t missing = rules[route].features & ~question->world->features;
	for (size_t i = 0; i < LACKS; i++) {
		if (missing & lacks[i].feature) {
			snprintf(ret_why, FBK_REASON_SIZE, "%s", lacks[i].lack);
			return false;
		}
	}
	return true;
}

static bool check_policy(const struct question *question, enum fbk_route route, char *ret_why)
{
	const struct route_world *world = question->world;
	if (rules[route].promise && !world->may_promise) {
		snprintf(ret_why, FBK_REASON_SIZE,
			 "policy lets no point of %s be promised: add a rule with `promise`",
			 question->signaler->name);
		return false;
	}
	if (rules[route].implicit && !world->may_promise_implicitly) {
		snprintf(ret_why, FBK_REASON_SIZE,
			 "policy promises nothing in a dma-buf's fences: set `implicit_promises`");
		return false;
	}
	return true;
}

/* In this order: the reason shown is that of the first check that fails. */
enum { STEP_POINTS, STEP_MASKS };
static check_fn *const checks[] = {
	[STEP_POINTS] = check_points,
	[STEP_MASKS] = check_masks,
	check_kind,
	check_visibility,
	check_way,
	check_features,
	check_policy,
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

/* --------------------------------------------------------------------------------- the choice -- */

static void explain_taken(const struct question *question, struct route_choice *choice)
{
	bool flush = question->signaler->visibility == FBK_VISIBILITY_FLUSH;
	snprintf(choice->why[choice->route], FBK_REASON_SIZE, "%s %s%s", question->waiter->name,
		 rules[choice->route].taken, flush ? "; its process flushes the data first" : "");
}

/* The process of any device can wait, so no route works only where a side left out cpu-wait, or where
 * the signaler's fences can't be imported. The route that passed most checks needs the least change, so
 * its reason is shown. */
static void explain_none(const struct question *question, enum fbk_route nearest, size_t step,
			 struct route_choice *choice)
{
	const char *waiter = question->waiter->name;
	const char *signaler = question->signaler->name;
	char *why = choice->why[FBK_ROUTE_NONE];
	if (step == STEP_POINTS) {
		memcpy(why, choice->why[nearest], FBK_REASON_SIZE);
		return;
	}
	if (step == STEP_MASKS) {
		snprintf(why, FBK_REASON_SIZE,
			 "%s and %s have no accepted route in common: let both accept cpu-wait",
			 signaler, waiter);
		return;
	}
	bool waiter_takes = takes(question->waiter, FBK_ROUTE_CPU_WAIT);
	bool both = !waiter_takes && !takes(question->signaler, FBK_ROUTE_CPU_WAIT);
	snprintf(why, FBK_REASON_SIZE, "%s; or let %s accept cpu-wait", choice->why[nearest],
		 both           ? "both"
		 : waiter_takes ? signaler
				: waiter);
}

void route_choose(const struct route_device *signaler, const struct route_device *waiter,
		  enum route_way way, const struct route_world *world,
		  struct route_choice *ret_choice)
{
	const struct question question = { signaler, waiter, way, world };
	enum fbk_route nearest = FBK_ROUTE_NATIVE;
	size_t furthest = 0;
	memset(ret_choice, 0, sizeof(*ret_choice));
	for (enum fbk_route route = FBK_ROUTE_NATIVE; route < ROUTE_COUNT; route++) {
		char *why = ret_choice->why[route];
		size_t step = 0;
		while (step < CHECKS && checks[step](&question, route, why)) {
			step++;
		}
		if (step == CHECKS && ret_choice->route == FBK_ROUTE_NONE) {
			ret_choice->route = route;
		} else if (step == CHECKS) {
			snprintf(why, FBK_REASON_SIZE, "it works too, and %s is cheaper",
				 route_name(ret_choice->route));
		}
		if (step > furthest) {
			furthest = step;
			nearest = route;
		}
	}
	if (ret_choice->route == FBK_ROUTE_NONE) {
		explain_none(&question, nearest, furthest, ret_choice);
	} else {
		explain_taken(&question, ret_choice);
	}
}
