// SPDX-License-Identifier: MIT
#include "bus-signal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus-variant.h"
#include "daemon/base/clock.h"
#include "daemon/core/device.h"
#include "daemon/core/timeline.h"
#include "inspect.h"

struct bus_subscriber {
	LIST_ENTRY(bus_subscriber) links;
	struct bus_peer *peer;
	uint64_t filled_ns; /* the allowance was full then, less what was sent since */
};

#define SIGNAL_COST_NS (NS_PER_S / BUS_SIGNALS_PER_S)
#define ALLOWANCE_NS   (BUS_SIGNALS_AT_ONCE * SIGNAL_COST_NS)

/* --------------------------------------------------------------------------------- subscribers -- */

static struct bus_subscriber *subscriber_find(const struct bus *bus, const struct bus_peer *peer)
{
	struct bus_subscriber *subscriber;
	LIST_FOREACH(subscriber, &bus->subscribers, links) {
		if (subscriber->peer == peer) {
			return subscriber;
		}
	}
	return NULL;
}

static unsigned int subscribers_of(const struct bus *bus, uid_t uid)
{
	unsigned int count = 0;
	const struct bus_subscriber *subscriber;
	LIST_FOREACH(subscriber, &bus->subscribers, links) {
		count += subscriber->peer->subject.uid == uid;
	}
	return count;
}

int bus_subscribe(struct bus *bus, struct bus_peer *peer, const char **ret_detail)
{
	if (subscriber_find(bus, peer)) {
		return 0;
	}
	if (bus->subscriber_count == BUS_SUBSCRIBERS_MAX ||
	    subscribers_of(bus, peer->subject.uid) == BUS_SUBSCRIBERS_PER_USER_MAX) {
		*ret_detail = "there are too many subscribers: 4 for each user, 64 in all";
		return -EDQUOT;
	}
	struct bus_subscriber *subscriber = calloc(1, sizeof(*subscriber));
	int r = subscriber ? bus_peer_pin(peer) : -ENOMEM;
	if (r < 0) {
		free(subscriber);
		return r;
	}
	subscriber->peer = peer;
	LIST_INSERT_HEAD(&bus->subscribers, subscriber, links);
	bus->subscriber_count++;
	return 0;
}

static void subscriber_free(struct bus *bus, struct bus_subscriber *subscriber)
{
	LIST_REMOVE(subscriber, links);
	bus->subscriber_count--;
	free(subscriber);
}

void bus_unsubscribe(struct bus *bus, const struct bus_peer *peer)
{
	struct bus_subscriber *subscriber = subscriber_find(bus, peer);
	if (subscriber) {
		struct bus_peer *pinned = subscriber->peer;
		subscriber_free(bus, subscriber);
		bus_peer_unpin(pinned);
	}
}

void bus_subscribers_lost(struct bus *bus)
{
	while (!LIST_EMPTY(&bus->subscribers)) {
		subscriber_free(bus, LIST_FIRST(&bus->subscribers));
	}
}

/* ----------------------------------------------------------------------------------- sending -- */

/* What the signals' arguments are made from. */
struct signal {
	const char *member;
	int (*append)(sd_bus_message *message, const void *subject);
	const void *subject;
	bool of_user; /* only those see it that may see what is the user's */
	uid_t uid;
};

static bool subscriber_has_allowance(const struct bus_subscriber *subscriber, uint64_t now_ns)
{
	return subscriber->filled_ns + SIGNAL_COST_NS <= now_ns;
}

static bool subscriber_charge(struct bus_subscriber *subscriber, uint64_t now_ns)
{
	if (subscriber->filled_ns + ALLOWANCE_NS < now_ns) {
		subscriber->filled_ns = now_ns - ALLOWANCE_NS;
	}
	if (!subscriber_has_allowance(subscriber, now_ns)) {
		return false;
	}
	subscriber->filled_ns += SIGNAL_COST_NS;
	return true;
}

static int signal_send(struct bus *bus, const struct signal *signal, const char *to)
{
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_signal(bus->transport.bus, &message, BUS_PATH, BUS_MANAGER,
					  signal->member);
	if (r >= 0) {
		r = sd_bus_message_set_destination(message, to);
	}
	if (r >= 0) {
		r = signal->append(message, signal->subject);
	}
	if (r >= 0) {
		r = sd_bus_send(bus->transport.bus, message, NULL);
	}
	sd_bus_message_unref(message);
	return r;
}

static void signal_emit(struct bus *bus, const struct signal *signal)
{
	struct registry *registry = &bus->broker->registry;
	struct bus_subscriber *subscriber;
	if (LIST_EMPTY(&bus->subscribers)) {
		return;
	}
	uint64_t now_ns = clock_now_ns();
	LIST_FOREACH(subscriber, &bus->subscribers, links) {
		const struct policy_subject *subject = &subscriber->peer->subject;
		if (signal->of_user && !policy_may_see(registry->policy, subject, signal->uid)) {
			continue;
		}
		if (!subscriber_charge(subscriber, now_ns) ||
		    !bus_transport_has_room(&bus->transport) ||
		    signal_send(bus, signal, subscriber->peer->name) < 0) {
			registry->counters.bus_signals_dropped++;
		}
	}
	bus_transport_sent(&bus->transport);
}

static int append_device(sd_bus_message *message, const void *subject)
{
	const struct device *device = subject;
	char path[BUS_PATH_SIZE];
	snprintf(path, sizeof(path), BUS_DEVICES "/%llu", (unsigned long long)device->id);
	return sd_bus_message_append_basic(message, 'o', path);
}

static int append_wait(sd_bus_message *message, const void *subject)
{
	return bus_append_message(message, subject, BUS_ALL_FIELDS);
}

static int append_timeline(sd_bus_message *message, const void *subject)
{
	return bus_append_message(message, subject, TIMELINE_FIELDS_OPEN);
}

static int append_number(sd_bus_message *message, const void *subject)
{
	return sd_bus_message_append_basic(message, 't', subject);
}

void bus_signal_device(struct bus *bus, const struct device *device, const char *member)
{
	signal_emit(bus, &(struct signal){ .member = member,
					   .append = append_device,
					   .subject = device,
					   .of_user = true,
					   .uid = device->uid });
}

void bus_signal_failed(struct bus *bus, struct timeline *timeline)
{
	Fbk__Wire__TimelineState state;
	if (LIST_EMPTY(&bus->subscribers)) {
		return;
	}
	timeline_describe(&state, timeline);
	signal_emit(bus, &(struct signal){ .member = "TimelineFailed",
					   .append = append_timeline,
					   .subject = &state,
					   .of_user = true,
					   .uid = timeline->device->uid });
}

static bool anybody_has_allowance(const struct bus *bus)
{
	uint64_t now_ns = clock_now_ns();
	const struct bus_subscriber *subscriber;
	LIST_FOREACH(subscriber, &bus->subscribers, links) {
		if (subscriber_has_allowance(subscriber, now_ns)) {
			return true;
		}
	}
	return false;
}

void bus_signal_stuck(struct bus *bus, const struct wait *wait)
{
	if (!anybody_has_allowance(bus)) {
		return; /* to find the cause would be work for nobody */
	}
	const Fbk__Wire__StuckEntry *entry = stuck_describe(wait);
	signal_emit(bus, &(struct signal){ .member = "Stuck",
					   .append = append_wait,
					   .subject = entry,
					   .of_user = true,
					   .uid = wait->uid });
}

void bus_signal_stopping(struct bus *bus, uint64_t within_ms)
{
	signal_emit(bus, &(struct signal){ .member = "Stopping",
					   .append = append_number,
					   .subject = &within_ms });
}
