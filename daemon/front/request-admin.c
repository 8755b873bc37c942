// SPDX-License-Identifier: MIT
/* Requests of an administrator: fail a timeline, evict a client, read the policy anew. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "affected.h"
#include "broker.h"
#include "connection.h"
#include "daemon/base/log.h"
#include "daemon/core/handle.h"
#include "dispatch.h"

static struct affected affected; /* of the answer under way */

static int answer_affected(struct answer *answer)
{
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_AFFECTED;
	answer->message.affected = &affected.message;
	return 0;
}

/* The text of a reason, without what a log or a terminal would take for more than text. */
static void reason_read(char *ret_text, const char *reason, const struct client *by,
			const char *what, const char *name)
{
	if (reason && reason[0]) {
		wire_text_copy(ret_text, FBK_REASON_SIZE, reason);
	} else {
		snprintf(ret_text, FBK_REASON_SIZE, "the administrator (uid %u) %s %s",
			 by->subject.uid, what, name);
	}
}

/* ------------------------------------------------------------------------------- fail a timeline -- */

/* Alive, as of a look just now. */
static int timeline_find(const struct client *client, uint64_t id, struct timeline **ret_timeline,
			 char *detail)
{
	struct timeline *timeline;
	LIST_FOREACH(timeline, &client->registry->timelines, links) { /* by falling id */
		if (timeline->id <= id) {
			break;
		}
	}
	if (!timeline || timeline->id != id) {
		snprintf(detail, FBK_REASON_SIZE,
			 "there is no timeline %llu: `fencectl timelines` lists them",
			 (unsigned long long)id);
		return -ENOENT;
	}
	timeline_refresh(timeline); /* points reached by now count */
	if (timeline->cause != FBK_CAUSE_NONE) {
		snprintf(detail, FBK_REASON_SIZE, "%s", timeline_reason(timeline));
		return -EALREADY;
	}
	*ret_timeline = timeline;
	return 0;
}

int request_admin_fail(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__AdminFail *request = body;
	struct timeline *timeline;
	char reason[FBK_REASON_SIZE];
	int r = timeline_find(client, request->id, &timeline, answer->detail);
	if (r < 0) {
		return r;
	}
	affected_by_timeline(&affected, translator_of(client), timeline);
	if (!request->dry_run) {
		reason_read(reason, request->reason, client, "failed", timeline->name);
		log_info("uid %u fails timeline %s (%llu) of %s (pid %d, uid %u): %s",
			 client->subject.uid, timeline->name, (unsigned long long)timeline->id,
			 timeline->device->name, timeline->device->pid, timeline->device->uid,
			 reason);
		timeline_fail(timeline, FBK_CAUSE_ADMIN, cause_error(FBK_CAUSE_ADMIN), reason);
	}
	return answer_affected(answer);
}

/* ------------------------------------------------------------------------------- evict a client -- */

static struct client *client_connected(const struct registry *registry, uint64_t id)
{
	struct client *client;
	LIST_FOREACH(client, &registry->clients, links) { /* by falling id */
		if (client->id <= id) {
			break;
		}
	}
	bool found = client && client->id == id && client->connection && !client->ending;
	return found ? client : NULL;
}

/* Points that are reached by now are not listed as waited for. */
static void client_refresh(const struct client *client)
{
	for (uint32_t number = 1; number < client->handles_size; number++) {
		const struct handle *handle = client->handles[number];
		if (handle && timeline_signaler(handle->timeline) == client) {
			timeline_refresh(handle->timeline);
		}
	}
}

static void client_evict(struct client *client, struct client *by, struct answer *answer)
{
	struct connection *connection = client->connection;
	if (client == by) { /* its answer first */
		connection->cause = FBK_CAUSE_ADMIN;
		answer->then = ANSWER_THEN_HANG_UP;
	} else {
		connection_end(connection, FBK_CAUSE_ADMIN, NULL);
	}
}

int request_admin_evict(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__AdminEvict *request = body;
	struct client *evicted = client_connected(client->registry, request->client);
	char reason[FBK_REASON_SIZE];
	if (!evicted) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "no client %llu is connected: `fencectl clients` lists those that are",
			 (unsigned long long)request->client);
		return -ENOENT;
	}
	client_refresh(evicted);
	affected_by_client(&affected, translator_of(client), evicted);
	if (!request->dry_run) {
		reason_read(reason, request->reason, client, "evicted", evicted->name);
		log_info("uid %u evicts %s: %s", client->subject.uid, client_label(evicted),
			 reason);
		client_evict(evicted, client, answer);
	}
	return answer_affected(answer);
}

/* ------------------------------------------------------------------------------------- reload -- */

struct reloading {
	struct reload_waiter waiter;
	struct registry *registry;
	uint64_t client; /* which may be gone by the time that the answer comes */
	struct late_answer *answer;
};

static void reloading_done(struct reload_waiter *waiter, int error, const char *detail)
{
	struct reloading *reloading = container_of(waiter, struct reloading, waiter);
	struct registry *registry = reloading->registry;
	struct late_answer *answer = reloading->answer;
	const struct client *client = client_connected(registry, reloading->client);
	free(reloading);
	registry->counters.errors += error < 0;
	if (!client) {
		late_answer_destroy(answer);
		return;
	}
	answer->error = error;
	wire_text_copy(answer->detail, sizeof(answer->detail), error < 0 ? detail : "");
	connection_send_late(client->connection, answer);
}

int request_admin_reload(struct client *client, struct handle *handle, const void *body, int *fds,
			 struct answer *answer)
{
	(void)handle;
	(void)body;
	(void)fds;
	struct reloading *reloading = calloc(1, sizeof(*reloading));
	int r = reloading ? late_answer_create(client, answer->message.serial, &reloading->answer)
			  : -ENOMEM;
	if (r < 0) {
		free(reloading);
		return r;
	}
	reloading->waiter.done = reloading_done;
	reloading->registry = client->registry;
	reloading->client = client->id;
	r = reload_start(&broker_of(client)->reload, &reloading->waiter);
	if (r < 0) {
		late_answer_destroy(reloading->answer);
		free(reloading);
		return r;
	}
	log_info("uid %u has the policy read anew", client->subject.uid);
	answer->silent = true;
	return 0;
}
