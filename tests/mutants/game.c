// SPDX-License-Identifier: MIT
#include "game.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Without a new point and without a finding for this long, the game itself is broken. */
#define STUCK_MS 30000

/* How many looks, a millisecond or more apart, must find a thread asleep for a point that is
 * reached. On a busy machine the looker gets the CPU no more often than the sleeper. */
#define LOST_LOOKS 2000

void board_fault(struct board *board, const char *format, ...)
{
	static _Atomic bool taken; /* by a thread of this process */
	va_list arguments;
	if (board->found || atomic_exchange(&taken, true)) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(board->fault, sizeof(board->fault), format, arguments);
	va_end(arguments);
	board->found = true;
}

unsigned int chance_draw(unsigned int *chance, unsigned int limit)
{
	*chance = *chance * 1103515245 + 12345;
	return (*chance >> 8) % limit;
}

struct watch {
	uint64_t point;
	unsigned int looks;
};

static void seat_watch(struct board *board, const struct seat *seat, struct watch *watch, bool dead)
{
	uint64_t point = seat->waiting;
	if (point == 0 || point != watch->point || (point > board->done && !dead)) {
		*watch = (struct watch){ .point = point };
		return;
	}
	if (++watch->looks >= LOST_LOOKS) {
		board_fault(board, "a thread sleeps for point %llu, %s", (unsigned long long)point,
			    point > board->done ? "whose signaler is dead" : "which is reached");
	}
}

static bool exited(pid_t pid)
{
	siginfo_t info = { 0 };
	EXPECT(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
	return info.si_pid == pid;
}

/* Until the waiter ends, or the time is up. */
static void game_watch(const struct game *game, struct board *board, const struct peer *signaler,
		       const struct peer *waiter, uint64_t end_ms)
{
	struct watch watches[GAME_SEATS] = { 0 };
	uint64_t done = 0, since_ms = now_ms(), now;
	while (!board->found && !exited(waiter->pid) && (now = now_ms()) < end_ms) {
		bool dead = exited(signaler->pid);
		for (unsigned int i = 0; i < game->seats; i++) {
			seat_watch(board, &board->seats[i], &watches[i], dead);
		}
		if (board->done != done) {
			done = board->done;
			since_ms = now;
		}
		ck_assert_msg(now < since_ms + STUCK_MS, "nothing happens any more");
		yield_briefly();
	}
}

void game_play(const struct game *game, struct board *board, const struct daemon *daemon,
	       uint64_t end_ms)
{
	struct seating seating = { .game = game, .board = board, .daemon = daemon };
	struct peer signaler, waiter;
	memset(board, 0, sizeof(*board));
	peer_start(&signaler, signaler_run, &seating);
	receive_word(signaler.socket, &seating.token);
	peer_start(&waiter, waiter_run, &seating);
	game_watch(game, board, &signaler, &waiter, end_ms);
	kill(waiter.pid, SIGKILL);
	int status = peer_wait(&waiter);
	kill(signaler.pid, SIGKILL);
	peer_wait(&signaler);
	close(seating.token);
	ck_assert_msg(board->found || status == 0 || status == 128 + SIGKILL,
		      "the waiter ended with %d", status);
}
