// SPDX-License-Identifier: MIT
/* What bugs of the library or the daemon would leave behind in the logs of a run with exchanges: one lie each. */
#include <errno.h>

#include "exchange-forge.h"

static void frame_comes_twice(void)
{
	reading_set(&readings[3], 2);
}

static void frames_change_places(void)
{
	reading_set(&readings[2], 3);
	reading_set(&readings[3], 2);
}

static void fifo_frame_is_left_out(void)
{
	reading_forget(&readings[2]);
}

static void failed_frame_is_left_out(void)
{
	fifth_fails();
	forget(readings[5].next);
	forget(readings[5].ready);
}

/* As if that were no frame. */
static void next_fails(void)
{
	fifth_fails();
	readings[5].next->result = -EIO;
	forget(readings[5].ready);
}

static void failed_frame_comes_back_well(void)
{
	fifth_fails();
	backs[5]->result = 0;
}

static void failed_frame_is_read(void)
{
	hands[5]->flags = RECORD_FAILS;
	backs[5]->result = -EIO;
}

static void fifo_frame_is_left_out_and_told(void)
{
	readings[3].next->flags = RECORD_DISCONT;
	reading_forget(&readings[2]);
}

/* It takes one at a time, and the second had been handed over before the first was taken. */
static void offered_though_full(void)
{
	depths[0]->index = 1;
	depths[0]->flags = RECORD_SKIPS;
	hands[6]->begin = at(5) - 3 * STEP;
	forge_set_end(hands[6], at(5) - 2 * STEP);
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

static void more_than_it_holds(void)
{
	readings[2].next->fires = HOLD;
}

static void less_than_it_holds(void)
{
	idle->result = -ENOBUFS;
	idle->fires = HOLD - 1;
}

static void other_buffer(void)
{
	readings[2].frame->index = buffer_of(3);
}

static void other_metadata(void)
{
	readings[2].next->seen_begin = 1;
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

static void rewritten_before_it_died(void)
{
	dying[LAST].frame->seen_end = FRAME_WORD(PRODUCER, 7);
}

/* The producer has other memory there, and wrote the old one. */
static void rewritten_after_it_was_abandoned(void)
{
	abandon(5, at(5) + 6 * STEP);
	readings[5].frame->seen_end = FRAME_WORD(PRODUCER, 7);
}

/* Late is not free. */
static void back_since_it_was_late(void)
{
	reading_hold(&readings[5], hands[5]->deadline + 2 * S);
	back_at(5, hands[5]->deadline + STEP);
	backs[5]->result = -ETIMEDOUT;
}

static void back_too_early(void)
{
	back_at(2, at(2) + 7 * STEP);
}

/* It was released at a point that is reached later: the program reads until then. */
static void back_before_its_release_point(void)
{
	reading_hold(&readings[2], at(2) + 20 * STEP);
	back_at(2, at(2) + 10 * STEP);
}

/* The sixth frame is handed over while the fifth is held, and comes at that time. */
static void sixth_goes_out_beside(uint64_t comes)
{
	hands[6]->begin = at(5) - 3 * STEP;
	forge_set_end(hands[6], at(5) - 2 * STEP);
	hands[6]->seen_begin = hands[6]->seen_end = at(5);
	readings[6].next->begin = comes;
	forge_set_end(readings[6].next, comes + STEP);
	readings[6].ready->begin = comes + STEP;
	forge_set_end(readings[6].ready, comes + 2 * STEP);
	readings[6].frame->begin = comes + 2 * STEP;
}

/* The consumer holds two frames, and releases the first. */
static void releases_are_swapped(void)
{
	reading_hold(&readings[6], at(6) + BOUND_NS + 20 * STEP);
	back_at(6, at(5) + 10 * STEP + 1);
	sixth_goes_out_beside(at(5) + 4 * STEP);
	back_at(5, at(6) + BOUND_NS + 20 * STEP);
}

/* The release point of the first one fails. */
static void failure_frees_a_later_one(void)
{
	readings[5].frame->result = -EIO;
	backs[5]->result = -EIO;
	sixth_goes_out_beside(at(5) + 5 * STEP);
	back_at(6, at(5) + 10 * STEP + 1);
	backs[6]->result = -EIO;
}

static void retracted_frame_is_read(void)
{
	retracted_for_the_next();
	readings[5].next->begin = at(5) + 5 * STEP;
	forge_set_end(readings[5].next, at(5) + 6 * STEP);
	readings[5].ready->begin = at(5) + 6 * STEP;
	forge_set_end(readings[5].ready, at(5) + 7 * STEP);
	readings[5].frame->begin = at(5) + 7 * STEP;
	readings[5].frame->seen_end = FRAME_WORD(PRODUCER, 8);
}

/* Taken and retracted, both at the same time. */
static void claim_has_two_winners(void)
{
	retracted_for_the_next();
	readings[5].next->begin = at(5) + 3 * STEP;
	forge_set_end(readings[5].next, at(5) + 6 * STEP);
	readings[5].ready->begin = at(5) + 6 * STEP;
	forge_set_end(readings[5].ready, at(5) + 7 * STEP);
	readings[5].frame->begin = at(5) + 7 * STEP;
}

/* Another consumer of that link gets what the one before it had. */
static void two_consumers_have_it(void)
{
	for (uint64_t i = JOINED; i <= LAST; i++) {
		dying[i].next->number = dying[i].ready->number = dying[i].frame->number = 0;
	}
	joined->number = 0;
}

static void retracted_before_it_was_drawn(void)
{
	retracted_for_the_next();
	reading_forget(&readings[5]);
	hands[5]->seen_begin = hands[5]->seen_end = at(5) + 5 * STEP;
}

static void displaced_by_what_is_not_reached(void)
{
	retracted_for_the_next();
	reading_forget(&readings[5]);
	hands[6]->seen_begin = hands[6]->seen_end = at(5) + 5 * STEP;
}

static void displaced_by_what_failed(void)
{
	retracted_for_the_next();
	reading_forget(&readings[5]);
	reading_forget(&readings[6]);
	hands[6]->flags = RECORD_FAILS;
	backs[6]->result = -EIO;
}

static void pause_is_not_told(void)
{
	pause_before_the_last();
	readings[6].next->flags = 0;
}

/* One of two consumers is dead: the frame comes back while the other one still holds it. */
static void back_with_the_first_death(void)
{
	back_at(LAST, at(LAST) + 7 * STEP);
}

/* It is about to be killed: its socket may be closed, and its process lives. */
static void back_before_it_is_dead(void)
{
	reading_hold(&readings[LAST], at(LAST) + 4 * STEP + 1);
	back_at(LAST, KILLED - 1);
	killed->begin = KILLED;
}

static void dead_man_gives_back(void)
{
	back_before_it_is_dead();
	backs[LAST]->result = 0;
}

static void never_back(void)
{
	forget(backs[2]);
}

static void never_back_and_killed_later(void)
{
	forget(left);
	forge_record(driver, RECORD_KILL, 0, LEFT, LEFT + STEP, 0)->timeline = PRODUCER;
	never_back();
}

static void back_twice(void)
{
	struct record *again =
		forge_record(producer, RECORD_BACK, 2, at(7) + 2 * S, at(7) + 2 * S + 1, 0);
	again->index = buffer_of(2);
}

static void back_is_slow(void)
{
	back_at(2, at(2) + 9 * STEP + BOUND_NS + STEP);
}

static void release_is_refused(void)
{
	readings[2].frame->fires = ESTALE;
	readings[2].frame->deadline = 0;
}

static void error_gets_lost(void)
{
	readings[2].frame->result = -EIO;
}

static void error_comes_from_nowhere(void)
{
	backs[2]->result = -EIO;
}

/* Late is named, not sent away. */
static void sent_away_since_it_was_late(void)
{
	uint64_t late = hands[FRAMES]->deadline + S;
	reading_hold(&readings[FRAMES], late + S);
	back_at(FRAMES, late + S + 2 * STEP);
	put_consumer(reader, RECORD_NEXT, 0, late, late + 3 * STEP, -EPIPE);
}

static void stale_for_nothing(void)
{
	readings[2].ready->result = -ESTALE;
}

static void stale_before_it_was_abandoned(void)
{
	abandon(5, at(5) + 6 * STEP);
	readings[5].ready->result = -ESTALE;
	forget(readings[5].frame);
}

/* What was abandoned before leaves its room to the next. */
static void full_of_what_was_abandoned(void)
{
	full_at_the_last();
	reading_forget(&readings[JOINED]);
	abandon(JOINED, at(LAST) - 2 * STEP);
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
	reading_delay(2, at(2) + 3 * STEP + BOUND_NS);
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
	hands[5]->number = 2;
	back_at(5, at(6) - S);
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

/* The link takes two at a time, and had none. */
static void left_out_though_there_was_room(void)
{
	depths[0]->index = 2;
	depths[0]->flags = RECORD_SKIPS;
	readings[6].next->flags = RECORD_DISCONT;
	reading_forget(&readings[5]);
}

#define F(name) (1U << EXCHANGE_##name)

/* A lie that breaks two rules is found by both. */
const struct forge_lie exchange_bugs[] = {
	LIE(frame_comes_twice, F(AGAIN) | F(SKIPPED) | F(RETRACTED)),
	LIE(frames_change_places, F(ORDER) | F(SKIPPED) | F(RETRACTED) | F(PHANTOM) | F(EARLY)),
	LIE(fifo_frame_is_left_out, F(SKIPPED) | F(DISPLACED)),
	LIE(failed_frame_is_left_out, F(SKIPPED)),
	LIE(next_fails, F(WRONG) | F(SKIPPED)),
	LIE(failed_frame_comes_back_well, F(ERROR_LOST)),
	LIE(failed_frame_is_read, F(EARLY)),
	LIE(fifo_frame_is_left_out_and_told, F(SKIPPED) | F(DISPLACED)),
	LIE(left_out_though_there_was_room, F(SKIPPED) | F(DISPLACED)),
	LIE(pause_is_not_told, F(SKIPPED)),
	LIE(offered_though_full, F(OVERFULL)),
	LIE(old_frame_for_who_comes, F(STALE) | F(RETRACTED)),
	LIE(frame_out_of_nothing, F(PHANTOM) | F(DISPLACED)),
	LIE(frame_before_it_was_handed, F(PHANTOM)),
	LIE(more_than_it_holds, F(HOLD)),
	LIE(less_than_it_holds, F(HOLD)),
	LIE(other_buffer, F(BUFFER)),
	LIE(other_metadata, F(META)),
	LIE(acquire_is_reached_early, F(EARLY)),
	LIE(content_is_torn, F(TORN)),
	LIE(content_is_not_there_yet, F(OLDER)),
	LIE(rewritten_while_held, F(NEWER)),
	LIE(rewritten_before_it_died, F(NEWER)),
	LIE(rewritten_after_it_was_abandoned, F(NEWER)),
	LIE(back_since_it_was_late, F(REUSED) | F(ERROR_MADE)),
	LIE(back_too_early, F(REUSED)),
	LIE(back_before_its_release_point, F(REUSED)),
	LIE(releases_are_swapped, F(REUSED) | F(BACK_SLOW)),
	LIE(failure_frees_a_later_one, F(REUSED) | F(ERROR_MADE)),
	LIE(retracted_frame_is_read, F(RETRACTED) | F(NEWER)),
	LIE(claim_has_two_winners, F(WINNERS)),
	LIE(two_consumers_have_it, F(WINNERS)),
	LIE(retracted_before_it_was_drawn, F(UNDRAWN)),
	LIE(displaced_by_what_is_not_reached, F(DISPLACED)),
	LIE(displaced_by_what_failed, F(DISPLACED)),
	LIE(back_with_the_first_death, F(REUSED)),
	LIE(back_before_it_is_dead, F(REUSED) | F(ERROR_MADE)),
	LIE(dead_man_gives_back, F(REUSED)),
	LIE(never_back, F(LOST)),
	LIE(never_back_and_killed_later, F(LOST)),
	LIE(back_twice, F(BACK_AGAIN)),
	LIE(back_is_slow, F(BACK_SLOW)),
	LIE(release_is_refused, F(WRONG)),
	LIE(error_gets_lost, F(ERROR_LOST)),
	LIE(error_comes_from_nowhere, F(ERROR_MADE)),
	LIE(link_ends_for_nothing, F(SENT_AWAY)),
	LIE(stale_for_nothing, F(SENT_AWAY)),
	LIE(stale_before_it_was_abandoned, F(SENT_AWAY)),
	LIE(full_of_what_was_abandoned, F(SKIPPED)),
	LIE(sent_away_since_it_was_late, F(SENT_AWAY)),
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

const int exchange_bug_count = sizeof(exchange_bugs) / sizeof(exchange_bugs[0]);
