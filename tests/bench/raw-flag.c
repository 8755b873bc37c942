// SPDX-License-Identifier: MIT
/*
 * The cheapest correct signal that a futex allows: a word, and beside it how many sleep on it. A signal
 * stores the word, loads that count and makes a system call only when it is not 0. As on our side,
 * the others have slept on it before and do not wait while it is measured.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "member.h"
#include "raw.h"

#define SIGNAL_EVERY_MS 2
#define PATIENCE_S      20
#define WAITERS_MAX     8
#define SLEEPS          4 /* of each waiter, before it is measured */

struct raw_flag {
	_Alignas(128) _Atomic uint32_t word;
	_Atomic uint32_t sleepers;
};

struct raw_flags {
	struct raw_flag *flag;
	struct member waiters[WAITERS_MAX];
	unsigned int batch;
	bool cold;
};

static void flag_signal(struct raw_flag *flag, uint32_t value)
{
	/* seq_cst: the word is stored before the sleepers are loaded; with the waiter's fetch_add and its
	 * second look at least one of the two sees the other. Release for who reads the word. */
	atomic_exchange_explicit(&flag->word, value, memory_order_seq_cst);
	if (atomic_load_explicit(&flag->sleepers, memory_order_seq_cst) > 0) {
		syscall(SYS_futex, &flag->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
}

/* Until the word is not `seen` any more. */
static int flag_wait(struct raw_flag *flag, uint32_t seen)
{
	struct timespec patience = { .tv_sec = PATIENCE_S };
	int r = 0;
	/* seq_cst: as above; the kernel compares the word once more */
	atomic_fetch_add_explicit(&flag->sleepers, 1, memory_order_seq_cst);
	while (r == 0 && atomic_load_explicit(&flag->word, memory_order_seq_cst) == seen) {
		if (syscall(SYS_futex, &flag->word, FUTEX_WAIT, seen, &patience, NULL, 0) < 0 &&
		    errno == ETIMEDOUT) {
			r = bench_fail("the leader did not signal in %d seconds", PATIENCE_S);
		}
	}
	/* relaxed: a wake too many does no harm */
	atomic_fetch_sub_explicit(&flag->sleepers, 1, memory_order_relaxed);
	return r;
}

static int flag_waiter(int socket, void *arg)
{
	struct raw_flag *flag = ((struct raw_flags *)arg)->flag;
	for (unsigned int slept = 0; slept < SLEEPS;) {
		long before = host_sleeps();
		/* acquire: pairs with the exchange of the signal */
		int r = flag_wait(flag, atomic_load_explicit(&flag->word, memory_order_acquire));
		if (r < 0) {
			return r;
		}
		slept += host_sleeps() > before;
	}
	int r = note_send(socket, 0, -1);
	return r < 0 ? r : note_await(socket, NULL);
}

static void flags_close(void *state)
{
	struct raw_flags *flags = state;
	for (unsigned int i = 0; i < WAITERS_MAX; i++) {
		member_stop(&flags->waiters[i]);
	}
	host_unshare(flags->flag, sizeof(*flags->flag));
	free(flags);
}

/* Signal until it has told that it slept often enough. */
static int waiter_await(struct raw_flags *flags, const struct member *waiter)
{
	uint64_t end = host_now() + PATIENCE_S * UINT64_C(1000000000);
	struct pollfd entry = { .fd = waiter->socket, .events = POLLIN };
	while (poll(&entry, 1, SIGNAL_EVERY_MS) == 0) {
		/* relaxed: nobody else writes it */
		flag_signal(flags->flag,
			    atomic_load_explicit(&flags->flag->word, memory_order_relaxed) + 1);
		if (host_now() > end) {
			return bench_fail("a waiter does not come to sleep");
		}
	}
	return note_receive(waiter->socket, NULL, NULL);
}

static int flags_open(const struct row *row, void **ret_state)
{
	struct raw_flags *flags = calloc(1, sizeof(*flags));
	if (!flags) {
		return bench_fail("no memory");
	}
	flags->batch = row->batch ? row->batch : 1;
	flags->cold = row->cold;
	flags->flag = host_share(sizeof(*flags->flag));
	int r = flags->flag ? 0 : bench_fail("no memory");
	for (unsigned int i = 0; r == 0 && i < row->pairs; i++) {
		r = member_start(&flags->waiters[i], PLACE_PARTNER, 0, flag_waiter, flags);
	}
	for (unsigned int i = 0; r == 0 && i < row->pairs; i++) {
		r = waiter_await(flags, &flags->waiters[i]);
	}
	if (r < 0) {
		flags_close(flags);
		return r;
	}
	*ret_state = flags;
	return 0;
}

static int flags_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_flags *flags = state;
	struct raw_flag *flag = flags->flag;
	/* relaxed: nobody else writes it */
	uint32_t value = atomic_load_explicit(&flag->word, memory_order_relaxed);
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		if (flags->cold && host_stream() < 0) {
			return bench_fail("no memory");
		}
		host_now(); /* the clock itself is warm */
		uint64_t start = host_now();
		for (unsigned int j = 0; j < flags->batch; j++) {
			flag_signal(flag, ++value);
		}
		r = samples_add(samples, (double)(host_now() - start) / flags->batch);
	}
	return r;
}

const struct side raw_flag = { "a futex word and a count of its sleepers", flags_open, flags_round,
			       flags_close };
