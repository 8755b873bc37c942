// SPDX-License-Identifier: MIT
/*
 * The daemon's log: stderr with the priority prefixes that the journal understands. What a client
 * did wrong is charged to its user, so that nobody can fill the log.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

struct broker;
struct client;

void log_set_verbose(int verbose);

__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

/* What this client did, and what was done about it. */
__attribute__((format(printf, 2, 3))) void log_client(struct client *client, const char *format,
						      ...);

/* Charge a line that this client causes: false, and counted, when its user had too many. */
bool log_claim(const struct client *client);

/* File descriptors are used up; `consequence` is what that leads to. Not more often than every ten
 * seconds, whoever causes it. */
void log_starved(struct broker *broker, const char *consequence);

/* The broker ends: let go of what lines are charged. */
void log_forget(struct broker *broker);
