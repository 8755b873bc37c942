// SPDX-License-Identifier: MIT
/*
 * Producers. Half of them take buffers with fbk_exchange_take() or its early form, the others keep
 * track of them by callbacks. A frame is drawn before or after its hand-over, and signalled, or
 * failed, at once or after the next hand-over. What a link does when it is full is random.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "exchange-actor.h"
#include "exchange-record.h"

#define BUFFERS_MIN  4 /* one more than a consumer holds */
#define BUFFERS_MOST 7
#define TAKE_MS      20000
#define LOOK_MS      20 /* between two looks for a consumer, while none is there */
#define PAUSED_US    5000
#define BACK_MIN_MS  10
#define HASTY_MS     100 /* shorter than the long stops */
#define BACK_MAX_MS  5000
#define EARLY_MS     20000
#define END_MS       20000

#define REPLACE_ONE_IN 1000 /* buffers; before the hand-over */
#define ABANDON_ONE_IN 1000
#define FAIL_ONE_IN    300 /* acquire points */
#define TIMELINES \
	256 /* after a failure the next one; the old ones stay open while they are needed */

struct producer_state;

/* A buffer, and the last frame in it. */
struct canvas {
	struct producer_state *state;
	struct buffer buffer;
	uint32_t index;
	uint64_t frame;
	bool handed;
};

struct producer_state {
	struct exchange_actor actor;
	struct fbk_device *device;
	struct {
		struct fbk_timeline *timeline;
		uint64_t last; /* frame */
	} lines[TIMELINES];
	unsigned int failures, closed;
	struct fbk_exchange *exchange;
	struct fbk_link *links[CONSUMERS_EACH];
	unsigned int link_count;
	struct canvas canvases[BUFFERS_MOST];
	unsigned int buffer_count, handed_count;
	uint64_t next; /* frame */
	bool called_back, early;
	bool hasty;             /* its deadlines are so short that a stopped consumer is late */
	struct canvas *kept;    /* whose hand-over failed */
	struct record *pending; /* handed over, and not signalled yet */
};

static struct fbk_timeline *producer_timeline(const struct producer_state *state)
{
	return state->lines[state->failures % TIMELINES].timeline;
}

static void canvas_draw(struct canvas *canvas, uint64_t frame)
{
	buffer_write(&canvas->buffer, FRAME_WORD(canvas->state->actor.instance, frame));
}

static void timeline_begin(struct producer_state *state)
{
	state->lines[state->failures % TIMELINES].timeline =
		peer_timeline(state->device, "drawn", 0);
}

/* A frame that is out may not have been looked at. */
static void timelines_close(struct producer_state *state)
{
	uint64_t oldest = state->next;
	for (unsigned int i = 0; i < state->buffer_count; i++) {
		const struct canvas *canvas = &state->canvases[i];
		oldest = canvas->handed && canvas->frame < oldest ? canvas->frame : oldest;
	}
	while (state->closed < state->failures &&
	       state->lines[state->closed % TIMELINES].last < oldest) {
		fbk_timeline_close(state->lines[state->closed++ % TIMELINES].timeline);
	}
	EXPECT(state->failures - state->closed < TIMELINES - 1);
}

static void timeline_replace(struct producer_state *state, uint64_t last)
{
	timelines_close(state);
	state->lines[state->failures++ % TIMELINES].last = last;
	timeline_begin(state);
}

/* Signals the frame's acquire point, or fails it. */
static void frame_signal(struct producer_state *state, struct record *record)
{
	struct fbk_point point = { producer_timeline(state), record->value };
	bool fails = record->flags & RECORD_FAILS;
	record->seen_begin = clock_ns();
	int r = fails ? fbk_timeline_fail(point.timeline, -EIO, NULL) : fbk_point_signal(point);
	if (r < 0) {
		ck_abort_msg("signalling %llu: %s", (unsigned long long)point.value,
			     fbk_error_detail());
	}
	record->seen_end = clock_ns();
	if (fails) {
		timeline_replace(state, record->value);
	}
}

static void pending_finish(struct producer_state *state)
{
	struct record *record = state->pending;
	if (record) {
		struct canvas *canvas = &state->canvases[record->index];
		if (canvas->handed &&
		    canvas->frame == record->value) { /* else no consumer has it */
			canvas_draw(canvas, record->value);
		}
		frame_signal(state, record);
		state->pending = NULL;
	}
}

/* ---------------------------------------------------------------------------------- coming back -- */

static void canvas_back(struct canvas *canvas)
{
	canvas->handed = false;
	canvas->state->handed_count--;
}

static void canvas_released(void *arg, int result)
{
	struct canvas *canvas = arg;
	struct record *record = journal_begin(&canvas->state->actor.journal, 1);
	record->value = canvas->frame;
	record->index = canvas->index;
	record_end(record, result);
	record_publish(record, RECORD_BACK);
	EXPECT(canvas->handed);
	canvas_back(canvas);
}

static void producer_listen(struct producer_state *state, int ms)
{
	readable_within(fbk_context_fd(state->actor.context), ms);
	EXPECT(fbk_dispatch(state->actor.context) >= 0);
}

/* With callbacks: the buffer that came back first. NULL: consumers hold them all. */
static struct canvas *canvas_find(struct producer_state *state)
{
	struct canvas *found = NULL;
	for (unsigned int i = 0; i < state->buffer_count; i++) {
		struct canvas *canvas = &state->canvases[i];
		if (!canvas->handed && (!found || canvas->frame < found->frame)) {
			found = canvas;
		}
	}
	return found;
}

/* The releases that are left to wait for: they are reached, or failed. */
static int releases_await(const struct fbk_release *releases, size_t count, uint64_t deadline_ns)
{
	for (size_t i = 0; i < count; i++) {
		if (fbk_point_wait(releases[i].point, deadline_ns) == -ETIMEDOUT) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

static int exchange_take(struct producer_state *state, uint64_t deadline_ns, uint32_t *ret_index)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	size_t count;
	if (!state->early) {
		return fbk_exchange_take(state->exchange, deadline_ns, ret_index, NULL);
	}
	int r = fbk_exchange_take_early(state->exchange, deadline_ns, ret_index, NULL, releases,
					&count);
	if (r == 0) {
		pending_finish(state); /* maybe it is one of them */
		EXPECT(releases_await(releases, count, deadline_ms(EARLY_MS)) == 0);
	}
	return r;
}

static struct canvas *canvas_take(struct producer_state *state, uint64_t ms)
{
	uint32_t index;
	struct record *record = journal_begin(&state->actor.journal, 1);
	uint64_t deadline = deadline_ms(ms);
	record->deadline = state->early ? deadline_ms(ms + EARLY_MS) : deadline;
	record_publish(record, RECORD_TAKE);
	int r = exchange_take(state, deadline, &index);
	if (r < 0) {
		record->deadline = deadline;
		record_end(record, r);
		return NULL;
	}
	EXPECT(index < state->buffer_count);
	struct canvas *canvas = &state->canvases[index];
	record->index = index;
	if (canvas->handed) {
		record->value = canvas->frame;
		canvas_back(canvas);
	}
	record_end(record, 0);
	return canvas;
}

/* A buffer that is free while the last frame is not signalled yet, or else one that may wait for that signal. */
static struct canvas *canvas_take_any(struct producer_state *state)
{
	struct canvas *canvas = state->pending ? canvas_take(state, 0) : NULL;
	if (!canvas) {
		pending_finish(state);
		canvas = canvas_take(state, TAKE_MS);
	}
	return canvas;
}

static struct canvas *canvas_get(struct producer_state *state)
{
	struct canvas *canvas = state->kept;
	if (state->called_back) {
		producer_listen(state, 0);
	}
	if (canvas) {
		state->kept = NULL;
		return canvas;
	}
	if (!state->called_back) {
		return canvas_take_any(state);
	}
	if (state->handed_count == state->buffer_count) {
		pending_finish(state); /* an unsignalled frame never comes back */
	}
	canvas = canvas_find(state);
	if (!canvas) {
		producer_listen(state, LOOK_MS);
		canvas = canvas_find(state);
	}
	return canvas;
}

/* -------------------------------------------------------------------------------- handing over -- */

static uint64_t back_deadline(struct producer_state *state)
{
	return deadline_ms(state->hasty ? dice_spread(&state->actor.dice, BACK_MIN_MS, HASTY_MS)
					: BACK_MAX_MS);
}

static int canvas_offer(struct canvas *canvas, const struct record *record)
{
	struct producer_state *state = canvas->state;
	struct fbk_point acquire = { producer_timeline(state), record->value };
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	meta.pts_ns = (int64_t)record->value;
	return fbk_exchange_hand(state->exchange, canvas->index, acquire, record->deadline, &meta,
				 state->called_back ? canvas_released : NULL, canvas);
}

/* NULL: nobody wants it. */
static struct record *canvas_hand(struct producer_state *state, struct canvas *canvas)
{
	struct record *record = journal_begin(&state->actor.journal, 1);
	uint64_t before = canvas->frame;
	record->value = state->next;
	record->index = canvas->index;
	record->deadline = back_deadline(state);
	record->flags = dice_below(&state->actor.dice, FAIL_ONE_IN) == 0 ? RECORD_FAILS : 0;
	record_publish(record, RECORD_HAND);
	canvas->frame = state->next;
	canvas->handed = true;
	state->handed_count++;
	int r = canvas_offer(canvas, record);
	record->number = r > 0 ? (uint8_t)r : 0;
	record_end(record, r > 0 ? 0 : r);
	if (r > 0) {
		state->next++;
		atomic_fetch_add(&state->actor.run->board->frames[state->actor.place], 1);
		return record;
	}
	canvas->frame = before;
	canvas_back(canvas);
	state->kept = canvas;
	if (r < 0 && r != -EPIPE) {
		ck_abort_msg("handing over: %d, %s", r, fbk_error_detail());
	}
	return NULL;
}

static void canvas_add(struct canvas *canvas)
{
	buffer_create(&canvas->buffer);
	struct fbk_buffer_desc desc = buffer_desc(&canvas->buffer);
	int r = fbk_exchange_add(canvas->state->exchange, canvas->index, &desc);
	if (r < 0) {
		ck_abort_msg("adding a buffer: %d, %s", r, fbk_error_detail());
	}
}

/* Replaces the buffer by a new one. */
static void canvas_replace(struct canvas *canvas)
{
	int r = fbk_exchange_remove(canvas->state->exchange, canvas->index);
	if (r < 0) {
		ck_abort_msg("removing a buffer: %d, %s", r, fbk_error_detail());
	}
	buffer_destroy(&canvas->buffer);
	canvas_add(canvas);
}

/* Gives up one that is out: whoever reads it keeps the memory, and the producer puts new memory in its place. */
static void canvas_abandon(struct producer_state *state)
{
	uint64_t from = dice_below(&state->actor.dice, state->buffer_count);
	pending_finish(state); /* its holder reads it */
	for (unsigned int i = 0; i < state->buffer_count; i++) {
		struct canvas *canvas = &state->canvases[(from + i) % state->buffer_count];
		if (!canvas->handed) {
			continue;
		}
		struct record *record = journal_begin(&state->actor.journal, 1);
		record->value = canvas->frame;
		record->index = canvas->index;
		record_publish(record, RECORD_ABANDON);
		int r = fbk_exchange_abandon(state->exchange, canvas->index);
		record_end(record, r);
		if (r == 0) {
			canvas_back(canvas);
			buffer_destroy(&canvas->buffer);
			canvas_add(canvas);
		}
		return;
	}
}

/* Without a consumer that wants something: waits for one. */
static void producer_await(struct producer_state *state)
{
	unsigned int which = (unsigned int)dice_below(&state->actor.dice, state->link_count);
	int r = fbk_link_wait(state->links[which], deadline_ms(LOOK_MS));
	if (r < 0 && r != -ETIMEDOUT) {
		ck_abort_msg("waiting for a consumer: %d, %s", r, fbk_error_detail());
	}
	dice_sleep(&state->actor.dice, PAUSED_US); /* it may be there, and paused */
}

static void frame_make(struct producer_state *state)
{
	struct dice *dice = &state->actor.dice;
	struct canvas *canvas = canvas_get(state);
	bool early = dice_below(dice, 2) == 0; /* drawn before the hand-over */
	bool later = dice_below(dice, 3) == 0;
	if (!canvas) {
		return;
	}
	if (dice_below(dice, REPLACE_ONE_IN) == 0) {
		canvas_replace(canvas);
	}
	if (early) {
		canvas_draw(canvas, state->next);
	}
	struct record *record = canvas_hand(state, canvas);
	pending_finish(state); /* first the previous frame: points rise */
	if (!record) {
		producer_await(state);
		return;
	}
	state->pending = record;
	if (!later || record->flags & RECORD_FAILS) { /* the next one has another timeline */
		pending_finish(state);
	}
	if (dice_below(dice, ABANDON_ONE_IN) == 0) {
		canvas_abandon(state);
	}
	if (state->actor.run->base.pause_us) {
		dice_sleep(dice, state->actor.run->base.pause_us);
	}
}

/* ------------------------------------------------------------------------------- birth and death -- */

/* Does a link that is full hold up the others? */
static void link_limit(struct producer_state *state, unsigned int number)
{
	struct dice *dice = &state->actor.dice;
	struct record *record = journal_begin(&state->actor.journal, 1);
	bool limited = dice_below(dice, 2) == 0, skips = dice_below(dice, 2) == 0;
	record->number = (uint8_t)number;
	record->index =
		limited ? 1 + (uint32_t)dice_below(dice, state->buffer_count - HELD_MOST) : 0;
	record->flags = limited && skips ? RECORD_SKIPS : 0;
	record_publish(record, RECORD_DEPTH);
	int r = fbk_exchange_set_depth(state->exchange, state->links[number], record->index,
				       skips ? FBK_WHEN_FULL_SKIP : FBK_WHEN_FULL_WAIT);
	record_end(record, r);
	if (r < 0) {
		ck_abort_msg("limiting a link: %d, %s", r, fbk_error_detail());
	}
}

static void producer_begin(struct producer_state *state)
{
	struct exchange_actor *actor = &state->actor;
	int offers[CONSUMERS_EACH];
	state->device =
		exchange_device(actor->context, "producer", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	timeline_begin(state);
	for (unsigned int i = 0; i < state->link_count; i++) {
		EXPECT(link_offer(state->device, FBK_ROLE_PRODUCER, &offers[i], &state->links[i]) ==
		       0);
		EXPECT((i == 0 ? fbk_exchange_create(state->links[i], &state->exchange)
			       : fbk_exchange_attach(state->exchange, state->links[i])) == 0);
	}
	for (uint32_t i = 0; i < state->buffer_count; i++) {
		struct canvas *canvas = &state->canvases[i];
		*canvas = (struct canvas){ .state = state, .index = i };
		canvas_add(canvas);
	}
	for (unsigned int i = 0; i < state->link_count; i++) {
		link_limit(state, i);
		send_word(actor->socket, OFFER_WORD(actor->instance, i), offers[i]);
		close(offers[i]);
	}
}

/* Waits until all frames came back. */
static void producer_drain(struct producer_state *state)
{
	uint64_t give_up = now_ms() + END_MS;
	pending_finish(state);
	while (state->handed_count > 0 && now_ms() < give_up) {
		if (state->called_back) {
			producer_listen(state, LOOK_MS);
		} else {
			canvas_take(state, TAKE_MS);
		}
	}
}

static void producer_end(struct producer_state *state)
{
	struct record *leaving = exchange_actor_leaving(&state->actor);
	fbk_exchange_destroy(state->exchange);
	for (unsigned int i = 0; i < state->link_count; i++) {
		fbk_link_close(state->links[i]);
	}
	exchange_actor_leave(&state->actor, leaving);
	for (uint32_t i = 0; i < state->buffer_count; i++) {
		buffer_destroy(&state->canvases[i].buffer);
	}
}

int exchange_producer_run(const struct exchange_run *run, unsigned int place, uint32_t instance,
			  unsigned int links, int socket)
{
	static struct producer_state state;
	exchange_actor_init(&state.actor, run, place, instance, socket);
	state.link_count = links;
	state.next = 1;
	state.buffer_count = BUFFERS_MIN + (uint32_t)dice_below(&state.actor.dice,
								BUFFERS_MOST - BUFFERS_MIN + 1);
	state.called_back = dice_below(&state.actor.dice, 2) == 0;
	state.early = !state.called_back && dice_below(&state.actor.dice, 3) == 0;
	state.hasty = dice_below(&state.actor.dice, 3) == 0;
	producer_begin(&state);
	while (!atomic_load(&run->board->over)) {
		frame_make(&state);
	}
	producer_drain(&state);
	producer_end(&state);
	return 0;
}
