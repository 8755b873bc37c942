// SPDX-License-Identifier: MIT
#include "bus-check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus-call.h"

#define POLKIT      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define AUTHORITY   POLKIT ".Authority"

#define INTERACTION_ALLOWED 1 /* polkit: CheckAuthorizationFlags */
/* How long polkit has: it may ask a person for a password, or it may not. */
#define PATIENCE_INTERACTIVE_US (300 * UINT64_C(1000000))
#define PATIENCE_US             (10 * UINT64_C(1000000))

struct bus_check {
	LIST_ENTRY(bus_check) links;
	struct bus *bus;
	struct bus_peer *peer;
	sd_bus_message *call;
	sd_bus_slot *asked;
	bus_admin_fn *fn;
	char id[24]; /* for polkit, to cancel it */
};

static void check_free(struct bus_check *check)
{
	LIST_REMOVE(check, links);
	check->bus->check_count--;
	sd_bus_slot_unref(check->asked);
	sd_bus_message_unref(check->call);
	free(check);
}

/* polkit would ask on: it is told, and its answer is not awaited. */
static void check_cancel(const struct bus_check *check)
{
	sd_bus *connection = check->bus->transport.bus;
	sd_bus_message *message = NULL;
	if (sd_bus_message_new_method_call(connection, &message, POLKIT, POLKIT_PATH, AUTHORITY,
					   "CancelCheckAuthorization") >= 0 &&
	    sd_bus_message_append(message, "s", check->id) >= 0 &&
	    sd_bus_message_set_expect_reply(message, 0) >= 0) {
		sd_bus_send(connection, message, NULL);
	}
	sd_bus_message_unref(message);
	bus_transport_sent(&check->bus->transport);
}

static int answer_refused(const struct bus_check *check, const sd_bus_error *error, bool challenge)
{
	char detail[FBK_REASON_SIZE];
	if (!error) {
		snprintf(detail, sizeof(detail),
			 challenge ? "polkit wants you to authenticate: allow that, as fencectl "
				     "does, where an agent can ask you"
				   : "polkit does not allow uid %u to do that",
			 check->peer->subject.uid);
	} else if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		   sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
		snprintf(detail, sizeof(detail), "polkit does not run here: only root may do that");
	} else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
		   sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT)) {
		snprintf(detail, sizeof(detail), "polkit does not answer: try again, or be root");
	} else {
		snprintf(detail, sizeof(detail), "polkit answers with an error: %.90s",
			 error->message ? error->message : error->name);
	}
	return bus_reply_error(check->call, -EPERM, detail);
}

static int on_answer(sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_check *check = arg;
	struct bus_peer *peer = check->peer;
	const sd_bus_error *refused = sd_bus_message_get_error(reply);
	int allowed = 0, challenge = 0;
	if (!refused && (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
			 sd_bus_message_read(reply, "bb", &allowed, &challenge) < 0)) {
		allowed = 0;
	}
	if (allowed) {
		check->fn(check->bus, peer, check->call);
	} else {
		answer_refused(check, refused, challenge);
	}
	check_free(check);
	bus_peer_unpin(peer);
	return 1;
}

static int check_ask(struct bus_check *check, const char *action)
{
	sd_bus *connection = check->bus->transport.bus;
	bool interactive = sd_bus_message_get_allow_interactive_authorization(check->call) > 0;
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(connection, &message, POLKIT, POLKIT_PATH, AUTHORITY,
					       "CheckAuthorization");
	if (r >= 0) {
		r = sd_bus_message_append(message, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name",
					  "s", check->peer->name, action, 0,
					  interactive ? INTERACTION_ALLOWED : 0, check->id);
	}
	if (r >= 0) {
		r = sd_bus_call_async(connection, &check->asked, message, on_answer, check,
				      interactive ? PATIENCE_INTERACTIVE_US : PATIENCE_US);
	}
	sd_bus_message_unref(message);
	return r;
}

static unsigned int checks_of(const struct bus *bus, uid_t uid)
{
	unsigned int count = 0;
	const struct bus_check *check;
	LIST_FOREACH(check, &bus->checks, links) {
		count += check->peer->subject.uid == uid;
	}
	return count;
}

static bool always_allowed(const struct bus *bus, uid_t uid)
{
	return uid == 0 || (bus->broker->user_mode && uid == geteuid());
}

int bus_check(struct bus *bus, struct bus_peer *peer, sd_bus_message *call, const char *action,
	      bus_admin_fn *fn)
{
	uid_t uid = peer->subject.uid;
	if (always_allowed(bus, uid)) {
		return fn(bus, peer, call);
	}
	if (bus->broker->user_mode) {
		return bus_reply_error(call, -EPERM, "this is another user's daemon");
	}
	if (bus->check_count == BUS_CHECKS_MAX || checks_of(bus, uid) == BUS_CHECKS_PER_USER_MAX) {
		return bus_reply_error(call, -EDQUOT, "too many requests wait for polkit");
	}
	struct bus_check *check = calloc(1, sizeof(*check));
	if (!check) {
		return -ENOMEM;
	}
	int r = bus_peer_pin(peer);
	if (r < 0) {
		free(check);
		return r;
	}
	check->bus = bus;
	check->peer = peer;
	check->fn = fn;
	check->call = sd_bus_message_ref(call);
	snprintf(check->id, sizeof(check->id), "fbk-%llu", (unsigned long long)++bus->next_check);
	LIST_INSERT_HEAD(&bus->checks, check, links);
	bus->check_count++;
	r = check_ask(check, action);
	if (r < 0) {
		check_free(check);
		bus_peer_unpin(peer);
		return r;
	}
	return 1;
}

void bus_checks_drop(struct bus *bus, const struct bus_peer *peer)
{
	struct bus_check *check, *next;
	LIST_FOREACH_SAFE(check, &bus->checks, links, next) {
		if (check->peer == peer) {
			struct bus_peer *pinned = check->peer;
			check_cancel(check);
			check_free(check);
			bus_peer_unpin(pinned);
		}
	}
}

void bus_checks_lost(struct bus *bus)
{
	while (!LIST_EMPTY(&bus->checks)) {
		check_free(LIST_FIRST(&bus->checks)); /* the peers go too */
	}
}
