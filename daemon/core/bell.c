// SPDX-License-Identifier: MIT
#include "bell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BELL_LOOKS_PER_TURN 256
#define BELL_RINGS_IN_A_ROW 64

static void bell_look_word(struct bell *bell, uint32_t word, uint64_t bits)
{
	for (; bits; bits &= bits - 1) {
		bell->rung(bell, word * 64 + (uint32_t)__builtin_ctzll(bits));
	}
}

/* Doorbells come before requests, but a client that rings without a pause must not starve the requests. After
 * BELL_RINGS_IN_A_ROW rings, rings have the priority of requests until requests had their turn. */
static void bell_take_turn(struct bell *bell)
{
	struct registry *registry = bell->registry;
	registry->bells_in_a_row++;
	if (event_get_priority(bell->event) == PRIORITY_REQUEST) {
		registry->bells_in_a_row = 0;
	}
	event_priority_set(bell->event, registry->bells_in_a_row < BELL_RINGS_IN_A_ROW
						? PRIORITY_FENCE
						: PRIORITY_REQUEST);
}

/* Each write of the eventfd is an edge. */
static void bell_rang(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct bell *bell = arg;
	struct fbk_pair_page *pair = bell_page(bell);
	unsigned int looks = 0;

	bell->registry->counters.bells++;
	bell_take_turn(bell);
	/* D1. seq_cst: the summary is taken before minima and payloads are read. The client sets those
	 * first, then the bit, then the summary, and then rings. A bit set after this exchange rings
	 * again. */
	uint64_t summary = atomic_exchange_explicit(&pair->bell_summary, 0, memory_order_seq_cst);
	while (summary && looks < BELL_LOOKS_PER_TURN) {
		uint32_t word = (uint32_t)__builtin_ctzll(summary);
		summary &= summary - 1;
		uint64_t bits =
			atomic_exchange_explicit(&pair->bell[word], 0, memory_order_seq_cst);
		looks += (unsigned int)__builtin_popcountll(bits);
		bell_look_word(bell, word, bits);
	}
	if (summary) {
		/* relaxed: the exchange above saw these bits; they only go back for the next turn */
		atomic_fetch_or_explicit(&pair->bell_summary, summary, memory_order_relaxed);
		event_active(bell->event, EV_READ, 0);
	}
}

void bell_init(struct bell *bell, struct registry *registry)
{
	*bell = (struct bell){ .registry = registry, .doorbell = -1 };
}

int bell_open(struct bell *bell, struct user *user,
	      void (*rung)(struct bell *bell, uint32_t number))
{
	struct registry *registry = bell->registry;
	bell->rung = rung;
	int r = page_create(FBK_PAGE_PAIR, registry_new_id(registry), 0,
			    sizeof(struct fbk_pair_page), user, &bell->pair);
	if (r < 0) {
		return r;
	}
	bell->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell->doorbell < 0) {
		return -errno;
	}
	/* relaxed: the page is handed out after this */
	atomic_store_explicit(&bell_page(bell)->cells[0].minimum, FBK_MONITORED_NONE,
			      memory_order_relaxed);
	bell->event = loop_listen(&registry->loop, bell->doorbell, EV_READ | EV_ET | EV_PERSIST,
				  PRIORITY_FENCE, bell_rang, bell);
	return bell->event ? 0 : -ENOMEM;
}

void bell_mute(struct bell *bell)
{
	if (bell->event) {
		event_del(bell->event);
	}
}

void bell_close(struct bell *bell)
{
	event_drop(bell->event);
	page_unref(bell->pair);
	if (bell->doorbell >= 0) {
		close(bell->doorbell);
	}
	bell_init(bell, bell->registry);
}
