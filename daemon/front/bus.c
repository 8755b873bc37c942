// SPDX-License-Identifier: MIT
#include "bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus-admin.h"
#include "bus-check.h"
#include "bus-device.h"
#include "bus-manager.h"
#include "bus-signal.h"
#include "bus-state.h"
#include "connection.h"
#include "daemon/base/log.h"
#include "daemon/core/client.h"
#include "daemon/core/device.h"
#include "daemon/core/timeline.h"

/* ------------------------------------------------------------------------------------ the name -- */

#define NAME_FLAGS \
	(SD_BUS_NAME_QUEUE | SD_BUS_NAME_REPLACE_EXISTING | SD_BUS_NAME_ALLOW_REPLACEMENT)

static int on_name(sd_bus_message *reply, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus *bus = arg;
	const sd_bus_error *refused = sd_bus_message_get_error(reply);
	if (refused) {
		log_warning("the bus does not let this daemon own " BUS_NAME
			    " (%s): is share/dbus-1/system.d/org.fencebroker1.conf installed?",
			    refused->message ? refused->message : refused->name);
	} else {
		log_info("on the bus at %s", bus->transport.text);
	}
	return 1;
}

/* NameLost and NameAcquired, which the bus sends to us alone. */
static int on_name_changed(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)arg;
	(void)error;
	const char *name;
	bool lost = sd_bus_message_is_signal(message, "org.freedesktop.DBus", "NameLost") > 0;
	if (lost && sd_bus_message_read(message, "s", &name) >= 0 && strcmp(name, BUS_NAME) == 0) {
		log_warning("another program took the name " BUS_NAME " on the bus; this daemon "
			    "has it again when that one leaves");
	}
	return 0;
}

/* -------------------------------------------------------------------------- with the transport -- */

static int bus_setup(struct bus_transport *transport)
{
	struct bus *bus = bus_of(transport);
	int r = sd_bus_add_filter(transport->bus, NULL, on_name_changed, bus);
	if (r >= 0) {
		r = bus_manager_setup(bus);
	}
	return r < 0 ? r : bus_device_setup(bus);
}

static void bus_connected(struct bus_transport *transport)
{
	sd_bus_request_name_async(transport->bus, NULL, BUS_NAME, NAME_FLAGS, on_name,
				  bus_of(transport));
}

static void bus_lost(struct bus_transport *transport)
{
	struct bus *bus = bus_of(transport);
	struct connection *connection;
	bus_checks_lost(bus);
	bus_admin_lost(bus);
	bus_subscribers_lost(bus);
	bus_peers_lost(&bus->peers);
	/* The next bus may give the same names to others. */
	LIST_FOREACH(connection, &bus->broker->connections, links) {
		free(connection->registrar);
		connection->registrar = NULL;
	}
}

static bool bus_admit(struct bus_transport *transport, const struct bus_message *message)
{
	return bus_peers_admit(&bus_of(transport)->peers, message);
}

static void bus_turned(struct bus_transport *transport)
{
	bus_peers_turned(&bus_of(transport)->peers);
}

static const struct bus_transport_ops transport_ops = {
	.setup = bus_setup,
	.connected = bus_connected,
	.lost = bus_lost,
	.admit = bus_admit,
	.turned = bus_turned,
};

static void bus_peer_gone(struct bus_peer *peer)
{
	struct bus *bus = bus_of(peer->peers->transport);
	bus_checks_drop(bus, peer);
	bus_unsubscribe(bus, peer);
}

/* ------------------------------------------------------------------------------------- signals -- */

static struct bus *bus_at(const struct registry *registry)
{
	return container_of(registry, struct broker, registry)->bus;
}

static void on_device_registered(struct device *device)
{
	struct bus *bus = bus_at(device->registry);
	if (bus) {
		bus_signal_device(bus, device, "DeviceAdded");
	}
}

static void on_device_unregistered(struct device *device)
{
	struct bus *bus = bus_at(device->registry);
	if (bus) {
		bus_signal_device(bus, device, "DeviceRemoved");
	}
}

static void on_timeline_failed(struct timeline *timeline)
{
	struct bus *bus = bus_at(timeline_registry(timeline));
	if (bus) {
		bus_signal_failed(bus, timeline);
	}
}

const struct observer bus_observer = {
	.device_registered = on_device_registered,
	.device_unregistered = on_device_unregistered,
	.timeline_failed = on_timeline_failed,
};

void bus_wait_expired(const struct wait *wait)
{
	struct bus *bus = bus_at(timeline_registry(wait->timeline));
	if (bus) {
		bus_signal_stuck(bus, wait);
	}
}

void bus_property_changed(struct broker *broker, const char *name)
{
	struct bus *bus = broker->bus;
	if (bus && bus_transport_has_room(&bus->transport)) {
		sd_bus_emit_properties_changed(bus->transport.bus, BUS_PATH, BUS_MANAGER, name,
					       NULL);
		bus_transport_sent(&bus->transport);
	}
}

void bus_stopping(struct broker *broker, uint64_t within_ms)
{
	if (broker->bus) {
		bus_signal_stopping(broker->bus, within_ms);
	}
}

/* --------------------------------------------------------------------------- birth and death -- */

int bus_create(struct broker *broker, const char *address)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	if (!bus) {
		return -ENOMEM;
	}
	bus->broker = broker;
	bus_peers_init(&bus->peers, &bus->transport);
	bus->peers.gone = bus_peer_gone;
	int r = bus_transport_init(&bus->transport, &broker->registry, &transport_ops, address);
	if (r < 0) {
		bus_transport_finish(&bus->transport);
		free(bus);
		return r;
	}
	broker->bus = bus;
	bus_transport_start(&bus->transport);
	return 0;
}

void bus_destroy(struct broker *broker)
{
	if (broker->bus) {
		bus_transport_finish(&broker->bus->transport);
		free(broker->bus);
		broker->bus = NULL;
	}
}
