// SPDX-License-Identifier: MIT
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "broker.h"
#include "clock.h"
#include "proto/container.h"
#include "client.h"

#define LOG_WINDOW_NS (10 * NS_PER_S)

static int log_verbose;

void log_set_verbose(int verbose)
{
	log_verbose = verbose;
}

__attribute__((format(printf, 2, 0))) static void log_line(const char *priority, const char *format,
							   va_list args)
{
	char line[512];
	vsnprintf(line, sizeof(line), format, args);
	/* One write a line; the journal reads the prefix, people need not. */
	fprintf(stderr, "%s%s\n", getenv("JOURNAL_STREAM") ? priority : "fencebrokerd: ", line);
}

#define LOG_FUNCTION(name, priority, condition)   \
	void name(const char *format, ...)        \
	{                                         \
		if (!(condition)) {               \
			return;                   \
		}                                 \
		va_list args;                     \
		va_start(args, format);           \
		log_line(priority, format, args); \
		va_end(args);                     \
	}

LOG_FUNCTION(log_error, SD_ERR, 1)
LOG_FUNCTION(log_warning, SD_WARNING, 1)
LOG_FUNCTION(log_info, SD_INFO, 1)
LOG_FUNCTION(log_debug, SD_DEBUG, log_verbose)

/* A line costs its user for ten seconds, also when that user reconnects. */
struct log_charge {
	LIST_ENTRY(log_charge) links;
	struct broker *broker;
	struct charge charge;
	struct wheel_timer expiry;
};

static void log_charge_destroy(struct log_charge *entry)
{
	broker_disarm(entry->broker, &entry->expiry);
	LIST_REMOVE(entry, links);
	charge_release(&entry->charge);
	free(entry);
}

static void log_charge_expired(struct wheel_timer *timer)
{
	log_charge_destroy(container_of(timer, struct log_charge, expiry));
}

static bool log_line_charge(struct broker *broker, struct user *user)
{
	struct log_charge *entry = calloc(1, sizeof(*entry));
	if (!entry || !user || charge_take(&entry->charge, user, ACCOUNT_LOG_LINES, 1) < 0) {
		free(entry);
		return !user;
	}
	entry->broker = broker;
	entry->expiry.fire = log_charge_expired;
	LIST_INSERT_HEAD(&broker->log_charges, entry, links);
	broker_arm(broker, &entry->expiry, clock_now_ns() + LOG_WINDOW_NS);
	return true;
}

void log_starved(struct broker *broker, const char *consequence)
{
	uint64_t now = clock_now_ns();
	if (now >= broker->starved_quiet_until_ns) {
		broker->starved_quiet_until_ns = now + LOG_WINDOW_NS;
		log_warning("file descriptors are used up, %s: raise LimitNOFILE=", consequence);
	}
}

void log_forget(struct broker *broker)
{
	while (!LIST_EMPTY(&broker->log_charges)) {
		log_charge_destroy(LIST_FIRST(&broker->log_charges));
	}
}

bool log_claim(const struct client *client)
{
	bool granted = log_line_charge(client->broker, client->user);
	if (!granted) {
		client->broker->counters.log_lines_dropped++;
	}
	return granted;
}

void log_client(struct client *client, const char *format, ...)
{
	char line[384];
	if (!log_claim(client)) {
		return;
	}
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_warning("%s: %s", client_label(client), line);
}
