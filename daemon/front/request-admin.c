// SPDX-License-Identifier: MIT
/* Requests of an administrator: fail a timeline, evict a client, read the policy anew. */
#include <errno.h>
#include <stdio.h>

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
		timeline_fail(timeline, FBK_CAUSE_ADMIN, -ECANCELED, reason);
	}
	return answer_affected(answer);
}

/* ------------------------------------------------------------------------------- evict a client -- */

static int client_find(const struct client *by, uint64_t id, struct client **ret_client,
		       char *detail)
{
	struct client *client;
	LIST_FOREACH(client, &by->registry->clients, links) { /* by falling id */
		if (client->id <= id) {
			break;
		}
	}
	if (!client || client->id != id || client->ending || !client->connection) {
		snprintf(detail, FBK_REASON_SIZE,
			 "no client %llu is connected: `fencectl devices` lists those with devices",
			 (unsigned long long)id);
		return -ENOENT;
	}
	*ret_client = client;
	return 0;
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
	struct client *evicted;
	char reason[FBK_REASON_SIZE];
	int r = client_find(client, request->client, &evicted, answer->detail);
	if (r < 0) {
		return r;
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
