// SPDX-License-Identifier: MIT
#include "point-driver.h"

#include <stdio.h>
#include <unistd.h>

#include "proto/container.h"

#define STOP_ONE_IN  25  /* ticks, on average */
#define KILL_ONE_IN  150 /* the same */
#define LEAVE_ONE_IN 500
#define STOP_MIN_US  100
#define STOP_MAX_US  200000
#define DRAIN_MS     (2 * LONG_WAIT_MS)

/* The tokens of an actor's timelines. */
struct tokens {
	uint64_t words[LINES]; /* 0: none */
	int fds[LINES];
};

struct point_driver {
	struct driver driver;
	const struct chaos *chaos;
	const struct point_aim *aim;
	uint64_t over_ms; /* when the time has passed */
	struct tokens tokens[ACTORS];
	uint64_t leaves;
};

static struct point_driver *point_driver_of(const struct driver *driver)
{
	return container_of(driver, struct point_driver, driver);
}

/* ----------------------------------------------------------------------------------- processes -- */

static bool point_used(const struct driver *driver, unsigned int place)
{
	return place < ACTORS || point_driver_of(driver)->aim->hostile;
}

static int point_play(const struct driver *driver, unsigned int place, int socket)
{
	const struct chaos *chaos = point_driver_of(driver)->chaos;
	if (place >= ACTORS) {
		return hostile_run(chaos, place - ACTORS, socket);
	}
	return actor_run(chaos, place, driver->processes[place].instance, socket);
}

static void point_starting(struct driver *driver, unsigned int place)
{
	if (place < ACTORS) {
		struct board_slot *slot = &point_driver_of(driver)->chaos->board->slots[place];
		atomic_store(&slot->leave, false);
		atomic_store(&slot->idle, false);
	}
}

static void point_started(struct driver *driver, unsigned int place)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct tokens *tokens = &point_driver_of(driver)->tokens[i];
		for (unsigned int n = 0; i != place && n < LINES; n++) {
			if (tokens->words[n]) {
				driver_send(driver, place, tokens->words[n], tokens->fds[n]);
			}
		}
	}
}

static void point_ended(struct driver *driver, unsigned int place)
{
	for (unsigned int i = 0; place < ACTORS && i < LINES; i++) {
		struct tokens *tokens = &point_driver_of(driver)->tokens[place];
		if (tokens->words[i]) {
			close(tokens->fds[i]);
			tokens->words[i] = 0;
		}
	}
}

static void point_word(struct driver *driver, unsigned int place, uint64_t word, int fd)
{
	struct tokens *tokens = &point_driver_of(driver)->tokens[place];
	unsigned int line = TOKEN_LINE(word);
	EXPECT(TOKEN_SLOT(word) == place && line < LINES);
	if (tokens->words[line]) {
		close(tokens->fds[line]);
	}
	tokens->words[line] = word;
	tokens->fds[line] = fd;
	for (unsigned int i = 0; i < driver->kind->places; i++) {
		if (i != place && driver->processes[i].peer.pid) {
			driver_send(driver, i, word, fd);
		}
	}
}

/* ------------------------------------------------------------------------------------- the run -- */

static void point_torment(struct driver *driver)
{
	struct point_driver *points = point_driver_of(driver);
	struct dice *dice = &driver->dice;
	unsigned int place = (unsigned int)dice_below(dice, ACTORS);
	if (dice_below(dice, STOP_ONE_IN) == 0) {
		driver_stop(driver, place, dice_spread(dice, STOP_MIN_US, STOP_MAX_US));
	}
	place = (unsigned int)dice_below(dice, ACTORS);
	if (dice_below(dice, KILL_ONE_IN) == 0) {
		driver_kill(driver, place);
	}
	place = (unsigned int)dice_below(dice, ACTORS);
	struct process *process = &driver->processes[place];
	if (process->peer.pid && !process->leaving && dice_below(dice, LEAVE_ONE_IN) == 0) {
		process->leaving = true;
		atomic_store(&points->chaos->board->slots[place].leave, true);
		points->leaves++;
	}
}

static uint64_t signals_made(const struct driver *driver)
{
	const struct board *board = point_driver_of(driver)->chaos->board;
	uint64_t sum = 0;
	for (unsigned int i = 0; i < ACTORS; i++) {
		sum += atomic_load(&board->slots[i].signals);
	}
	return sum;
}

static bool point_over(struct driver *driver)
{
	const struct point_driver *points = point_driver_of(driver);
	return signals_made(driver) >= points->aim->signals || now_ms() >= points->over_ms;
}

static bool all_idle(const struct board *board)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		if (!atomic_load(&board->slots[i].idle)) {
			return false;
		}
	}
	return true;
}

/* No wait begins any more; signals go on until all waits have ended. */
static void point_drain(struct driver *driver)
{
	struct board *board = point_driver_of(driver)->chaos->board;
	uint64_t give_up = now_ms() + DRAIN_MS;
	atomic_store(&board->drain, true);
	while (!all_idle(board) && now_ms() < give_up) {
		driver_tick(driver);
	}
	if (!all_idle(board)) {
		printf("after %d s some actors still wait\n", DRAIN_MS / 1000);
	}
	atomic_store(&board->quit, true);
}

static const struct driver_kind point_kind = {
	.places = ACTORS + HOSTILE_KINDS,
	.tormented = ACTORS,
	.senders = ACTORS,
	.tick_ms = 2,
	.end_ms = 300000,
	.used = point_used,
	.play = point_play,
	.starting = point_starting,
	.started = point_started,
	.ended = point_ended,
	.word = point_word,
	.work = signals_made,
	.over = point_over,
	.torment = point_torment,
	.drain = point_drain,
};

void point_drive(const struct chaos *chaos, const struct point_aim *aim,
		 struct point_report *ret_report)
{
	static struct point_driver points;
	points.chaos = chaos;
	points.aim = aim;
	points.over_ms = aim->seconds ? now_ms() + 1000 * aim->seconds : UINT64_MAX;
	driver_run(&points.driver, &point_kind, &chaos->base);
	*ret_report = (struct point_report){ points.driver.report, points.leaves };
}
