// SPDX-License-Identifier: MIT
/*
 * Does the checker of runs with exchanges find bugs? The logs of a correct run are forged, one lie
 * at a time (exchange-bugs.c). Excuses only look like a bug, and give no finding.
 */
#include <errno.h>

#include "exchange-forge.h"
#include "tests/integration/lib-daemon.h"

static void nothing(void)
{
}

static void just_in_time(void)
{
	reading_delay(2, at(2) + 2 * STEP + STEP / 2 + BOUND_NS);
	back_at(1, at(1) + 9 * STEP + BOUND_NS);
	forge_set_end(take, take->deadline + BOUND_NS);
}

static void late_as_it_was_stopped(void)
{
	forge_record(driver, RECORD_STOP, 0, at(5), at(5) + 15 * S, 0)->timeline = READER;
	reading_delay(5, at(5) + 15 * S + BOUND_NS);
}

static void late_as_others_had_the_cpus(void)
{
	forge_record(driver, RECORD_LAG, 0, at(5), at(5) + 15 * S, 0);
	reading_delay(5, at(5) + 15 * S + BOUND_NS);
}

/* The consumer holds it long past its deadline. */
static void was_late_itself(void)
{
	reading_hold(&readings[5], hands[5]->deadline + 2 * S);
	back_at(5, hands[5]->deadline + 2 * S + 2 * STEP);
}

/* The consumer wrote its eventfd, and the daemon was slow to see it. */
static void fence_was_slow(void)
{
	readings[5].frame->flags = RECORD_BY_FENCE;
	back_at(5, at(5) + 9 * STEP + 2 * BOUND_NS);
}

/* Frames 5 and 6 are held, and 6 comes back first. */
static void back_in_another_order(void)
{
	reading_hold(&readings[5], at(6) + 20 * STEP);
	back_at(5, at(6) + 22 * STEP);
	readings[6].next->fires = 1;
}

static void mailbox_passes_one_over(void)
{
	retracted_for_the_next();
	reading_forget(&readings[5]);
}

/* It comes, and goes back with that error. */
static void acquire_fails(void)
{
	fifth_fails();
}

/* READER has not taken the third when the fourth is handed over, which goes to VICTIM alone. */
static void link_was_full(void)
{
	full_at_the_last();
	readings[JOINED].next->begin = at(LAST);
	reading_delay(JOINED, at(LAST) + STEP);
}

/* The third, which was not taken either, was abandoned only a hundred frames later, all of which passed the link by. */
static void link_was_full_for_long(void)
{
	full_at_the_last();
	reading_forget(&readings[JOINED]);
	abandon(JOINED, at(LAST) + STEP);
	for (uint64_t i = LAST; i <= FRAMES; i++) {
		renumber(i, i + 33 * BUFFER_COUNT);
	}
}

/* Before it could be read. */
static void abandoned_early(void)
{
	abandon(5, at(5) + 2 * STEP);
	readings[5].ready->result = -ESTALE;
	forget(readings[5].frame);
}

static void stopped_by_itself(void)
{
	put_consumer(reader, RECORD_HALT, 0, at(6) + S, at(6) + S + 1, 0);
	put_consumer(reader, RECORD_NEXT, 0, at(6) + 2 * S, at(6) + 2 * S + 1, -EPIPE);
}

static void full_hands(void)
{
	idle->result = -ENOBUFS;
	idle->fires = HOLD;
}

/* Whoever has it keeps the memory, and hears so. */
static void abandoned(void)
{
	abandon(5, at(5) + 6 * STEP);
	readings[5].frame->fires = ESTALE;
	readings[5].frame->deadline = 0;
}

static void released_in_error(void)
{
	readings[2].frame->result = -EIO;
	backs[2]->result = -EIO;
}

/* The consumer released the frame just before its death: no error. */
static void killed_after_it_gave_back(void)
{
	reading_hold(&dying[LAST], KILLED - 2 * STEP);
	backs[LAST]->result = 0;
}

static void killed_while_it_looked(void)
{
	dying[LAST].frame->seen_begin = UINT64_MAX;
	dying[LAST].frame->seen_end = 0;
}

static const struct forge_lie excuses[] = {
	LIE(nothing, 0),
	LIE(just_in_time, 0),
	LIE(late_as_it_was_stopped, 0),
	LIE(late_as_others_had_the_cpus, 0),
	LIE(was_late_itself, 0),
	LIE(fence_was_slow, 0),
	LIE(back_in_another_order, 0),
	LIE(mailbox_passes_one_over, 0),
	LIE(pause_before_the_last, 0),
	LIE(acquire_fails, 0),
	LIE(link_was_full, 0),
	LIE(link_was_full_for_long, 0),
	LIE(stopped_by_itself, 0),
	LIE(full_hands, 0),
	LIE(abandoned, 0),
	LIE(abandoned_early, 0),
	LIE(released_in_error, 0),
	LIE(killed_after_it_gave_back, 0),
	LIE(killed_while_it_looked, 0),
};

int main(void)
{
	return forge_main(&(struct forge_suite){
		.name = "exchange-judge",
		.judge = &exchange_judge,
		.setup = exchange_forge,
		.bugs = exchange_bugs,
		.bug_count = exchange_bug_count,
		.excuses = excuses,
		.excuse_count = sizeof(excuses) / sizeof(excuses[0]),
	});
}
