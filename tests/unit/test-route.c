// SPDX-License-Identifier: MIT
/*
 * Routes: each combination of capabilities, checked against an oracle that states in its own terms
 * when each route is allowed. A table of cases for people comes first.
 */
#include "daemon/rules/route.h"

#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

#define F(name)      (UINT64_C(1) << FBK_FEATURE_##name)
#define R(name)      (1U << FBK_ROUTE_##name)
#define M64          FBK_FENCE_MEMORY64
#define M32          FBK_FENCE_MEMORY32
#define SYNC_FILE    FBK_FENCE_SYNC_FILE
#define SYNCOBJ      FBK_FENCE_SYNCOBJ_TIMELINE
#define IMPLICIT     FBK_FENCE_DMA_BUF_IMPLICIT
#define EVENTFD      FBK_FENCE_EVENTFD
#define KINDS        64
#define EVERYTHING   UINT64_MAX
#define WITHOUT(...) (EVERYTHING & ~(uint64_t)(__VA_ARGS__))

/* Names of the largest length: no sentence may be truncated. */
#define LONG_SIGNALER "signaler-with-31-bytes-of-name!"
#define LONG_WAITER   "a-waiter-that-has-31-bytes-too!"

static struct route_choice choice;

static void choose(const struct route_device *signaler, const struct route_device *waiter,
		   enum route_way way, const struct route_world *world)
{
	memset(&choice, 0xff, sizeof(choice)); /* old content must not matter */
	route_choose(signaler, waiter, way, world, &choice);
}

/* --------------------------------------------------------------------------------- the oracle -- */

struct facts {
	uint32_t waits, signals;
	uint32_t both; /* routes that both sides accept */
	bool flush, irq, own, release;
	uint64_t features;
	bool promise, implicit;
};

static struct facts facts_of(const struct route_device *signaler, const struct route_device *waiter,
			     enum route_way way, const struct route_world *world)
{
	uint32_t from = signaler->routes ? signaler->routes : UINT32_MAX;
	uint32_t to = waiter->routes ? waiter->routes : UINT32_MAX;
	return (struct facts){
		.waits = waiter->waits,
		.signals = signaler->signals,
		.both = from & to,
		.flush = signaler->visibility == FBK_VISIBILITY_FLUSH,
		.irq = signaler->visibility == FBK_VISIBILITY_IRQ,
		.own = signaler->backing == FBK_BACKING_OWN || waiter->backing == FBK_BACKING_OWN,
		.release = way == ROUTE_RELEASE,
		.features = world->features,
		.promise = world->may_promise,
		.implicit = world->may_promise_implicitly,
	};
}

static bool has(const struct facts *facts, uint64_t features)
{
	return (facts->features & features) == features;
}

static bool becomes_points(const struct facts *facts)
{
	uint32_t signals = facts->signals;
	return signals == 0 || signals & (M64 | M32) ||
	       (signals & SYNC_FILE && has(facts, F(IMPORT_SYNC_FILE))) ||
	       (signals & SYNCOBJ && has(facts, F(SYNCOBJ))) ||
	       (signals & IMPLICIT && has(facts, F(DMA_BUF_IMPLICIT))) ||
	       (signals & EVENTFD && has(facts, F(IMPORT_EVENTFD)));
}

static bool same_width(const struct facts *facts)
{
	bool wide =
		facts->signals == 0 || facts->signals & M64 || (facts->irq && facts->signals & M32);
	bool narrow = !wide && facts->signals & M32;
	return (wide && facts->waits & M64) || (narrow && facts->waits & M32);
}

static bool allowed(const struct facts *facts, enum fbk_route route)
{
	bool promised =
		has(facts, F(PROMISE)) && facts->promise && !facts->release && !facts->flush;
	if (!becomes_points(facts) || !(facts->both >> route & 1)) {
		return false;
	}
	switch (route) {
	case FBK_ROUTE_NATIVE:
		return same_width(facts) && !facts->own && !facts->flush;
	case FBK_ROUTE_SYNCOBJ_MIRROR:
		return facts->waits & SYNCOBJ && has(facts, F(MIRRORS)) && !facts->flush;
	case FBK_ROUTE_EVENTFD:
		return facts->waits & EVENTFD && has(facts, F(EXPORT_EVENTFD));
	case FBK_ROUTE_GATE:
		return facts->waits == 0 && has(facts, F(GATES));
	case FBK_ROUTE_DMA_BUF_IMPLICIT:
		return facts->waits & IMPLICIT && has(facts, F(DMA_BUF_IMPLICIT)) && promised &&
		       facts->implicit;
	case FBK_ROUTE_SYNC_FILE_LATE:
		return facts->waits & SYNC_FILE && has(facts, F(EXPORT_SYNC_FILE));
	case FBK_ROUTE_SYNC_FILE_PROMISE:
		return facts->waits & SYNC_FILE && promised;
	case FBK_ROUTE_CPU_WAIT:
		return true;
	case FBK_ROUTE_NONE:
		break;
	}
	return false;
}

static enum fbk_route first_allowed(const struct facts *facts)
{
	for (enum fbk_route route = FBK_ROUTE_NATIVE; route < ROUTE_COUNT; route++) {
		if (allowed(facts, route)) {
			return route;
		}
	}
	return FBK_ROUTE_NONE;
}

/* ------------------------------------------------------------------------- all the combinations -- */

static const char *judge(const struct facts *facts)
{
	if (choice.route != first_allowed(facts)) {
		return "not the first that is allowed";
	}
	bool promise = choice.route == FBK_ROUTE_DMA_BUF_IMPLICIT ||
		       choice.route == FBK_ROUTE_SYNC_FILE_PROMISE;
	if (promise && facts->release) {
		return "a promised release";
	}
	if ((choice.why[FBK_ROUTE_NONE][0] != '\0') != (choice.route == FBK_ROUTE_NONE)) {
		return "a way out where there is a route, or none where there is none";
	}
	for (enum fbk_route route = FBK_ROUTE_NATIVE; route < ROUTE_COUNT; route++) {
		const char *why = choice.why[route];
		size_t length = strnlen(why, FBK_REASON_SIZE);
		bool works_too = strncmp(why, "it works too", 12) == 0;
		if (length == 0 || length >= FBK_REASON_SIZE - 1) { /* full: it may be truncated */
			return "no sentence, or one that is too long";
		}
		if (works_too != (allowed(facts, route) && route != choice.route)) {
			return "a sentence that does not say what is";
		}
	}
	return strnlen(choice.why[FBK_ROUTE_NONE], FBK_REASON_SIZE) < FBK_REASON_SIZE - 1
		       ? NULL
		       : "a way out that is too long";
}

static void check_one(const struct route_device *signaler, const struct route_device *waiter,
		      enum route_way way, const struct route_world *world)
{
	struct facts facts = facts_of(signaler, waiter, way, world);
	choose(signaler, waiter, way, world);
	const char *wrong = judge(&facts);
	if (!wrong) {
		return;
	}
	ck_abort_msg(
		"%s: signals 0x%x, waits 0x%x, routes 0x%x and 0x%x, visibility %d, backings %d "
		"and %d, way %d, features 0x%llx, promise %d %d: %s (%s), and not %s",
		wrong, signaler->signals, waiter->waits, signaler->routes, waiter->routes,
		signaler->visibility, signaler->backing, waiter->backing, way,
		(unsigned long long)world->features, world->may_promise,
		world->may_promise_implicitly, route_name(choice.route), choice.why[choice.route],
		route_name(first_allowed(&facts)));
}

static const struct route_world worlds[] = {
	{ EVERYTHING, true, true },
	{ EVERYTHING, true, false },
	{ EVERYTHING, false, true },
	{ WITHOUT(F(PROMISE)), true, true },
	{ WITHOUT(F(PROMISE) | F(EXPORT_EVENTFD)), false, false },
	{ WITHOUT(F(EXPORT_SYNC_FILE) | F(MIRRORS)), true, true },
	{ WITHOUT(F(SYNCOBJ) | F(MIRRORS) | F(GATES)), true, true },
	{ WITHOUT(F(IMPORT_SYNC_FILE) | F(IMPORT_EVENTFD)), true, true },
	{ WITHOUT(F(DMA_BUF_IMPLICIT) | F(SYNCOBJ)), true, true },
	{ 0, true, true },
};

static const enum fbk_backing backings[][2] = {
	{ FBK_BACKING_HOST, FBK_BACKING_DMABUF },
	{ FBK_BACKING_OWN, FBK_BACKING_HOST },
	{ FBK_BACKING_DMABUF, FBK_BACKING_OWN },
};

/* One run for each world. */
START_TEST(every_capability)
{
	struct route_device signaler = { .name = LONG_SIGNALER };
	struct route_device waiter = { .name = LONG_WAITER };
	for (uint32_t each = 0; each < KINDS * KINDS * 3 * 3 * 2; each++) {
		uint32_t left = each;
		waiter.waits = left % KINDS;
		left /= KINDS;
		signaler.signals = left % KINDS;
		left /= KINDS;
		signaler.visibility = left % 3;
		left /= 3;
		signaler.backing = backings[left % 3][0];
		waiter.backing = backings[left % 3][1];
		left /= 3;
		check_one(&signaler, &waiter, left == 0 ? ROUTE_ACQUIRE : ROUTE_RELEASE,
			  &worlds[_i]);
	}
}
END_TEST

static const uint32_t some_masks[] = {
	0,
	R(NATIVE),
	R(GATE) | R(EVENTFD),
	R(SYNC_FILE_PROMISE) | R(DMA_BUF_IMPLICIT),
	R(SYNC_FILE_LATE) | R(SYNC_FILE_PROMISE) | R(SYNCOBJ_MIRROR),
	R(CPU_WAIT),
	0x1fe & ~R(CPU_WAIT),
	0x1fe,
};

/* Devices that wait on and signal everything, one kind each, and nothing; in one run of a world
 * each mask of one side with some of the other, in both directions. */
START_TEST(every_mask)
{
	static const uint32_t kinds[] = { 0, M64, M32, SYNC_FILE, SYNCOBJ, IMPLICIT, EVENTFD, 63 };
	struct route_device one = { .name = LONG_SIGNALER, .backing = FBK_BACKING_HOST };
	struct route_device other = { .name = LONG_WAITER, .backing = FBK_BACKING_HOST };
	for (uint32_t each = 0; each < 256 * 8 * 8 * 4; each++) {
		one.routes = each % 256 << 1;
		one.waits = one.signals = kinds[each / 256 % 8];
		other.routes = some_masks[each / 256 / 8 % 8];
		other.waits = other.signals = 63;
		bool flush = each / 256 / 8 / 8 & 1;
		enum route_way way = each / 256 / 8 / 8 / 2 ? ROUTE_RELEASE : ROUTE_ACQUIRE;
		one.visibility = other.visibility =
			flush ? FBK_VISIBILITY_FLUSH : FBK_VISIBILITY_ORDERED;
		check_one(&one, &other, way, &worlds[_i]);
		check_one(&other, &one, way, &worlds[_i]);
	}
}
END_TEST

/* The answer depends on the question alone: byte for byte the same, whatever its memory held
 * before. */
START_TEST(same_question_same_answer)
{
	static struct route_choice first[KINDS * KINDS];
	struct route_device signaler = { .name = "a", .backing = FBK_BACKING_HOST };
	struct route_device waiter = { .name = "b", .backing = FBK_BACKING_HOST };
	for (uint32_t turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < KINDS * KINDS; i++) {
			uint32_t each = turn == 0 ? i : KINDS * KINDS - 1 - i;
			signaler.signals = each % KINDS;
			waiter.waits = each / KINDS;
			if (turn == 0) {
				memset(&choice, 0xaa, sizeof(choice));
				route_choose(&signaler, &waiter, ROUTE_ACQUIRE, &worlds[0],
					     &choice);
				first[each] = choice;
			} else {
				choose(&signaler, &waiter, ROUTE_ACQUIRE, &worlds[0]);
				ck_assert(memcmp(&choice, &first[each], sizeof(choice)) == 0);
			}
		}
	}
}
END_TEST

/* ----------------------------------------------------------------------------- cases for people -- */

static const struct route_device gpu0 = { "gpu0", M64, M64, 0, 0, FBK_BACKING_DMABUF };
static const struct route_device gpu1 = { "gpu1", M64 | SYNCOBJ, M64, 0, 0, FBK_BACKING_HOST };
static const struct route_device amd0 = { "amd0", M64, M64, 0, 0, FBK_BACKING_OWN };
static const struct route_device old0 = { "old0", M32, M32, 0, 0, FBK_BACKING_HOST };
static const struct route_device far0 = { "far0",          M64, M64, 0, FBK_VISIBILITY_FLUSH,
					  FBK_BACKING_HOST };
static const struct route_device irq0 = {
	"irq0", M64, M32, 0, FBK_VISIBILITY_IRQ, FBK_BACKING_HOST
};
static const struct route_device vcn0 = { "vcn0", SYNC_FILE, SYNC_FILE, 0, 0, FBK_BACKING_HOST };
static const struct route_device vcn1 = { "vcn1", SYNC_FILE | EVENTFD, EVENTFD, 0,
					  0,      FBK_BACKING_HOST };
static const struct route_device eager = { "eager",   SYNC_FILE,
					   SYNC_FILE, R(SYNC_FILE_PROMISE),
					   0,         FBK_BACKING_HOST };
static const struct route_device crtc = { "crtc", SYNC_FILE | IMPLICIT, SYNC_FILE, 0,
					  0,      FBK_BACKING_HOST };
static const struct route_device wl0 = { "wl0", SYNCOBJ, SYNCOBJ, 0, 0, FBK_BACKING_HOST };
static const struct route_device cam0 = { "cam0", 0, 0, 0, 0, FBK_BACKING_HOST };
static const struct route_device pure = { "pure", M64, M64, R(NATIVE), 0, FBK_BACKING_HOST };
static const struct route_device bell = {
	"bell", EVENTFD, EVENTFD, R(EVENTFD), 0, FBK_BACKING_HOST
};

static const struct route_device two0 = { "two0", M64,
					  M64,    R(EVENTFD) | R(SYNC_FILE_LATE),
					  0,      FBK_BACKING_HOST };

static const struct route_world all = { EVERYTHING, true, true };
static const struct route_world plain = { WITHOUT(F(PROMISE)), false, false };
static const struct route_world bare = {
	F(TIMELINES) | F(GATES) | F(IMPORT_EVENTFD) | F(EXPORT_EVENTFD), false, false
};
static const struct route_world explicit_only = { EVERYTHING, true, false };

#define ACQUIRE ROUTE_ACQUIRE
#define RELEASE ROUTE_RELEASE

static const struct named_case {
	const struct route_device *signaler, *waiter;
	enum route_way way;
	const struct route_world *world;
	enum fbk_route route;
	enum fbk_route of; /* the route whose sentence */
	const char *why;   /* is this */
} cases[] = {
	/* the chosen route */
	{ &gpu0, &gpu1, ACQUIRE, &plain, FBK_ROUTE_NATIVE, FBK_ROUTE_NATIVE,
	  "gpu1 looks at the memory itself" },
	{ &gpu0, &gpu1, ACQUIRE, &plain, FBK_ROUTE_NATIVE, FBK_ROUTE_SYNCOBJ_MIRROR,
	  "it works too, and native is cheaper" },
	{ &cam0, &gpu0, ACQUIRE, &plain, FBK_ROUTE_NATIVE, FBK_ROUTE_CPU_WAIT,
	  "it works too, and native is cheaper" },
	{ &irq0, &gpu0, ACQUIRE, &plain, FBK_ROUTE_NATIVE, FBK_ROUTE_NATIVE,
	  "gpu0 looks at the memory itself" },
	{ &gpu0, &wl0, ACQUIRE, &plain, FBK_ROUTE_SYNCOBJ_MIRROR, FBK_ROUTE_SYNCOBJ_MIRROR,
	  "wl0 waits on a drm_syncobj that follows" },
	{ &gpu0, &vcn1, ACQUIRE, &plain, FBK_ROUTE_EVENTFD, FBK_ROUTE_EVENTFD,
	  "vcn1 gets an eventfd for each point" },
	{ &far0, &vcn1, ACQUIRE, &plain, FBK_ROUTE_EVENTFD, FBK_ROUTE_EVENTFD,
	  "vcn1 gets an eventfd for each point; its process flushes the data first" },
	{ &gpu0, &cam0, RELEASE, &plain, FBK_ROUTE_GATE, FBK_ROUTE_GATE,
	  "cam0 waits on nothing: its system call is made at the point" },
	{ &gpu0, &crtc, ACQUIRE, &all, FBK_ROUTE_DMA_BUF_IMPLICIT, FBK_ROUTE_DMA_BUF_IMPLICIT,
	  "crtc finds a promise in the buffer's own fences" },
	{ &gpu0, &vcn0, ACQUIRE, &plain, FBK_ROUTE_SYNC_FILE_LATE, FBK_ROUTE_SYNC_FILE_LATE,
	  "vcn0 gets a sync_file once the point is reached" },
	{ &gpu0, &vcn0, ACQUIRE, &all, FBK_ROUTE_SYNC_FILE_LATE, FBK_ROUTE_SYNC_FILE_PROMISE,
	  "it works too, and sync_file-late is cheaper" },
	{ &gpu0, &eager, ACQUIRE, &all, FBK_ROUTE_SYNC_FILE_PROMISE, FBK_ROUTE_SYNC_FILE_PROMISE,
	  "eager gets a promised sync_file before the point" },
	{ &vcn0, &gpu0, RELEASE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_CPU_WAIT,
	  "gpu0 is started by its process, which waits" },
	{ &bell, &bell, ACQUIRE, &bare, FBK_ROUTE_EVENTFD, FBK_ROUTE_CPU_WAIT,
	  "bell does not accept this route" },
	/* why not */
	{ &vcn0, &gpu0, RELEASE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_NATIVE,
	  "vcn0 signals nothing in memory" },
	{ &gpu0, &old0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_NATIVE,
	  "old0 does not wait on memory64, which gpu0 has" },
	{ &old0, &gpu0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_NATIVE,
	  "gpu0 does not wait on memory32, which old0 has" },
	{ &amd0, &gpu0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_NATIVE,
	  "only amd0 and the daemon map its registered memory" },
	{ &gpu0, &amd0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_NATIVE,
	  "amd0 can map no fence memory but its own" },
	{ &far0, &gpu0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_NATIVE,
	  "far0 needs a read-back before its data is visible" },
	{ &far0, &wl0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_SYNCOBJ_MIRROR,
	  "far0 needs a read-back before its data is visible" },
	{ &far0, &wl0, ACQUIRE, &plain, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_CPU_WAIT,
	  "wl0 is started by its process, which waits; its process flushes the data first" },
	{ &gpu0, &wl0, ACQUIRE, &bare, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_SYNCOBJ_MIRROR,
	  "nothing makes syncobj mirrors here: see `fencectl doctor`" },
	{ &gpu0, &vcn0, ACQUIRE, &bare, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_SYNC_FILE_LATE,
	  "nothing makes a sync_file here: see `fencectl doctor`" },
	{ &gpu0, &vcn0, ACQUIRE, &bare, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_EVENTFD,
	  "vcn0 does not wait on eventfd" },
	{ &gpu0, &vcn0, ACQUIRE, &bare, FBK_ROUTE_CPU_WAIT, FBK_ROUTE_GATE,
	  "vcn0 waits on fences: a gate is for devices without fences" },
	{ &gpu0, &crtc, RELEASE, &all, FBK_ROUTE_SYNC_FILE_LATE, FBK_ROUTE_DMA_BUF_IMPLICIT,
	  "no release is promised: a promise that expires reads as success" },
	{ &gpu0, &crtc, ACQUIRE, &plain, FBK_ROUTE_SYNC_FILE_LATE, FBK_ROUTE_DMA_BUF_IMPLICIT,
	  "promises are off, or nothing makes them: see `fencectl status`" },
	{ &gpu0, &crtc, ACQUIRE, &explicit_only, FBK_ROUTE_SYNC_FILE_LATE,
	  FBK_ROUTE_DMA_BUF_IMPLICIT,
	  "policy promises nothing in a dma-buf's fences: set `implicit_promises`" },
	/* no route */
	{ &gpu0, &eager, ACQUIRE, &plain, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "promises are off, or nothing makes them: see `fencectl status`; or let eager accept "
	  "cpu-wait" },
	{ &gpu0, &eager, RELEASE, &all, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "no release is promised: a promise that expires reads as success; or let eager accept "
	  "cpu-wait" },
	{ &pure, &vcn0, ACQUIRE, &all, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "vcn0 does not wait on memory64, which pure has; or let pure accept cpu-wait" },
	{ &pure, &pure, ACQUIRE, &all, FBK_ROUTE_NATIVE, FBK_ROUTE_NATIVE,
	  "pure looks at the memory itself" },
	{ &pure, &bell, ACQUIRE, &all, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "pure and bell have no accepted route in common: let both accept cpu-wait" },
	{ &gpu0, &two0, ACQUIRE, &all, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "two0 does not wait on eventfd; or let two0 accept cpu-wait" },
	{ &bell, &two0, ACQUIRE, &all, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "two0 does not wait on eventfd; or let both accept cpu-wait" },
	{ &pure, &bell, ACQUIRE, &all, FBK_ROUTE_NONE, FBK_ROUTE_EVENTFD,
	  "pure does not accept this route" },
	{ &vcn0, &gpu0, RELEASE, &bare, FBK_ROUTE_NONE, FBK_ROUTE_NONE,
	  "no import for the fences that vcn0 signals: sync_file; see `fencectl doctor`" },
	{ &vcn0, &gpu0, RELEASE, &bare, FBK_ROUTE_NONE, FBK_ROUTE_CPU_WAIT,
	  "no import for the fences that vcn0 signals: sync_file; see `fencectl doctor`" },
};

START_TEST(named_cases)
{
	const struct named_case *named = &cases[_i];
	choose(named->signaler, named->waiter, named->way, named->world);
	ck_assert_msg(choice.route == named->route, "%s -> %s: %s (%s), and not %s",
		      named->signaler->name, named->waiter->name, route_name(choice.route),
		      choice.why[choice.route], route_name(named->route));
	ck_assert_str_eq(choice.why[named->of], named->why);
}
END_TEST

START_TEST(names)
{
	static const char *const expected[ROUTE_COUNT] = {
		"none",     "native",           "syncobj-mirror", "eventfd",
		"gate",     "dma-buf-implicit", "sync_file-late", "sync_file-promise",
		"cpu-wait",
	};
	for (enum fbk_route route = FBK_ROUTE_NONE; route < ROUTE_COUNT; route++) {
		ck_assert_str_eq(route_name(route), expected[route]);
	}
	ck_assert_str_eq(route_name((enum fbk_route)ROUTE_COUNT), "no route");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, names);
	ADD_LOOP(tcase, named_cases, cases);
	ADD_LOOP(tcase, every_capability, worlds);
	ADD_LOOP(tcase, every_mask, worlds);
	tcase_add_test(tcase, same_question_same_answer);
}

int main(void)
{
	return suite_main("route", add);
}
