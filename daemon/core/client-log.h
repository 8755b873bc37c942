// SPDX-License-Identifier: MIT
/* Log lines that a client causes: each is charged to its user for ten seconds, so that nobody fills the log.
 * Loop's thread only. */
#pragma once

#include <stdbool.h>

struct client;
struct registry;

/* What this client did, and what was done about it. */
__attribute__((format(printf, 2, 3))) void client_log(struct client *client, const char *format,
						      ...);

/* Charge a line that this client causes: false, and counted, when its user had too many. */
bool client_log_claim(const struct client *client);

/* The registry ends: release what lines are charged. */
void client_log_finish(struct registry *registry);
