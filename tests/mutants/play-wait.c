// SPDX-License-Identifier: MIT
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "game.h"

#define MANY 128 /* more than futex_waitv takes: the daemon's cells, and cell 0 */

#define ROUNDS_PAIRING 12 /* until the signaler looks at the cell, with some to spare */
#define ROUNDS_SILENT  18 /* until it does so no more */
#define ROUNDS_DROPPED 3
#define SILENT_NS      1000 /* too short to fall asleep, long enough to arm the cell */

/* -------------------------------------------------------------------------- what a wait may return -- */

static bool death_is_right(const struct waiter *waiter, uint64_t value)
{
	uint64_t done = waiter->board->done;
	struct fbk_point last = { waiter->timeline, done };
	if (value <= done || (done > 0 && fbk_point_check(last) != 0)) {
		board_fault(waiter->board, "point %llu was reached and is reported as failed",
			    (unsigned long long)done);
	}
	return false; /* the game is over in any case */
}

/* Whether the game goes on. */
static bool result_is_right(const struct waiter *waiter, uint64_t value, int r)
{
	struct board *board = waiter->board;
	if (r == 0 && board->begun < value) {
		board_fault(board, "a wait for point %llu succeeded at %llu",
			    (unsigned long long)value, (unsigned long long)board->begun);
	} else if (r == 0 && __atomic_load_n(&board->data, __ATOMIC_RELAXED) < value) {
		/* relaxed: acquired by the wait */
		board_fault(board, "a wait for point %llu returned before its data was there",
			    (unsigned long long)value);
	} else if (r == -EOWNERDEAD && waiter->game->mortal) {
		return death_is_right(waiter, value);
	} else if (r < 0) {
		board_fault(board, "a wait for point %llu failed (%d), signalled was %llu",
			    (unsigned long long)value, r, (unsigned long long)board->done);
	}
	return !board->found;
}

/* ---------------------------------------------------------------------------------- ways to wait -- */

static bool take(struct waiter *waiter, const struct fbk_point *points, size_t count)
{
	struct seat *seat = waiter->seat;
	uint64_t value = points[0].value;
	size_t index = 0;
	seat->waiting = value;
	seat->ready = value;
	int r = count == 1 ? fbk_point_wait(points[0], FBK_DEADLINE_MAX)
			   : fbk_point_wait_any(points, count, FBK_DEADLINE_MAX, &index);
	seat->waiting = 0;
	return result_is_right(waiter, value, r);
}

static bool take_alone(struct waiter *waiter, uint64_t value)
{
	return take(waiter, &(struct fbk_point){ waiter->timeline, value }, 1);
}

static void line_open(struct waiter *waiter)
{
	EXPECT(fbk_timeline_open(waiter->context, waiter->token, &waiter->timeline) == 0);
}

void wait_alone(struct waiter *waiter)
{
	line_open(waiter);
	for (uint64_t value = 1; take_alone(waiter, value); value++) {
	}
}

void wait_among_many(struct waiter *waiter)
{
	struct fbk_point points[MANY];
	line_open(waiter);
	for (size_t i = 1; i < MANY; i++) {
		points[i] = (struct fbk_point){ waiter->timeline, FBK_POINT_MAX };
	}
	points[0] = (struct fbk_point){ waiter->timeline, 1 };
	for (; take(waiter, points, MANY); points[0].value++) {
	}
}

static void told(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result;
}

/* As take(), in an event loop. */
static bool take_by_loop(struct waiter *waiter, uint64_t value)
{
	struct seat *seat = waiter->seat;
	struct pollfd loop = { .fd = fbk_context_fd(waiter->context), .events = POLLIN };
	struct fbk_point point = { waiter->timeline, value };
	int r = -EAGAIN;
	seat->waiting = value;
	seat->ready = value;
	EXPECT(fbk_point_watch(point, FBK_DEADLINE_MAX, told, &r, NULL) == 0);
	while (r == -EAGAIN) {
		poll(&loop, 1, -1);
		fbk_dispatch(waiter->context);
	}
	seat->waiting = 0;
	return result_is_right(waiter, value, r);
}

void wait_by_loop(struct waiter *waiter)
{
	line_open(waiter);
	for (uint64_t value = 1; take_by_loop(waiter, value); value++) {
	}
}

static uint64_t soon(struct waiter *waiter)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec +
	       chance_draw(&waiter->chance, SILENT_NS);
}

/* Arms its cell, and is awake when the wake comes. */
static bool take_silently(struct waiter *waiter, uint64_t value)
{
	struct fbk_point point = { waiter->timeline, value };
	unsigned int turns = 0;
	fbk_point_wait(point, soon(waiter));
	waiter->seat->ready = value;
	int r = fbk_point_check(point);
	while (r == -EAGAIN) {
		if (++turns % 64 == 0) {
			sched_yield();
		}
		r = fbk_point_check(point);
	}
	return result_is_right(waiter, value, r);
}

/* Each opening gets a new cell: the signaler takes it up, and drops it again. */
static bool take_a_while(struct waiter *waiter, uint64_t *value)
{
	bool on = true;
	line_open(waiter);
	for (unsigned int i = chance_draw(&waiter->chance, ROUNDS_PAIRING); on && i > 0; i--) {
		on = take_alone(waiter, (*value)++);
	}
	for (unsigned int i = chance_draw(&waiter->chance, 2) * ROUNDS_SILENT; on && i > 0; i--) {
		on = take_silently(waiter, (*value)++);
	}
	for (unsigned int i = ROUNDS_DROPPED; on && i > 0; i--) {
		on = take_alone(waiter, (*value)++);
	}
	fbk_timeline_close(waiter->timeline);
	return on;
}

void wait_anew(struct waiter *waiter)
{
	uint64_t value = 1;
	while (take_a_while(waiter, &value)) {
	}
}

/* ------------------------------------------------------------------------------------ the process -- */

static void *waiter_thread(void *arg)
{
	struct waiter *waiter = arg;
	waiter->game->wait(waiter);
	return NULL;
}

int waiter_run(int socket, void *arg)
{
	const struct seating *seating = arg;
	const struct game *game = seating->game;
	struct fbk_context *context = peer_connect(seating->daemon);
	struct waiter waiters[GAME_SEATS];
	pthread_t threads[GAME_SEATS];
	(void)socket;
	for (unsigned int i = 0; i < game->seats; i++) {
		waiters[i] = (struct waiter){ .game = game,
					      .board = seating->board,
					      .seat = &seating->board->seats[i],
					      .context = context,
					      .token = seating->token,
					      .chance = (unsigned int)getpid() + i };
	}
	for (unsigned int i = 0; i < game->seats; i++) {
		EXPECT(pthread_create(&threads[i], NULL, waiter_thread, &waiters[i]) == 0);
	}
	for (unsigned int i = 0; i < game->seats; i++) {
		pthread_join(threads[i], NULL);
	}
	return 0;
}
