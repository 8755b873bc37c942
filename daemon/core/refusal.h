// SPDX-License-Identifier: MIT
/*
 * Connections that were refused. Each is its user's, as any line of the log is: there is no client that it could be charged
 * to. The first is logged at once, those that follow in the next ten seconds as one line. Loop's thread only.
 */
#pragma once

struct credentials;
struct registry;

/* `why` names what it met: a limit, or what the daemon lacks. The credentials have at least pid, uid and gid. */
void refusal_log(struct registry *registry, const struct credentials *credentials, const char *why);

/* The registry ends: say what was not said yet. */
void refusals_finish(struct registry *registry);
