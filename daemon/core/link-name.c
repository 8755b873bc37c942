// SPDX-License-Identifier: MIT
/* Links by name, for two clients that share no socket but the daemon's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "link.h"

static int name_check(const char *name, char *detail)
{
	if (!device_name_valid(name)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "a link's name has 1 to %d printable characters and no space",
			 FBK_NAME_SIZE - 1);
		return -EINVAL;
	}
	return 0;
}

static int refused_by_policy(const struct client *client, const char *what, const char *name,
			     const char *rule, char *detail)
{
	snprintf(detail, FBK_REASON_SIZE,
		 "uid %u may not %s a link as %s (%s): ask the administrator to add a rule",
		 client->subject.uid, what, name, rule);
	return -EPERM;
}

static bool link_over(const struct link *link)
{
	const struct link_side *offerer = &link->sides[0];
	return link->over || link->state->cause != FBK_CAUSE_NONE || !offerer->device->client ||
	       offerer->client->ending;
}

const char *link_name(const struct link *link)
{
	return link_over(link) ? "" : link->name;
}

/* All links of one name belong to one uid, so a client that finds a name knows which uid serves it. */
static int name_check_owner(const struct client *client, const char *name, char *detail)
{
	const struct link *other;
	LIST_FOREACH(other, &client->registry->links, links) {
		const struct client *owner = other->sides[0].client;
		if (owner && owner->subject.uid != client->subject.uid &&
		    strcmp(link_name(other), name) == 0) {
			snprintf(detail, FBK_REASON_SIZE, "%s has the name %s: choose another",
				 client_label(owner), name);
			return -EEXIST;
		}
	}
	return 0;
}

static int name_check_all(const struct client *client, const char *name, char *detail)
{
	const char *rule = "";
	int r = name_check(name, detail);
	if (r < 0) {
		return r;
	}
	if (!policy_may_publish(client->registry->policy, &client->subject, name, &rule)) {
		return refused_by_policy(client, "publish", name, rule, detail);
	}
	return name_check_owner(client, name, detail);
}

int link_publish(struct link *link, const struct client *client, const char *name, char *detail)
{
	if (link->sides[0].client != client) {
		snprintf(detail, FBK_REASON_SIZE, "it is the offering end that publishes a link");
		return -EPERM;
	}
	if (!name[0]) {
		link->name[0] = '\0';
		return 0;
	}
	if (link_over(link)) {
		snprintf(detail, FBK_REASON_SIZE, "that link is over: offer another one");
		return -EPIPE;
	}
	int r = name_check_all(client, name, detail);
	if (r == 0) {
		snprintf(link->name, sizeof(link->name), "%s", name);
	}
	return r;
}

/* No link of that name is free: explain why. */
static int no_offer(const char *name, const struct link *oldest, unsigned int count, bool own,
		    char *detail)
{
	if (count > 1) {
		snprintf(detail, FBK_REASON_SIZE,
			 "all %u links named %s are taken, the oldest by %s", count, name,
			 client_label(oldest->sides[1].client));
	} else if (oldest) {
		snprintf(detail, FBK_REASON_SIZE, "the link named %s is taken by %s", name,
			 client_label(oldest->sides[1].client));
	} else {
		snprintf(detail, FBK_REASON_SIZE, "no %sclient publishes a link named %s",
			 own ? "other " : "", name);
	}
	return oldest ? -EBUSY : -ENOENT;
}

int link_lookup(const struct client *client, const char *name, struct handle **ret_state,
		char *detail)
{
	const struct link *link, *found = NULL, *taken = NULL;
	unsigned int taken_count = 0;
	const char *rule = "";
	bool own = false;
	int r = name_check(name, detail);
	if (r < 0) {
		return r;
	}
	if (!policy_may_find(client->registry->policy, &client->subject, name, &rule)) {
		return refused_by_policy(client, "find", name, rule, detail);
	}
	LIST_FOREACH(link, &client->registry->links, links) { /* the last one is the oldest */
		if (strcmp(link_name(link), name) != 0) {
			continue;
		}
		if (link->sides[0].client == client) {
			own = true;
		} else if (link->sides[1].client) {
			taken = link;
			taken_count++;
		} else {
			found = link;
		}
	}
	if (!found) {
		return no_offer(name, taken, taken_count, own, detail);
	}
	*ret_state = handle_of(found->sides[0].client, found->state);
	return 0;
}
