// SPDX-License-Identifier: MIT
/*
 * Reads the policy anew while the daemon serves. Looking up users may block, so a thread of its own reads; it lives only
 * for that, and an eventfd tells the loop. On success `apply` puts the new policy in place; on an error the old one stays,
 * and `refuse` tells why.
 * Embedded in the broker; loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "daemon/base/loop.h"
#include "daemon/rules/policy-source.h"

struct policy;
struct reload_run;

/* Embedded in what asks for a reload. */
struct reload_waiter {
	LIST_ENTRY(reload_waiter) links;
	bool waiting;
	/* Called once, unless forgotten before, and not from within reload_start(). `error` is 0 or a negative errno with a
	 * sentence: "FILE:LINE: ..." (-EINVAL) for a fault in the file. May free what embeds the waiter, and start another
	 * reload. */
	void (*done)(struct reload_waiter *waiter, int error, const char *detail);
};

LIST_HEAD(reload_waiters, reload_waiter);

struct reload {
	struct loop *loop;
	struct policy_source source; /* its strings live as long as the daemon */
	void (*apply)(struct reload *reload, struct policy *policy); /* takes the policy */
	/* The old one stays; `detail` is as for a waiter. */
	void (*refuse)(struct reload *reload, const char *detail);
	struct reload_run *run;        /* NULL: none */
	struct reload_waiters running; /* for the end of this run */
	struct reload_waiters
		next; /* came while it ran, and may know of a newer file: for the next run */
};

/* All that ask during one run share the next. 0, or with nothing started: -EOPNOTSUPP without a source, -EAGAIN, -ENOMEM,
 * -EMFILE. */
int reload_start(struct reload *reload, struct reload_waiter *waiter);
void reload_forget(struct reload_waiter *waiter); /* takes one that does not wait */

/* The daemon ends: waiters are told -ESHUTDOWN. Waits for a thread that runs, but not for one that hangs in a look-up:
 * that goes with the process. */
void reload_finish(struct reload *reload);
