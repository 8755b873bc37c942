// SPDX-License-Identifier: MIT
#include "watcher.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/base/budget.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "proto/container.h"
#include "proto/narrow.h"
#include "proto/thread.h"

#define STACK_SIZE     (128 * 1024)      /* the thread needs 4 KiB; sanitizers need more */
#define LINGER_NS      (100 * NS_PER_MS) /* so that not every frame starts a thread */
#define LOOKS_PER_TURN 16                /* under the mutex */
#define NAP_NS         (5 * NS_PER_US)   /* too short for a sleep */
#define HITS_PER_TURN  256               /* of the loop; then other events have their turn */
#define BUDGET_EVERY   16                /* turns between two looks at the CPU clock */
#define GUARD_MIN_NS   (50 * NS_PER_US)
#define GUARD_MAX_NS   (5 * NS_PER_MS)

/* Poison that the watcher restores. */
struct guard {
	struct watched watched;
	struct set *set;
	LIST_ENTRY(guard) links;
};

struct watcher {
	struct registry *registry;
	int told; /* an eventfd that the thread writes after a hit; never read */
	struct event *event;
	bool started; /* there is a thread to join */
	bool complained;
	pthread_t thread;
	LIST_HEAD(, guard) guards;

	_Atomic uint32_t wanted; /* the loop wants the mutex */
	_Atomic uint64_t polls;

	pthread_mutex_t mutex;
	pthread_cond_t roused;
	struct heap queue;
	TAILQ_HEAD(, watched) hits;
	uint64_t sleeps_until; /* 0: must not be roused */
	bool stop, ended;

	struct budget budget; /* outlives the thread: the next one goes on with it */
};

static void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* -------------------------------------------------------------------------------- the thread --- */

/* When to look next; 0: a hit, of which the loop must be notified. */
static uint64_t watched_look(struct watched *watched, uint64_t now)
{
	uint64_t payload;
	if (watched->narrow) {
		/* seq_cst: after the loop published the monitored value; else the loop reads the
		 * payload itself. Read once: the device may write at any time. */
		payload = fbk_narrow_extend(
			watched->seen,
			atomic_load_explicit(fbk_narrow_word(&watched->slot->payload),
					     memory_order_seq_cst));
	} else {
		/* seq_cst: as above */
		payload = atomic_load_explicit(&watched->slot->payload, memory_order_seq_cst);
	}
	if (payload > watched->seen && payload < FBK_POISON) {
		pace_observe(&watched->pace, payload, watched->looked_ns, now);
		watched->seen = payload;
	}
	watched->looked_ns = now;
	if (payload < watched->seen || payload >= watched->value || payload >= FBK_POISON) {
		return 0;
	}
	uint64_t next = pace_next(&watched->pace, watched->value, watched->since_ns, now);
	return next > now ? next : now + 1; /* not again in this turn */
}

/* Restores poison. When to look next; 0: the guard's time is over. */
static uint64_t guard_look(struct watched *watched, uint64_t now)
{
	if (watched->narrow) {
		uint32_t poison = (uint32_t)watched->value;
		/* relaxed: the control page has the state of the timeline; poison only releases
		 * hardware that waits. An exchange, so that it overwrites only the word it read. */
		uint32_t word = atomic_load_explicit(fbk_narrow_word(&watched->slot->payload),
						     memory_order_relaxed);
		if (word != poison) {
			atomic_compare_exchange_strong_explicit(
				fbk_narrow_word(&watched->slot->payload), &word, poison,
				memory_order_relaxed, memory_order_relaxed); /* relaxed: as above */
		}
	} else {
		/* relaxed: as above */
		uint64_t payload =
			atomic_load_explicit(&watched->slot->payload, memory_order_relaxed);
		if (!(payload & FBK_POISON)) {
			atomic_fetch_or_explicit(&watched->slot->payload, FBK_POISON,
						 memory_order_relaxed); /* relaxed: as above */
		}
	}
	uint64_t pause = (now - watched->since_ns) / 8;
	pause = pause < GUARD_MIN_NS ? GUARD_MIN_NS : pause > GUARD_MAX_NS ? GUARD_MAX_NS : pause;
	return now >= watched->until_ns ? 0 : now + pause;
}

/* Under the mutex: look at the payloads that are due, at most LOOKS_PER_TURN. True: the loop must be notified. */
static bool watcher_turn(struct watcher *watcher, uint64_t now)
{
	bool tell = false;
	uint64_t looks = 0;
	struct heap_node *node;
	while (looks < LOOKS_PER_TURN && (node = heap_min(&watcher->queue)) && node->key <= now) {
		struct watched *watched = container_of(node, struct watched, node);
		heap_remove(&watcher->queue, node);
		looks++;
		uint64_t next =
			watched->guard ? guard_look(watched, now) : watched_look(watched, now);
		if (next) {
			heap_insert(&watcher->queue, node, next);
		} else {
			watched->state = WATCHED_HIT;
			TAILQ_INSERT_TAIL(&watcher->hits, watched, hits);
			tell = true;
		}
	}
	/* relaxed: a counter */
	atomic_fetch_add_explicit(&watcher->polls, looks, memory_order_relaxed);
	return tell;
}

static void watcher_sleep(struct watcher *watcher, uint64_t until_ns, bool rousable)
{
	struct timespec until = { .tv_sec = (time_t)(until_ns / NS_PER_S),
				  .tv_nsec = (long)(until_ns % NS_PER_S) };
	watcher->sleeps_until = rousable ? until_ns : 0;
	pthread_cond_timedwait(&watcher->roused, &watcher->mutex, &until);
	watcher->sleeps_until = 0;
	budget_settle(&watcher->budget, clock_now_ns(), clock_cpu_ns());
}

/* Release the mutex for a moment: mutexes are not fair, and the loop must come first. */
static void watcher_step_aside(struct watcher *watcher, bool tell)
{
	pthread_mutex_unlock(&watcher->mutex);
	if (tell) {
		eventfd_write(watcher->told, 1);
	}
	cpu_relax();
	/* relaxed: only for fairness; the mutex orders all data */
	while (atomic_load_explicit(&watcher->wanted, memory_order_relaxed) > 0) {
		sched_yield();
	}
	pthread_mutex_lock(&watcher->mutex);
}

static void *watcher_run(void *arg)
{
	struct watcher *watcher = arg;
	uint64_t idle_since = 0;
	prctl(PR_SET_NAME, "fbk-watcher");
	prctl(PR_SET_TIMERSLACK, 1UL); /* so that sleeps end on time */
	pthread_mutex_lock(&watcher->mutex);
	watcher->budget.cpu_ns = 0;
	for (unsigned int turn = 0; !watcher->stop; turn++) {
		const struct heap_node *node = heap_min(&watcher->queue);
		uint64_t now = clock_now_ns();
		if (!node) {
			idle_since = idle_since ? idle_since : now;
			if (now >= idle_since + LINGER_NS) {
				break;
			}
			watcher_sleep(watcher, idle_since + LINGER_NS, true);
			continue;
		}
		idle_since = 0;
		if (turn % BUDGET_EVERY == 0) {
			budget_settle(&watcher->budget, now, clock_cpu_ns());
		}
		uint64_t refill = budget_wait(&watcher->budget);
		if (refill) {
			watcher_sleep(watcher, refill, false);
		} else if (node->key > now + NAP_NS) {
			watcher_sleep(watcher, node->key, true);
		} else {
			watcher_step_aside(watcher, watcher_turn(watcher, now));
		}
	}
	watcher->ended = true;
	pthread_mutex_unlock(&watcher->mutex);
	return NULL;
}

/* ---------------------------------------------------------------------------- the loop's side -- */

static void watcher_enter(struct watcher *watcher)
{
	/* relaxed: see watcher_step_aside */
	atomic_fetch_add_explicit(&watcher->wanted, 1, memory_order_relaxed);
	pthread_mutex_lock(&watcher->mutex);
	atomic_fetch_sub_explicit(&watcher->wanted, 1, memory_order_relaxed);
}

static void watcher_join(struct watcher *watcher)
{
	if (watcher->started) {
		pthread_join(watcher->thread, NULL);
		watcher->started = false;
	}
}

static int watcher_start(struct watcher *watcher)
{
	watcher_join(watcher); /* the old thread never takes the mutex again, and ends */
	watcher->ended = false;
	/* see foreign.h: the thread that reads gets SIGBUS; the loop's thread takes all others */
	int r = thread_start(&watcher->thread, STACK_SIZE, SIGBUS, watcher_run, watcher);
	watcher->started = r == 0;
	if (r != 0 && !watcher->complained) {
		watcher->complained = true;
		log_warning("no thread for the watcher (%s): waits for silent devices end at their "
			    "deadline",
			    strerrordesc_np(-r));
	}
	return r;
}

static void watched_take_off(struct watcher *watcher, struct watched *watched)
{
	if (watched->state == WATCHED_QUEUED) {
		heap_remove(&watcher->queue, &watched->node);
	} else if (watched->state == WATCHED_HIT) {
		TAILQ_REMOVE(&watcher->hits, watched, hits);
	}
	watched->state = WATCHED_IDLE;
}

static void watcher_queue(struct watcher *watcher, struct watched *watched, uint64_t due)
{
	heap_insert(&watcher->queue, &watched->node, due);
	watched->state = WATCHED_QUEUED;
	bool rouse = watcher->sleeps_until > due;
	bool start = !watcher->started || watcher->ended;
	pthread_mutex_unlock(&watcher->mutex);
	if (rouse) {
		pthread_cond_signal(&watcher->roused);
	}
	if (start) {
		watcher_start(watcher); /* on an error the next call tries again */
	}
}

void watcher_arm(struct watcher *watcher, struct watched *watched, struct fbk_payload_slot *slot,
		 uint64_t seen, uint64_t value)
{
	uint64_t now = clock_now_ns();
	watcher_enter(watcher);
	watched_take_off(watcher, watched);
	watched->slot = slot;
	watched->seen = seen;
	watched->value = value;
	watched->since_ns = now;
	watched->looked_ns = now;
	watcher_queue(watcher, watched, pace_next(&watched->pace, value, now, now));
}

void watcher_disarm(struct watcher *watcher, struct watched *watched)
{
	watcher_enter(watcher);
	watched_take_off(watcher, watched);
	pthread_mutex_unlock(&watcher->mutex);
}

static void watcher_told(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct watcher *watcher = arg;
	for (int i = 0; i < HITS_PER_TURN; i++) {
		watcher_enter(watcher);
		struct watched *watched = TAILQ_FIRST(&watcher->hits);
		if (watched) {
			watched_take_off(watcher, watched);
		}
		pthread_mutex_unlock(&watcher->mutex);
		if (!watched) {
			return;
		}
		watched->hit(watched);
	}
	event_active(watcher->event, EV_READ, 0);
}

uint64_t watcher_polls(const struct watcher *watcher)
{
	/* relaxed: a counter */
	return atomic_load_explicit(&watcher->polls, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------- poison -- */

static void guard_destroy(struct guard *guard)
{
	LIST_REMOVE(guard, links);
	set_unref(guard->set);
	free(guard);
}

static void guard_over(struct watched *watched)
{
	guard_destroy(container_of(watched, struct guard, watched));
}

void watcher_guard(struct watcher *watcher, struct set *set, struct fbk_payload_slot *slot,
		   bool narrow, uint32_t word)
{
	uint64_t poison_ms = policy_settings(watcher->registry->policy)->poison_ms;
	struct guard *guard = poison_ms ? calloc(1, sizeof(*guard)) : NULL;
	if (!guard) {
		return; /* the control page says that the timeline failed, whatever the payload */
	}
	uint64_t now = clock_now_ns();
	guard->set = set;
	set->refs++;
	guard->watched = (struct watched){
		.guard = true,
		.narrow = narrow,
		.slot = slot,
		.value = word,
		.since_ns = now,
		.until_ns = now + poison_ms * NS_PER_MS,
		.hit = guard_over,
	};
	LIST_INSERT_HEAD(&watcher->guards, guard, links);
	watcher_enter(watcher);
	watcher_queue(watcher, &guard->watched, now + GUARD_MIN_NS);
}

/* --------------------------------------------------------------------------- birth and death --- */

int watcher_create(struct registry *registry, struct watcher **ret_watcher)
{
	uint64_t percent = policy_settings(registry->policy)->watcher_cpu_percent;
	*ret_watcher = NULL;
	if (percent == 0) {
		return 0;
	}
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	if (!watcher) {
		return -ENOMEM;
	}
	pthread_condattr_t clock;
	pthread_mutexattr_t adaptive;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&watcher->roused, &clock);
	pthread_condattr_destroy(&clock);
	pthread_mutexattr_init(&adaptive);
	/* The thread holds it for a moment only: the loop spins rather than sleeps. */
	pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&watcher->mutex, &adaptive);
	pthread_mutexattr_destroy(&adaptive);
	watcher->registry = registry;
	budget_init(&watcher->budget, percent, clock_now_ns());
	TAILQ_INIT(&watcher->hits);
	watcher->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = watcher->told < 0 ? log_call("eventfd2", -errno) : 0;
	if (r == 0) {
		watcher->event =
			loop_listen(&registry->loop, watcher->told, EV_READ | EV_ET | EV_PERSIST,
				    PRIORITY_FENCE, watcher_told, watcher);
		r = watcher->event ? 0 : -ENOMEM;
	}
	if (r < 0) {
		watcher_destroy(watcher);
		return r;
	}
	*ret_watcher = watcher;
	return 0;
}

void watcher_set_percent(struct watcher *watcher, uint64_t percent)
{
	watcher_enter(watcher);
	watcher->budget.percent = percent;
	pthread_mutex_unlock(&watcher->mutex);
}

void watcher_destroy(struct watcher *watcher)
{
	if (!watcher) {
		return;
	}
	watcher_enter(watcher);
	watcher->stop = true;
	pthread_mutex_unlock(&watcher->mutex);
	pthread_cond_signal(&watcher->roused);
	watcher_join(watcher);
	while (!LIST_EMPTY(&watcher->guards)) {
		guard_destroy(LIST_FIRST(&watcher->guards));
	}
	event_drop(watcher->event);
	if (watcher->told >= 0) {
		close(watcher->told);
	}
	pthread_mutex_destroy(&watcher->mutex);
	pthread_cond_destroy(&watcher->roused);
	free(watcher);
}
