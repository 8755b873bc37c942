// SPDX-License-Identifier: MIT
#include "bus.h"

#include <errno.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* sd-bus itself waits much longer for a bus that accepts and says nothing. */
static int bus_settle(sd_bus *bus)
{
	uint64_t until = now_us() + BUS_PATIENCE_US;
	for (;;) {
		int r = sd_bus_is_ready(bus);
		if (r != 0) {
			return r < 0 ? r : 0;
		}
		uint64_t now = now_us();
		if (now >= until) {
			return -ETIMEDOUT;
		}
		r = sd_bus_process(bus, NULL);
		if (r == 0) {
			r = sd_bus_wait(bus, until - now);
		}
		if (r < 0 && r != -EINTR) {
			return r;
		}
	}
}

int bus_open(bool user, sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int r = user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
	if (r >= 0) {
		r = bus_settle(bus);
	}
	if (r >= 0) {
		r = sd_bus_set_method_call_timeout(bus, BUS_PATIENCE_US);
	}
	if (r < 0) {
		sd_bus_close_unref(bus);
		return r;
	}
	*ret_bus = bus;
	return 0;
}
