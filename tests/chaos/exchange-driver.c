// SPDX-License-Identifier: MIT
#include "exchange-driver.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exchange-record.h"
#include "meter.h"

#define TICK_MS        1
#define STOP_MIN_US    100
#define STOP_MAX_US    200000
#define STOP_LONG_US   8000000 /* longer than a consumer may keep a frame and the checker's bound */
#define STOP_LONG_IN   25
#define END_MS         120000 /* a process that takes so long to end hangs */
#define STALL_MS       60000  /* no frame for so long: a run that hangs */
#define DRIVER_RECORDS 1000000

struct process {
	struct peer peer; /* pid 0: none */
	uint32_t instance;
	struct record *stop; /* while it is stopped */
	uint64_t resume_ns;
};

/* A producer's link. */
struct offer {
	uint64_t word; /* 0: none yet */
	int fd;
};

struct driver {
	const struct exchange_run *run;
	struct journal journal;
	struct dice dice;
	unsigned int links[PRODUCERS]; /* how many each has */
	struct process processes[EXCHANGE_PLACES];
	struct offer offers[PRODUCERS][CONSUMERS_EACH];
	uint32_t instances;
	struct exchange_report report;
};

/* Places: the producers, then the consumers of each. */
static unsigned int place_of(unsigned int producer, unsigned int number)
{
	return PRODUCERS + producer * CONSUMERS_EACH + number;
}

static bool place_used(const struct driver *driver, unsigned int place)
{
	return place < PRODUCERS || (place - PRODUCERS) % CONSUMERS_EACH <
					    driver->links[(place - PRODUCERS) / CONSUMERS_EACH];
}

/* ----------------------------------------------------------------------------------- processes -- */

struct role {
	const struct driver *driver;
	unsigned int place;
};

static int role_run(int socket, void *arg)
{
	const struct role *role = arg;
	const struct driver *driver = role->driver;
	return role->place < PRODUCERS
		       ? exchange_producer_run(driver->run, role->place, driver->instances,
					       driver->links[role->place], socket)
		       : exchange_consumer_run(driver->run, role->place, driver->instances, socket);
}

/* A consumer that was killed does without. */
static void offer_pass(const struct driver *driver, unsigned int producer, unsigned int number)
{
	const struct offer *offer = &driver->offers[producer][number];
	const struct process *process = &driver->processes[place_of(producer, number)];
	if (offer->word && process->peer.pid) {
		send_word(process->peer.socket, offer->word, offer->fd);
	}
}

static void process_start(struct driver *driver, unsigned int place)
{
	struct process *process = &driver->processes[place];
	struct role role = { .driver = driver, .place = place };
	*process = (struct process){ .instance = ++driver->instances };
	fflush(stdout);
	peer_start(&process->peer, role_run, &role);
	if (place >= PRODUCERS) {
		offer_pass(driver, (place - PRODUCERS) / CONSUMERS_EACH,
			   (place - PRODUCERS) % CONSUMERS_EACH);
	}
}

static struct record *driver_record(struct driver *driver, const struct process *process)
{
	struct record *record = journal_take(&driver->journal, 1);
	EXPECT(record);
	record->timeline = process->instance;
	record->begin = clock_ns();
	return record;
}

static void process_resume(struct process *process)
{
	if (process->stop) {
		kill(process->peer.pid, SIGCONT);
		record_end(process->stop, 0);
		process->stop = NULL;
	}
}

static void process_stop(struct driver *driver, struct process *process)
{
	struct dice *dice = &driver->dice;
	bool is_long = dice_below(dice, STOP_LONG_IN) == 0;
	if (!process->stop) {
		process->stop = driver_record(driver, process);
		record_publish(process->stop, RECORD_STOP);
		kill(process->peer.pid, SIGSTOP);
		process->resume_ns =
			clock_ns() + 1000 * (is_long ? STOP_LONG_US
						     : dice_spread(dice, STOP_MIN_US, STOP_MAX_US));
		driver->report.done.stops++;
	}
}

static void process_crashed(struct driver *driver, const struct process *process, int status)
{
	struct record *record = driver_record(driver, process);
	record_publish(record, RECORD_CRASH);
	record_end(record, status);
	driver->report.crashes++;
	printf("instance %u ended with wait status 0x%x\n", process->instance,
	       (unsigned int)status);
}

static void process_kill(struct driver *driver, struct process *process)
{
	int status;
	struct record *record = driver_record(driver, process);
	record_publish(record, RECORD_KILL);
	kill(process->peer.pid, SIGKILL);
	EXPECT(waitpid(process->peer.pid, &status, 0) == process->peer.pid);
	record_end(record, 0);
	process_resume(process); /* ends the record: nobody is there any more */
	if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
		process_crashed(driver, process, status);
	}
	driver->report.done.kills++;
	close(process->peer.socket);
	*process = (struct process){ 0 };
}

/* Did it end by itself? Then forget it. */
static bool process_ended(struct driver *driver, struct process *process, bool wanted)
{
	int status;
	if (waitpid(process->peer.pid, &status, WNOHANG) != process->peer.pid) {
		return false;
	}
	if (!wanted || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		process_crashed(driver, process, status);
	}
	process_resume(process);
	close(process->peer.socket);
	*process = (struct process){ 0 };
	return true;
}

/* --------------------------------------------------------------------------------------- offers -- */

static void offer_set(struct driver *driver, unsigned int producer, uint64_t word, int fd)
{
	unsigned int number = OFFER_NUMBER(word);
	EXPECT(number < driver->links[producer]);
	struct offer *offer = &driver->offers[producer][number];
	if (offer->word) {
		close(offer->fd);
	}
	*offer = (struct offer){ word, fd };
	offer_pass(driver, producer, number);
}

static void offers_take(struct driver *driver, unsigned int producer)
{
	const struct process *process = &driver->processes[producer];
	char byte;
	int fd;
	while (readable_within(process->peer.socket, 0) == 1 &&
	       recv(process->peer.socket, &byte, 1, MSG_PEEK) > 0) {
		uint64_t word = receive_word(process->peer.socket, &fd);
		EXPECT(OFFER_INSTANCE(word) == process->instance);
		offer_set(driver, producer, word, fd);
	}
}

static void offers_close(struct driver *driver)
{
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		for (unsigned int n = 0; n < driver->links[i]; n++) {
			if (driver->offers[i][n].word) {
				close(driver->offers[i][n].fd);
			}
		}
	}
}

/* -------------------------------------------------------------------------------------- the run -- */

static uint64_t frames_handed(const struct driver *driver)
{
	uint64_t sum = 0;
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		sum += atomic_load(&driver->run->board->frames[i]);
	}
	return sum;
}

static void driver_tick(struct driver *driver)
{
	struct pollfd fds[PRODUCERS + 1];
	uint64_t now = clock_ns();
	for (unsigned int i = 0; i < EXCHANGE_PLACES; i++) {
		struct process *process = &driver->processes[i];
		if (process->stop && now >= process->resume_ns) {
			process_resume(process);
		}
		if (process->peer.pid && process_ended(driver, process, false)) {
			process_start(driver, i);
		}
	}
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		fds[i] =
			(struct pollfd){ .fd = driver->processes[i].peer.socket, .events = POLLIN };
	}
	fds[PRODUCERS] = (struct pollfd){ .fd = driver->run->daemon->pidfd, .events = POLLIN };
	poll(fds, PRODUCERS + 1, TICK_MS);
	if (fds[PRODUCERS].revents) {
		ck_abort_msg("fencebrokerd ended");
	}
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		if (fds[i].revents) {
			offers_take(driver, i);
		}
	}
}

/* Consumers are more, and a producer's end costs them theirs: one in four is a producer. */
static unsigned int victim_pick(struct driver *driver)
{
	struct dice *dice = &driver->dice;
	unsigned int place;
	if (dice_below(dice, 4) == 0) {
		return (unsigned int)dice_below(dice, PRODUCERS);
	}
	do {
		place = PRODUCERS + (unsigned int)dice_below(dice, EXCHANGE_PLACES - PRODUCERS);
	} while (!place_used(driver, place));
	return place;
}

static void torment(struct driver *driver, const struct exchange_counts *aim, uint64_t frames)
{
	const struct exchange_counts *done = &driver->report.done;
	double part = frames >= aim->frames ? 1 : (double)frames / (double)aim->frames;
	if ((double)done->stops < part * (double)aim->stops) {
		process_stop(driver, &driver->processes[victim_pick(driver)]);
	}
	if ((double)done->kills < part * (double)aim->kills) {
		unsigned int place = victim_pick(driver);
		process_kill(driver, &driver->processes[place]);
		process_start(driver, place);
	}
}

static bool driver_done(const struct driver *driver, const struct exchange_counts *aim)
{
	const struct exchange_counts *done = &driver->report.done;
	return done->frames >= aim->frames && done->kills >= aim->kills &&
	       done->stops >= aim->stops;
}

/* Nobody is stopped any more; what is out comes back, and all end. */
static void driver_drain(struct driver *driver)
{
	uint64_t give_up = now_ms() + END_MS;
	for (unsigned int i = 0; i < EXCHANGE_PLACES; i++) {
		process_resume(&driver->processes[i]);
	}
	atomic_store(&driver->run->board->over, true);
	for (unsigned int i = 0; i < EXCHANGE_PLACES; i++) {
		struct process *process = &driver->processes[i];
		while (process->peer.pid && !process_ended(driver, process, true)) {
			if (now_ms() >= give_up) {
				kill(process->peer.pid, SIGKILL); /* counts as a crash */
			}
			yield_briefly();
		}
	}
	EXPECT(waitpid(-1, NULL, WNOHANG) == 0); /* the meter is left, and nobody else */
}

void exchange_drive(const struct exchange_run *run, const struct exchange_counts *aim,
		    struct exchange_report *ret_report)
{
	static struct driver driver;
	uint64_t started = now_ms(), moved = started;
	driver.run = run;
	dice_init(&driver.dice, run->seed, 0);
	EXPECT(journal_create(&driver.journal, run->logs, 0, 0, DRIVER_RECORDS) == 0);
	pid_t meter = meter_start(&driver.journal);
	for (unsigned int i = 0; i < PRODUCERS; i++) {
		driver.links[i] = 1 + (i + run->seed) % CONSUMERS_EACH;
	}
	for (unsigned int i = 0; i < EXCHANGE_PLACES; i++) {
		if (place_used(&driver, i)) {
			process_start(&driver, i);
		}
	}
	while (!driver_done(&driver, aim)) {
		driver_tick(&driver);
		uint64_t frames = frames_handed(&driver);
		moved = frames > driver.report.done.frames ? now_ms() : moved;
		driver.report.done.frames = frames;
		if (now_ms() > moved + STALL_MS) {
			printf("no frame for %d s\n", STALL_MS / 1000);
			break; /* for the checker to say why */
		}
		torment(&driver, aim, frames);
	}
	driver_drain(&driver);
	offers_close(&driver);
	driver.report.done.frames = frames_handed(&driver);
	driver.report.ms = now_ms() - started;
	meter_stop(meter);
	journal_finish(&driver.journal);
	*ret_report = driver.report;
}
