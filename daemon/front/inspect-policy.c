// SPDX-License-Identifier: MIT
/* What is in force of the policy, and where it is written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "daemon/rules/policy-list.h"
#include "dispatch.h"
#include "inspect.h"

#define ENTRIES_MAX 64
#define GROUPS_MAX  64
#define TEXT_ROOM   12288 /* of a packet of 16 KiB */
#define TEXT_MAX    2048  /* of one string, which is cut */

struct policy_room {
	Fbk__Wire__PolicyList list;
	Fbk__Wire__PolicyEntry entries[ENTRIES_MAX];
	Fbk__Wire__PolicyEntry *entry_list[ENTRIES_MAX];
	char text[TEXT_ROOM];
	size_t used;
	uint64_t after; /* entries that are skipped */
	uint64_t seen;
};

static char *room_text(struct policy_room *room, const char *string)
{
	size_t length = strnlen(string, TEXT_MAX);
	char *copy = room->text + room->used;
	memcpy(copy, string, length);
	copy[length] = '\0';
	room->used += length + 1;
	return copy;
}

static size_t entry_size(const struct policy_entry *entry)
{
	const char *file = entry->at.file ? entry->at.file : "";
	return strnlen(entry->kind, TEXT_MAX) + strnlen(entry->who, TEXT_MAX) +
	       strnlen(entry->key, TEXT_MAX) + strnlen(entry->of, TEXT_MAX) +
	       strnlen(entry->answer, TEXT_MAX) + strnlen(file, TEXT_MAX) + 6;
}

static bool entry_add(const struct policy_entry *entry, void *arg)
{
	struct policy_room *room = arg;
	if (room->seen < room->after) {
		room->seen++;
		return true;
	}
	size_t index = room->list.n_entries;
	/* What the fields add to the text is less than what is left of the packet. */
	if (index == ENTRIES_MAX || entry_size(entry) > TEXT_ROOM - room->used) {
		room->list.next = room->seen;
		return false;
	}
	Fbk__Wire__PolicyEntry *made = &room->entries[index];
	fbk__wire__policy_entry__init(made);
	made->kind = room_text(room, entry->kind);
	made->who = room_text(room, entry->who);
	made->key = room_text(room, entry->key);
	made->of = room_text(room, entry->of);
	made->answer = room_text(room, entry->answer);
	made->file = room_text(room, entry->at.file ? entry->at.file : "");
	made->line = entry->at.line;
	room->entry_list[index] = made;
	room->list.n_entries++;
	room->seen++;
	return true;
}

/* A client that asks about itself gets what holds for its own groups, whichever it names. */
static int subject_read(const struct client *client, const Fbk__Wire__InspectPolicy *request,
			struct policy_subject *ret_subject, char *detail)
{
	static gid_t groups[GROUPS_MAX];
	if (request->uid == client->subject.uid) {
		*ret_subject = client->subject;
		return 0;
	}
	if (request->n_groups > GROUPS_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "at most %d groups are taken", GROUPS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < request->n_groups; i++) {
		groups[i] = request->groups[i];
	}
	*ret_subject = (struct policy_subject){ .uid = request->uid,
						.gid = request->gid,
						.groups = groups,
						.group_count = request->n_groups };
	return 0;
}

static int parts_list(struct policy_room *room, const struct client *client,
		      const Fbk__Wire__InspectPolicy *request, char *detail)
{
	const struct policy *policy = client->registry->policy;
	struct policy_subject subject;
	int r;
	switch (request->part) {
	case FBK__WIRE__INSPECT_POLICY__PART__RULES:
		policy_list_rules(policy, entry_add, room);
		return 0;
	case FBK__WIRE__INSPECT_POLICY__PART__VALUES:
		policy_list_values(policy, entry_add, room);
		return 0;
	case FBK__WIRE__INSPECT_POLICY__PART__USER:
		r = subject_read(client, request, &subject, detail);
		if (r == 0) {
			policy_list_answers(policy, &subject, entry_add, room);
		}
		return r;
	case FBK__WIRE__INSPECT_POLICY__PART__TEST:
		r = subject_read(client, request, &subject, detail);
		return r < 0 ? r
			     : policy_list_answer(policy, &subject, request->key, request->of,
						  entry_add, room, detail, FBK_REASON_SIZE);
	default:
		snprintf(detail, FBK_REASON_SIZE,
			 "this daemon does not know that part of a policy");
		return -EINVAL;
	}
}

/* Values hold for everybody; rules and other users' rights are for who may inspect all. */
static bool part_is_open(const struct client *client, const Fbk__Wire__InspectPolicy *request)
{
	return request->part == FBK__WIRE__INSPECT_POLICY__PART__VALUES ||
	       (request->part != FBK__WIRE__INSPECT_POLICY__PART__RULES &&
		request->uid == client->subject.uid);
}

int request_inspect_policy(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct policy_room room;
	const Fbk__Wire__InspectPolicy *request = body;
	if (!part_is_open(client, request) &&
	    policy_inspect(client->registry->policy, &client->subject, NULL) < POLICY_INSPECT_ALL) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "policy lets uid %u inspect its own only: what holds for others is for "
			 "who may inspect all",
			 client->subject.uid);
		return -EPERM;
	}
	room.used = 0;
	room.seen = 0;
	room.after = request->after;
	fbk__wire__policy_list__init(&room.list);
	room.list.entries = room.entry_list;
	int r = parts_list(&room, client, request, answer->detail);
	if (r == 0) {
		answer->message.body_case = FBK__WIRE__MESSAGE__BODY_POLICY;
		answer->message.policy = &room.list;
	}
	return r;
}
