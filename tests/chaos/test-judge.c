// SPDX-License-Identifier: MIT
/*
 * Does the checker find bugs? The logs of a correct run are forged, one lie at a time: what a bug
 * of the library or the daemon would leave behind. Its own rule finds it. Excuses only look like a
 * bug, and give no finding.
 */
#include <errno.h>

#include "forge.h"
#include "point-judge.h"
#include "tests/integration/lib-daemon.h"

#define OWNER  1 /* signals 1 to 4, dies in the middle of 5 */
#define WAITER 2
#define LINE   RECORD_LINE(OWNER, 0)

/* Times of the events, so far apart that one lie does not cause a second finding. */
#define SIGNAL(value) (100 * (value)*S) /* begun; done a step later */
#define KILLED        (600 * S)

static struct journal *const driver = &forge_journals[0];
static struct journal *const owner = &forge_journals[OWNER];
static struct journal *const waiter = &forge_journals[WAITER];

/* The records that lies change. */
static struct record *signals[6], *killed; /* signals[0]: unused */
static struct record *opened, *one, *any, *all, *watch, *cancelled, *export, *timed_out, *failed;

static struct record *put(struct journal *journal, enum record_kind kind, uint64_t value,
			  uint64_t begin, uint64_t end, int result)
{
	struct record *record = forge_record(journal, kind, value, begin, end, result);
	record->timeline = LINE;
	return record;
}

/* Begins a second before its signal, and ends a step after it. */
static struct record *put_wait(enum record_kind kind, uint64_t value)
{
	struct record *record =
		put(waiter, kind, value, SIGNAL(value) - S, SIGNAL(value) + 2 * STEP, 0);
	record->deadline = SIGNAL(value) + 50 * S;
	record->seen_begin = value - 1;
	record->seen_end = value;
	record->fires = kind == RECORD_WATCH || kind == RECORD_EXPORT;
	return record;
}

/* For the last two values. */
static struct record *put_several(enum record_kind kind, uint64_t value)
{
	struct record *head = put_wait(kind, value);
	head->number = 2;
	for (uint64_t i = value - 1; i <= value; i++) {
		struct record *member =
			put(waiter, RECORD_MEMBER, i, head->begin, SIGNAL(value) + 2 * STEP, 0);
		member->seen_begin = value - 1;
		member->seen_end = value;
	}
	return head;
}

static void forge_owner(void)
{
	put(owner, RECORD_CREATE, 0, S, S + STEP, 0);
	for (uint64_t value = 1; value <= 4; value++) {
		signals[value] =
			put(owner, RECORD_SIGNAL, value, SIGNAL(value), SIGNAL(value) + STEP, 0);
	}
	signals[5] = put(owner, RECORD_SIGNAL, 5, SIGNAL(5), 0, 0);
}

static void forge_waiter(void)
{
	opened = put(waiter, RECORD_OPEN, 0, 2 * S, 2 * S + STEP, 0);
	one = put_wait(RECORD_WAIT, 1);
	watch = put_wait(RECORD_WATCH, 2);
	export = put_wait(RECORD_EXPORT, 2);
	cancelled = put_wait(RECORD_WATCH, 2);
	cancelled->flags = RECORD_CANCELLED;
	cancelled->fires = 0;
	any = put_several(RECORD_ANY, 3);
	all = put_several(RECORD_ALL, 4);
	timed_out = put(waiter, RECORD_WAIT, 3, 220 * S, 250 * S, -ETIMEDOUT);
	timed_out->deadline = 250 * S;
	timed_out->seen_begin = timed_out->seen_end = 2;
	failed = put(waiter, RECORD_WAIT, 6, KILLED - S, KILLED + 2 * STEP, -EOWNERDEAD);
	failed->deadline = KILLED + 50 * S;
	failed->seen_begin = failed->seen_end = 4;
}

static void setup(void)
{
	forge_begin(3);
	forge_owner();
	forge_waiter();
	killed = put(driver, RECORD_KILL, 0, KILLED, KILLED + STEP, 0);
	killed->timeline = OWNER;
}

/* -------------------------------------------------------------------------------- ways to lie --- */

static void wait_returns_early(void)
{
	forge_set_end(one, SIGNAL(1) - STEP);
}

static void wait_any_returns_for_nothing(void)
{
	any->begin = SIGNAL(2) - 4 * STEP;
	any[1].begin = any[2].begin = any->begin;
	any->index = 1;
	forge_set_end(any, SIGNAL(2) - STEP);
	for (int i = 1; i <= 2; i++) {
		any[i].seen_begin = any[i].seen_end = 1;
		forge_set_end(&any[i], SIGNAL(2) - STEP);
	}
}

static void wait_all_forgets_one(void)
{
	forge_set_end(all, SIGNAL(4) - STEP);
	for (int i = 1; i <= 2; i++) {
		all[i].seen_end = 3;
		forge_set_end(&all[i], SIGNAL(4) - STEP);
	}
}

static void wake_is_lost(void)
{
	forge_set_end(one, SIGNAL(1) + STEP + BOUND_NS + 1);
}

static void wake_is_lost_until_the_deadline(void)
{
	forge_set_end(one, one->deadline + STEP);
}

static void watch_is_forgotten(void)
{
	forge_set_end(watch, SIGNAL(2) + STEP + BOUND_NS + 1);
}

static void eventfd_is_forgotten(void)
{
	forge_set_end(export, SIGNAL(2) + STEP + BOUND_NS + 1);
}

static void wait_all_is_forgotten(void)
{
	forge_set_end(all, SIGNAL(4) + STEP + BOUND_NS + 1);
}

static void death_wakes_nobody(void)
{
	forge_set_end(failed, KILLED + STEP + BOUND_NS + 1);
}

static void deadline_is_forgotten(void)
{
	forge_set_end(timed_out, timed_out->deadline + BOUND_NS + 1);
}

static void wait_hangs(void)
{
	forge_set_end(timed_out, 0);
}

static void deadline_comes_early(void)
{
	forge_set_end(timed_out, timed_out->deadline - 1);
}

static void last_look_is_left_out(void)
{
	one->deadline = SIGNAL(1) + STEP + 1;
	one->result = -ETIMEDOUT;
}

static void watch_is_told_twice(void)
{
	watch->fires = 2;
}

static void eventfd_is_raised_twice(void)
{
	export->fires = 2;
}

static void cancelled_is_told(void)
{
	cancelled->fires = 1;
}

static void payload_steps_back(void)
{
	timed_out->seen_begin = 1; /* 2 was read before */
}

static void payload_runs_ahead(void)
{
	all[1].seen_end = all[2].seen_end = 5;
	failed->seen_begin = failed->seen_end = 5;
}

static void failing_takes_back(void)
{
	failed->value = 4; /* was signalled, and `all` reached it */
}

static void failing_is_undone(void)
{
	struct record *record = put_wait(RECORD_WAIT, 5); /* the owner died during it */
	record->begin = KILLED + S;
	record->seen_begin = 5;
	forge_set_end(record, KILLED + 2 * S);
	failed->value = 5;
}

static void signalled_is_denied(void)
{
	put(owner, RECORD_SIGNAL, 6, SIGNAL(5) + S, SIGNAL(5) + S + STEP, 0);
}

static void error_is_made_up(void)
{
	failed->result = -EPIPE; /* it did not leave: it was killed */
}

static void failed_before_it_died(void)
{
	forge_set_end(failed, KILLED - 1);
}

static void index_is_out_of_range(void)
{
	any->index = 2;
}

static void signal_is_refused(void)
{
	signals[3]->result = -EPIPE;
}

static void token_is_refused(void)
{
	opened->result = -EBADF;
}

static void process_crashes(void)
{
	struct record *record = put(driver, RECORD_CRASH, 0, KILLED, KILLED, 11);
	record->timeline = WAITER;
}

#define F(name) (1U << FINDING_##name)

/* The values read give away an early return too; a wait that hangs is also late. */
static const struct forge_lie bugs[] = {
	LIE(wait_returns_early, F(EARLY) | F(AHEAD)),
	LIE(wait_any_returns_for_nothing, F(EARLY) | F(BELOW)),
	LIE(wait_all_forgets_one, F(EARLY) | F(BELOW)),
	LIE(wake_is_lost, F(LOST)),
	LIE(wake_is_lost_until_the_deadline, F(LOST)),
	LIE(watch_is_forgotten, F(LOST)),
	LIE(eventfd_is_forgotten, F(LOST)),
	LIE(wait_all_is_forgotten, F(LOST)),
	LIE(death_wakes_nobody, F(LOST)),
	LIE(deadline_is_forgotten, F(OVERSLEPT)),
	LIE(wait_hangs, F(UNENDED) | F(LOST)),
	LIE(deadline_comes_early, F(HASTY)),
	LIE(last_look_is_left_out, F(BLIND)),
	LIE(watch_is_told_twice, F(TWICE)),
	LIE(eventfd_is_raised_twice, F(TWICE)),
	LIE(cancelled_is_told, F(CANCELLED)),
	LIE(payload_steps_back, F(BACK)),
	LIE(payload_runs_ahead, F(AHEAD)),
	LIE(failing_takes_back, F(DENIED) | F(REVIVED)),
	LIE(failing_is_undone, F(REVIVED)),
	LIE(signalled_is_denied, F(DENIED)),
	LIE(error_is_made_up, F(WRONG)),
	LIE(failed_before_it_died, F(WRONG)),
	LIE(index_is_out_of_range, F(INDEX)),
	LIE(signal_is_refused, F(SIGNAL)),
	LIE(token_is_refused, F(OPEN)),
	LIE(process_crashes, F(CRASH)),
};

/* ------------------------------------------------------------------------- what is no bug ----- */

static void nothing(void)
{
}

static void just_in_time(void)
{
	forge_set_end(one, SIGNAL(1) + STEP + BOUND_NS);
	forge_set_end(watch, SIGNAL(2) + STEP + BOUND_NS);
	forge_set_end(failed, KILLED + STEP + BOUND_NS);
	forge_set_end(timed_out, timed_out->deadline + BOUND_NS);
}

static void late_as_it_was_stopped(void)
{
	struct record *stop = put(driver, RECORD_STOP, 0, SIGNAL(1), SIGNAL(1) + 20 * S, 0);
	stop->timeline = WAITER;
	forge_set_end(one, SIGNAL(1) + 20 * S + BOUND_NS);
}

/* On two CPUs, one after the other. */
static void late_as_others_had_the_cpus(void)
{
	put(driver, RECORD_LAG, 0, SIGNAL(1) + 4 * S, SIGNAL(1) + 20 * S, 0);
	put(driver, RECORD_LAG, 0, SIGNAL(1) + STEP, SIGNAL(1) + 5 * S, 0);
	forge_set_end(one, SIGNAL(1) + 20 * S + BOUND_NS);
}

static void timed_out_in_the_last_moment(void)
{
	one->deadline = SIGNAL(1) + STEP; /* when the signal was done */
	one->result = -ETIMEDOUT;
}

static void killed_while_it_waited(void)
{
	struct record *kill = put(driver, RECORD_KILL, 0, 610 * S, 610 * S + STEP, 0);
	struct record *record = put(waiter, RECORD_WAIT, 7, 609 * S, 0, 0);
	record->deadline = 640 * S;
	record->seen_begin = 4;
	kill->timeline = WAITER;
}

static void overtaken_by_another_signaler(void)
{
	signals[3]->result = -EALREADY; /* the first line of a process has several */
}

static const struct forge_lie excuses[] = {
	LIE(nothing, 0),
	LIE(just_in_time, 0),
	LIE(late_as_it_was_stopped, 0),
	LIE(late_as_others_had_the_cpus, 0),
	LIE(timed_out_in_the_last_moment, 0),
	LIE(killed_while_it_waited, 0),
	LIE(overtaken_by_another_signaler, 0),
};

int main(void)
{
	return forge_main(&(struct forge_suite){
		.name = "judge",
		.judge = &point_judge,
		.setup = setup,
		.bugs = bugs,
		.bug_count = sizeof(bugs) / sizeof(bugs[0]),
		.excuses = excuses,
		.excuse_count = sizeof(excuses) / sizeof(excuses[0]),
	});
}
