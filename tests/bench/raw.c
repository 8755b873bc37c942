// SPDX-License-Identifier: MIT
/* Raw primitives within a process and between two: system calls and atomics only. */
#include "raw.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "member.h"
#include "raw-loads.h"
#include "round.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define SPINS_PER_LOOK (1 << 24) /* iterations between two checks of the timeout */
#define PATIENCE_S     20
#define NOBODY         65534
#define SLEEPERS       8
#define SPIN_LINES     61

static int no_memory(void)
{
	return bench_fail("no memory");
}

/* ---------------------------------------------------------------------------- eventfd, loads -- */

struct raw_single {
	int fd;
	bool cold;
	unsigned int batch;
	struct raw_owner owner;
	struct raw_line line;
	_Atomic uint8_t *memory; /* three lines: flag, payload, status */
};

static void single_close(void *state)
{
	struct raw_single *single = state;
	if (single->fd >= 0) {
		close(single->fd);
	}
	free((void *)single->memory);
	free(single);
}

static int eventfd_open(const struct row *row, void **ret_state)
{
	struct raw_single *single = calloc(1, sizeof(*single));
	if (!single) {
		return no_memory();
	}
	single->cold = row->cold;
	single->batch = row->batch ? row->batch : 1;
	single->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (single->fd < 0) {
		int r = bench_fail("eventfd: %s", strerror(errno));
		single_close(single);
		return r;
	}
	*ret_state = single;
	return 0;
}

static int eventfd_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_single *single = state;
	uint64_t one = 1;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		if (single->cold && host_stream() < 0) {
			return no_memory();
		}
		host_now(); /* the clock itself is warm */
		uint64_t start = host_now();
		for (unsigned int j = 0; j < single->batch; j++) {
			if (write(single->fd, &one, sizeof(one)) != sizeof(one)) {
				return bench_fail("eventfd: %s", strerror(errno));
			}
		}
		r = samples_add(samples, (double)(host_now() - start) / single->batch);
	}
	return r;
}

const struct side raw_eventfd = { "write to an eventfd", eventfd_open, eventfd_round,
				  single_close };

static int loads_open(const struct row *row, void **ret_state)
{
	struct raw_single *single = calloc(1, sizeof(*single));
	_Atomic uint8_t *memory = aligned_alloc(4096, 3 * 4096);
	if (!single || !memory) {
		free(single);
		free((void *)memory);
		return no_memory();
	}
	memset((void *)memory, 0, 3 * 4096);
	single->fd = -1;
	single->batch = row->batch ? row->batch : 1;
	single->memory = memory;
	single->owner.ours = memory;
	single->line.owner = &single->owner;
	single->line.payload = (_Atomic uint64_t *)(memory + 4096);
	single->line.status = (_Atomic uint32_t *)(memory + 8192);
	/* relaxed: one thread */
	atomic_store_explicit(single->owner.ours, 1, memory_order_relaxed);
	atomic_store_explicit(single->line.payload, 10, memory_order_relaxed);
	atomic_store_explicit(single->line.status, 1, memory_order_relaxed);
	*ret_state = single;
	return 0;
}

static int loads_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_single *single = state;
	struct raw_point point = { .line = &single->line, .value = 10 };
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		int missing = 0;
		uint64_t start = host_now();
		for (unsigned int j = 0; j < single->batch; j++) {
			missing |= raw_check(point);
		}
		uint64_t end = host_now();
		if (missing) {
			return bench_fail("a point that is reached was not");
		}
		r = samples_add(samples, (double)(end - start) / single->batch);
	}
	return r;
}

const struct side raw_loads = { "the same loads", loads_open, loads_round, single_close };

/* --------------------------------------------------------------------------- two processes --- */

struct raw_word {
	_Alignas(128) _Atomic uint32_t word;
};

struct raw_board {
	struct meeting meeting;
	struct raw_word forth;                /* stored by the leader */
	struct raw_word back[WAIT_ANY_COUNT]; /* stored by the partner */
	struct raw_word idle;                 /* never signalled */
	/* For spinning: another pair of lines in each round, since the latency of a line depends on its
	 * address. */
	struct raw_word ping[SPIN_LINES];
	struct raw_word pong[SPIN_LINES];
};

struct raw_pair {
	struct raw_board *board;
	struct member members[SLEEPERS];
	struct half half;    /* the leader's */
	struct half partner; /* the partner's */
	unsigned int batch;
	unsigned int round; /* of spinning; counted by both sides */
	uint64_t think_ns;
};

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
	struct timespec patience = { .tv_sec = PATIENCE_S };
	return syscall(SYS_futex, word, operation, value, &patience, NULL, 0);
}

static int word_signal(struct raw_word *word, uint64_t value)
{
	/* release: pairs with the acquire of the wait; earlier writes are visible */
	atomic_store_explicit(&word->word, (uint32_t)value, memory_order_release);
	futex(&word->word, FUTEX_WAKE, 1);
	return 0;
}

static int word_wait(struct raw_word *word, uint64_t value)
{
	uint32_t seen;
	/* acquire: pairs with the release of the signal */
	while ((seen = atomic_load_explicit(&word->word, memory_order_acquire)) !=
	       (uint32_t)value) {
		if (futex(&word->word, FUTEX_WAIT, seen) < 0 && errno == ETIMEDOUT) {
			return bench_fail("a partner did not signal in %d seconds", PATIENCE_S);
		}
	}
	return 0;
}

static int forth_signal(void *arg, uint64_t value)
{
	return word_signal(&((struct raw_pair *)arg)->board->forth, value);
}

static int forth_wait(void *arg, uint64_t value)
{
	return word_wait(&((struct raw_pair *)arg)->board->forth, value);
}

static int back_signal(void *arg, uint64_t value)
{
	return word_signal(&((struct raw_pair *)arg)->board->back[0], value);
}

static int back_wait(void *arg, uint64_t value)
{
	return word_wait(&((struct raw_pair *)arg)->board->back[0], value);
}

static void pair_close(void *state)
{
	struct raw_pair *pair = state;
	for (unsigned int i = 0; i < SLEEPERS; i++) {
		member_stop(&pair->members[i]);
	}
	host_unshare(pair->board, sizeof(*pair->board));
	free(pair);
}

/* Starts the partner; the caller starts further members. */
static int pair_open(const struct row *row, const struct half *half, const struct half *partner,
		     member_fn *fn, void **ret_state)
{
	struct raw_pair *pair = calloc(1, sizeof(*pair));
	if (!pair) {
		return no_memory();
	}
	pair->batch = row->batch ? row->batch : 1;
	pair->think_ns = row->think_ns;
	pair->half = *half;
	pair->partner = *partner;
	pair->half.arg = pair->partner.arg = pair;
	pair->board = host_share(sizeof(*pair->board));
	int r = pair->board ? 0 : no_memory();
	if (r == 0 && row->other_uid && geteuid() != 0) {
		r = bench_skip("only root has a partner of another user");
	}
	if (r == 0) {
		r = member_start(&pair->members[0], PLACE_PARTNER, row->other_uid ? NOBODY : 0, fn,
				 pair);
	}
	if (r < 0) {
		pair_close(pair);
		return r;
	}
	*ret_state = pair;
	return 0;
}

/* ------------------------------------------------------------------------------- spinning --- */

static bool spin_until(struct raw_word *word, uint32_t value)
{
	uint64_t end = host_now() + PATIENCE_S * UINT64_C(1000000000);
	do {
		for (unsigned int i = 0; i < SPINS_PER_LOOK; i++) {
			/* acquire: as above */
			if (atomic_load_explicit(&word->word, memory_order_acquire) == value) {
				return true;
			}
		}
	} while (host_now() < end);
	return false;
}

/* The lines of the next round; returns the value that both hold. */
static uint32_t spin_lines(struct raw_pair *pair, struct raw_word **ret_ping,
			   struct raw_word **ret_pong)
{
	unsigned int line = pair->round++ % SPIN_LINES;
	*ret_ping = &pair->board->ping[line];
	*ret_pong = &pair->board->pong[line];
	/* acquire: as above. Neither line changes now: the leader stores into `ping` only after its note,
	 * and the partner stored into `pong` last in this line's previous round. */
	return atomic_load_explicit(&(*ret_pong)->word, memory_order_acquire);
}

static int ping_pong_follow(int socket, void *arg)
{
	struct raw_pair *pair = arg;
	uint64_t trips;
	int r;
	while ((r = note_await(socket, &trips)) == 0) {
		struct raw_word *ping, *pong;
		uint32_t value = spin_lines(pair, &ping, &pong);
		for (; trips > 0; trips--) {
			if (!spin_until(ping, ++value)) {
				return bench_fail("the leader stopped");
			}
			/* release: as above */
			atomic_store_explicit(&pong->word, value, memory_order_release);
		}
	}
	return r;
}

static int ping_pong_open(const struct row *row, void **ret_state)
{
	static const struct half none;
	if (host_cpus() < 2) {
		return bench_skip("two that spin need two CPUs");
	}
	return pair_open(row, &none, &none, ping_pong_follow, ret_state);
}

static int ping_pong_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_pair *pair = state;
	struct raw_word *ping, *pong;
	uint32_t value = spin_lines(pair, &ping, &pong);
	int r = note_send(pair->members[0].socket, (uint64_t)(count + 1) * pair->batch, -1);
	for (unsigned int i = 0; r == 0 && i < count + 1; i++) {
		uint64_t start = host_now();
		for (unsigned int j = 0; j < pair->batch; j++) {
			/* release: as above */
			atomic_store_explicit(&ping->word, ++value, memory_order_release);
			if (!spin_until(pong, value)) {
				return bench_fail("the partner stopped");
			}
		}
		uint64_t end = host_now();
		if (i > 0) { /* the first trip only wakes the partner */
			r = samples_add(samples, (double)(end - start) / pair->batch);
		}
	}
	return r;
}

const struct side raw_ping_pong = { "cache-line ping-pong", ping_pong_open, ping_pong_round,
				    pair_close };

/* ------------------------------------------------------------------------------- sleeping --- */

static int trip_partner(int socket, void *arg)
{
	struct raw_pair *pair = arg;
	return trip_follow(socket, &pair->board->meeting, &pair->partner, pair->think_ns);
}

static int futex_trip_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = forth_signal, .wait = back_wait };
	static const struct half partner = { .signal = back_signal, .wait = forth_wait };
	return pair_open(row, &half, &partner, trip_partner, ret_state);
}

static int futex_trip_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_pair *pair = state;
	return trip_lead(pair->members[0].socket, &pair->board->meeting, &pair->half, count,
			 pair->think_ns, true, samples);
}

const struct side raw_futex_trip = { "futex ping-pong", futex_trip_open, futex_trip_round,
				     pair_close };

/* The partner signals the words in turn; the value tells which one. */
static int any_signal(void *arg, uint64_t value)
{
	struct raw_pair *pair = arg;
	return word_signal(&pair->board->back[value % WAIT_ANY_COUNT], value);
}

static int any_wait(void *arg, uint64_t value)
{
	struct raw_pair *pair = arg;
	struct futex_waitv words[WAIT_ANY_COUNT];
	for (;;) {
		for (unsigned int i = 0; i < WAIT_ANY_COUNT; i++) {
			_Atomic uint32_t *word = &pair->board->back[i].word;
			/* acquire: as above */
			uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
			if (seen == (uint32_t)value) {
				return 0;
			}
			words[i] = (struct futex_waitv){ .val = seen,
							 .uaddr = (uint64_t)(uintptr_t)word,
							 .flags = FUTEX_32 };
		}
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += PATIENCE_S;
		if (syscall(SYS_futex_waitv, words, WAIT_ANY_COUNT, 0, &until, CLOCK_MONOTONIC) <
			    0 &&
		    errno != EAGAIN) {
			return bench_fail("futex_waitv: %s", strerror(errno));
		}
	}
}

static int waitv_trip_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = forth_signal, .wait = any_wait };
	static const struct half partner = { .signal = any_signal, .wait = forth_wait };
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS) {
		return bench_skip("this kernel has no futex_waitv (Linux 5.16)");
	}
	return pair_open(row, &half, &partner, trip_partner, ret_state);
}

const struct side raw_waitv_trip = { "futex_waitv of 64", waitv_trip_open, futex_trip_round,
				     pair_close };

/* ---------------------------------------------------------------- one wake, others asleep ---- */

static int post_partner(int socket, void *arg)
{
	struct raw_pair *pair = arg;
	return post_follow(socket, &pair->board->meeting, &pair->partner);
}

static int wake_idler(int socket, void *arg)
{
	struct raw_pair *pair = arg;
	(void)socket;
	while (futex(&pair->board->idle.word, FUTEX_WAIT, 0) < 0) { /* timed out */
	}
	return 0;
}

static int wake_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = forth_signal };
	static const struct half partner = { .wait = forth_wait };
	struct raw_pair *pair;
	void *state;
	int r = pair_open(row, &half, &partner, post_partner, &state);
	pair = state;
	for (unsigned int i = 1; r == 0 && i < SLEEPERS; i++) {
		r = member_start(&pair->members[i], PLACE_PARTNER, 0, wake_idler, pair);
		if (r < 0) {
			pair_close(pair);
		}
	}
	*ret_state = r == 0 ? pair : NULL;
	return r;
}

static int wake_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_pair *pair = state;
	return post_lead(pair->members[0].socket, &pair->board->meeting, &pair->half, count,
			 POST_CALL, samples);
}

const struct side raw_futex_wake = { "futex wake of one", wake_open, wake_round, pair_close };
