// SPDX-License-Identifier: MIT
/* The daemon's bus side: registering a device, and a call of one user under the flood of another. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "ours.h"

#define MS_NS       UINT64_C(1000000)
#define FLOOD_BURST 10  /* calls a millisecond: 10,000 a second */
#define FLOOD_QUEUE 256 /* calls that the bus has not taken yet: then the flood waits */

/* ------------------------------------------------------------------------------ registration -- */

static int register_open(const struct row *unused, void **ret_state)
{
	struct bus_row *row;
	(void)unused;
	int r = bus_row_create(&row);
	if (r < 0) {
		return r;
	}
	r = bus_row_broker(row);
	if (r == 0) {
		r = bus_row_connect(row);
	}
	if (r < 0) {
		bus_row_close(row);
		return r;
	}
	*ret_state = row;
	return 0;
}

const struct side ours_bus_register = { "RegisterDevice", register_open, bus_register_round,
					bus_row_close };

/* ------------------------------------------------------------------------------------- flood -- */

static int flood_call(sd_bus *bus)
{
	sd_bus_message *call;
	uint64_t cookie;
	int r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH,
					       "org.freedesktop.DBus.Properties", "Get");
	if (r < 0) {
		return r;
	}
	r = sd_bus_message_append(call, "ss", BUS_MANAGER, "Version");
	if (r >= 0) {
		r = sd_bus_send(bus, call, &cookie); /* the reply comes, and is dropped */
	}
	sd_bus_message_unref(call);
	return r;
}

static int replies_drop(sd_bus *bus)
{
	sd_bus_message *message;
	int r;
	while ((r = sd_bus_process(bus, &message)) > 0) {
		sd_bus_message_unref(message);
	}
	return r;
}

/* Until a note comes. */
static int flood_run(int socket, sd_bus *bus)
{
	struct pollfd stop = { .fd = socket, .events = POLLIN };
	uint64_t next = host_now();
	int r = 0;
	while (r >= 0 && poll(&stop, 1, 0) == 0) {
		uint64_t queued = 0;
		sd_bus_get_n_queued_write(bus, &queued);
		for (unsigned int i = 0; r >= 0 && queued < FLOOD_QUEUE && i < FLOOD_BURST; i++) {
			r = flood_call(bus);
		}
		if (r >= 0) {
			r = replies_drop(bus);
		}
		next += MS_NS;
		uint64_t now = host_now();
		if (now < next) {
			usleep((useconds_t)((next - now) / 1000));
		} else if (now > next + 10 * MS_NS) {
			next = now; /* what was missed is not made up for */
		}
	}
	return r < 0 ? bench_fail("the flood: %s", strerror(-r)) : 0;
}

/* Each note starts the flood or stops it, and is answered. */
static int flooder_serve(int socket, void *arg)
{
	const struct bus_row *row = arg;
	uint64_t number;
	sd_bus *bus;
	int r = bus_connect(&row->bus, &bus);
	while (r == 0 && (r = note_await(socket, &number)) == 0) {
		r = note_send(socket, number, -1);
		if (r == 0) {
			r = flood_run(socket, bus);
		}
		if (r == 0) {
			r = note_await(socket, &number);
		}
		if (r == 0) {
			r = note_send(socket, number, -1);
		}
	}
	return r;
}

static int flood_open(bool ping, void **ret_state)
{
	struct bus_row *row;
	int r = bus_row_create(&row);
	if (r < 0) {
		return r;
	}
	row->ping = ping;
	r = bus_row_broker(row);
	if (r == 0) {
		r = member_start(&row->flooder, PLACE_LEADER, geteuid() == 0 ? NOBODY : 0,
				 flooder_serve, row);
	}
	if (r == 0) {
		r = bus_row_connect(row);
	}
	if (r < 0) {
		bus_row_close(row);
		return r;
	}
	*ret_state = row;
	return 0;
}

static int ask_open(const struct row *row, void **ret_state)
{
	(void)row;
	return flood_open(false, ret_state);
}

static int ping_open(const struct row *row, void **ret_state)
{
	(void)row;
	return flood_open(true, ret_state);
}

static int flooder_switch(const struct bus_row *row)
{
	int r = note_send(row->flooder.socket, 1, -1);
	return r < 0 ? r : note_receive(row->flooder.socket, NULL, NULL);
}

static int flood_round(void *state, unsigned int count, struct samples *samples)
{
	struct bus_row *row = state;
	int r = flooder_switch(row);
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		usleep(1000); /* not in step with the flood's bursts */
		uint64_t start = host_now();
		r = row->ping ? bus_ask(row->client, "org.freedesktop.DBus.Peer", "Ping")
			      : bus_ask(row->client, BUS_MANAGER, "ListDevices");
		if (r == 0) {
			r = samples_add(samples, (double)(host_now() - start));
		}
	}
	return r < 0 ? r : flooder_switch(row);
}

const struct side ours_bus_flood = { "ListDevices", ask_open, flood_round, bus_row_close };
const struct side raw_bus_flood = { "Peer.Ping", ping_open, flood_round, bus_row_close };
