// SPDX-License-Identifier: MIT
/* Waiters: one point, any and all of several; now and then of more than futex_waitv takes. */
#include <sys/resource.h>

#include "actor.h"

#define SEVERAL 6
#define MANY    130 /* past what futex_waitv takes */

static long switches(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void wait_one(struct actor *actor, struct dice *dice, struct entry *entry)
{
	struct record *record = journal_begin(&actor->journal, 1);
	record->timeline = entry->id;
	record->deadline = deadline_pick(dice);
	record->seen_begin = fbk_timeline_value(entry->timeline);
	record->value = point_pick(dice, record->seen_begin);
	record_publish(record, RECORD_WAIT);
	long before = switches();
	int r = fbk_point_wait((struct fbk_point){ entry->timeline, record->value },
			       record->deadline);
	record->flags = switches() > before ? RECORD_SLEPT : 0;
	record->seen_end = fbk_timeline_value(entry->timeline);
	record_end(record, r);
}

static void wait_several(struct actor *actor, struct dice *dice, struct entry *const *entries,
			 unsigned int count)
{
	struct fbk_point points[MANY];
	size_t index = 0;
	bool all = dice_below(dice, 2) == 0;
	struct record *record = journal_begin(&actor->journal, 1 + count);
	record->number = (uint8_t)count;
	record->deadline = deadline_pick(dice);
	for (unsigned int i = 0; i < count; i++) {
		struct record *member = &record[1 + i];
		member->timeline = entries[i]->id;
		member->begin = record->begin;
		member->seen_begin = fbk_timeline_value(entries[i]->timeline);
		member->value = point_pick(dice, member->seen_begin);
		points[i] = (struct fbk_point){ entries[i]->timeline, member->value };
		record_publish(member, RECORD_MEMBER);
	}
	record_publish(record, all ? RECORD_ALL : RECORD_ANY);
	long before = switches();
	int r = all ? fbk_point_wait_all(points, count, record->deadline, &index)
		    : fbk_point_wait_any(points, count, record->deadline, &index);
	record->flags = switches() > before ? RECORD_SLEPT : 0;
	for (unsigned int i = 0; i < count; i++) {
		record[1 + i].seen_end = fbk_timeline_value(entries[i]->timeline);
		record_end(&record[1 + i], 0);
	}
	record->index = (uint32_t)index;
	record_end(record, r);
}

static void waiter_turn(struct actor *actor, struct dice *dice)
{
	struct entry *entries[MANY];
	uint64_t kind = dice_below(dice, 100);
	unsigned int count = kind < 65 ? 1 : 2 + (unsigned int)dice_below(dice, SEVERAL - 1);
	if (kind == 99) {
		count = MANY;
	}
	for (unsigned int i = 0; i < count; i++) {
		entries[i] = entry_pick(actor, dice);
		EXPECT(entries[i]); /* there is always one of our own */
	}
	if (count == 1) {
		wait_one(actor, dice, entries[0]);
	} else {
		wait_several(actor, dice, entries, count);
	}
	for (unsigned int i = 0; i < count; i++) {
		entry_put(actor, entries[i]);
	}
}

void *waiter_run(void *arg)
{
	const struct actor_thread *thread = arg;
	struct actor *actor = thread->actor;
	struct dice dice;
	dice_init(&dice, actor->chaos->base.seed,
		  (uint64_t)actor->instance << 8 | 32 | thread->number);
	while (!atomic_load(&actor->drain)) {
		waiter_turn(actor, &dice);
		uint64_t kind = dice_below(&dice, 4);
		if (kind == 0) {
			dice_sleep(&dice, 1000);
		} else if (kind == 1) {
			dice_dither(&dice);
		}
	}
	return NULL;
}
