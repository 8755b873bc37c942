// SPDX-License-Identifier: MIT
#include "bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MS     20000
#define NAME_LOOK   10
#define ADDRESS_MAX 128

/* Abstract: another user reaches it too, whatever the mode of the folder. */
static void bus_address(const struct daemon *bus, char ret_address[ADDRESS_MAX])
{
	snprintf(ret_address, ADDRESS_MAX, "unix:abstract=%s", bus->socket);
}

int bus_row_create(struct bus_row **ret_row)
{
	struct bus_row *row = calloc(1, sizeof(*row));
	if (!row) {
		return bench_fail("no memory");
	}
	int r = daemon_start_bus(&row->bus);
	if (r < 0) {
		free(row);
		return r;
	}
	*ret_row = row;
	return 0;
}

void bus_row_close(void *state)
{
	struct bus_row *row = state;
	sd_bus_close_unref(row->client);
	member_stop(&row->flooder);
	member_stop(&row->service);
	daemon_stop(&row->broker);
	daemon_stop(&row->bus);
	free(row);
}

int bus_row_broker(struct bus_row *row)
{
	char address[ADDRESS_MAX];
	struct daemon_setup setup = { .policy = daemon_policy_open, .bus = address };
	bus_address(&row->bus, address);
	return daemon_start(&row->broker, &setup);
}

int bus_connect(const struct daemon *bus, sd_bus **ret_bus)
{
	char address[ADDRESS_MAX];
	sd_bus *client = NULL;
	bus_address(bus, address);
	int r = sd_bus_new(&client);
	if (r >= 0) {
		r = sd_bus_set_address(client, address);
	}
	if (r >= 0) {
		r = sd_bus_set_bus_client(client, 1);
	}
	if (r >= 0) {
		r = sd_bus_negotiate_fds(client, 1);
	}
	if (r >= 0) {
		r = sd_bus_start(client);
	}
	if (r < 0) {
		sd_bus_unref(client);
		return bench_fail("connecting to the bus: %s", strerror(-r));
	}
	*ret_bus = client;
	return 0;
}

int bus_row_connect(struct bus_row *row)
{
	int r = bus_connect(&row->bus, &row->client);
	uint64_t end = host_now() + NAME_MS * UINT64_C(1000000);
	while (r == 0 && sd_bus_get_name_creds(row->client, BUS_NAME, 0, NULL) < 0) {
		if (host_now() > end) {
			return bench_fail("nobody takes the name %s", BUS_NAME);
		}
		usleep(NAME_LOOK * 1000);
	}
	return r;
}

static int call_failed(const char *member, int r, sd_bus_error *error)
{
	r = bench_fail("%s: %s", member, error->message ? error->message : strerror(-r));
	sd_bus_error_free(error);
	return r;
}

int bus_ask(sd_bus *bus, const char *interface, const char *member)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, BUS_NAME, BUS_PATH, interface, member, &error, NULL, NULL);
	return r < 0 ? call_failed(member, r, &error) : 0;
}

static int device_register(struct bus_row *row)
{
	char name[32];
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *path;
	int socket;
	snprintf(name, sizeof(name), "dev%llu", (unsigned long long)row->count++);
	int r = sd_bus_call_method(row->client, BUS_NAME, BUS_PATH, BUS_MANAGER, "RegisterDevice",
				   &error, &reply, "ssa{sv}", name, "gpu", 0);
	if (r >= 0) {
		r = sd_bus_message_read(reply, "oh", &path, &socket);
	}
	if (r < 0) {
		return call_failed("RegisterDevice", r, &error);
	}
	sd_bus_message_unref(reply); /* closes the socket */
	return 0;
}

int bus_register_round(void *state, unsigned int count, struct samples *samples)
{
	struct bus_row *row = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = device_register(row);
		if (r == 0) {
			r = samples_add(samples, (double)(host_now() - start));
		}
	}
	return r;
}
