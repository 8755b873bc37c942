// SPDX-License-Identifier: MIT
/*
 * mutant-stress NAME: plays the game that this mutant breaks, until it is seen to break. mutant-
 * stress none: plays all games, without a finding. README.md has the list.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "game.h"
#include "proto/mutant.h"

#define CATCH_MS 60000
#define NONE_MS  3000 /* a game; with $FBK_SOAK twenty times as long */

/* No spinning: every waiter goes to sleep, or nearly. */
#define POLICY                                                                       \
	"version = 1; settings: { spin_us = 0; };\n"                                 \
	"rules: ( { user = \"*\"; connect = true; register = true; class = \"*\";\n" \
	"           inspect = \"all\"; } );\n"

enum { ALONE, CROWD, DAEMON, ANEW, DEATH, LOOP, GAMES };

static const struct game games[GAMES] = {
	[ALONE] = { "alone", wait_alone, .seats = 1, .signalers = 1, .pause = 2000 },
	[CROWD] = { "crowd", wait_alone, .seats = 20, .signalers = 1, .pause = 10000 },
	[DAEMON] = { "daemon", wait_among_many, .seats = 1, .signalers = 1, .pause = 40000 },
	[ANEW] = { "anew", wait_anew, .seats = 1, .signalers = 2, .pause = 2000 },
	[DEATH] = { "death", wait_alone, .seats = 2, .signalers = 1, .pause = 20000,
		    .mortal = true },
	[LOOP] = { "loop", wait_by_loop, .seats = 1, .signalers = 1, .pause = 4000 },
};

/* The game that shows a mutant. */
static const struct {
	const char *name;
	int game;
} mutants[] = {
#define SHOWS(name, game) [MUTANT_##name] = { #name, game }
	SHOWS(SIGNAL_FENCE, ALONE),         SHOWS(WAIT_FENCE, ALONE),
	SHOWS(PUBLISH_FENCE, DAEMON),       SHOWS(WAIT_REREAD, ALONE),
	SHOWS(DAEMON_REREAD, DAEMON),       SHOWS(SEQUENCE_LATE, ALONE),
	SHOWS(BUMP_BEFORE_EXCHANGE, ALONE), SHOWS(WAKE_ONE, CROWD),
	SHOWS(DEATH_SILENT, DEATH),         SHOWS(DEATH_UNREAD, DEATH),
	SHOWS(MAPPED_EARLY, ANEW),          SHOWS(DROP_SILENT, ANEW),
	SHOWS(UNMAPPED_UNARMED, ANEW),      SHOWS(NAP_REREAD, LOOP),
};

static enum mutant chosen = MUTANT_none;
static struct board *board;
static struct daemon server;

/* How long it took, with what came of it. */
static void play(const struct game *game, uint64_t ms)
{
	uint64_t begin = now_ms(), points = 0;
	unsigned int rounds = 0;
	do {
		game_play(game, board, &server, begin + ms);
		points += board->done;
		rounds++;
	} while (!board->found && now_ms() < begin + ms);
	printf("%s: %u games, %llu points in %llu ms: %s\n", game->name, rounds,
	       (unsigned long long)points, (unsigned long long)(now_ms() - begin),
	       board->found ? board->fault : "nothing found");
	fflush(stdout);
}

START_TEST(nothing_is_found)
{
	daemon_serve(&server, POLICY);
	for (int i = 0; i < GAMES; i++) {
		play(&games[i], getenv("FBK_SOAK") ? 20 * NONE_MS : NONE_MS);
		ck_assert_msg(!board->found, "%s: %s", games[i].name, board->fault);
	}
	daemon_stop(&server);
}
END_TEST

START_TEST(it_is_caught)
{
	daemon_serve(&server, POLICY);
	play(&games[mutants[chosen].game], CATCH_MS);
	ck_assert_msg(board->found, "%s is not caught", mutants[chosen].name);
	daemon_stop(&server);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_set_timeout(tcase, 1200);
	tcase_add_test(tcase, chosen == MUTANT_none ? nothing_is_found : it_is_caught);
}

int main(int argc, char **argv)
{
	const char *name = argc == 2 ? argv[1] : "";
	for (size_t i = MUTANT_none + 1; i < sizeof(mutants) / sizeof(mutants[0]); i++) {
		if (strcmp(name, mutants[i].name) == 0) {
			chosen = (enum mutant)i;
		}
	}
	if (chosen == MUTANT_none && strcmp(name, "none") != 0) {
		fprintf(stderr,
			"Usage: mutant-stress NAME | none; $FBK_BIN_DIR: where the daemon is\n");
		return 2;
	}
	if (chosen == MUTANT_NAP_REREAD && !kernel_naps()) {
		printf("SKIPPED: this kernel's io_uring can't wait on futexes (Linux 6.7)\n");
		return 77;
	}
	setenv("FBK_MUTANT", name, 1); /* for the daemon and the processes of the games */
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	return suite_main("mutant", add_tests);
}
