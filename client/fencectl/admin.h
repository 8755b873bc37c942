// SPDX-License-Identifier: MIT
/*
 * What an administrator asks of the daemon: over the bus, where polkit decides who may, or over the socket, where root may
 * and the user of a daemon of its own. One of both reaches the daemon that the other verbs show.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fencectl.h"

/* The administrator may have to type a password; look-ups of the daemon may take long. */
#define ADMIN_TIMEOUT_S 600

enum admin_what {
	ADMIN_FAIL,
	ADMIN_EVICT,
	ADMIN_RELOAD,
};

struct admin_request {
	enum admin_what what;
	uint64_t id;
	const char *reason; /* printable; "": none */
	bool dry_run;
};

/* Ask, and print what comes back. `name` is the verb's. Returns an exit status. */
int admin_run(const struct admin_request *request, const char *name, const struct options *options);

/* The same for a verb whose operands are an id and perhaps a reason. */
int admin_run_about(enum admin_what what, const char *name, const struct options *options);

/* Sentences: as many as needed, then NULL. */
void sentences_free(char **sentences);

enum admin_bus {
	ADMIN_BUS_SYSTEM,
	ADMIN_BUS_SESSION, /* of the user's own daemon */
};

/* admin-bus.c. 0, -ENOTCONN: no daemon is on that bus, or an error that it has printed. `ret_sentences` may be NULL. */
int admin_over_bus(const struct admin_request *request, const char *name, enum admin_bus bus,
		   char ***ret_sentences);
