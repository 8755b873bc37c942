// SPDX-License-Identifier: MIT
#include "session-object.h"

#include <errno.h>
#include <stdlib.h>

#include "device.h"

#define SET_SIZE 65536 /* 511 timelines; only touched pages cost memory */

struct session_set {
	LIST_ENTRY(session_set) links;
	uint32_t number;
	struct set *set;
};

static struct session_set *set_entry(const struct session *session, uint32_t number)
{
	struct session_set *entry;
	LIST_FOREACH(entry, &session->sets, links) {
		if (entry->number == number) {
			return entry;
		}
	}
	return NULL;
}

int session_set_create(struct session *session, uint32_t *ret_number)
{
	struct session_set *entry = calloc(1, sizeof(*entry));
	if (!entry) {
		return -ENOMEM;
	}
	int r = set_create(session->broker, session->user, SET_SIZE, &entry->set);
	if (r < 0) {
		free(entry);
		return r;
	}
	entry->number = ++session->next_object;
	LIST_INSERT_HEAD(&session->sets, entry, links);
	*ret_number = entry->number;
	return 0;
}

static void set_entry_destroy(struct session_set *entry)
{
	LIST_REMOVE(entry, links);
	set_unref(entry->set);
	free(entry);
}

int session_set_destroy(struct session *session, uint32_t number)
{
	struct session_set *entry = set_entry(session, number);
	if (!entry) {
		return -ENOENT;
	}
	set_entry_destroy(entry);
	return 0;
}

struct set *session_set_find(const struct session *session, uint32_t number)
{
	struct session_set *entry = set_entry(session, number);
	return entry ? entry->set : NULL;
}

void session_objects_destroy(struct session *session)
{
	while (!LIST_EMPTY(&session->devices)) {
		device_unregister(LIST_FIRST(&session->devices));
	}
	while (!LIST_EMPTY(&session->sets)) {
		set_entry_destroy(LIST_FIRST(&session->sets));
	}
}
