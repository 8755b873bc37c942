// SPDX-License-Identifier: MIT
/*
 * The logs of a correct run with exchanges, forged for tests of its judge, and ways to change them. Owned by the test; one
 * thread.
 */
#pragma once

#include "exchange-judge.h"
#include "exchange-record.h"
#include "forge.h"

#define PRODUCER     1 /* hands over 6 frames in 3 buffers, over two links, and leaves */
#define READER       2 /* takes all of them */
#define VICTIM       3 /* comes after the second; is killed while it has the fourth */
#define HOLD         2 /* frames that either may have */
#define FRAMES       6
#define BUFFER_COUNT 3
#define JOINED       3 /* the first frame for VICTIM */
#define LAST         4 /* and the last */

#define CAME   S /* both processes; READER accepts then, VICTIM after two frames */
#define KILLED (at(LAST) + 6 * STEP)
#define LEFT   (at(FRAMES + 2))

extern struct journal *const driver, *const producer, *const reader, *const victim;

/* The records that lies change. By frame, from 1. */
struct reading {
	struct record *next, *ready, *frame;
};
extern struct record *hands[FRAMES + 1], *backs[FRAMES + 1];
extern struct reading readings[FRAMES + 1], dying[FRAMES + 1]; /* READER's and VICTIM's */
extern struct record *accepted, *joined, *idle, *killed, *left, *take;
extern struct record *depths[2]; /* of READER's link and VICTIM's */

/* When a frame is handed over; it is signalled 2 steps later, read after 4, released after 8, back
 * after 10. Frames are so far apart that one lie does not cause findings at another frame. */
uint64_t at(uint64_t frame);
uint32_t buffer_of(uint64_t frame);

void exchange_forge(void); /* the correct run */

struct record *put_consumer(struct journal *journal, unsigned int kind, uint64_t value,
			    uint64_t begin, uint64_t end, int result);

void forget(struct record *record);
void reading_forget(struct reading *reading);
void fifth_fails(void);

/* As if it had been another frame, with that frame's content. */
void reading_set(struct reading *reading, uint64_t frame);

/* It has that number, and so have its readings. */
void renumber(uint64_t frame, uint64_t value);

/* Its producer has new memory there from then on. */
void abandon(uint64_t frame, uint64_t when);

/* It lets go of the frame at `end`. */
void reading_hold(struct reading *reading, uint64_t end);
void back_at(uint64_t frame, uint64_t when);

/* READER gets it at `when`, and all that follows comes later too. */
void reading_delay(uint64_t frame, uint64_t when);

/* READER's link takes one frame, and the fourth passes it by. */
void full_at_the_last(void);

/* READER's delivery; then frame 5 was retracted for frame 6, before READER asked; or since it paused. */
void be_mailbox(void);
void retracted_for_the_next(void);
void pause_before_the_last(void);

/* exchange-bugs.c */
extern const struct forge_lie exchange_bugs[];
extern const int exchange_bug_count;
