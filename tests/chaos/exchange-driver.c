// SPDX-License-Identifier: MIT
#include "exchange-driver.h"

#include <stdio.h>
#include <unistd.h>

#include "proto/container.h"

#define STOP_MIN_US  100
#define STOP_MAX_US  200000
#define STOP_LONG_US 8000000 /* longer than a consumer may keep a frame and the checker's bound */
#define STOP_LONG_IN 25
#define STALL_MS     60000 /* a run without a new frame for this long hangs */

/* A producer's link. */
struct offer {
	uint64_t word; /* 0: none yet */
	int fd;
};

struct exchange_driver {
	struct driver driver;
	const struct exchange_run *run;
	const struct exchange_aim *aim;
	unsigned int links[PRODUCERS]; /* how many each has */
	struct offer offers[PRODUCERS][CONSUMERS_EACH];
	uint64_t moved_frames, moved_ms; /* the last progress: frames, and when */
};

static struct exchange_driver *exchange_driver_of(const struct driver *driver)
{
	return container_of(driver, struct exchange_driver, driver);
}

/* Places: the producers, then the consumers of each. */
static unsigned int place_of(unsigned int producer, unsigned int number)
{
	return PRODUCERS + producer * CONSUMERS_EACH + number;
}

static bool exchange_used(const struct driver *driver, unsigned int place)
{
	const unsigned int *links = exchange_driver_of(driver)->links;
	return place < PRODUCERS ||
	       (place - PRODUCERS) % CONSUMERS_EACH < links[(place - PRODUCERS) / CONSUMERS_EACH];
}

static int exchange_play(const struct driver *driver, unsigned int place, int socket)
{
	const struct exchange_driver *exchange = exchange_driver_of(driver);
	uint32_t instance = driver->processes[place].instance;
	return place < PRODUCERS ? exchange_producer_run(exchange->run, place, instance,
							 exchange->links[place], socket)
				 : exchange_consumer_run(exchange->run, place, instance, socket);
}

/* --------------------------------------------------------------------------------------- offers -- */

/* A killed consumer misses the offer; its successor gets it when it starts. */
static void offer_pass(const struct driver *driver, unsigned int producer, unsigned int number)
{
	const struct offer *offer = &exchange_driver_of(driver)->offers[producer][number];
	unsigned int place = place_of(producer, number);
	if (offer->word && driver->processes[place].peer.pid) {
		driver_send(driver, place, offer->word, offer->fd);
	}
}

static void exchange_started(struct driver *driver, unsigned int place)
{
	if (place >= PRODUCERS) {
		offer_pass(driver, (place - PRODUCERS) / CONSUMERS_EACH,
			   (place - PRODUCERS) % CONSUMERS_EACH);
	}
}

/* A producer made an offer. */
static void exchange_word(struct driver *driver, unsigned int producer, uint64_t word, int fd)
{
	struct exchange_driver *exchange = exchange_driver_of(driver);
	unsigned int number = OFFER_NUMBER(word);
	EXPECT(OFFER_INSTANCE(word) == driver->processes[producer].instance);
	EXPECT(number < exchange->links[producer]);
	struct offer *offer = &exchange->offers[producer][number];
	if (offer->word) {
		close(offer->fd);
	}
	*offer = (struct offer){ word, fd };
	offer_pass(driver, producer, number);
}

static void offers_close(const struct exchange_driver *exchange)
{
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		for (unsigned int n = 0; n < exchange->links[i]; n++) {
			if (exchange->offers[i][n].word) {
				close(exchange->offers[i][n].fd);
			}
		}
	}
}

/* -------------------------------------------------------------------------------------- the run -- */

static uint64_t frames_handed(const struct driver *driver)
{
	const struct exchange_board *board = exchange_driver_of(driver)->run->board;
	uint64_t sum = 0;
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		sum += atomic_load(&board->frames[i]);
	}
	return sum;
}

/* One victim in four is a producer: its death ends the links of its consumers too. */
static unsigned int victim_pick(struct driver *driver)
{
	struct dice *dice = &driver->dice;
	unsigned int place;
	if (dice_below(dice, 4) == 0) {
		return (unsigned int)dice_below(dice, PRODUCERS);
	}
	do {
		place = PRODUCERS + (unsigned int)dice_below(dice, EXCHANGE_PLACES - PRODUCERS);
	} while (!exchange_used(driver, place));
	return place;
}

static uint64_t pick_stop_us(struct dice *dice)
{
	return dice_below(dice, STOP_LONG_IN) == 0 ? STOP_LONG_US
						   : dice_spread(dice, STOP_MIN_US, STOP_MAX_US);
}

static void exchange_torment(struct driver *driver)
{
	const struct exchange_aim *aim = exchange_driver_of(driver)->aim;
	const struct driver_report *done = &driver->report;
	double part = done->work >= aim->frames ? 1 : (double)done->work / (double)aim->frames;
	if ((double)done->stops < part * (double)aim->stops) {
		unsigned int place = victim_pick(driver);
		driver_stop(driver, place, pick_stop_us(&driver->dice));
	}
	if ((double)done->kills < part * (double)aim->kills) {
		driver_kill(driver, victim_pick(driver));
	}
}

static bool exchange_over(struct driver *driver)
{
	struct exchange_driver *exchange = exchange_driver_of(driver);
	const struct exchange_aim *aim = exchange->aim;
	const struct driver_report *done = &driver->report;
	if (done->work > exchange->moved_frames) {
		exchange->moved_frames = done->work;
		exchange->moved_ms = now_ms();
	} else if (now_ms() > exchange->moved_ms + STALL_MS) {
		printf("no frame for %d s\n", STALL_MS / 1000);
		return true; /* the checker says why */
	}
	return done->work >= aim->frames && done->kills >= aim->kills && done->stops >= aim->stops;
}

static void exchange_finish(struct driver *driver)
{
	atomic_store(&exchange_driver_of(driver)->run->board->over, true);
}

static const struct driver_kind exchange_kind = {
	.places = EXCHANGE_PLACES,
	.tormented = EXCHANGE_PLACES,
	.senders = PRODUCERS,
	.tick_ms = 1,
	.end_ms = 120000,
	.used = exchange_used,
	.play = exchange_play,
	.started = exchange_started,
	.word = exchange_word,
	.work = frames_handed,
	.over = exchange_over,
	.torment = exchange_torment,
	.drain = exchange_finish,
};

void exchange_drive(const struct exchange_run *run, const struct exchange_aim *aim,
		    struct driver_report *ret_report)
{
	static struct exchange_driver exchange;
	exchange.run = run;
	exchange.aim = aim;
	exchange.moved_ms = now_ms();
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		exchange.links[i] = 1 + (i + run->base.seed) % CONSUMERS_EACH;
	}
	driver_run(&exchange.driver, &exchange_kind, &run->base);
	offers_close(&exchange);
	*ret_report = exchange.driver.report;
}
