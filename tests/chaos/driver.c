// SPDX-License-Identifier: MIT
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meter.h"

#define DRIVER_RECORDS 1000000

/* ----------------------------------------------------------------------------------- processes -- */

struct role {
	const struct driver *driver;
	unsigned int place;
};

static int role_run(int socket, void *arg)
{
	const struct role *role = arg;
	return role->driver->kind->play(role->driver, role->place, socket);
}

static void process_start(struct driver *driver, unsigned int place)
{
	const struct driver_kind *kind = driver->kind;
	struct process *process = &driver->processes[place];
	struct role role = { .driver = driver, .place = place };
	*process = (struct process){ .instance = ++driver->instances };
	if (kind->starting) {
		kind->starting(driver, place);
	}
	fflush(stdout);
	peer_start(&process->peer, role_run, &role);
	kind->started(driver, place);
}

/* The process has ended, and its status was collected. */
static void process_forget(struct driver *driver, unsigned int place)
{
	struct process *process = &driver->processes[place];
	close(process->peer.socket);
	*process = (struct process){ 0 };
	if (driver->kind->ended) {
		driver->kind->ended(driver, place);
	}
}

static struct record *process_record(struct driver *driver, const struct process *process)
{
	struct record *record = journal_begin(&driver->journal, 1);
	record->timeline = process->instance;
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

static void process_crashed(struct driver *driver, const struct process *process, int status)
{
	struct record *record = process_record(driver, process);
	record_publish(record, RECORD_CRASH);
	record_end(record, status);
	driver->report.crashes++;
	printf("instance %u ended with wait status 0x%x\n", process->instance,
	       (unsigned int)status);
}

/* It ended because it was told to. */
static bool process_left(const struct process *process, int status)
{
	return process->leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void driver_stop(struct driver *driver, unsigned int place, uint64_t us)
{
	struct process *process = &driver->processes[place];
	if (!process->stop) {
		process->stop = process_record(driver, process);
		record_publish(process->stop, RECORD_STOP);
		kill(process->peer.pid, SIGSTOP);
		process->resume_ns = clock_ns() + 1000 * us;
		driver->report.stops++;
	}
}

void driver_kill(struct driver *driver, unsigned int place)
{
	struct process *process = &driver->processes[place];
	int status;
	struct record *record = process_record(driver, process);
	record_publish(record, RECORD_KILL);
	kill(process->peer.pid, SIGKILL);
	EXPECT(waitpid(process->peer.pid, &status, 0) == process->peer.pid);
	record_end(record, 0);
	process_resume(process); /* ends the record: the process is gone */
	if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
	    !process_left(process, status)) {
		process_crashed(driver, process, status); /* it ended by itself just before */
	}
	driver->report.kills += place < driver->kind->tormented;
	process_forget(driver, place);
}

void driver_send(const struct driver *driver, unsigned int place, uint64_t word, int fd)
{
	int r = try_send_word(driver->processes[place].peer.socket, word, fd);
	EXPECT(r == 0 || r == -EPIPE || r == -ECONNRESET || r == -EAGAIN);
}

/* Collects a process that ended by itself. */
static bool process_ended(struct driver *driver, unsigned int place)
{
	struct process *process = &driver->processes[place];
	int status;
	if (process->peer.pid == 0 ||
	    waitpid(process->peer.pid, &status, WNOHANG) != process->peer.pid) {
		return false;
	}
	if (!process_left(process, status)) {
		process_crashed(driver, process, status);
	}
	process_resume(process);
	process_forget(driver, place);
	return true;
}

/* ------------------------------------------------------------------------------------- the run -- */

/* Starts what is missing at the first `count` places. */
static void places_fill(struct driver *driver, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (!driver->processes[i].peer.pid && driver->kind->used(driver, i)) {
			process_start(driver, i);
		}
	}
}

static void words_take(struct driver *driver, unsigned int place)
{
	int socket = driver->processes[place].peer.socket;
	char byte;
	int fd;
	while (readable_within(socket, 0) == 1 &&
	       recv(socket, &byte, 1, MSG_PEEK) > 0) { /* no bytes: the process is ending */
		uint64_t word = receive_word(socket, &fd);
		driver->kind->word(driver, place, word, fd);
	}
}

void driver_tick(struct driver *driver)
{
	const struct driver_kind *kind = driver->kind;
	struct pollfd fds[DRIVER_PLACES + 1];
	uint64_t now = clock_ns();
	for (unsigned int i = 0; i < kind->places; i++) {
		struct process *process = &driver->processes[i];
		if (process->stop && now >= process->resume_ns) {
			process_resume(process);
		}
		process_ended(driver, i);
	}
	places_fill(driver, kind->tormented);
	for (unsigned int i = 0; i < kind->senders; i++) {
		fds[i] =
			(struct pollfd){ .fd = driver->processes[i].peer.socket, .events = POLLIN };
	}
	struct pollfd *daemon = &fds[kind->senders];
	*daemon = (struct pollfd){ .fd = driver->run->daemon->pidfd, .events = POLLIN };
	poll(fds, kind->senders + 1, kind->tick_ms);
	if (daemon->revents) {
		ck_abort_msg("fencebrokerd ended");
	}
	for (unsigned int i = 0; i < kind->senders; i++) {
		if (fds[i].revents) {
			words_take(driver, i);
		}
	}
}

static void process_await_end(struct driver *driver, unsigned int place, uint64_t give_up)
{
	struct process *process = &driver->processes[place];
	process->leaving = true;
	while (process->peer.pid && !process_ended(driver, place)) {
		if (now_ms() >= give_up) {
			kill(process->peer.pid, SIGKILL); /* counts as a crash */
		}
		yield_briefly();
	}
}

static void driver_drain(struct driver *driver)
{
	const struct driver_kind *kind = driver->kind;
	kind->drain(driver);
	for (unsigned int i = 0; i < kind->tormented; i++) {
		process_resume(&driver->processes[i]);
	}
	uint64_t give_up = now_ms() + kind->end_ms;
	for (unsigned int i = 0; i < kind->tormented; i++) {
		process_await_end(driver, i, give_up);
	}
	for (unsigned int i = kind->tormented; i < kind->places; i++) {
		if (driver->processes[i].peer.pid) {
			driver_kill(driver, i);
		}
	}
	EXPECT(waitpid(-1, NULL, WNOHANG) == 0); /* only the meter and the daemon are left */
}

void driver_run(struct driver *driver, const struct driver_kind *kind, const struct run *run)
{
	uint64_t started = now_ms();
	driver->kind = kind;
	driver->run = run;
	EXPECT(kind->places <= DRIVER_PLACES);
	dice_init(&driver->dice, run->seed, 0);
	EXPECT(journal_create(&driver->journal, run->logs, 0, 0, DRIVER_RECORDS) == 0);
	pid_t meter = meter_start(&driver->journal);
	places_fill(driver, kind->places);
	while (!kind->over(driver)) {
		driver_tick(driver);
		driver->report.work = kind->work(driver);
		kind->torment(driver);
		places_fill(driver, kind->tormented);
	}
	driver_drain(driver);
	driver->report.work = kind->work(driver);
	driver->report.ms = now_ms() - started;
	meter_stop(meter);
	journal_finish(&driver->journal);
}
