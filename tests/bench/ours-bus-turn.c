// SPDX-License-Identifier: MIT
/* How much CPU time the daemon's loop spends at the bus in one turn while a client sends what it should not, and reads no answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus.h"
#include "ours.h"

#define ROUNDS    250 /* of the messages below: 10,000 */
#define LONG_NAME 60000
#define OVERSIZED 100000
#define FDS       14

/* A string of that length, for the last argument. */
static int send_long(sd_bus *bus, const char *member, size_t length)
{
	char *text = malloc(length + 1);
	sd_bus_message *call = NULL;
	if (!text) {
		return bench_fail("no memory");
	}
	memset(text, 'x', length);
	text[length] = '\0';
	int r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH, BUS_MANAGER, member);
	if (r >= 0) {
		r = sd_bus_message_append(call, "tst", UINT64_C(1), text, UINT64_C(1));
	}
	if (r >= 0) {
		r = sd_bus_send(bus, call, NULL);
	}
	sd_bus_message_unref(call);
	free(text);
	return r;
}

/* A call with many descriptors. */
static int send_fds(sd_bus *bus, int fd)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH "/device/1",
					       BUS_NAME ".Device", "Import");
	for (int i = 0; r >= 0 && i < FDS; i++) {
		r = sd_bus_message_append(call, "h", fd);
	}
	if (r >= 0) {
		r = sd_bus_send(bus, call, NULL);
	}
	sd_bus_message_unref(call);
	return r;
}

/* A call that is served, but not as it asks. */
static int send_plain(sd_bus *bus, const char *member, const char *types, const char *text)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH, BUS_MANAGER, member);
	if (r >= 0 && text) {
		r = sd_bus_message_append(call, types, text, "gpu", 0);
	}
	if (r >= 0) {
		r = sd_bus_send(bus, call, NULL);
	}
	sd_bus_message_unref(call);
	return r;
}

static int abuse(sd_bus *bus, int fd)
{
	static char name[300];
	memset(name, 'n', sizeof(name) - 1);
	int r = 0;
	for (int i = 0; r >= 0 && i < 10; i++) {
		r = send_plain(bus, "RegisterDevice", "ssa{sv}", name);
		r = r < 0 ? r : send_plain(bus, "ListDevices", NULL, NULL);
		r = r < 0 ? r : send_plain(bus, "NoSuchMember", NULL, NULL);
	}
	for (int i = 0; r >= 0 && i < 4; i++) {
		r = send_fds(bus, fd);
		r = r < 0 ? r : send_long(bus, "FailTimeline", LONG_NAME);
	}
	for (int i = 0; r >= 0 && i < 2; i++) {
		r = send_long(bus, "FailTimeline", OVERSIZED);
	}
	return r < 0 ? r : sd_bus_flush(bus);
}

/* The counter, when all that was sent before is done. */
static int turn_read(sd_bus *bus, double *ret_value)
{
	sd_bus_message *reply = NULL;
	const char *name;
	uint64_t value;
	int r = sd_bus_get_property(bus, BUS_NAME, BUS_PATH, BUS_MANAGER, "Counters", NULL, &reply,
				    "a{st}");
	if (r >= 0) {
		r = sd_bus_message_enter_container(reply, 'a', "{st}");
	}
	while (r >= 0 && (r = sd_bus_message_read(reply, "{st}", &name, &value)) > 0) {
		if (strcmp(name, "bus_turn_max_us") == 0) {
			*ret_value = (double)value;
		}
	}
	sd_bus_message_unref(reply);
	return r;
}

int ours_bus_turn(double *ret_value, char *ret_note)
{
	struct bus_row *row;
	int fd = eventfd(0, EFD_CLOEXEC);
	int r = bus_row_create(&row);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = bus_row_broker(row);
	if (r == 0) {
		r = bus_row_connect(row);
	}
	for (int i = 0; r >= 0 && i < ROUNDS; i++) {
		r = abuse(row->client, fd);
	}
	if (r >= 0) {
		r = turn_read(row->client, ret_value);
	}
	if (r < 0) {
		r = bench_fail("a client that sends what it should not: %s", strerror(-r));
	}
	snprintf(ret_note, REASON_SIZE, "it takes new events after 500 us");
	close(fd);
	bus_row_close(row);
	return r < 0 ? r : 0;
}
