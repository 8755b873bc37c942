// SPDX-License-Identifier: MIT
#include "bus-admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus-call.h"
#include "bus-check.h"

#define FLAG_DRY_RUN 1

/* Polkit agreed, or need not be asked. */
static int serve_admin(struct bus *bus, struct bus_peer *peer, sd_bus_message *message,
		       const Fbk__Wire__Request *request)
{
	struct bus_call call = { .bus = bus, .message = message, .peer = peer, .admin = true };
	sd_bus_message *reply = NULL;
	int r = bus_call_run(&call, request, NULL, 0);
	if (r >= 0) {
		r = sd_bus_message_new_method_return(message, &reply);
	}
	if (r >= 0) {
		const Fbk__Wire__Affected *affected = call.answer.message.affected;
		r = sd_bus_message_open_container(reply, 'a', "s");
		for (size_t i = 0; r >= 0 && i < affected->n_text; i++) {
			r = sd_bus_message_append_basic(reply, 's', affected->text[i]);
		}
	}
	if (r >= 0) {
		r = sd_bus_message_close_container(reply);
	}
	return bus_call_end(&call, reply, r);
}

/* The arguments of both. They are read again after polkit's answer. */
static int admin_read(sd_bus_message *message, uint64_t *ret_id, const char **ret_reason,
		      uint64_t *ret_flags)
{
	sd_bus_message_rewind(message, 1);
	return sd_bus_message_read(message, "tst", ret_id, ret_reason, ret_flags);
}

static int serve_fail(struct bus *bus, struct bus_peer *peer, sd_bus_message *message)
{
	uint64_t id, flags;
	const char *reason;
	int r = admin_read(message, &id, &reason, &flags);
	if (r < 0) {
		return bus_reply_error(message, r, NULL);
	}
	REQUEST(request, ADMIN_FAIL, admin_fail, .id = id, .reason = text(reason),
		.dry_run = flags & FLAG_DRY_RUN);
	return serve_admin(bus, peer, message, &request);
}

static int serve_evict(struct bus *bus, struct bus_peer *peer, sd_bus_message *message)
{
	uint64_t id, flags;
	const char *reason;
	int r = admin_read(message, &id, &reason, &flags);
	if (r < 0) {
		return bus_reply_error(message, r, NULL);
	}
	REQUEST(request, ADMIN_EVICT, admin_evict, .client = id, .reason = text(reason),
		.dry_run = flags & FLAG_DRY_RUN);
	return serve_admin(bus, peer, message, &request);
}

/* Both take "tst", with known flags. */
static int admin_call(sd_bus_message *message, struct bus *bus, const char *action,
		      bus_admin_fn *fn)
{
	struct bus_call call;
	uint64_t id, flags;
	const char *reason;
	int r = bus_call_begin(&call, bus, message);
	if (r < 0 || (r = admin_read(message, &id, &reason, &flags)) < 0) {
		return r;
	}
	if (flags & ~(uint64_t)FLAG_DRY_RUN) {
		snprintf(call.detail, sizeof(call.detail),
			 "0x%llx: unknown flags; there is 1, to change nothing",
			 (unsigned long long)flags);
		return bus_call_end(&call, NULL, -EINVAL);
	}
	return bus_check(bus, call.peer, message, action, fn);
}

int bus_method_fail_timeline(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	return admin_call(message, arg, BUS_NAME ".fail-timeline", serve_fail);
}

int bus_method_evict_client(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	return admin_call(message, arg, BUS_NAME ".evict-client", serve_evict);
}

/* A caller that waits for the policy to be read. */
struct bus_reload {
	LIST_ENTRY(bus_reload) links;
	struct bus *bus;
	struct reload_waiter waiter;
	sd_bus_message *message;
};

static void reload_free(struct bus_reload *reload)
{
	reload_forget(&reload->waiter);
	LIST_REMOVE(reload, links);
	sd_bus_message_unref(reload->message);
	free(reload);
}

static void on_reloaded(struct reload_waiter *waiter, int error, const char *detail)
{
	struct bus_reload *reload = container_of(waiter, struct bus_reload, waiter);
	if (error < 0) {
		bus_reply_error(reload->message, error, detail);
	} else {
		sd_bus_reply_method_return(reload->message, NULL);
	}
	bus_transport_sent(&reload->bus->transport);
	reload_free(reload);
}

static int serve_reload(struct bus *bus, struct bus_peer *peer, sd_bus_message *message)
{
	(void)peer;
	struct bus_reload *reload = calloc(1, sizeof(*reload));
	if (!reload) {
		return bus_reply_error(message, -ENOMEM, NULL);
	}
	reload->bus = bus;
	reload->waiter.done = on_reloaded;
	reload->message = sd_bus_message_ref(message);
	LIST_INSERT_HEAD(&bus->reloads, reload, links);
	int r = reload_start(&bus->broker->reload, &reload->waiter);
	if (r < 0) {
		reload_free(reload);
		return bus_reply_error(message, r, NULL);
	}
	return 1;
}

int bus_method_reload(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_call call;
	int r = bus_call_begin(&call, arg, message);
	return r < 0 ? r : bus_check(arg, call.peer, message, BUS_NAME ".reload", serve_reload);
}

void bus_admin_lost(struct bus *bus)
{
	while (!LIST_EMPTY(&bus->reloads)) {
		reload_free(LIST_FIRST(&bus->reloads));
	}
}
