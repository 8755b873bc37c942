// SPDX-License-Identifier: MIT
/*
 * Does the checker of runs with exchanges find bugs? The logs of a correct run are forged, one lie
 * at a time: what a bug of the library or the daemon would leave behind. Excuses only look like a
 * bug, and give no finding.
 */
#include <errno.h>

#include "exchange-judge.h"
#include "exchange-record.h"
#include "forge.h"
#include "tests/integration/lib-daemon.h"

#define PRODUCER 1 /* hands over 6 frames in 3 buffers, and leaves */
#define READER   2 /* takes all of them */
#define VICTIM   3 /* comes after the second; is killed while it has the fourth */
#define FRAMES   6
#define JOINED   3 /* the first frame for VICTIM */
#define LAST     4 /* and the last */

#define CAME   S /* both processes; READER accepts then, VICTIM after two frames */
#define KILLED (at(LAST) + 6 * STEP)
#define LEFT   (at(FRAMES + 2))

/* When a frame is handed over; it is signalled 2 steps later, read after 4, released after 8, back
 * after 10. Frames are so far apart that one lie does not cause findings at another frame. */
static uint64_t at(uint64_t frame)
{
	return 100 * frame * S;
}

static struct journal *const driver = &forge_journals[0];
static struct journal *const producer = &forge_journals[PRODUCER];
static struct journal *const reader = &forge_journals[READER];
static struct journal *const victim = &forge_journals[VICTIM];

/* The records that lies change. By frame, from 1. */
struct reading {
	struct record *next, *ready, *frame;
};
static struct record *hands[FRAMES + 1], *backs[FRAMES + 1];
static struct reading readings[FRAMES + 1], dying[FRAMES + 1];
static struct record *accepted, *idle, *killed, *left, *take;

static uint32_t buffer_of(uint64_t frame)
{
	return (uint32_t)frame % 3;
}

static struct record *put_consumer(struct journal *journal, unsigned int kind, uint64_t value,
				   uint64_t begin, uint64_t end, int result)
{
	struct record *record = forge_record(journal, kind, value, begin, end, result);
	record->timeline = PRODUCER;
	record->number = journal == victim;
	record->deadline = begin + 50 * S;
	return record;
}

static void put_reading(struct journal *journal, struct reading *reading, uint64_t frame)
{
	uint64_t when = at(frame);
	reading->next = put_consumer(journal, RECORD_NEXT, frame, when - STEP, when + STEP, 0);
	reading->ready =
		put_consumer(journal, RECORD_READY, frame, when + STEP, when + 3 * STEP, 0);
	reading->frame =
		put_consumer(journal, RECORD_FRAME, frame, when + 4 * STEP, when + 8 * STEP, 0);
	reading->frame->index = buffer_of(frame);
	reading->frame->seen_begin = reading->frame->seen_end = FRAME_WORD(PRODUCER, frame);
	reading->frame->deadline = when + 9 * STEP;
}

static void forge_producer(void)
{
	for (uint64_t i = 1; i <= FRAMES; i++) {
		struct record *hand =
			forge_record(producer, RECORD_HAND, i, at(i), at(i) + STEP / 2, 0);
		hand->index = buffer_of(i);
		hand->deadline = at(i) + 20 * S;
		hand->seen_begin = at(i) + 2 * STEP;
		hand->seen_end = at(i) + 2 * STEP + STEP / 2;
		hands[i] = hand;
		uint64_t back = at(i) + 10 * STEP;
		backs[i] = forge_record(producer, RECORD_BACK, i, back, back + 1,
					i == LAST ? -EOWNERDEAD : 0);
		backs[i]->index = buffer_of(i);
	}
	take = forge_record(producer, RECORD_TAKE, 0, at(FRAMES + 1), at(FRAMES + 1) + S,
			    -ETIMEDOUT);
	take->deadline = at(FRAMES + 1) + S;
	left = forge_record(producer, RECORD_LEAVE, 0, LEFT, LEFT + STEP, 0);
}

static void forge_consumers(void)
{
	accepted = put_consumer(reader, RECORD_ACCEPT, 0, CAME, CAME + STEP, 0);
	idle = put_consumer(reader, RECORD_NEXT, 0, CAME + S, CAME + 3 * S, -ETIMEDOUT);
	idle->deadline = CAME + 3 * S;
	for (uint64_t i = 1; i <= FRAMES; i++) {
		put_reading(reader, &readings[i], i);
	}
	put_consumer(reader, RECORD_NEXT, 0, LEFT - S, LEFT + STEP, -EPIPE);
	forge_record(reader, RECORD_LEAVE, 0, LEFT + S, LEFT + S + STEP, 0);

	put_consumer(victim, RECORD_ACCEPT, 0, at(JOINED) - S, at(JOINED) - S + STEP, 0);
	for (uint64_t i = JOINED; i <= LAST; i++) {
		put_reading(victim, &dying[i], i);
	}
	forge_set_end(dying[LAST].frame, 0);
	dying[LAST].frame->deadline = 0;
	killed = forge_record(driver, RECORD_KILL, 0, KILLED, KILLED + STEP, 0);
	killed->timeline = VICTIM;
}

static void setup(void)
{
	forge_begin(4);
	forge_producer();
	forge_consumers();
}

/* -------------------------------------------------------------------------------- ways to lie --- */

/* As if it had been another frame, with that frame's content. */
static void reading_set(struct reading *reading, uint64_t frame)
{
	reading->next->value = reading->ready->value = reading->frame->value = frame;
	reading->frame->index = buffer_of(frame);
	reading->frame->seen_begin = reading->frame->seen_end = FRAME_WORD(PRODUCER, frame);
}

static void frame_comes_twice(void)
{
	reading_set(&readings[2], 1);
}

static void frame_is_left_out(void)
{
	atomic_store_explicit(&readings[2].next->kind, RECORD_NONE, memory_order_relaxed);
	atomic_store_explicit(&readings[2].ready->kind, RECORD_NONE, memory_order_relaxed);
	atomic_store_explicit(&readings[2].frame->kind, RECORD_NONE, memory_order_relaxed);
}

static void old_frame_for_who_comes(void)
{
	reading_set(&dying[JOINED], 2);
	reading_set(&dying[LAST], 3);
}

static void frame_out_of_nothing(void)
{
	reading_set(&readings[FRAMES], FRAMES + 1);
}

static void frame_before_it_was_handed(void)
{
	readings[1].next->begin = CAME + 4 * S;
	forge_set_end(readings[1].next, at(1) - STEP);
}

static void other_buffer(void)
{
	readings[2].frame->index = buffer_of(3);
}

static void acquire_is_reached_early(void)
{
	readings[2].frame->begin = at(2) + STEP;
}

static void content_is_torn(void)
{
	readings[5].frame->seen_begin = FRAME_WORD(PRODUCER, 2);
}

static void content_is_not_there_yet(void)
{
	readings[5].frame->seen_begin = readings[5].frame->seen_end = FRAME_WORD(PRODUCER, 2);
}

static void rewritten_while_held(void)
{
	readings[2].frame->seen_end = FRAME_WORD(PRODUCER, 5);
}

static void rewritten_before_it_was_late(void)
{
	readings[LAST].frame->seen_end = FRAME_WORD(PRODUCER, 7);
}

static void back_too_early(void)
{
	backs[2]->begin = at(2) + 7 * STEP;
}

/* One of two consumers is dead: the frame comes back while the other one still holds it. */
static void back_with_the_first_death(void)
{
	backs[LAST]->begin = at(LAST) + 7 * STEP;
}

static void dead_man_gives_back(void)
{
	backs[LAST]->result = 0;
}

static void never_back(void)
{
	atomic_store_explicit(&backs[2]->kind, RECORD_NONE, memory_order_relaxed);
}

static void never_back_and_killed_later(void)
{
	atomic_store_explicit(&left->kind, RECORD_NONE, memory_order_relaxed);
	forge_record(driver, RECORD_KILL, 0, LEFT, LEFT + STEP, 0)->timeline = PRODUCER;
	never_back();
}

static void back_twice(void)
{
	struct record *again =
		forge_record(producer, RECORD_BACK, 2, at(7) + 2 * S, at(7) + 2 * S + 1, 0);
	again->index = buffer_of(2);
}

static void taken_out_of_order(void)
{
	struct record copy = *backs[1];
	*backs[1] = *hands[2];
	*hands[2] = copy;
	copy = *hands[2]; /* 1, 2 handed; 2, 1 came back */
	*hands[2] = *backs[2];
	*backs[2] = copy;
	backs[2]->begin = at(2) + 11 * STEP;
}

static void back_is_slow(void)
{
	backs[2]->begin = at(2) + 9 * STEP + BOUND_NS + STEP;
}

static void who_is_late_may_keep_it(void)
{
	backs[2]->begin = hands[2]->deadline + BOUND_NS + 2 * STEP;
	forge_set_end(readings[2].frame, hands[2]->deadline + BOUND_NS);
	readings[2].frame->deadline = hands[2]->deadline + BOUND_NS + STEP;
}

static void error_gets_lost(void)
{
	readings[2].frame->result = -EIO;
}

static void error_comes_from_nowhere(void)
{
	backs[2]->result = -EIO;
}

static void sent_away_although_in_time(void)
{
	put_consumer(reader, RECORD_NEXT, 0, hands[FRAMES]->deadline,
		     hands[FRAMES]->deadline + 3 * STEP, -EPIPE);
}

static void link_ends_for_nothing(void)
{
	idle->result = -EPIPE;
}

static void dead_owner_lives(void)
{
	readings[2].ready->result = -EOWNERDEAD;
}

static void error_is_nonsense(void)
{
	idle->result = -EBADF;
}

static void accept_is_refused(void)
{
	put_consumer(victim, RECORD_ACCEPT, 0, CAME, CAME + STEP, -EPIPE);
}

static void next_sleeps_on(void)
{
	forge_set_end(readings[2].next, at(2) + 3 * STEP + BOUND_NS);
}

/* Asked for again and again, each time for less than the bound. */
static void next_does_not_find_it(void)
{
	for (uint64_t i = 1; i <= 10; i++) {
		put_consumer(victim, RECORD_NEXT, 0, at(5) + 2 * i * S, at(5) + (2 * i + 1) * S,
			     -ETIMEDOUT)
			->deadline = at(5) + (2 * i + 1) * S;
	}
	killed->begin = at(6) - S;
	forge_set_end(killed, at(6) - S + STEP);
	forge_set_end(dying[LAST].frame, at(LAST) + 8 * STEP);
	dying[LAST].frame->deadline = at(LAST) + 9 * STEP;
	backs[LAST]->result = 0;
}

static void ready_sleeps_on(void)
{
	forge_set_end(readings[2].ready, at(2) + 3 * STEP + BOUND_NS);
}

static void deadline_is_forgotten(void)
{
	forge_set_end(take, take->deadline + BOUND_NS + STEP);
}

static void deadline_comes_early(void)
{
	forge_set_end(take, take->deadline - 1);
}

static void take_hangs(void)
{
	forge_set_end(take, 0);
}

static void process_crashes(void)
{
	forge_record(driver, RECORD_CRASH, 0, LEFT + 2 * S, LEFT + 2 * S, 11)->timeline = READER;
}

#define F(name) (1U << EXCHANGE_##name)

/* A lie that breaks two rules is found by both. */
static const struct forge_lie bugs[] = {
	LIE(frame_comes_twice, F(AGAIN) | F(SKIPPED) | F(REUSED)),
	LIE(frame_is_left_out, F(SKIPPED)),
	LIE(old_frame_for_who_comes, F(STALE) | F(REUSED)),
	LIE(frame_out_of_nothing, F(PHANTOM)),
	LIE(frame_before_it_was_handed, F(PHANTOM)),
	LIE(other_buffer, F(BUFFER)),
	LIE(acquire_is_reached_early, F(EARLY)),
	LIE(content_is_torn, F(TORN)),
	LIE(content_is_not_there_yet, F(OLDER)),
	LIE(rewritten_while_held, F(NEWER)),
	LIE(rewritten_before_it_was_late, F(NEWER)),
	LIE(back_too_early, F(REUSED)),
	LIE(back_with_the_first_death, F(REUSED)),
	LIE(dead_man_gives_back, F(REUSED)),
	LIE(never_back, F(LOST)),
	LIE(never_back_and_killed_later, F(LOST)),
	LIE(back_twice, F(BACK_AGAIN)),
	LIE(taken_out_of_order, F(BACK_ORDER) | F(BACK_SLOW) | F(BACK_LATE)),
	LIE(back_is_slow, F(BACK_SLOW)),
	LIE(who_is_late_may_keep_it, F(BACK_LATE)),
	LIE(error_gets_lost, F(ERROR_LOST)),
	LIE(error_comes_from_nowhere, F(ERROR_MADE)),
	LIE(link_ends_for_nothing, F(SENT_AWAY)),
	LIE(sent_away_although_in_time, F(SENT_AWAY)),
	LIE(dead_owner_lives, F(WRONG)),
	LIE(error_is_nonsense, F(WRONG)),
	LIE(accept_is_refused, F(WRONG)),
	LIE(next_sleeps_on, F(WAKE)),
	LIE(next_does_not_find_it, F(WAKE)),
	LIE(ready_sleeps_on, F(WAKE)),
	LIE(deadline_is_forgotten, F(OVERSLEPT)),
	LIE(deadline_comes_early, F(HASTY)),
	LIE(take_hangs, F(UNENDED) | F(OVERSLEPT)),
	LIE(process_crashes, F(CRASH)),
};

/* ------------------------------------------------------------------------- what is no bug ----- */

static void nothing(void)
{
}

static void just_in_time(void)
{
	backs[2]->begin = at(2) + 9 * STEP + BOUND_NS;
	forge_set_end(readings[2].next, at(2) + 2 * STEP + STEP / 2 + BOUND_NS);
	forge_set_end(readings[2].ready, at(2) + 2 * STEP + STEP / 2 + BOUND_NS);
	forge_set_end(take, take->deadline + BOUND_NS);
	readings[2].frame->begin = at(2) + 4 * STEP;
}

static void late_as_it_was_stopped(void)
{
	forge_record(driver, RECORD_STOP, 0, at(5), at(5) + 15 * S, 0)->timeline = READER;
	forge_set_end(readings[5].next, at(5) + 15 * S + BOUND_NS);
}

static void late_as_others_had_the_cpus(void)
{
	forge_record(driver, RECORD_LAG, 0, at(5), at(5) + 15 * S, 0);
	forge_set_end(readings[5].next, at(5) + 15 * S + BOUND_NS);
}

/* The consumer holds it past its deadline; the producer takes it back and writes. */
static void was_late_itself(void)
{
	backs[5]->begin = hands[5]->deadline + STEP;
	backs[5]->result = -ETIMEDOUT;
	forge_set_end(readings[5].frame, hands[5]->deadline + 2 * S);
	readings[5].frame->deadline = hands[5]->deadline + 2 * S + STEP;
	readings[5].frame->seen_end = FRAME_WORD(PRODUCER, 9);
}

/* The consumer wrote its eventfd in time, the daemon was slow to see it, and the link ended. */
static void fence_was_late(void)
{
	readings[FRAMES].frame->flags = RECORD_BY_FENCE;
	readings[FRAMES].frame->deadline = hands[FRAMES]->deadline - STEP;
	forge_set_end(readings[FRAMES].frame, hands[FRAMES]->deadline - 2 * STEP);
	backs[FRAMES]->begin = hands[FRAMES]->deadline + 2 * STEP;
	backs[FRAMES]->result = -ETIMEDOUT;
	put_consumer(reader, RECORD_NEXT, 0, hands[FRAMES]->deadline,
		     hands[FRAMES]->deadline + 3 * STEP, -EPIPE);
}

static void released_in_error(void)
{
	readings[2].frame->result = -EIO;
	backs[2]->result = -EIO;
}

/* The consumer released the frame just before its death: no error. */
static void killed_after_it_gave_back(void)
{
	forge_set_end(dying[LAST].frame, KILLED - STEP);
	dying[LAST].frame->deadline = KILLED - STEP / 2;
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
	LIE(fence_was_late, 0),
	LIE(released_in_error, 0),
	LIE(killed_after_it_gave_back, 0),
	LIE(killed_while_it_looked, 0),
};

int main(void)
{
	return forge_main(&(struct forge_suite){
		.name = "exchange-judge",
		.judge = &exchange_judge,
		.setup = setup,
		.bugs = bugs,
		.bug_count = sizeof(bugs) / sizeof(bugs[0]),
		.excuses = excuses,
		.excuse_count = sizeof(excuses) / sizeof(excuses[0]),
	});
}
