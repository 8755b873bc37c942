// SPDX-License-Identifier: MIT
#include "actor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SIGNALERS_MAX 2
#define WAITERS_MAX   3

/* -------------------------------------------------------------------------------------- chance -- */

/* Mostly a little ahead; sometimes a point that is reached already. */
uint64_t point_pick(struct dice *dice, uint64_t seen)
{
	uint64_t kind = dice_below(dice, 100);
	if (kind < 10 && seen > 0) {
		return seen;
	}
	return seen + 1 + dice_below(dice, kind < 85 ? 4 : 40);
}

uint64_t deadline_pick(struct dice *dice)
{
	uint64_t kind = dice_below(dice, 100);
	if (kind < 2) {
		return 0;
	}
	if (kind < 15) {
		return clock_ns() + 1000 * dice_spread(dice, 1, 20000);
	}
	return clock_ns() + LONG_WAIT_MS * UINT64_C(1000000);
}

/* ------------------------------------------------------------------------------------- entries -- */

struct entry *entry_pick(struct actor *actor, struct dice *dice)
{
	uint64_t start = dice_below(dice, ACTORS * LINES);
	struct entry *entry = NULL;
	pthread_mutex_lock(&actor->lock);
	for (uint64_t i = 0; !entry && i < ACTORS * LINES; i++) {
		uint64_t at = (start + i) % (ACTORS * LINES);
		entry = actor->table[at / LINES][at % LINES];
	}
	if (entry) {
		entry->refs++;
	}
	pthread_mutex_unlock(&actor->lock);
	return entry;
}

void entry_ref(struct actor *actor, struct entry *entry)
{
	pthread_mutex_lock(&actor->lock);
	entry->refs++;
	pthread_mutex_unlock(&actor->lock);
}

void entry_put(struct actor *actor, struct entry *entry)
{
	if (!entry) {
		return;
	}
	pthread_mutex_lock(&actor->lock);
	bool last = --entry->refs == 0;
	pthread_mutex_unlock(&actor->lock);
	if (last) {
		fbk_timeline_close(entry->timeline);
		free(entry);
	}
}

static void entry_set(struct actor *actor, unsigned int slot, unsigned int line,
		      struct entry *entry)
{
	pthread_mutex_lock(&actor->lock);
	struct entry *old = actor->table[slot][line];
	actor->table[slot][line] = entry;
	pthread_mutex_unlock(&actor->lock);
	entry_put(actor, old);
}

static struct entry *entry_create(struct fbk_timeline *timeline, uint32_t id)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	EXPECT(entry);
	entry->refs = 1;
	entry->timeline = timeline;
	entry->id = id;
	return entry;
}

/* Opens the timeline of a token. Its owner may have died: whether the error is right is for the
 * checker to say. */
static void actor_open(struct actor *actor, uint64_t word, int token)
{
	struct fbk_timeline *timeline = NULL;
	struct record *record = journal_begin(&actor->journal, 1);
	record->timeline = TOKEN_ID(word);
	record_publish(record, RECORD_OPEN);
	int r = fbk_timeline_open(actor->context, token, &timeline);
	record_end(record, r);
	close(token);
	EXPECT(TOKEN_SLOT(word) < ACTORS && TOKEN_LINE(word) < LINES);
	entry_set(actor, TOKEN_SLOT(word), TOKEN_LINE(word),
		  r == 0 ? entry_create(timeline, TOKEN_ID(word)) : NULL);
}

/* --------------------------------------------------------------------------------- the process -- */

static void actor_take_tokens(struct actor *actor)
{
	int token;
	while (readable_within(actor->socket, 0) == 1) {
		uint64_t word = receive_word(actor->socket, &token);
		actor_open(actor, word, token);
	}
}

/* Runs in each turn of the loop: takes tokens and reads the board. True once no more waits may
 * begin. */
static bool actor_over(struct actor *actor)
{
	const struct board *board = actor->chaos->board;
	actor_take_tokens(actor);
	if (atomic_load(&board->drain) || atomic_load(&actor->slot->leave)) {
		atomic_store(&actor->drain, true);
	}
	return atomic_load(&actor->drain);
}

/* One line for all signalers and one for each. A line without a signaler would be waited for in
 * vain. */
static void actor_open_own(struct actor *actor, unsigned int signalers)
{
	for (unsigned int i = 0; i <= signalers; i++) {
		line_create(actor, i);
	}
	/* The first line is never closed: this process waits for it too. */
	actor->table[actor->number][0] = entry_create(actor->lines[0].timeline, actor->lines[0].id);
}

static void threads_start(struct actor *actor, struct actor_thread *threads, unsigned int count,
			  void *(*run)(void *thread))
{
	for (unsigned int i = 0; i < count; i++) {
		threads[i].actor = actor;
		threads[i].number = i;
		EXPECT(pthread_create(&threads[i].thread, NULL, run, &threads[i]) == 0);
	}
}

static void threads_join(const struct actor_thread *threads, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(threads[i].thread, NULL);
	}
}

static void actor_leave(struct actor *actor)
{
	struct record *record = journal_begin(&actor->journal, 1);
	record_publish(record, RECORD_LEAVE);
	fbk_disconnect(actor->context);
	record_end(record, 0);
	journal_finish(&actor->journal);
}

int actor_run(const struct chaos *chaos, unsigned int slot, uint32_t instance, int socket)
{
	static struct actor actor;
	struct actor_thread signalers[SIGNALERS_MAX], waiters[WAITERS_MAX];
	/* half of the actors have several threads of each kind, on the same cells */
	unsigned int signaler_count = slot % 2 == 0 ? 1 : SIGNALERS_MAX;
	unsigned int waiter_count = slot % 2 == 0 ? 1 : WAITERS_MAX;
	struct dice dice;
	dice_init(&dice, chaos->base.seed, (uint64_t)instance << 8);
	actor.chaos = chaos;
	actor.slot = &chaos->board->slots[slot];
	actor.number = slot;
	actor.instance = instance;
	actor.socket = socket;
	EXPECT(pthread_mutex_init(&actor.lock, NULL) == 0);
	EXPECT(journal_create(&actor.journal, chaos->base.logs, instance, slot,
			      chaos->base.log_capacity) == 0);
	actor.context = peer_connect(chaos->base.daemon);
	actor.device = peer_device(actor.context, "actor");
	actor_open_own(&actor, signaler_count);
	threads_start(&actor, signalers, signaler_count, signaler_run);
	threads_start(&actor, waiters, waiter_count, waiter_run);
	actor_loop(&actor, &dice, actor_over);
	threads_join(waiters, waiter_count);
	atomic_store(&actor.slot->idle, true);
	while (!atomic_load(&chaos->board->quit) && !atomic_load(&actor.slot->leave)) {
		actor_take_tokens(&actor);
		yield_briefly();
	}
	atomic_store(&actor.quit, true);
	threads_join(signalers, signaler_count);
	actor_leave(&actor);
	return 0;
}
