// SPDX-License-Identifier: MIT
#include "exchange-forge.h"

#include <errno.h>

#include "tests/integration/lib-daemon.h"

/* When a frame is handed over; it is signalled 2 steps later, read after 4, released after 8, back
 * after 10. Frames are so far apart that one lie does not cause findings at another frame. */
uint64_t at(uint64_t frame)
{
	return 100 * frame * S;
}

struct journal *const driver = &forge_journals[0];
struct journal *const producer = &forge_journals[PRODUCER];
struct journal *const reader = &forge_journals[READER];
struct journal *const victim = &forge_journals[VICTIM];

struct record *hands[FRAMES + 1], *backs[FRAMES + 1];
struct reading readings[FRAMES + 1], dying[FRAMES + 1];
struct record *accepted, *joined, *idle, *killed, *left, *take;
struct record *depths[2]; /* of READER's link and VICTIM's */

uint32_t buffer_of(uint64_t frame)
{
	return (uint32_t)frame % BUFFER_COUNT;
}

struct record *put_consumer(struct journal *journal, unsigned int kind, uint64_t value,
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
	reading->next->seen_begin = reading->next->seen_end = frame;
	reading->ready =
		put_consumer(journal, RECORD_READY, frame, when + STEP, when + 3 * STEP, 0);
	reading->frame =
		put_consumer(journal, RECORD_FRAME, frame, when + 4 * STEP, when + 8 * STEP, 0);
	reading->frame->index = buffer_of(frame);
	reading->frame->seen_begin = reading->frame->seen_end = FRAME_WORD(PRODUCER, frame);
	reading->frame->deadline = when + 9 * STEP;
}

/* To whom frame `i` goes: VICTIM accepts after two, and is dead after four. */
static uint8_t links_of(uint64_t i)
{
	return i >= JOINED && i <= LAST ? 2 : 1;
}

static void forge_producer(void)
{
	for (uint8_t i = 0; i < 2; i++) {
		depths[i] = forge_record(producer, RECORD_DEPTH, 0, S / 2, S / 2 + 1, 0);
		depths[i]->number = i;
	}
	for (uint64_t i = 1; i <= FRAMES; i++) {
		struct record *hand =
			forge_record(producer, RECORD_HAND, i, at(i), at(i) + STEP / 2, 0);
		hand->index = buffer_of(i);
		hand->number = links_of(i);
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
	accepted->index = HOLD;
	idle = put_consumer(reader, RECORD_NEXT, 0, CAME + S, CAME + 3 * S, -ETIMEDOUT);
	idle->deadline = CAME + 3 * S;
	for (uint64_t i = 1; i <= FRAMES; i++) {
		put_reading(reader, &readings[i], i);
	}
	put_consumer(reader, RECORD_NEXT, 0, LEFT - S, LEFT + STEP, -EPIPE);
	forge_record(reader, RECORD_LEAVE, 0, LEFT + S, LEFT + S + STEP, 0);

	joined = put_consumer(victim, RECORD_ACCEPT, 0, at(JOINED) - S, at(JOINED) - S + STEP, 0);
	joined->index = HOLD;
	for (uint64_t i = JOINED; i <= LAST; i++) {
		put_reading(victim, &dying[i], i);
	}
	forge_set_end(dying[LAST].frame, 0);
	dying[LAST].frame->deadline = 0;
	killed = forge_record(driver, RECORD_KILL, 0, KILLED, KILLED + STEP, 0);
	killed->timeline = VICTIM;
}

void exchange_forge(void)
{
	forge_begin(4);
	forge_producer();
	forge_consumers();
}

/* -------------------------------------------------------------------------------- ways to lie --- */

void forget(struct record *record)
{
	atomic_store_explicit(&record->kind, RECORD_NONE, memory_order_relaxed);
}

void reading_forget(struct reading *reading)
{
	forget(reading->next);
	forget(reading->ready);
	forget(reading->frame);
}

/* The acquire point of frame 5 fails: READER gets it, and gives it back with that error. */
void fifth_fails(void)
{
	hands[5]->flags = RECORD_FAILS;
	backs[5]->result = -EIO;
	readings[5].ready->result = -EIO;
	forget(readings[5].frame);
}

/* As if it had been another frame, with that frame's content. */
void reading_set(struct reading *reading, uint64_t frame)
{
	reading->next->value = reading->ready->value = reading->frame->value = frame;
	reading->next->seen_begin = reading->next->seen_end = frame;
	reading->frame->index = buffer_of(frame);
	reading->frame->seen_begin = reading->frame->seen_end = FRAME_WORD(PRODUCER, frame);
}

void renumber(uint64_t frame, uint64_t value)
{
	hands[frame]->value = backs[frame]->value = value;
	if (readings[frame].next) {
		reading_set(&readings[frame], value);
	}
	if (dying[frame].next) {
		reading_set(&dying[frame], value);
	}
}

void abandon(uint64_t frame, uint64_t when)
{
	forge_record(producer, RECORD_ABANDON, frame, when, when + STEP, 0)->index =
		buffer_of(frame);
	forget(backs[frame]);
}

/* It lets go of the frame at `end`. */
void reading_hold(struct reading *reading, uint64_t end)
{
	forge_set_end(reading->frame, end);
	reading->frame->deadline = end + STEP;
}

void back_at(uint64_t frame, uint64_t when)
{
	backs[frame]->begin = when;
	forge_set_end(backs[frame], when + 1);
}

/* READER gets it at `when`, and all that follows comes later too. */
void reading_delay(uint64_t frame, uint64_t when)
{
	struct reading *reading = &readings[frame];
	forge_set_end(reading->next, when);
	reading->ready->begin = when;
	forge_set_end(reading->ready, when + STEP);
	reading->frame->begin = when + STEP;
	reading_hold(reading, when + 2 * STEP);
	back_at(frame, when + 4 * STEP);
}

void full_at_the_last(void)
{
	depths[0]->index = 1;
	depths[0]->flags = RECORD_SKIPS;
	hands[LAST]->number = 1;
	reading_forget(&readings[LAST]);
	readings[LAST + 1].next->flags = RECORD_DISCONT;
}

/* The first of them is a mailbox, and finds the later one reached. */
void be_mailbox(void)
{
	accepted->flags = RECORD_MAILBOX;
}

/* Frame 5 was retracted for frame 6, which came before READER asked. */
void retracted_for_the_next(void)
{
	be_mailbox();
	hands[6]->begin = at(5) + STEP;
	forge_set_end(hands[6], at(5) + STEP + STEP / 2);
	hands[6]->seen_begin = at(5) + 3 * STEP;
	hands[6]->seen_end = at(5) + 3 * STEP + STEP / 2;
	back_at(5, at(5) + 4 * STEP);
}

static void put_pause(uint64_t begin, uint64_t end)
{
	put_consumer(reader, RECORD_PAUSE, 0, begin, begin + 1, 0)->index = 1;
	put_consumer(reader, RECORD_PAUSE, 0, end, end + 1, 0);
}

/* It paused, and frame 5 was retracted. */
void pause_before_the_last(void)
{
	put_pause(at(5) + STEP, at(5) + 20 * STEP);
	reading_forget(&readings[5]);
	readings[6].next->flags = RECORD_DISCONT;
}
