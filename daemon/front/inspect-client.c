// SPDX-License-Identifier: MIT
/* The list of clients for fencectl: who each is, what it owns, and how near its user is to a limit. */
#include "daemon/base/clock.h"
#include "daemon/core/device.h"
#include "daemon/core/link.h"
#include "daemon/core/pair.h"
#include "daemon/translate/export.h"
#include "dispatch.h"
#include "inspect-filter.h"
#include "inspect.h"

#define CLIENTS_MAX 16    /* entries of about 400 bytes each, in a packet of 16 KiB */
#define WORK_MAX    32768 /* objects of clients that are counted for one reply */

/* What is counted for each client by itself. */
static const enum account_resource client_resources[] = {
	ACCOUNT_DEVICES, ACCOUNT_TIMELINES, ACCOUNT_HANDLES, ACCOUNT_LINKS,
	ACCOUNT_TOKENS,  ACCOUNT_WATCHES,   ACCOUNT_EXPORTS,
};

#define RESOURCES (sizeof(client_resources) / sizeof(client_resources[0]))

struct client_room {
	Fbk__Wire__ClientList list;
	Fbk__Wire__Client clients[CLIENTS_MAX];
	Fbk__Wire__Client *client_list[CLIENTS_MAX];
	Fbk__Wire__Usage usage[CLIENTS_MAX][RESOURCES];
	Fbk__Wire__Usage *usage_list[CLIENTS_MAX][RESOURCES];
	Fbk__Wire__Usage nearest[CLIENTS_MAX];
	size_t work;
};

static uint32_t devices_count(const struct client *client)
{
	const struct device *device;
	uint32_t count = 0;
	LIST_FOREACH(device, &client->devices, client_links) {
		count++;
	}
	return count;
}

static uint32_t exports_count(const struct client *client)
{
	const struct export *export;
	uint32_t count = 0;
	LIST_FOREACH(export, &client->exports, links) {
		count++;
	}
	return count;
}

static uint32_t threads_count(const struct client *client)
{
	uint32_t count = 0;
	for (uint32_t number = 0; number < client->handles_size; number++) {
		const struct handle *handle = client->handles[number];
		count += handle && !handle->timeline->idle &&
			 (handle_wait(handle).timeline || pair_wait(handle).timeline);
	}
	return count;
}

/* The links that it is an end of. `ret_offers`: those that it is charged for. */
static uint32_t links_count(const struct client *client, uint32_t *ret_offers)
{
	const struct link *link;
	uint32_t count = 0;
	*ret_offers = 0;
	if (link_ends_of(client) == 0) {
		return 0; /* all links are many */
	}
	LIST_FOREACH(link, &client->registry->links, links) {
		*ret_offers += link->sides[0].client == client;
		count += link_side_of(link, client) >= 0;
	}
	return count;
}

static void usage_set(Fbk__Wire__Usage *usage, const struct user *user,
		      enum account_resource resource, uint64_t used)
{
	fbk__wire__usage__init(usage);
	usage->resource = text(account_limits[resource].key);
	usage->used = used;
	usage->limit = user_limit(user, resource);
}

/* By the part of the limit that is used. Lines of the log come and go, and stop nothing. */
static void nearest_set(Fbk__Wire__Usage *usage, const struct user *user)
{
	enum account_resource nearest = ACCOUNT_SESSIONS;
	double most = -1;
	for (enum account_resource i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		uint64_t used = user_usage(user, i), limit = user_limit(user, i);
		double part = used == 0 ? 0 : (double)used / (double)(limit > 0 ? limit : 1);
		if (i != ACCOUNT_LOG_LINES && part > most) {
			most = part;
			nearest = i;
		}
	}
	usage_set(usage, user, nearest, user_usage(user, nearest));
}

static void client_use_describe(struct client_room *room, size_t index, const struct client *client)
{
	Fbk__Wire__Client *entry = &room->clients[index];
	uint32_t offers, exports = exports_count(client);
	entry->devices = devices_count(client);
	entry->timelines = (uint32_t)client->timelines_charge.amount;
	entry->links = links_count(client, &offers);
	entry->waits = threads_count(client) + client->watch_count + exports;
	const uint64_t used[RESOURCES] = {
		entry->devices, entry->timelines,    client->handles_charge.amount,
		offers,         client->token_count, client->watch_count,
		exports,
	};
	for (size_t i = 0; i < RESOURCES; i++) {
		usage_set(&room->usage[index][i], client->user, client_resources[i], used[i]);
		room->usage_list[index][i] = &room->usage[index][i];
	}
	entry->n_usage = RESOURCES;
	entry->usage = room->usage_list[index];
	nearest_set(&room->nearest[index], client->user);
	entry->nearest = &room->nearest[index];
	room->work += client->handles_size + exports;
}

static void client_describe(struct client_room *room, const struct client *client)
{
	size_t index = room->list.n_clients++;
	Fbk__Wire__Client *entry = &room->clients[index];
	fbk__wire__client__init(entry);
	entry->id = client->id;
	entry->name = text(client->name);
	entry->pid = client->credentials.pid;
	entry->uid = client->subject.uid;
	entry->unit = text(client->credentials.unit);
	entry->connected_ms = (clock_now_ns() - client->since_ns) / NS_PER_MS;
	entry->admin = client->admin;
	entry->reserve = client->reserve;
	client_use_describe(room, index, client);
	room->client_list[index] = entry;
}

/* The program, or one of its devices. */
static bool client_has_device(const struct client *client, const struct filter *filter)
{
	const struct device *device;
	const struct filter_view whole = { client->subject.uid, client->id, NULL, 0 };
	if (filter_takes(filter, &whole)) {
		return true;
	}
	LIST_FOREACH(device, &client->devices, client_links) {
		const struct filter_view view = { client->subject.uid, client->id, device->name,
						  device->id };
		if (filter_takes(filter, &view)) {
			return true;
		}
	}
	return false;
}

/* A call on the bus is a client too, for as long as it takes: it has no connection. */
static bool client_is_wanted(const struct client *client, const struct client *asker,
			     const struct filter *filter)
{
	return client->connection && !client->ending &&
	       inspect_may_see(asker, client->subject.uid) && client_has_device(client, filter) &&
	       filter_takes_name(filter, client->name);
}

int request_inspect_clients(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct client_room room;
	const Fbk__Wire__InspectClients *request = body;
	const struct client *other;
	struct filter filter;
	int r = filter_init(&filter, request->after_id, request->filter, request->limit,
			    CLIENTS_MAX, answer->detail);
	if (r < 0) {
		return r;
	}
	fbk__wire__client_list__init(&room.list);
	room.list.clients = room.client_list;
	room.work = 0;
	LIST_FOREACH(other, &client->registry->clients, links) { /* by falling id */
		enum filter_place place = filter_at(&filter, other->id);
		if (place == FILTER_END) {
			room.list.next = filter.last;
			break;
		}
		if (place == FILTER_BEFORE || !client_is_wanted(other, client, &filter)) {
			continue;
		}
		if (room.list.n_clients == filter.most || room.work > WORK_MAX) {
			room.list.next = room.clients[room.list.n_clients - 1].id;
			break;
		}
		client_describe(&room, other);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_CLIENTS;
	answer->message.clients = &room.list;
	return 0;
}
