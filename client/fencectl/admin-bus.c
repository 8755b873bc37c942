// SPDX-License-Identifier: MIT
/* The administrator's requests over the bus. The bus tells the daemon who asks, and polkit may ask for a password. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "bus.h"

#define BUS_OBJECT    "/org/fencebroker1"
#define BUS_INTERFACE "org.fencebroker1.Manager"
#define DRY_RUN       UINT64_C(1) /* in flags */

static const char *const methods[] = {
	[ADMIN_FAIL] = "FailTimeline",
	[ADMIN_EVICT] = "EvictClient",
	[ADMIN_RELOAD] = "Reload",
};

static int message_create(sd_bus *bus, const struct admin_request *request,
			  sd_bus_message **ret_message)
{
	int r = sd_bus_message_new_method_call(bus, ret_message, BUS_NAME, BUS_OBJECT,
					       BUS_INTERFACE, methods[request->what]);
	if (r >= 0) {
		r = sd_bus_message_set_allow_interactive_authorization(*ret_message, true);
	}
	if (r >= 0) { /* a daemon that would start for this knows no timeline */
		r = sd_bus_message_set_auto_start(*ret_message, false);
	}
	if (r >= 0 && request->what != ADMIN_RELOAD) {
		r = sd_bus_message_append(*ret_message, "tst", request->id, request->reason,
					  request->dry_run ? DRY_RUN : 0);
	}
	return r;
}

/* Does nobody own the name? */
static bool error_is_absence(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

/* `error` is set where the other side gave one. */
static int call(sd_bus *bus, const struct admin_request *request, char ***ret_sentences,
		sd_bus_error *error)
{
	sd_bus_message *message = NULL;
	sd_bus_message *reply = NULL;
	int r = message_create(bus, request, &message);
	if (r >= 0) {
		r = sd_bus_call(bus, message, ADMIN_TIMEOUT_S * UINT64_C(1000000), error, &reply);
	}
	if (r < 0 && error_is_absence(error)) {
		r = -ENOTCONN;
	} else if (r ==
		   -ENOTCONN) { /* the bus went away during the call, which may have been served */
		r = -ECONNRESET;
	}
	if (r >= 0 && ret_sentences) {
		r = sd_bus_message_read_strv(reply, ret_sentences);
	}
	sd_bus_message_unref(reply);
	sd_bus_message_unref(message);
	return r < 0 ? r : 0;
}

int admin_over_bus(const struct admin_request *request, const char *name, enum admin_bus which,
		   char ***ret_sentences)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = NULL;
	int r = bus_open(which == ADMIN_BUS_SESSION, &bus);
	if (r < 0) {
		return -ENOTCONN;
	}
	r = call(bus, request, ret_sentences, &error);
	if (r < 0 && r != -ENOTCONN) {
		fprintf(stderr, "fencectl: %s: %s\n", name,
			error.message ? error.message : strerrordesc_np(-r));
	}
	sd_bus_error_free(&error);
	sd_bus_flush_close_unref(bus);
	return r;
}
