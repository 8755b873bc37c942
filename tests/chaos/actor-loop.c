// SPDX-License-Identifier: MIT
/*
 * The event loop of an actor: watches through the context's fd, and eventfds that points were
 * exported to. Fired watches and exports are kept, so that a second callback is seen. Main thread
 * only.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "actor.h"

#define WATCHES 16
#define EXPORTS 6

struct loop;

/* Never freed: a faulty daemon may call back a second time. */
struct watching {
	struct loop *loop;
	struct record *record;
	struct entry *entry; /* NULL once it has fired or was cancelled */
	struct fbk_watch *watch;
};

struct exporting {
	struct record *record;
	struct entry *entry; /* NULL once it was readable */
	int fd;              /* -1: none; kept until another takes the place */
};

struct loop {
	struct actor *actor;
	struct dice *dice;
	struct watching *watching[WATCHES];
	struct exporting exporting[EXPORTS];
};

/* ------------------------------------------------------------------------------------- watches -- */

static void watch_arm(struct loop *loop, unsigned int place);

static unsigned int watch_place(const struct loop *loop, const struct watching *watching)
{
	unsigned int place = 0;
	while (place < WATCHES && loop->watching[place] != watching) {
		place++;
	}
	return place;
}

static void watch_over(struct watching *watching)
{
	struct entry *entry = watching->entry;
	watching->entry = NULL;
	watching->loop->watching[watch_place(watching->loop, watching)] = NULL;
	entry_put(watching->loop->actor, entry);
}

static void on_watch(void *arg, struct fbk_point point, int result)
{
	struct watching *watching = arg;
	struct loop *loop = watching->loop;
	if (watching->record->fires < UINT8_MAX) {
		watching->record->fires++;
	}
	if (!watching->entry) {
		return; /* a second callback, or one after the cancel */
	}
	fbk_watch_cancel(watching->watch);
	unsigned int place = watch_place(loop, watching);
	watching->record->seen_end = fbk_timeline_value(point.timeline);
	record_end(watching->record, result);
	watch_over(watching);
	if (!atomic_load(&loop->actor->drain) && dice_below(loop->dice, 2) == 0) {
		watch_arm(loop, place);
	}
}

static void watch_arm(struct loop *loop, unsigned int place)
{
	struct entry *entry = entry_pick(loop->actor, loop->dice);
	struct watching *watching = calloc(1, sizeof(*watching));
	EXPECT(entry && watching);
	struct record *record = journal_begin(&loop->actor->journal, 1);
	*watching = (struct watching){ .loop = loop, .record = record, .entry = entry };
	record->timeline = entry->id;
	record->deadline = deadline_pick(loop->dice);
	record->seen_begin = fbk_timeline_value(entry->timeline);
	record->value = point_pick(loop->dice, record->seen_begin);
	record_publish(record, RECORD_WATCH);
	loop->watching[place] = watching;
	int r = fbk_point_watch((struct fbk_point){ entry->timeline, record->value },
				record->deadline, on_watch, watching, &watching->watch);
	if (r < 0) {
		record->fires = 1; /* the error is the answer: no callback follows */
		record->seen_end = fbk_timeline_value(entry->timeline);
		record_end(record, r);
		watch_over(watching);
	}
}

static void watch_cancel(struct loop *loop, unsigned int place)
{
	struct watching *watching = loop->watching[place];
	if (watching) {
		fbk_watch_cancel(watching->watch);
		watching->record->flags = RECORD_CANCELLED;
		watching->record->seen_end = fbk_timeline_value(watching->entry->timeline);
		record_end(watching->record, 0);
		watch_over(watching);
	}
}

/* ------------------------------------------------------------------------------------- exports -- */

static bool export_pending(const struct exporting *exporting)
{
	return exporting->entry != NULL;
}

static void export_end(struct loop *loop, struct exporting *exporting, int result)
{
	exporting->record->seen_end = fbk_timeline_value(exporting->entry->timeline);
	record_end(exporting->record, result);
	entry_put(loop->actor, exporting->entry);
	exporting->entry = NULL;
}

static void export_readable(struct loop *loop, struct exporting *exporting)
{
	eventfd_t value = 0;
	EXPECT(eventfd_read(exporting->fd, &value) == 0);
	uint64_t fires = exporting->record->fires + value;
	exporting->record->fires = (uint8_t)(fires < UINT8_MAX ? fires : UINT8_MAX);
	if (export_pending(exporting)) {
		const struct entry *entry = exporting->entry;
		struct fbk_point point = { entry->timeline, exporting->record->value };
		int r = fbk_point_check(point);
		export_end(loop, exporting, r == -EAGAIN ? -ETIMEDOUT : r);
	}
}

static void export_make(struct loop *loop, struct exporting *exporting)
{
	struct entry *entry = entry_pick(loop->actor, loop->dice);
	EXPECT(entry);
	if (exporting->fd >= 0) {
		close(exporting->fd);
		exporting->fd = -1;
	}
	struct record *record = journal_begin(&loop->actor->journal, 1);
	record->timeline = entry->id;
	record->deadline = deadline_pick(loop->dice);
	record->seen_begin = fbk_timeline_value(entry->timeline);
	record->value = point_pick(loop->dice, record->seen_begin);
	record_publish(record, RECORD_EXPORT);
	exporting->record = record;
	exporting->entry = entry;
	int r = fbk_point_export((struct fbk_point){ entry->timeline, record->value },
				 FBK_FENCE_EVENTFD, record->deadline, &exporting->fd);
	if (r < 0) {
		record->fires = 1;
		export_end(loop, exporting, r);
	}
}

/* ------------------------------------------------------------------------------------ the loop -- */

static bool loop_pending(const struct loop *loop)
{
	for (unsigned int i = 0; i < WATCHES; i++) {
		if (loop->watching[i]) {
			return true;
		}
	}
	for (unsigned int i = 0; i < EXPORTS; i++) {
		if (export_pending(&loop->exporting[i])) {
			return true;
		}
	}
	return false;
}

static void loop_poll(struct loop *loop)
{
	struct pollfd fds[2 + EXPORTS] = {
		{ .fd = fbk_context_fd(loop->actor->context), .events = POLLIN },
		{ .fd = loop->actor->socket, .events = POLLIN },
	};
	for (unsigned int i = 0; i < EXPORTS; i++) {
		fds[2 + i] = (struct pollfd){ .fd = loop->exporting[i].fd, .events = POLLIN };
	}
	int ready = poll(fds, 2 + EXPORTS, (int)dice_spread(loop->dice, 1, 8));
	for (unsigned int i = 0; ready > 0 && i < EXPORTS; i++) {
		if (fds[2 + i].revents) {
			export_readable(loop, &loop->exporting[i]);
		}
	}
	if (ready > 0 && fds[0].revents) {
		if (fbk_dispatch(loop->actor->context) < 0) {
			ck_abort_msg("fbk_dispatch: %s", fbk_error_detail());
		}
	}
}

static void loop_arm(struct loop *loop)
{
	for (unsigned int i = 0; i < WATCHES; i++) {
		if (!loop->watching[i] && dice_below(loop->dice, 4) == 0) {
			watch_arm(loop, i);
		}
	}
	for (unsigned int i = 0; i < EXPORTS; i++) {
		if (!export_pending(&loop->exporting[i]) && dice_below(loop->dice, 8) == 0) {
			export_make(loop, &loop->exporting[i]);
		}
	}
	if (dice_below(loop->dice, 4) == 0) {
		watch_cancel(loop, (unsigned int)dice_below(loop->dice, WATCHES));
	}
}

void actor_loop(struct actor *actor, struct dice *dice, bool (*over)(struct actor *actor))
{
	struct loop loop = { .actor = actor, .dice = dice };
	for (unsigned int i = 0; i < EXPORTS; i++) {
		loop.exporting[i].fd = -1;
	}
	while (!over(actor)) {
		loop_arm(&loop);
		loop_poll(&loop);
	}
	while (loop_pending(&loop)) {
		over(actor); /* tokens still come */
		loop_poll(&loop);
	}
}
