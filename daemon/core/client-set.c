// SPDX-License-Identifier: MIT
#include "client-set.h"

#include <errno.h>
#include <stdlib.h>

#define SET_SIZE 65536 /* 511 timelines; only touched pages cost memory */

struct client_set {
	LIST_ENTRY(client_set) links;
	uint32_t number;
	struct set *set;
};

static struct client_set *set_entry(const struct client *client, uint32_t number)
{
	struct client_set *entry;
	LIST_FOREACH(entry, &client->sets, links) {
		if (entry->number == number) {
			return entry;
		}
	}
	return NULL;
}

int client_set_create(struct client *client, uint32_t number)
{
	if (set_entry(client, number)) {
		return 0;
	}
	struct client_set *entry = calloc(1, sizeof(*entry));
	if (!entry) {
		return -ENOMEM;
	}
	int r = set_create(client->registry, client->user, SET_SIZE, &entry->set);
	if (r < 0) {
		free(entry);
		return r;
	}
	entry->number = number;
	LIST_INSERT_HEAD(&client->sets, entry, links);
	return 0;
}

static void set_entry_destroy(struct client_set *entry)
{
	LIST_REMOVE(entry, links);
	set_unref(entry->set);
	free(entry);
}

int client_set_destroy(struct client *client, uint32_t number)
{
	struct client_set *entry = set_entry(client, number);
	if (!entry) {
		return -ENOENT;
	}
	set_entry_destroy(entry);
	return 0;
}

struct set *client_set_find(const struct client *client, uint32_t number)
{
	struct client_set *entry = set_entry(client, number);
	return entry ? entry->set : NULL;
}

static void client_set_client_ended(struct client *client, enum fbk_cause cause)
{
	(void)cause;
	while (!LIST_EMPTY(&client->sets)) {
		set_entry_destroy(LIST_FIRST(&client->sets));
	}
}

const struct observer client_set_observer = {
	.client_ended = client_set_client_ended,
};
