// SPDX-License-Identifier: MIT
/* Log lines that a client causes. Each is charged to the client's user for ten seconds, so that no user can fill the
 * log. Loop's thread only. */
#pragma once

#include <stdbool.h>

struct client;
struct registry;
struct user;

/* Log what this client did and how the daemon answered. */
__attribute__((format(printf, 2, 3))) void client_log(struct client *client, const char *format,
						      ...);

/* Charge a line that this client causes. False, and counted, when the limit of its user is reached. */
bool client_log_claim(const struct client *client);

/* The same, for a user without a client. */
bool log_claim(struct registry *registry, struct user *user);

/* The registry ends: release the charges of all lines. */
void client_log_finish(struct registry *registry);
