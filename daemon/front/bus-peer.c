// SPDX-License-Identifier: MIT
#include "bus-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus-transport.h"

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

/* A call that waits until its caller is known. */
struct bus_kept {
	TAILQ_ENTRY(bus_kept) links;
	struct bus_message message; /* points to the two below */
	int fds[BUS_FDS_MAX];
	uint8_t bytes[];
};

static int peer_compare(const struct bus_peer *a, const struct bus_peer *b)
{
	return strcmp(a->name, b->name);
}

RB_GENERATE_INTERNAL(bus_peer_tree, bus_peer, by_name, peer_compare, __attribute__((unused)) static)

static struct bus_peer *peer_find(struct bus_peers *peers, const char *name)
{
	struct bus_peer *peer = RB_ROOT(&peers->tree);
	while (peer) {
		int order = strcmp(name, peer->name);
		if (order == 0) {
			return peer;
		}
		peer = order < 0 ? RB_LEFT(peer, by_name) : RB_RIGHT(peer, by_name);
	}
	return NULL;
}

/* ------------------------------------------------------------------------------- kept calls -- */

/* The fds stay open. */
static void kept_free(struct bus_peer *peer, struct bus_kept *kept)
{
	peer->peers->kept_count--;
	peer->peers->kept_fds -= (unsigned int)kept->message.fd_count;
	peer->kept_count--;
	TAILQ_REMOVE(&peer->kept, kept, links);
	free(kept);
}

/* NULL when that would be too much. */
static const char *message_keep(struct bus_peer *peer, const struct bus_message *message)
{
	static const char full[] = "too many calls wait until the bus says who made them: try "
				   "again";
	struct bus_peers *peers = peer->peers;
	if (peers->kept_count == BUS_KEPT_MAX || peer->kept_count == BUS_KEPT_PER_PEER_MAX ||
	    message->fd_count > BUS_FDS_MAX ||
	    peers->kept_fds + message->fd_count > BUS_KEPT_FDS_MAX) {
		return full;
	}
	struct bus_kept *kept = malloc(sizeof(*kept) + message->size);
	if (!kept) {
		return full;
	}
	memcpy(kept->bytes, message->bytes, message->size);
	memcpy(kept->fds, message->fds, message->fd_count * sizeof(int));
	kept->message = *message;
	kept->message.bytes = kept->bytes;
	kept->message.fds = kept->fds;
	TAILQ_INSERT_TAIL(&peer->kept, kept, links);
	peer->kept_count++;
	peers->kept_count++;
	peers->kept_fds += (unsigned int)message->fd_count;
	return NULL;
}

/* ------------------------------------------------------------------------------- credentials -- */

static void read_groups(sd_bus_message *reply, struct credentials *credentials)
{
	const uint32_t *groups;
	size_t size;
	if (sd_bus_message_read_array(reply, 'u', (const void **)&groups, &size) < 0) {
		return;
	}
	/* in more groups than fit: then none counts, which can only deny rights */
	if (size / sizeof(*groups) <= CLIENT_GROUPS_MAX) {
		credentials->group_count = size / sizeof(*groups);
		memcpy(credentials->groups, groups, size);
	}
}

/* The real pidfd is the gate's; a duplicate of what the bus itself sent is closed without blocking. */
static void read_pidfd(struct bus_peer *peer, sd_bus_message *reply,
		       struct credentials *credentials)
{
	int placeholder;
	if (sd_bus_message_read_basic(reply, 'h', &placeholder) < 0) {
		return;
	}
	int *fd = bus_gate_fd(&peer->peers->transport->gate, placeholder);
	if (fd && credentials->pidfd < 0) {
		credentials->pidfd = *fd;
		*fd = -1;
	}
}

/* Many names are only remembered, and one process may have all of them: none keeps a pidfd for later calls. */
static void pidfd_drop(struct bus_peer *peer)
{
	if (peer->credentials.pidfd >= 0) {
		close(peer->credentials.pidfd);
		peer->credentials.pidfd = -1;
	}
}

static int read_credential(struct bus_peer *peer, sd_bus_message *reply,
			   struct credentials *credentials, bool *ret_has_uid)
{
	const char *key, *type;
	uint32_t number;
	int r = sd_bus_message_read_basic(reply, 's', &key);
	if (r < 0 || (r = sd_bus_message_peek_type(reply, NULL, &type)) < 0 ||
	    (r = sd_bus_message_enter_container(reply, 'v', type)) < 0) {
		return r;
	}
	if (strcmp(key, "UnixUserID") == 0 && strcmp(type, "u") == 0) {
		r = sd_bus_message_read_basic(reply, 'u', &number);
		credentials->uid = number;
		*ret_has_uid = r >= 0;
	} else if (strcmp(key, "ProcessID") == 0 && strcmp(type, "u") == 0) {
		r = sd_bus_message_read_basic(reply, 'u', &number);
		credentials->pid = (pid_t)number;
	} else if (strcmp(key, "UnixGroupIDs") == 0 && strcmp(type, "au") == 0) {
		read_groups(reply, credentials);
	} else if (strcmp(key, "ProcessFD") == 0 && strcmp(type, "h") == 0) {
		read_pidfd(peer, reply, credentials);
	} else {
		r = sd_bus_message_skip(reply, type);
	}
	return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int read_credentials(struct bus_peer *peer, sd_bus_message *reply)
{
	struct credentials *credentials = &peer->credentials;
	bool has_uid = false;
	int r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
		r = read_credential(peer, reply, credentials, &has_uid);
		if (r >= 0) {
			r = sd_bus_message_exit_container(reply);
		}
	}
	return r < 0 || !has_uid ? -ENOENT : 0;
}

static int on_credentials(sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_peer *peer = arg;
	struct bus_kept *kept;
	peer->asked = sd_bus_slot_unref(peer->asked);
	if (sd_bus_message_is_method_error(reply, NULL) || read_credentials(peer, reply) < 0) {
		TAILQ_FOREACH(kept, &peer->kept, links) {
			kept->message.refusal = "the bus does not say who made this call";
		}
	} else {
		peer->known = true;
		peer->subject = (struct policy_subject){
			.uid = peer->credentials.uid,
			.gid = peer->credentials.gid,
			.groups = peer->credentials.groups,
			.group_count = peer->credentials.group_count,
		};
	}
	if (peer->kept_count > 0) {
		TAILQ_INSERT_TAIL(&peer->peers->ready, peer, ready_links);
	} else {
		pidfd_drop(peer);
	}
	return 1;
}

static int peer_ask(struct bus_peer *peer)
{
	return sd_bus_call_method_async(peer->peers->transport->bus, &peer->asked, DRIVER,
					DRIVER_PATH, DRIVER, "GetConnectionCredentials",
					on_credentials, peer, "s", peer->name);
}

/* --------------------------------------------------------------------------- birth and death -- */

static void peer_free(struct bus_peer *peer)
{
	struct bus_peers *peers = peer->peers;
	struct bus_kept *kept;
	while ((kept = TAILQ_FIRST(&peer->kept))) {
		closer_close_all(&peers->transport->registry->closer, kept->fds,
				 kept->message.fd_count);
		kept_free(peer, kept);
	}
	sd_bus_slot_unref(peer->asked);
	sd_bus_slot_unref(peer->gone);
	sd_bus_slot_unref(peer->present);
	pidfd_drop(peer);
	RB_REMOVE(bus_peer_tree, &peers->tree, peer);
	peers->count--;
	free(peer);
}

static void peers_forget(struct bus_peers *peers)
{
	struct bus_peer *peer, *next;
	TAILQ_FOREACH_SAFE(peer, &peers->unpinned, links, next)
	{
		if (peers->count <= BUS_PEERS_MAX) {
			return;
		}
		if (!peer->asked && peer->kept_count == 0) {
			TAILQ_REMOVE(&peers->unpinned, peer, links);
			peer_free(peer);
		}
	}
}

static struct bus_peer *peer_create(struct bus_peers *peers, const char *name)
{
	struct bus_peer *peer = calloc(1, sizeof(*peer) + strlen(name) + 1);
	if (!peer) {
		return NULL;
	}
	strcpy(peer->name, name);
	peer->peers = peers;
	peer->credentials = (struct credentials){ .gid = (gid_t)-1, .pidfd = -1 };
	TAILQ_INIT(&peer->kept);
	RB_INSERT(bus_peer_tree, &peers->tree, peer);
	TAILQ_INSERT_TAIL(&peers->unpinned, peer, links);
	peers->count++;
	peers_forget(peers);
	return peer;
}

bool bus_peers_admit(struct bus_peers *peers, const struct bus_message *message)
{
	struct bus_message refused = *message;
	struct bus_peer *peer = peer_find(peers, message->sender);
	if (peer && peer->known && peer->kept_count == 0) {
		if (peer->pins == 0) {
			TAILQ_REMOVE(&peers->unpinned, peer, links);
			TAILQ_INSERT_TAIL(&peers->unpinned, peer, links);
		}
		return true;
	}
	if (message->refusal) {
		return true; /* refused whoever it is */
	}
	/* A full store is no reason to ask. */
	if (!peer && peers->kept_count < BUS_KEPT_MAX) {
		peer = peer_create(peers, message->sender);
	}
	if (peer && !peer->asked && peer->kept_count == 0 && peer_ask(peer) < 0) {
		peer = NULL;
	}
	refused.refusal = peer ? message_keep(peer, message)
			       : "the daemon cannot ask the bus now who made this call: try again";
	if (refused.refusal) {
		bus_transport_deliver(peers->transport, &refused);
	}
	return false;
}

void bus_peers_turned(struct bus_peers *peers)
{
	struct bus_peer *peer;
	while (!peers->transport->broken && (peer = TAILQ_FIRST(&peers->ready))) {
		struct bus_kept *kept = TAILQ_FIRST(&peer->kept);
		if (kept) {
			bus_transport_deliver(peers->transport, &kept->message);
			kept_free(peer, kept);
			continue;
		}
		TAILQ_REMOVE(&peers->ready, peer, ready_links);
		pidfd_drop(peer);
	}
}

void bus_peers_init(struct bus_peers *peers, struct bus_transport *transport)
{
	*peers = (struct bus_peers){ .transport = transport };
	RB_INIT(&peers->tree);
	TAILQ_INIT(&peers->unpinned);
	TAILQ_INIT(&peers->ready);
}

void bus_peers_lost(struct bus_peers *peers)
{
	struct bus_peer *peer;
	while ((peer = RB_ROOT(&peers->tree))) {
		peer_free(peer);
	}
	TAILQ_INIT(&peers->unpinned);
	TAILQ_INIT(&peers->ready);
}

struct bus_peer *bus_peer_of(struct bus_peers *peers, sd_bus_message *message)
{
	const char *name = message ? sd_bus_message_get_sender(message) : NULL;
	struct bus_peer *peer = name ? peer_find(peers, name) : NULL;
	return peer && peer->known ? peer : NULL;
}

/* ------------------------------------------------------------------------------------ pinning -- */

static int on_gone(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_peer *peer = arg;
	const char *name, *before, *now;
	if (sd_bus_message_read(message, "sss", &name, &before, &now) >= 0 && now[0] == '\0') {
		peer->peers->gone(peer);
	}
	return 0;
}

static int on_present(sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_peer *peer = arg;
	int present = 1;
	peer->present = sd_bus_slot_unref(peer->present);
	if (sd_bus_message_read(reply, "b", &present) >= 0 && !present) {
		peer->peers->gone(peer);
	}
	return 1;
}

/* The match is in force from now on: it may have left before. */
static int on_match(sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)reply;
	(void)error;
	struct bus_peer *peer = arg;
	sd_bus_call_method_async(peer->peers->transport->bus, &peer->present, DRIVER, DRIVER_PATH,
				 DRIVER, "NameHasOwner", on_present, peer, "s", peer->name);
	return 1;
}

int bus_peer_pin(struct bus_peer *peer)
{
	char match[BUS_NAME_SIZE + 160];
	if (peer->pins == 0) {
		snprintf(match, sizeof(match),
			 "type='signal',sender='" DRIVER "',path='" DRIVER_PATH
			 "',interface='" DRIVER "',member='NameOwnerChanged',arg0='%s'",
			 peer->name);
		int r = sd_bus_add_match_async(peer->peers->transport->bus, &peer->gone, match,
					       on_gone, on_match, peer);
		if (r < 0) {
			return r;
		}
		TAILQ_REMOVE(&peer->peers->unpinned, peer, links);
	}
	peer->pins++;
	return 0;
}

void bus_peer_unpin(struct bus_peer *peer)
{
	if (--peer->pins == 0) {
		peer->gone = sd_bus_slot_unref(peer->gone);
		peer->present = sd_bus_slot_unref(peer->present);
		TAILQ_INSERT_TAIL(&peer->peers->unpinned, peer, links);
	}
}
