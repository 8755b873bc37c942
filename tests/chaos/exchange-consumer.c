// SPDX-License-Identifier: MIT
/*
 * Consumers. The kind of device is random, and decides the route of the acquire; how long frames
 * are held, and how they are released, is random too. A frame is read when it is readable and once
 * more before it is released.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exchange-actor.h"
#include "exchange-record.h"

#define WORDS       (BUFFER_SIZE / sizeof(uint64_t))
#define HELD_MOST   3
#define NEXT_MS     2000
#define READY_MS    10000
#define RETRY_US    2000 /* while the daemon may not yet know that the previous consumer died */
#define WORK_MAX_US 500

struct consumer_state;

/* How a kind of device waits until a frame is readable: 0, or an error. */
typedef int ready_fn(struct consumer_state *state, struct fbk_frame *frame,
		     struct fbk_point acquire, uint64_t deadline_ns);

struct consumer_kind {
	uint32_t waits;
	ready_fn *ready; /* NULL: a frame is readable when it comes */
};

struct consumer_state {
	struct exchange_actor actor;
	struct fbk_device *device;
	const struct consumer_kind *kind;
	unsigned int held_most;
	struct fbk_link *link;
	uint64_t word; /* of the offer */
	int offer;     /* -1: none */
	const uint64_t *maps[FBK_BUFFERS_MAX];
	ino_t inodes[FBK_BUFFERS_MAX]; /* of the mapped memory */
	struct fbk_frame *held[HELD_MOST];
	struct record *records[HELD_MOST];
	unsigned int held_count;
	bool loops;   /* its own dispatch reports frames */
	bool told;    /* a frame, or the end of the link */
	bool listens; /* another thread dispatches the link's phases, and sees its end first */
	pthread_mutex_t dispatching;
	_Atomic bool quiet;
};

/* ------------------------------------------------------------------------- what is readable when -- */

static int ready_point(struct consumer_state *state, struct fbk_frame *frame,
		       struct fbk_point acquire, uint64_t deadline_ns)
{
	(void)state;
	(void)frame;
	return fbk_point_wait(acquire, deadline_ns);
}

static int ready_fd(struct consumer_state *state, struct fbk_frame *frame, struct fbk_point acquire,
		    uint64_t deadline_ns)
{
	(void)state;
	struct pollfd entry = { .fd = fbk_frame_acquire_fd(frame), .events = POLLIN };
	if (entry.fd < 0) {
		return entry.fd;
	}
	uint64_t now = now_ms();
	int left = deadline_ns / 1000000 > now ? (int)(deadline_ns / 1000000 - now) : 0;
	int r = poll(&entry, 1, left + 1);
	EXPECT(r >= 0);
	return r == 0 ? -ETIMEDOUT : fbk_point_check(acquire);
}

struct opening {
	bool opened;
	int result;
};

static void gate_opens(void *arg, struct fbk_point point, int result)
{
	struct opening *opening = arg;
	(void)point;
	opening->opened = true;
	opening->result = result;
}

static int ready_gate(struct consumer_state *state, struct fbk_frame *frame,
		      struct fbk_point acquire, uint64_t deadline_ns)
{
	struct opening opening = { 0 };
	(void)frame;
	struct fbk_gate *gate;
	struct fbk_context *context = state->actor.context;
	int r = fbk_gate_function(acquire, deadline_ns, gate_opens, &opening, &gate);
	while (r >= 0 && !opening.opened) {
		readable_within(fbk_context_fd(context), READY_MS);
		r = fbk_dispatch(context);
	}
	return r < 0 ? r : opening.result;
}

/* By routes native, eventfd, gate and cpu-wait. */
static const struct consumer_kind kinds[] = {
	{ FBK_MEMORY64, ready_point },
	{ FBK_EVENTFD, ready_fd },
	{ 0, ready_gate },
	{ FBK_SYNC_FILE, NULL },
};

static int frame_await(struct consumer_state *state, struct fbk_frame *frame,
		       struct fbk_point acquire)
{
	if (!state->kind->ready) {
		return 0;
	}
	struct record *record = journal_begin(&state->actor.journal, 1);
	record->timeline = OFFER_INSTANCE(state->word);
	record->number = (uint8_t)OFFER_NUMBER(state->word);
	record->value = acquire.value;
	record->deadline = deadline_ms(READY_MS);
	record_publish(record, RECORD_READY);
	int r = state->kind->ready(state, frame, acquire, record->deadline);
	record_end(record, r);
	return r;
}

/* ------------------------------------------------------------------------------------ one frame -- */

static void frame_look(struct record *record, const uint64_t *words)
{
	for (size_t i = 0; i < WORDS; i++) {
		/* volatile: with a bug, the producer writes at the same time */
		uint64_t word = *(const volatile uint64_t *)&words[i];
		record->seen_begin = word < record->seen_begin ? word : record->seen_begin;
		record->seen_end = word > record->seen_end ? word : record->seen_end;
	}
}

/* NULL: the producer is gone, as another thread saw, and its frames are closed. */
static const uint64_t *frame_map(struct consumer_state *state, struct fbk_frame *frame,
				 uint32_t index)
{
	const uint64_t **map = &state->maps[index];
	struct stat stat;
	int fd = frame_fd(frame);
	if (fd < 0 || fstat(fd, &stat) < 0) {
		return NULL;
	}
	if (*map && state->inodes[index] != stat.st_ino) {
		munmap((void *)(uintptr_t)*map, BUFFER_SIZE);
		*map = NULL;
	}
	if (!*map) {
		void *memory = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, fd, 0);
		*map = memory == MAP_FAILED ? NULL : memory;
		state->inodes[index] = stat.st_ino;
	}
	return frame_fd(frame) == fd ? *map : NULL; /* else maybe another fd by now */
}

static struct record *frame_record(struct consumer_state *state, uint64_t value, uint32_t index)
{
	struct record *record = journal_begin(&state->actor.journal, 1);
	record->timeline = OFFER_INSTANCE(state->word);
	record->number = (uint8_t)OFFER_NUMBER(state->word);
	record->value = value;
	record->index = index;
	record->seen_begin = UINT64_MAX;
	return record;
}

/* The last read: from here on the content belongs to the producer. */
static void frame_let_go(struct record *record, const uint64_t *words, int result)
{
	frame_look(record, words);
	record_end(record, result);
}

/* Releases at a point that is signalled later. */
static int release_at(struct consumer_state *state, struct fbk_frame *frame, struct record *record,
		      const uint64_t *words)
{
	struct fbk_point point;
	int r = fbk_frame_release_later(frame, &point);
	dice_dither(&state->actor.dice);
	frame_let_go(record, words, 0);
	EXPECT(r < 0 || fbk_point_signal(point) == 0);
	return r;
}

static int release_on(struct consumer_state *state, struct fbk_frame *frame, struct record *record,
		      const uint64_t *words)
{
	uint64_t one = 1;
	record->flags = RECORD_BY_FENCE;
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int passed = fence < 0 ? -1 : dup(fence);
	EXPECT(passed >= 0);
	int r = fbk_frame_release_on(frame, passed);
	dice_dither(&state->actor.dice);
	frame_let_go(record, words, 0);
	EXPECT(write(fence, &one, sizeof(one)) == sizeof(one));
	close(fence);
	return r;
}

static int frame_give_back(struct consumer_state *state, struct fbk_frame *frame,
			   struct record *record)
{
	const uint64_t *words = state->maps[record->index];
	struct dice *dice = &state->actor.dice;
	uint64_t manner = dice_below(dice, 16);
	if (manner < 4) {
		return release_at(state, frame, record, words);
	}
	if (manner < 6) {
		return release_on(state, frame, record, words);
	}
	int result = dice_below(dice, 50) == 0 ? -EIO : 0;
	frame_let_go(record, words, result);
	return fbk_frame_release(frame, result);
}

/* ------------------------------------------------------------------------------------- the link -- */

static void frames_forget(struct consumer_state *state)
{
	for (unsigned int i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (state->maps[i]) {
			munmap((void *)(uintptr_t)state->maps[i], BUFFER_SIZE);
			state->maps[i] = NULL;
		}
	}
	while (state->held_count > 0) {
		fbk_frame_unref(state->held[--state->held_count]);
	}
}

static void link_leave(struct consumer_state *state)
{
	struct record *record = journal_begin(&state->actor.journal, 1);
	record->timeline = OFFER_INSTANCE(state->word);
	record->number = (uint8_t)OFFER_NUMBER(state->word);
	record_publish(record, RECORD_PART);
	pthread_mutex_lock(&state->dispatching);
	fbk_link_close(state->link);
	pthread_mutex_unlock(&state->dispatching);
	record_end(record, 0);
	state->link = NULL;
	frames_forget(state);
}

/* Releases the oldest frame. The next fbk_link_next() reports a link that has ended. */
static void oldest_release(struct consumer_state *state)
{
	struct record *record = state->records[0];
	int r = frame_give_back(state, state->held[0], record);
	fbk_frame_unref(state->held[0]);
	if (r == 0) {
		record->deadline = clock_ns();
	}
	EXPECT(r == 0 || r == -ESTALE || r == -EPIPE || r == -EOWNERDEAD || r == -EBADF);
	state->held_count--;
	memmove(&state->held[0], &state->held[1], state->held_count * sizeof(state->held[0]));
	memmove(&state->records[0], &state->records[1],
		state->held_count * sizeof(state->records[0]));
}

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
	int r = fbk_link_watch(state->link, next_told, state);
	while (r >= 0 && !state->told && clock_ns() < deadline_ns) {
		uint64_t left_ms = (deadline_ns - clock_ns()) / 1000000 + 1;
		readable_within(fbk_context_fd(context), (int)left_ms);
		r = fbk_dispatch(context);
	}
}

/* 0: one more is held. */
static int frame_get(struct consumer_state *state)
{
	struct fbk_frame *frame;
	struct record *record = journal_begin(&state->actor.journal, 1);
	record->timeline = OFFER_INSTANCE(state->word);
	record->number = (uint8_t)OFFER_NUMBER(state->word);
	record->deadline = state->held_count > 0 ? record->begin : deadline_ms(NEXT_MS);
	record_publish(record, RECORD_NEXT);
	if (state->loops && state->held_count == 0) {
		frame_listen(state, record->deadline);
	}
	int r = fbk_link_next(state->link, record->deadline, &frame);
	struct fbk_point acquire = r == 0 ? fbk_frame_acquire(frame) : FBK_POINT_SIGNALLED;
	uint32_t index = r == 0 ? fbk_frame_index(frame) : 0;
	if (r == 0) {
		record->value = acquire.value;
		/* the frame may be closed at any time, once another thread sees the end of the
		 * link */
		r = frame_fd(frame) < 0 || !acquire.timeline || !acquire.value ? -EPIPE : 0;
	}
	record_end(record, r);
	if (r < 0) {
		return r;
	}
	r = frame_await(state, frame, acquire);
	if (r < 0) { /* the producer died, or was stopped for long */
		while (state->held_count > 0) {
			oldest_release(state);
		}
		frame_release(frame, r);
		return r;
	}
	const uint64_t *words = frame_map(state, frame, index);
	if (!words) {
		return -EPIPE;
	}
	record = frame_record(state, record->value, index);
	record_publish(record, RECORD_FRAME);
	frame_look(record, words);
	state->held[state->held_count] = frame;
	state->records[state->held_count++] = record;
	return 0;
}

static void consumer_turn(struct consumer_state *state)
{
	struct dice *dice = &state->actor.dice;
	int r = frame_get(state);
	if (r == -EPIPE || r == -ESTALE || (r == -ENOTCONN && fbk_link_cause(state->link)[0])) {
		link_leave(state);
		return;
	}
	EXPECT(r == 0 || r == -ETIMEDOUT || r == -EOWNERDEAD);
	if (dice_below(dice, 8) == 0) {
		dice_sleep(dice, WORK_MAX_US);
	}
	if (state->held_count == state->held_most || (state->held_count > 0 && r < 0)) {
		oldest_release(state);
	}
	if (dice_below(dice, 5000) == 0) { /* and accepts again */
		link_leave(state);
	}
}

/* ------------------------------------------------------------------------------ another thread -- */

static void link_changed(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	(void)arg;
	(void)link;
	EXPECT(phase >= FBK_LINK_OFFERED && phase <= FBK_LINK_ENDED);
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

static void offer_accept(struct consumer_state *state)
{
	struct exchange_actor *actor = &state->actor;
	offer_take(state, state->offer >= 0 ? 0 : 10);
	if (state->offer < 0) {
		return;
	}
	struct record *record = journal_begin(&actor->journal, 1);
	record->timeline = OFFER_INSTANCE(state->word);
	record->number = (uint8_t)OFFER_NUMBER(state->word);
	record_publish(record, RECORD_ACCEPT);
	int r = link_accept(state->device, state->offer, &state->link);
	record_end(record, r);
	if (r < 0) { /* taken, or the offerer is gone: another offer comes */
		state->link = NULL;
		dice_sleep(&actor->dice, RETRY_US);
	} else if (state->listens) {
		pthread_mutex_lock(&state->dispatching);
		EXPECT(fbk_link_listen(state->link, link_changed, state) == 0);
		pthread_mutex_unlock(&state->dispatching);
	}
}

int exchange_consumer_run(const struct exchange_run *run, unsigned int place, uint32_t instance,
			  int socket)
{
	static struct consumer_state state;
	exchange_actor_init(&state.actor, run, place, instance, socket);
	struct dice *dice = &state.actor.dice;
	state.offer = -1;
	state.kind = &kinds[dice_below(dice, sizeof(kinds) / sizeof(kinds[0]))];
	state.held_most = 1 + (unsigned int)dice_below(dice, HELD_MOST);
	state.device = exchange_device(state.actor.context, "consumer", state.kind->waits,
				       FBK_MEMORY64 | FBK_EVENTFD);
	/* a consumer with gates dispatches by itself */
	state.listens = state.kind->ready != ready_gate && dice_below(dice, 2) == 0;
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
