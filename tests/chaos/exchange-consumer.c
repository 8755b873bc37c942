// SPDX-License-Identifier: MIT
/*
 * Consumers. The kind of device, the delivery and the number of frames that are held are random; so is when it pauses, stops
 * or leaves, to accept again.
 */
#include "exchange-consumer.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define NEXT_MS       2000
#define SHORT_MS      5 /* while it has frames to give back */
#define END_TRIES     10000
#define RETRY_US      2000 /* while the daemon may not yet know that the previous consumer died */
#define WORK_MAX_US   500
#define PAUSE_ONE_IN  500
#define RESUME_ONE_IN 5
#define CHANGE_ONE_IN 2500 /* it stops; and it leaves */
#define FULL_ONE_IN   20   /* asks although it holds as many as it may */

struct record *consumer_record(struct consumer_state *state)
{
	struct record *record = journal_begin(&state->actor.journal, 1);
	record->timeline = OFFER_INSTANCE(state->word);
	record->number = (uint8_t)OFFER_NUMBER(state->word);
	return record;
}

/* ------------------------------------------------------------------------------------- the link -- */

static void link_leave(struct consumer_state *state)
{
	items_let_go(state);
	struct record *record = consumer_record(state);
	record_publish(record, RECORD_PART);
	pthread_mutex_lock(&state->dispatching);
	fbk_link_close(state->link);
	pthread_mutex_unlock(&state->dispatching);
	record_end(record, 0);
	state->link = NULL;
	items_forget(state);
}

/* Nothing new comes; what it has stays. */
static void link_halt(struct consumer_state *state)
{
	struct record *record = consumer_record(state);
	record_publish(record, RECORD_HALT);
	int r = fbk_link_stop(state->link);
	record_end(record, r);
	EXPECT(r == 0);
	state->stopped = true;
}

static void link_pause(struct consumer_state *state, bool paused)
{
	struct record *record = consumer_record(state);
	record->index = paused;
	record_publish(record, RECORD_PAUSE);
	int r = fbk_link_pause(state->link, paused);
	record_end(record, r);
	EXPECT(r == 0);
	state->paused = paused;
}

/* All is given back; the daemon may still have to see a fence. */
static void link_await_end(struct consumer_state *state)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	EXPECT(fbk_link_info(state->link, &info) == 0);
	for (int i = 0; i < END_TRIES && info.phase != FBK_PHASE_ENDED; i++) {
		dice_sleep(&state->actor.dice, 1000 * SHORT_MS);
		EXPECT(fbk_link_info(state->link, &info) == 0);
	}
	EXPECT(info.phase == FBK_PHASE_ENDED);
}

/* ---------------------------------------------------------------------------------- the next frame -- */

static void next_told(void *arg, struct fbk_link *link)
{
	(void)link;
	((struct consumer_state *)arg)->told = true;
}

/* Returns with a frame or at the deadline; fbk_link_next() then tells which. */
static void frame_listen(struct consumer_state *state, uint64_t deadline_ns)
{
	struct fbk_context *context = state->actor.context;
	state->told = false;
	int r = fbk_link_watch(state->link, next_told, state, NULL);
	while (r >= 0 && !state->told && clock_ns() < deadline_ns) {
		uint64_t left_ms = (deadline_ns - clock_ns()) / 1000000 + 1;
		readable_within(fbk_context_fd(context), (int)left_ms);
		r = fbk_dispatch(context);
	}
}

static void frame_note(struct record *record, const struct fbk_frame *frame)
{
	const struct fbk_frame_meta *meta = fbk_frame_meta(frame);
	record->value = frame_number(frame);
	record->index = fbk_frame_index(frame);
	record->seen_begin = (uint64_t)meta->pts_ns;
	record->seen_end = fbk_frame_sequence(frame);
	record->flags |= meta->flags & FBK_FRAME_DISCONT ? RECORD_DISCONT : 0;
}

/* 0: it has one more. */
static int frame_get(struct consumer_state *state)
{
	struct fbk_frame *frame;
	struct record *record = consumer_record(state);
	bool idle = state->item_count == 0 && !state->paused;
	record->deadline = deadline_ms(idle ? NEXT_MS : SHORT_MS);
	record->fires = (uint8_t)state->held;
	record_publish(record, RECORD_NEXT);
	if (state->loops && idle) {
		frame_listen(state, record->deadline);
	}
	int r = fbk_link_next(state->link, record->deadline, &frame);
	if (r == 0) {
		frame_note(record, frame);
	}
	record_end(record, r);
	return r == 0 ? item_add(state, frame) : r;
}

/* As many as it may hold: one has to go, if only later. */
static bool frame_make_room(struct consumer_state *state)
{
	if (state->held == state->hold && dice_below(&state->actor.dice, FULL_ONE_IN) == 0) {
		return true; /* the link gives no more, but for those that were abandoned */
	}
	if (!item_release_any(state)) { /* all are kept */
		dice_sleep(&state->actor.dice, 1000 * SHORT_MS);
		return false;
	}
	return true;
}

static void link_change_mind(struct consumer_state *state)
{
	struct dice *dice = &state->actor.dice;
	bool over = atomic_load(&state->actor.run->board->over);
	if (state->paused && (over || dice_below(dice, RESUME_ONE_IN) == 0)) {
		link_pause(state, false);
	} else if (!state->paused && !over && dice_below(dice, PAUSE_ONE_IN) == 0) {
		link_pause(state, true);
	}
	if (dice_below(dice, CHANGE_ONE_IN) == 0) {
		link_halt(state);
	} else if (dice_below(dice, CHANGE_ONE_IN) == 0) {
		link_leave(state);
	}
}

/* It has stopped: it gives back what it has, after which the link has ended. */
static void consumer_wind_down(struct consumer_state *state)
{
	if (dice_below(&state->actor.dice, 4) == 0) {
		EXPECT(frame_get(state) == -EPIPE);
	}
	bool released = item_release_any(state);
	if (!item_finish_any(state) && !released && state->item_count > 0) {
		dice_sleep(&state->actor.dice, 1000 * SHORT_MS);
	}
	if (state->item_count == 0) {
		link_await_end(state);
		link_leave(state);
	}
}

static void consumer_turn(struct consumer_state *state)
{
	struct dice *dice = &state->actor.dice;
	if (state->stopped) {
		consumer_wind_down(state);
		return;
	}
	if (state->held >= state->hold && !frame_make_room(state)) {
		return;
	}
	int r = frame_get(state);
	if (r == -EPIPE || r == -ESTALE || (r == -ENOTCONN && fbk_link_cause(state->link)[0])) {
		link_leave(state);
		return;
	}
	EXPECT(r == 0 || r == -ETIMEDOUT || r == -EOWNERDEAD || r == -EIO || r == -ENOBUFS);
	if (dice_below(dice, 8) == 0) {
		dice_sleep(dice, WORK_MAX_US);
	}
	if (r < 0 || dice_below(dice, 4) == 0) {
		item_release_any(state);
	}
	if (r < 0 || dice_below(dice, 3) == 0) {
		item_finish_any(state);
	}
	link_change_mind(state);
}

/* ------------------------------------------------------------------------------ another thread -- */

static void link_changed(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	(void)arg;
	(void)link;
	EXPECT(phase >= FBK_PHASE_OFFERED && phase <= FBK_PHASE_ENDED);
}

static void *listener_run(void *arg)
{
	struct consumer_state *state = arg;
	while (!atomic_load(&state->quiet)) {
		readable_within(fbk_context_fd(state->actor.context), 20);
		pthread_mutex_lock(&state->dispatching); /* keeps the link open meanwhile */
		EXPECT(fbk_dispatch(state->actor.context) >= 0);
		pthread_mutex_unlock(&state->dispatching);
	}
	return NULL;
}

/* ---------------------------------------------------------------------------------- the offers -- */

static void offer_take(struct consumer_state *state, int ms)
{
	while (readable_within(state->actor.socket, ms) == 1) {
		if (state->offer >= 0) {
			close(state->offer);
		}
		state->word = receive_word(state->actor.socket, &state->offer);
		ms = 0;
	}
}

static void link_begin(struct consumer_state *state)
{
	state->paused = false;
	state->stopped = false;
	if (state->listens) {
		pthread_mutex_lock(&state->dispatching);
		EXPECT(fbk_link_listen(state->link, link_changed, state, NULL) == 0);
		pthread_mutex_unlock(&state->dispatching);
	}
}

static void offer_accept(struct consumer_state *state)
{
	struct dice *dice = &state->actor.dice;
	offer_take(state, state->offer >= 0 ? 0 : 10);
	if (state->offer < 0) {
		return;
	}
	bool mailbox = dice_below(dice, 3) == 0;
	struct record *record = consumer_record(state);
	state->hold = 1 + (uint32_t)dice_below(dice, HELD_MOST);
	record->flags = mailbox ? RECORD_MAILBOX : 0;
	record->index = state->hold;
	record_publish(record, RECORD_ACCEPT);
	int r = link_accept_as(state->device, state->offer,
			       mailbox ? FBK_DELIVERY_MAILBOX : FBK_DELIVERY_FIFO, state->hold,
			       &state->link);
	record_end(record, r);
	if (r < 0) { /* taken, or the offerer is gone: another offer comes */
		state->link = NULL;
		dice_sleep(dice, RETRY_US);
	} else {
		link_begin(state);
	}
}

int exchange_consumer_run(const struct exchange_run *run, unsigned int place, uint32_t instance,
			  int socket)
{
	static struct consumer_state state;
	exchange_actor_init(&state.actor, run, place, instance, socket);
	struct dice *dice = &state.actor.dice;
	state.offer = -1;
	state.kind = &consumer_kinds[dice_below(dice, consumer_kind_count)];
	state.device = exchange_device(state.actor.context, "consumer", state.kind->waits,
				       FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD);
	/* a consumer with gates dispatches by itself */
	state.listens = state.kind->waits != 0 && dice_below(dice, 2) == 0;
	state.loops = !state.listens && dice_below(dice, 2) == 0;
	pthread_mutex_init(&state.dispatching, NULL);
	pthread_t listener;
	EXPECT(!state.listens || pthread_create(&listener, NULL, listener_run, &state) == 0);
	while (state.link || !atomic_load(&run->board->over)) {
		if (state.link) {
			consumer_turn(&state);
		} else {
			offer_accept(&state);
		}
	}
	atomic_store(&state.quiet, true);
	if (state.listens) {
		pthread_join(listener, NULL);
	}
	exchange_actor_leave(&state.actor, exchange_actor_leaving(&state.actor));
	return 0;
}
