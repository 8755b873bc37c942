// SPDX-License-Identifier: MIT
#include "affected.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/core/link.h"
#include "daemon/core/pair.h"
#include "daemon/core/watch.h"
#include "daemon/translate/export.h"
#include "daemon/translate/import.h"

/* ------------------------------------------------------------------------------- the sentences -- */

__attribute__((format(printf, 2, 3))) static void affected_add(struct affected *affected,
							       const char *format, ...)
{
	size_t room = AFFECTED_BYTES - affected->used;
	size_t size = room < AFFECTED_SENTENCE ? room : AFFECTED_SENTENCE;
	char *text = affected->bytes + affected->used;
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text, size, format, args);
	va_end(args);
	if (length < 0) {
		return;
	}
	/* Names are short: only a full packet cuts a sentence, or it is full of sentences. */
	if ((size_t)length >= size || affected->message.n_text == AFFECTED_MAX ||
	    affected->more > 0) {
		affected->more++;
		return;
	}
	affected->list[affected->message.n_text++] = text;
	affected->used += (size_t)length + 1;
}

static void affected_add_timeline(struct affected *affected, const struct timeline *timeline)
{
	const struct device *device = timeline->device;
	affected_add(affected, "%s (timeline %llu) of %s (pid %d, uid %u) fails from point %llu",
		     timeline->name, (unsigned long long)timeline->id, device->name, device->pid,
		     device->uid, (unsigned long long)timeline->seen + 1);
}

static void affected_add_wait(struct affected *affected, const struct wait *wait)
{
	const char *way = wait_way_name(wait->way);
	unsigned long long value = wait->value;
	const char *name = wait->timeline->name;
	if (wait->waiter) {
		affected_add(affected, "%s waits for point %llu of %s (%s)",
			     client_label(wait->waiter), value, name, way);
	} else {
		affected_add(affected,
			     "a %s of uid %u, whose process is gone, waits for point %llu "
			     "of %s",
			     way, wait->uid, value, name);
	}
}

static void affected_begin(struct affected *affected)
{
	fbk__wire__affected__init(&affected->message);
	affected->message.text = affected->list;
	affected->used = 0;
	affected->more = 0;
	affected->work = 0;
}

static void affected_end(struct affected *affected)
{
	bool whole = affected->work < AFFECTED_WORK_MAX;
	if (affected->more == 0 && whole) {
		return;
	}
	snprintf(affected->last, sizeof(affected->last), "and %llu more%s",
		 (unsigned long long)affected->more,
		 whole ? "" : " at least: there are too many waits to look at");
	affected->list[affected->message.n_text++] = affected->last;
}

/* ----------------------------------------------------------------------------------- the waits -- */

/* What ends: the timeline, or all that the client signals. */
struct subject {
	struct affected *affected;
	const struct timeline *timeline;
	const struct client *client;
};

static bool subject_has(const struct subject *subject, const struct timeline *timeline)
{
	return timeline && timeline->cause == FBK_CAUSE_NONE &&
	       (timeline == subject->timeline ||
		(subject->client && timeline_signaler(timeline) == subject->client));
}

static void take(const struct subject *subject, struct wait wait)
{
	if (subject_has(subject, wait.timeline) &&
	    timeline_point_state(wait.timeline, wait.value) == -EAGAIN) {
		affected_add_wait(subject->affected, &wait);
	}
}

static bool worked(const struct subject *subject)
{
	return subject->affected->work++ < AFFECTED_WORK_MAX;
}

static void take_handle(const struct subject *subject, const struct handle *handle)
{
	const struct watch *watch;
	take(subject, link_wait(handle)); /* for a lane, by the handle of the link's state */
	if (!subject_has(subject, handle->timeline)) {
		return;
	}
	take(subject, handle_wait(handle));
	take(subject, pair_wait(handle));
	take(subject, import_wait(handle));
	LIST_FOREACH(watch, &handle->watches, links) {
		if (!worked(subject)) {
			return;
		}
		take(subject, watch_wait(watch));
	}
}

static void take_client(const struct subject *subject, const struct client *client)
{
	const struct export *export;
	for (uint32_t number = 1; number < client->handles_size && worked(subject); number++) {
		if (client->handles[number]) {
			take_handle(subject, client->handles[number]);
		}
	}
	LIST_FOREACH(export, &client->exports, links) {
		if (!worked(subject)) {
			return;
		}
		take(subject, export_wait(export));
	}
}

static void take_all(const struct subject *subject, const struct translator *translator)
{
	const struct client *client;
	const struct export *export;
	LIST_FOREACH(client, &translator->registry->clients, links) {
		if (client != subject->client && !client->ending) {
			take_client(subject, client);
		}
	}
	LIST_FOREACH(export, &translator->promises, links) {
		if (!worked(subject)) {
			return;
		}
		take(subject, export_wait(export));
	}
}

void affected_by_timeline(struct affected *ret, const struct translator *translator,
			  const struct timeline *timeline)
{
	const struct subject subject = { .affected = ret, .timeline = timeline };
	affected_begin(ret);
	affected_add_timeline(ret, timeline);
	take_all(&subject, translator);
	affected_end(ret);
}

void affected_by_client(struct affected *ret, const struct translator *translator,
			const struct client *client)
{
	const struct subject subject = { .affected = ret, .client = client };
	affected_begin(ret);
	affected_add(ret, "%s is disconnected", client_label(client));
	for (uint32_t number = 1; number < client->handles_size; number++) {
		const struct handle *handle = client->handles[number];
		if (handle && subject_has(&subject, handle->timeline)) {
			affected_add_timeline(ret, handle->timeline);
		}
	}
	take_all(&subject, translator);
	affected_end(ret);
}
