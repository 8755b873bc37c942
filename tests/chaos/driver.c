// SPDX-License-Identifier: MIT
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meter.h"

#define TICK_MS        2
#define STOP_ONE_IN    25  /* ticks, on average */
#define KILL_ONE_IN    150 /* the same */
#define LEAVE_ONE_IN   500
#define STOP_MAX_US    200000
#define DRAIN_MS       (2 * LONG_WAIT_MS)
#define END_MS         300000 /* a process that takes so long to end hangs */
#define CLIENTS        (ACTORS + HOSTILE_KINDS)
#define DRIVER_RECORDS 1000000

struct process {
	struct peer peer; /* pid 0: none */
	uint32_t instance;
	struct record *stop; /* while it is stopped */
	uint64_t resume_ns;
	bool leaving;
	uint64_t words[LINES]; /* its timelines' tokens: word 0, none */
	int tokens[LINES];
};

struct driver {
	const struct chaos *chaos;
	struct journal journal;
	struct dice dice;
	struct process processes[CLIENTS];
	uint32_t instances;
	struct driver_report report;
};

/* ----------------------------------------------------------------------------------- processes -- */

struct role {
	struct driver *driver;
	unsigned int place;
};

static int role_run(int socket, void *arg)
{
	const struct role *role = arg;
	const struct driver *driver = role->driver;
	if (role->place >= ACTORS) {
		return hostile_run(driver->chaos, role->place - ACTORS, socket);
	}
	return actor_run(driver->chaos, role->place, driver->instances, socket);
}

/* To a process that may be gone, or stopped with a full socket: then it does without. */
static void token_send(const struct process *process, uint64_t word, int fd)
{
	struct iovec vector = { .iov_base = &word, .iov_len = sizeof(word) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(process->peer.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		EXPECT(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN);
	}
}

static void process_start(struct driver *driver, unsigned int place)
{
	struct process *process = &driver->processes[place];
	struct role role = { .driver = driver, .place = place };
	*process = (struct process){ 0 };
	driver->instances++;
	process->instance = driver->instances;
	if (place < ACTORS) {
		struct board_slot *slot = &driver->chaos->board->slots[place];
		atomic_store(&slot->leave, false);
		atomic_store(&slot->idle, false);
	}
	fflush(stdout);
	peer_start(&process->peer, role_run, &role);
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct process *other = &driver->processes[i];
		for (unsigned int n = 0; i != place && n < LINES; n++) {
			if (other->words[n]) {
				token_send(process, other->words[n], other->tokens[n]);
			}
		}
	}
}

static struct record *driver_record(struct driver *driver, const struct process *process)
{
	struct record *record = journal_take(&driver->journal, 1);
	if (!record) {
		ck_abort_msg("the driver's log is full");
	}
	record->timeline = process->instance;
	record->begin = clock_ns();
	return record;
}

/* It has ended, and was waited for. */
static void process_forget(struct process *process)
{
	close(process->peer.socket);
	for (unsigned int i = 0; i < LINES; i++) {
		if (process->words[i]) {
			close(process->tokens[i]);
		}
	}
	*process = (struct process){ 0 };
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
	if (!process->stop) {
		process->stop = driver_record(driver, process);
		record_publish(process->stop, RECORD_STOP);
		kill(process->peer.pid, SIGSTOP);
		process->resume_ns =
			clock_ns() + 1000 * dice_spread(&driver->dice, 100, STOP_MAX_US);
		driver->report.stops++;
	}
}

static void process_crashed(struct driver *driver, struct process *process, int status)
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
	if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
	    !(process->leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		process_crashed(driver, process, status); /* it ended by itself just before */
	}
	driver->report.kills++;
	process_forget(process);
}

/* Did it end by itself? Then forget it. */
static bool process_ended(struct driver *driver, struct process *process, bool wanted)
{
	int status;
	if (process->peer.pid == 0 ||
	    waitpid(process->peer.pid, &status, WNOHANG) != process->peer.pid) {
		return false;
	}
	if (!wanted || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		process_crashed(driver, process, status);
	}
	process_resume(process);
	process_forget(process);
	return true;
}

/* ------------------------------------------------------------------------------------- the run -- */

static void tokens_pass_on(struct driver *driver, unsigned int place)
{
	struct process *process = &driver->processes[place];
	uint64_t word;
	int token;
	while (readable_within(process->peer.socket, 0) == 1) {
		char byte;
		if (recv(process->peer.socket, &byte, 1, MSG_PEEK) <= 0) {
			return; /* it is ending */
		}
		word = receive_word(process->peer.socket, &token);
		unsigned int line = TOKEN_LINE(word);
		EXPECT(TOKEN_SLOT(word) == place && line < LINES);
		if (process->words[line]) {
			close(process->tokens[line]);
		}
		process->words[line] = word;
		process->tokens[line] = token;
		for (unsigned int i = 0; i < CLIENTS; i++) {
			if (i != place && driver->processes[i].peer.pid) {
				token_send(&driver->processes[i], word, token);
			}
		}
	}
}

static void torment(struct driver *driver)
{
	struct dice *dice = &driver->dice;
	struct process *process = &driver->processes[dice_below(dice, ACTORS)];
	if (dice_below(dice, STOP_ONE_IN) == 0) {
		process_stop(driver, process);
	}
	process = &driver->processes[dice_below(dice, ACTORS)];
	if (dice_below(dice, KILL_ONE_IN) == 0) {
		process_kill(driver, process);
	}
	unsigned int place = (unsigned int)dice_below(dice, ACTORS);
	process = &driver->processes[place];
	if (process->peer.pid && !process->leaving && dice_below(dice, LEAVE_ONE_IN) == 0) {
		process->leaving = true;
		atomic_store(&driver->chaos->board->slots[place].leave, true);
		driver->report.leaves++;
	}
}

static uint64_t signals_made(const struct driver *driver)
{
	uint64_t sum = 0;
	for (unsigned int i = 0; i < ACTORS; i++) {
		sum += atomic_load(&driver->chaos->board->slots[i].signals);
	}
	return sum;
}

static void driver_tick(struct driver *driver)
{
	struct pollfd fds[ACTORS + 1];
	uint64_t now = clock_ns();
	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct process *process = &driver->processes[i];
		if (process->stop && now >= process->resume_ns) {
			process_resume(process);
		}
		if (process_ended(driver, process, process->leaving) && i < ACTORS) {
			process_start(driver, i);
		}
	}
	for (unsigned int i = 0; i < ACTORS; i++) {
		fds[i] =
			(struct pollfd){ .fd = driver->processes[i].peer.socket, .events = POLLIN };
	}
	fds[ACTORS] = (struct pollfd){ .fd = driver->chaos->daemon->pidfd, .events = POLLIN };
	poll(fds, ACTORS + 1, TICK_MS);
	if (fds[ACTORS].revents) {
		ck_abort_msg("fencebrokerd ended");
	}
	for (unsigned int i = 0; i < ACTORS; i++) {
		if (fds[i].revents) {
			tokens_pass_on(driver, i);
		}
	}
}

static bool all_idle(const struct driver *driver)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		if (!atomic_load(&driver->chaos->board->slots[i].idle)) {
			return false;
		}
	}
	return true;
}

/* Nothing new is waited for, nobody is stopped any more, and signals go on until all is told. */
static void driver_drain(struct driver *driver)
{
	uint64_t give_up = now_ms() + DRAIN_MS;
	atomic_store(&driver->chaos->board->drain, true);
	while (!all_idle(driver) && now_ms() < give_up) {
		driver_tick(driver);
	}
	if (!all_idle(driver)) {
		printf("after %d s some still wait\n", DRAIN_MS / 1000);
	}
	give_up = now_ms() + END_MS;
	atomic_store(&driver->chaos->board->quit, true);
	for (unsigned int i = 0; i < ACTORS; i++) {
		struct process *process = &driver->processes[i];
		process_resume(process);
		while (!process_ended(driver, process, true)) {
			if (now_ms() >= give_up) {
				kill(process->peer.pid, SIGKILL); /* counts as a crash */
			}
			yield_briefly();
		}
	}
}

void driver_run(const struct chaos *chaos, uint64_t signals, uint64_t seconds, bool hostile,
		struct driver_report *ret_report)
{
	static struct driver driver;
	uint64_t started = now_ms();
	uint64_t over = seconds ? started + 1000 * seconds : UINT64_MAX;
	driver.chaos = chaos;
	dice_init(&driver.dice, chaos->seed, 0);
	EXPECT(journal_create(&driver.journal, chaos->logs, 0, 0, DRIVER_RECORDS) == 0);
	pid_t meter = meter_start(&driver.journal);
	for (unsigned int i = 0; i < (hostile ? CLIENTS : ACTORS); i++) {
		process_start(&driver, i);
	}
	while (signals_made(&driver) < signals && now_ms() < over) {
		driver_tick(&driver);
		torment(&driver);
		for (unsigned int i = 0; i < ACTORS; i++) {
			if (!driver.processes[i].peer.pid) {
				process_start(&driver, i);
			}
		}
	}
	driver_drain(&driver);
	for (unsigned int i = ACTORS; i < CLIENTS; i++) {
		if (driver.processes[i].peer.pid) {
			process_kill(&driver, &driver.processes[i]);
			driver.report.kills--; /* of actors only */
		}
	}
	driver.report.signals = signals_made(&driver);
	driver.report.ms = now_ms() - started;
	meter_stop(meter);
	journal_finish(&driver.journal);
	*ret_report = driver.report;
}
