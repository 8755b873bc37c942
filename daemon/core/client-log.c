// SPDX-License-Identifier: MIT
#include "client-log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "proto/container.h"

#define LOG_WINDOW_NS (10 * NS_PER_S)

/* The charge of a line lasts ten seconds, also when its user reconnects. */
struct log_charge {
	LIST_ENTRY(log_charge) links;
	struct registry *registry;
	struct charge charge;
	struct wheel_timer expiry;
};

static void log_charge_destroy(struct log_charge *entry)
{
	loop_disarm(&entry->registry->loop, &entry->expiry);
	LIST_REMOVE(entry, links);
	charge_release(&entry->charge);
	free(entry);
}

static void log_charge_expired(struct wheel_timer *timer)
{
	log_charge_destroy(container_of(timer, struct log_charge, expiry));
}

static bool log_charge_line(struct registry *registry, struct user *user)
{
	struct log_charge *entry = calloc(1, sizeof(*entry));
	if (!entry || charge_take(&entry->charge, user, ACCOUNT_LOG_LINES, 1) < 0) {
		free(entry);
		return false;
	}
	entry->registry = registry;
	entry->expiry.fire = log_charge_expired;
	LIST_INSERT_HEAD(&registry->log_charges, entry, links);
	loop_arm(&registry->loop, &entry->expiry, clock_now_ns() + LOG_WINDOW_NS);
	return true;
}

void client_log_finish(struct registry *registry)
{
	while (!LIST_EMPTY(&registry->log_charges)) {
		log_charge_destroy(LIST_FIRST(&registry->log_charges));
	}
}

bool log_claim(struct registry *registry, struct user *user)
{
	bool granted = log_charge_line(registry, user);
	if (!granted) {
		registry->counters.log_lines_dropped++;
	}
	return granted;
}

bool client_log_claim(const struct client *client)
{
	return log_claim(client->registry, client->user);
}

void client_log(struct client *client, const char *format, ...)
{
	char line[384];
	if (!client_log_claim(client)) {
		return;
	}
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_warning_about(&(struct log_subject){ .uid = client->subject.uid,
						 .pid = client->credentials.pid,
						 .has_client = true,
						 .message_id = LOG_MESSAGE_CLIENT },
			  "%s: %s", client_label(client), line);
}
