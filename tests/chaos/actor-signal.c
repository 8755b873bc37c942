// SPDX-License-Identifier: MIT
/* Signalers: bursts and pauses of every length; now and then a timeline is closed and created
 * anew. */
#include <unistd.h>

#include "actor.h"

#define RENEW_EVERY 400 /* bursts */

void line_create(struct actor *actor, unsigned int number)
{
	struct line *line = &actor->lines[number];
	int token;
	/* relaxed: only has to be unique */
	uint32_t id = atomic_fetch_add_explicit(&actor->next_id, 1, memory_order_relaxed);
	line->id = RECORD_LINE(actor->instance, id);
	atomic_store(&line->next, 0);
	struct record *record = journal_begin(&actor->journal, 1);
	record->timeline = line->id;
	record_publish(record, RECORD_CREATE);
	line->timeline = peer_timeline(actor->device, "line", 0);
	record_end(record, 0);
	EXPECT(fbk_timeline_share(line->timeline, FBK_RIGHT_WAIT, &token) == 0);
	send_word(actor->socket, TOKEN_WORD(actor->number, number, line->id), token);
	close(token);
}

static void line_renew(struct actor *actor, unsigned int number)
{
	struct line *line = &actor->lines[number];
	if (atomic_load(&actor->next_id) >= RECORD_LINES_MAX) {
		return;
	}
	struct record *record = journal_begin(&actor->journal, 1);
	record->timeline = line->id;
	record_publish(record, RECORD_CLOSE);
	fbk_timeline_close(line->timeline);
	record_end(record, 0);
	line_create(actor, number);
}

static void line_signal(struct actor *actor, struct line *line, struct dice *dice)
{
	uint64_t step = dice_below(dice, 4) > 0 ? 1 : 1 + dice_below(dice, 4);
	/* relaxed: the threads only have to get different values */
	uint64_t value = atomic_fetch_add_explicit(&line->next, step, memory_order_relaxed) + step;
	struct record *record = journal_begin(&actor->journal, 1);
	record->timeline = line->id;
	record->value = value;
	record_publish(record, RECORD_SIGNAL);
	record_end(record, fbk_timeline_signal(line->timeline, value));
	/* relaxed: a count */
	atomic_fetch_add_explicit(&actor->slot->signals, 1, memory_order_relaxed);
}

void *signaler_run(void *arg)
{
	const struct actor_thread *thread = arg;
	struct actor *actor = thread->actor;
	struct dice dice;
	dice_init(&dice, actor->chaos->base.seed,
		  (uint64_t)actor->instance << 8 | 16 | thread->number);
	while (!atomic_load(&actor->quit)) {
		unsigned int own = 1 + thread->number;
		struct line *line = &actor->lines[dice_below(&dice, 3) == 0 ? 0 : own];
		uint64_t kind = dice_below(&dice, 10);
		uint64_t burst = kind < 6 ? 1 : 1 + dice_below(&dice, kind < 9 ? 8 : 64);
		uint64_t close_up = dice_below(&dice, 2);
		for (uint64_t i = 0; i < burst; i++) {
			line_signal(actor, line, &dice);
			if (close_up == 0) {
				dice_dither(&dice);
			}
		}
		if (dice_below(&dice, RENEW_EVERY) == 0) {
			line_renew(actor, own);
		}
		if (dice_below(&dice, 8) == 0) {
			dice_dither(&dice);
		} else {
			dice_sleep(&dice, actor->chaos->base.pause_us);
		}
	}
	return NULL;
}
