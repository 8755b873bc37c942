// SPDX-License-Identifier: MIT
/*
 * A consumer's frames. The kind of device decides the route of the acquire. A frame is read when it is readable, and once
 * more before it is given back: in any order, at once or at a point or fence of its own that is reached or fails later.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exchange-consumer.h"

#define WORDS         (BUFFER_SIZE / sizeof(uint64_t))
#define KEEP_MIN_NS   UINT64_C(1000000)
#define KEEP_MAX_NS   UINT64_C(2000000000)
#define KEEP_ONE_IN   200
#define FAIL_ONE_IN   30 /* of all releases */
#define REPEAT_ONE_IN 50

/* ------------------------------------------------------------------------- what is readable when -- */

/* It is when it comes, or has failed. */
static int ready_already(struct consumer_state *state, struct fbk_frame *frame,
			 struct fbk_point acquire, uint64_t deadline_ns)
{
	(void)state;
	(void)acquire;
	(void)deadline_ns;
	return fbk_frame_error(frame);
}

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
	(void)acquire;
	struct pollfd entry = { .fd = fbk_frame_acquire_fd(frame, deadline_ns), .events = POLLIN };
	if (entry.fd < 0) {
		return entry.fd;
	}
	uint64_t now = now_ms();
	int left = deadline_ns / 1000000 > now ? (int)(deadline_ns / 1000000 - now) : 0;
	int r = poll(&entry, 1, left + 1);
	EXPECT(r >= 0);
	return r == 0 ? -ETIMEDOUT : fbk_frame_error(frame);
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
	struct fbk_context *context = state->actor.context;
	int r = fbk_point_watch(acquire, deadline_ns, gate_opens, &opening, NULL);
	while (r >= 0 && !opening.opened) {
		readable_within(fbk_context_fd(context), READY_MS);
		r = fbk_dispatch(context);
	}
	return r < 0 ? r : opening.result;
}

/* By routes native, eventfd, gate and cpu-wait. */
const struct consumer_kind consumer_kinds[] = {
	{ FBK_FENCE_MEMORY64, ready_point },
	{ FBK_FENCE_EVENTFD, ready_fd },
	{ 0, ready_gate },
	{ FBK_FENCE_SYNC_FILE, ready_already },
};
const size_t consumer_kind_count = sizeof(consumer_kinds) / sizeof(consumer_kinds[0]);

uint64_t frame_number(const struct fbk_frame *frame)
{
	uint64_t value = fbk_frame_acquire(frame).value;
	/* its producer closed the timeline, as when it died: there is no such point any more */
	return value == FBK_POINT_MAX ? (uint64_t)fbk_frame_meta(frame)->pts_ns : value;
}

static int frame_await(struct consumer_state *state, struct fbk_frame *frame,
		       struct fbk_point acquire)
{
	struct record *record = consumer_record(state);
	record->value = frame_number(frame);
	record->deadline = deadline_ms(READY_MS);
	record_publish(record, RECORD_READY);
	int r = state->kind->ready(state, frame, acquire, record->deadline);
	record_end(record, r);
	return r;
}

/* ------------------------------------------------------------------------------------ its memory -- */

/* Of a buffer, as long as an item reads it or no other memory came at its index. */
struct map {
	const uint64_t *words;
	ino_t inode;
	unsigned int users;
};

static void map_unref(struct map *map)
{
	if (map && --map->users == 0) {
		munmap((void *)(uintptr_t)map->words, BUFFER_SIZE);
		free(map);
	}
}

static struct map *map_create(int fd, ino_t inode)
{
	struct map *map = malloc(sizeof(*map));
	void *memory = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT(map && memory != MAP_FAILED);
	*map = (struct map){ .words = memory, .inode = inode, .users = 1 };
	return map;
}

static struct map *frame_map(struct consumer_state *state, const struct fbk_frame *frame)
{
	struct map **map = &state->maps[fbk_frame_index(frame)];
	struct stat stat;
	EXPECT(fstat(frame_fd(frame), &stat) == 0);
	if (*map && (*map)->inode != stat.st_ino) {
		map_unref(*map);
		*map = NULL;
	}
	if (!*map) {
		*map = map_create(frame_fd(frame), stat.st_ino);
	}
	(*map)->users++;
	return *map;
}

static void item_look(const struct item *item)
{
	struct record *record = item->record;
	for (size_t i = 0; i < WORDS; i++) {
		/* volatile: with a bug, the producer writes at the same time */
		uint64_t word = *(const volatile uint64_t *)&item->map->words[i];
		record->seen_begin = word < record->seen_begin ? word : record->seen_begin;
		record->seen_end = word > record->seen_end ? word : record->seen_end;
	}
}

/* ----------------------------------------------------------------------------------- coming and going -- */

static void item_remove(struct consumer_state *state, struct item *item)
{
	state->held -= item->frame != NULL;
	fbk_frame_unref(item->frame);
	map_unref(item->map);
	if (item->fence >= 0) {
		close(item->fence);
	}
	*item = state->items[--state->item_count];
}

int item_add(struct consumer_state *state, struct fbk_frame *frame)
{
	struct dice *dice = &state->actor.dice;
	struct fbk_point acquire = fbk_frame_acquire(frame);
	int r = frame_await(state, frame, acquire);
	if (r <
	    0) { /* the producer died, was stopped for long, or failed it; of a failed one that is the default */
		frame_release(frame, r == -ETIMEDOUT ? r : 0);
		return r;
	}
	struct item *item = &state->items[state->item_count++];
	*item = (struct item){ .frame = frame, .fence = -1, .map = frame_map(state, frame) };
	if (dice_below(dice, KEEP_ONE_IN) == 0) {
		item->keep = clock_ns() + dice_spread(dice, KEEP_MIN_NS, KEEP_MAX_NS);
	}
	item->record = consumer_record(state);
	item->record->value = frame_number(frame);
	item->record->index = fbk_frame_index(frame);
	item->record->seen_begin = UINT64_MAX;
	record_publish(item->record, RECORD_FRAME);
	item_look(item);
	state->held++;
	return 0;
}

/* The last read: from here on the content belongs to the producer. */
static void item_end(struct item *item, int result)
{
	item_look(item);
	record_end(item->record, result);
}

/* The producer is gone, or gave up the buffer. */
static void item_refused(struct consumer_state *state, struct item *item, int error)
{
	EXPECT(error == -ESTALE || error == -EPIPE || error == -EOWNERDEAD || error == -EBADF);
	item->record->fires = (uint8_t)-error;
	/* relaxed: this thread stores it */
	if (atomic_load_explicit(&item->record->end, memory_order_relaxed) == 0) {
		item_end(item, 0);
	}
	item_remove(state, item);
}

/* Released, and not finished. Releasing it once more changes nothing. */
static void item_released(struct consumer_state *state, struct item *item)
{
	if (dice_below(&state->actor.dice, REPEAT_ONE_IN) == 0) {
		EXPECT(fbk_frame_release(item->frame, -EIO) == -ESTALE);
	}
	fbk_frame_unref(item->frame);
	item->frame = NULL;
	state->held--;
}

static void item_release_now(struct consumer_state *state, struct item *item)
{
	int result = dice_below(&state->actor.dice, FAIL_ONE_IN) == 0 ? -EIO : 0;
	item_end(item, result);
	int r = fbk_frame_release(item->frame, result);
	if (r < 0) {
		item_refused(state, item, r);
		return;
	}
	item->record->deadline = clock_ns();
	item_released(state, item);
	item_remove(state, item);
}

static void item_release_later(struct consumer_state *state, struct item *item)
{
	int r = fbk_frame_release_later(item->frame, &item->point);
	if (r < 0) {
		item_refused(state, item, r);
		return;
	}
	item_released(state, item);
}

static void item_release_on(struct consumer_state *state, struct item *item)
{
	item->fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int passed = item->fence < 0 ? -1 : dup(item->fence);
	EXPECT(passed >= 0);
	item->record->flags = RECORD_BY_FENCE;
	int r = fbk_frame_release_on(item->frame, passed);
	if (r < 0) {
		item_refused(state, item, r);
		return;
	}
	item_released(state, item);
}

static void item_release(struct consumer_state *state, struct item *item)
{
	bool room = state->item_count - state->held < PENDING_MOST;
	uint64_t manner = dice_below(&state->actor.dice, 16);
	if (manner < 4 && room) {
		item_release_later(state, item);
	} else if (manner < 6 && room) {
		item_release_on(state, item);
	} else {
		item_release_now(state, item);
	}
}

/* Its own point or fence, and with it the buffer. */
static void item_finish(struct consumer_state *state, struct item *item)
{
	struct dice *dice = &state->actor.dice;
	uint64_t one = 1;
	bool fails = item->fence < 0 && dice_below(dice, FAIL_ONE_IN) == 0;
	dice_dither(dice);
	item_end(item, fails ? -EIO : 0);
	if (item->fence >= 0) {
		EXPECT(write(item->fence, &one, sizeof(one)) == sizeof(one));
	} else {
		EXPECT((fails ? fbk_timeline_fail(item->point.timeline, -EIO, NULL)
			      : fbk_point_signal(item->point)) == 0);
	}
	item->record->deadline = clock_ns();
	item_remove(state, item);
}

/* ----------------------------------------------------------------------------------- any of them -- */

/* Held or released, and not kept. NULL: there is none. */
static struct item *item_pick(struct consumer_state *state, bool held)
{
	unsigned int from = (unsigned int)dice_below(&state->actor.dice, HELD_MOST + PENDING_MOST);
	for (unsigned int i = 0; i < state->item_count; i++) {
		struct item *item = &state->items[(from + i) % state->item_count];
		bool kept = item->keep && clock_ns() < item->keep &&
			    !atomic_load(&state->actor.run->board->over);
		if ((item->frame != NULL) == held && !(held && kept)) {
			return item;
		}
	}
	return NULL;
}

bool item_release_any(struct consumer_state *state)
{
	struct item *item = item_pick(state, true);
	if (item) {
		item_release(state, item);
	}
	return item;
}

bool item_finish_any(struct consumer_state *state)
{
	struct item *item = item_pick(state, false);
	if (item) {
		item_finish(state, item);
	}
	return item;
}

void items_let_go(struct consumer_state *state)
{
	for (unsigned int i = 0; i < state->item_count; i++) {
		item_end(&state->items[i], -ECANCELED);
	}
}

void items_forget(struct consumer_state *state)
{
	while (state->item_count > 0) {
		struct item *item = &state->items[state->item_count - 1];
		uint64_t one = 1;
		/* nobody else raises it, and the daemon waits for that */
		EXPECT(item->fence < 0 || write(item->fence, &one, sizeof(one)) == sizeof(one));
		item->record->deadline = clock_ns();
		if (item->frame) { /* an object still, but held no more */
			EXPECT(fbk_frame_release(item->frame, 0) == -ESTALE);
		}
		item_remove(state, item);
	}
	for (unsigned int i = 0; i < FBK_BUFFERS_MAX; i++) {
		map_unref(state->maps[i]);
		state->maps[i] = NULL;
	}
}
