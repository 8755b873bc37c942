// SPDX-License-Identifier: MIT
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/integration/lib-view.h"

#define VIEWS       24
#define CROWD_STACK 65536

/* A timeline that it waits on. */
struct target {
	struct view view;
	struct fbk_peer_page *page; /* shared with its signaler; NULL: only the daemon wakes it */
	struct fbk_pair_cell *cell; /* in that */
};

struct hostile {
	const struct chaos *chaos;
	int socket;
	struct client client;
	struct target targets[VIEWS];
	unsigned int count;
	struct dice dice;
};

/* For every second timeline it shares a cell with the signaler, if the signaler has a place
 * left. */
static bool target_open(struct hostile *hostile, int token, struct target *target)
{
	uint32_t slot;
	*target = (struct target){ 0 };
	if (view_open(&hostile->client, token, &target->view) < 0) {
		return false; /* its owner is gone */
	}
	if (dice_below(&hostile->dice, 2) == 0 &&
	    view_join(&target->view, &target->page, &slot) == 0) {
		target->cell = &target->page->cells[slot];
	}
	return true;
}

/* Takes tokens; with VIEWS of them it reconnects, and starts over with the next. */
static void hostile_take(struct hostile *hostile)
{
	int token;
	while (readable_within(hostile->socket, 0) == 1) {
		receive_word(hostile->socket, &token);
		if (hostile->count == VIEWS) {
			client_close(&hostile->client);
			client_open(&hostile->client, hostile->chaos->base.daemon);
			hostile->count = 0;
		}
		if (target_open(hostile, token, &hostile->targets[hostile->count])) {
			hostile->count++;
		}
		close(token);
	}
}

static void hostile_await_views(struct hostile *hostile, unsigned int count)
{
	while (hostile->count < count) {
		hostile_take(hostile);
		yield_briefly();
	}
}

/* ---------------------------------------------------------------------------------------- low -- */

static _Noreturn void hostile_low(struct hostile *hostile)
{
	for (;;) {
		hostile_take(hostile);
		for (unsigned int i = 0; i < hostile->count; i++) {
			const struct target *target = &hostile->targets[i];
			cell_arm(&target->view, 1);
			if (target->cell) {
				atomic_store(&target->cell->minimum, 1);
			}
		}
		dice_sleep(&hostile->dice, 1000);
	}
}

/* -------------------------------------------------------------------------------------- crowd -- */

/* Each thread waits for the next point, so that each signal concerns them all. Their priority is
 * idle: the test is about what sleeping threads cost, not about thousands of busy ones. */
static void *crowd_run(void *arg)
{
	const struct target *target = arg;
	const struct view *view = &target->view;
	struct fbk_pair_cell *daemons = &view->client->pair->cells[view->handle];
	struct sched_param none = { 0 };
	EXPECT(sched_setscheduler(0, SCHED_IDLE, &none) == 0);
	while (view_status(view) == FBK_STATUS_OK) {
		uint64_t next = view_payload(view) + 1;
		if (next > FBK_POINT_MAX) {
			break;
		}
		bool shared = target->cell && atomic_load(&target->cell->mapped);
		struct fbk_pair_cell *cell = shared ? target->cell : daemons;
		uint32_t sequence = shared ? atomic_load(&cell->sequence) : cell_arm(view, next);
		if (shared) {
			atomic_store(&cell->minimum, next); /* as all of them do */
		}
		if (point_check(view, next) == -EAGAIN) {
			cell_sleep(cell, sequence, 600000);
		}
	}
	return NULL;
}

/* The signaler wakes 16 threads at a time: the process wakes the rest, as the library does. */
static void crowd_wake(struct fbk_pair_cell *cell)
{
	atomic_fetch_add(&cell->sequence, 1);
	syscall(SYS_futex, &cell->sequence, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* As many threads as allowed. When their timeline ends they gather on another. */
static _Noreturn void hostile_crowd(struct hostile *hostile)
{
	static pthread_t threads[65536];
	pthread_attr_t attributes;
	EXPECT(hostile->chaos->crowd <= 65536);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, CROWD_STACK);
	for (;;) {
		uint32_t count = 0;
		hostile_await_views(hostile, 1);
		struct target *target =
			&hostile->targets[dice_below(&hostile->dice, hostile->count)];
		const struct view *view = &target->view;
		while (count < hostile->chaos->crowd &&
		       pthread_create(&threads[count], &attributes, crowd_run, target) == 0) {
			count++;
		}
		while (view_status(view) == FBK_STATUS_OK) {
			yield_briefly();
		}
		crowd_wake(&hostile->client.pair->cells[view->handle]);
		if (target->cell) {
			crowd_wake(target->cell);
		}
		for (uint32_t i = 0; i < count; i++) {
			pthread_join(threads[i], NULL);
		}
		client_close(&hostile->client);
		client_open(&hostile->client, hostile->chaos->base.daemon);
		hostile->count = 0;
		hostile_await_views(hostile, 1);
	}
}

/* ----------------------------------------------------------------------------------- scribble -- */

static void scribble_page(struct dice *dice, void *page, size_t size, size_t cells)
{
	_Atomic uint64_t *words = page;
	size_t count = size / sizeof(words[0]);
	for (int i = 0; i < 200; i++) {
		/* header and bells, the cells of its timelines, or anywhere */
		uint64_t where = dice_below(dice, 3);
		size_t first = cells / sizeof(words[0]);
		size_t at = where == 0 ? dice_below(dice, first)
				       : dice_below(dice, where == 1 ? first + 8 * 32 : count);
		uint64_t kind = dice_below(dice, 6);
		uint64_t value = kind == 0   ? 0
				 : kind == 1 ? UINT64_MAX
				 : kind == 2 ? FBK_POINT_MAX + dice_below(dice, 3)
				 : kind == 3 ? 1 + dice_below(dice, 100000)
					     : dice_spread(dice, 1, UINT64_C(1) << 63);
		/* relaxed: nonsense */
		atomic_store_explicit(&words[at], value, memory_order_relaxed);
	}
}

static void scribble_peers(struct hostile *hostile)
{
	for (unsigned int i = 0; i < hostile->count; i++) {
		struct fbk_peer_page *page = hostile->targets[i].page;
		if (page && dice_below(&hostile->dice, 8) == 0) {
			scribble_page(&hostile->dice, page, sizeof(*page),
				      offsetof(struct fbk_peer_page, cells));
		}
	}
}

static void misuse_doorbell(struct hostile *hostile)
{
	int bell = hostile->client.doorbell;
	uint64_t value = UINT64_MAX - 1;
	int flags = fcntl(bell, F_GETFL);
	struct pollfd entry = { .fd = bell, .events = POLLIN };
	switch (dice_below(&hostile->dice, 5)) {
	case 0: /* full */
		fcntl(bell, F_SETFL, flags | O_NONBLOCK);
		if (write(bell, &value, sizeof(value)) < 0) {
			EXPECT(errno == EAGAIN);
		}
		break;
	case 1: /* drained */
		if (poll(&entry, 1, 0) == 1) {
			EXPECT(read(bell, &value, sizeof(value)) == sizeof(value));
		}
		break;
	case 2: /* made blocking */
		fcntl(bell, F_SETFL, flags & ~O_NONBLOCK);
		break;
	case 3:
		fcntl(bell, F_SETFL, flags | O_NONBLOCK);
		eventfd_write(bell, 1);
		break;
	case 4:
		if (dice_below(&hostile->dice, 20) == 0 && bell >= 0) {
			close(bell);
			hostile->client.doorbell = -1;
		}
		break;
	}
}

static _Noreturn void hostile_scribble(struct hostile *hostile)
{
	for (uint64_t turn = 1;; turn++) {
		hostile_take(hostile);
		scribble_page(&hostile->dice, hostile->client.pair, sizeof(*hostile->client.pair),
			      offsetof(struct fbk_pair_page, cells));
		scribble_peers(hostile);
		if (hostile->client.doorbell >= 0) {
			misuse_doorbell(hostile);
		}
		if (dice_below(&hostile->dice, 200) == 0) {
			client_close(&hostile->client); /* and another one, with a new page */
			client_open(&hostile->client, hostile->chaos->base.daemon);
			hostile->count = 0;
		}
		dice_sleep(&hostile->dice, 2000);
	}
}

int hostile_run(const struct chaos *chaos, enum hostile_kind kind, int socket)
{
	static struct hostile hostile;
	hostile.chaos = chaos;
	hostile.socket = socket;
	dice_init(&hostile.dice, chaos->base.seed, UINT64_MAX - kind);
	client_open(&hostile.client, chaos->base.daemon);
	switch (kind) {
	case HOSTILE_LOW:
		hostile_low(&hostile);
	case HOSTILE_CROWD:
		hostile_crowd(&hostile);
	case HOSTILE_SCRIBBLE:
		hostile_scribble(&hostile);
	default:
		return 1;
	}
}
