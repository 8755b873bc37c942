// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "game.h"

#define YIELD_EVERY   256
#define ROUNDS_MORTAL 16

struct signaler {
	const struct game *game;
	struct board *board;
	struct fbk_timeline *timeline;
	unsigned int turn; /* of the points, its own are these */
	unsigned int chance;
};

/* All waiting threads are about to wait for the point; a pause, in which they do; then the data it
 * stands for. */
static void point_prepare(struct signaler *signaler, uint64_t value)
{
	struct board *board = signaler->board;
	unsigned int turns = 0;
	for (unsigned int i = 0; i < signaler->game->seats; i++) {
		while (board->seats[i].ready < value) {
			if (++turns % YIELD_EVERY == 0) {
				sched_yield();
			}
		}
	}
	unsigned int pause = chance_draw(&signaler->chance, signaler->game->pause) + 1;
	for (volatile unsigned int i = chance_draw(&signaler->chance, pause); i > 0; i--) {
	}
	board->begun = value;
	/* relaxed: released by the signal */
	__atomic_store_n(&board->data, value, __ATOMIC_RELAXED);
}

/* The thread of the next point may be quicker. */
static void point_done(struct board *board, uint64_t value)
{
	uint64_t done = board->done;
	while (done < value && !atomic_compare_exchange_weak(&board->done, &done, value)) {
	}
}

static void point_signal(struct signaler *signaler, uint64_t value)
{
	point_prepare(signaler, value);
	EXPECT(fbk_timeline_signal(signaler->timeline, value) == 0);
	point_done(signaler->board, value);
}

static void *signal_points(void *arg)
{
	struct signaler *signaler = arg;
	for (uint64_t value = 1 + signaler->turn;; value += signaler->game->signalers) {
		point_signal(signaler, value);
	}
	return NULL;
}

/* Dies while they wait for a point: before the payload is raised, or after it and before the
 * wakes. */
static void signal_and_die(struct signaler *signaler)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	uint64_t last = 1 + chance_draw(&signaler->chance, ROUNDS_MORTAL);
	for (uint64_t value = 1; value < last; value++) {
		point_signal(signaler, value);
	}
	point_prepare(signaler, last);
	if (chance_draw(&signaler->chance, 2) == 0) {
		EXPECT(fbk_timeline_memory(signaler->timeline, &memory, NULL) == 0);
		__atomic_store_n((uint64_t *)memory.address, last, __ATOMIC_SEQ_CST);
		point_done(signaler->board, last);
	}
	kill(getpid(), SIGKILL);
}

int signaler_run(int socket, void *arg)
{
	const struct seating *seating = arg;
	const struct game *game = seating->game;
	struct fbk_context *context = peer_connect(seating->daemon);
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "dev"), "line", 0);
	struct signaler signalers[2];
	pthread_t thread;
	int token;
	EXPECT(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	for (unsigned int i = 0; i < game->signalers; i++) {
		signalers[i] = (struct signaler){ .game = game,
						  .board = seating->board,
						  .timeline = timeline,
						  .turn = i,
						  .chance = (unsigned int)getpid() + i };
	}
	if (game->mortal) {
		signal_and_die(&signalers[0]);
	}
	for (unsigned int i = 1; i < game->signalers; i++) {
		EXPECT(pthread_create(&thread, NULL, signal_points, &signalers[i]) == 0);
	}
	signal_points(&signalers[0]);
	return 0;
}
