// SPDX-License-Identifier: MIT
/*
 * How long who is ready to run has to wait for a CPU, written down for the checker: on a machine that is
 * taken by others nothing can be said about who was slow. A process with a thread on each CPU, which only
 * sleeps; it writes into the driver's log. Owned by the driver; one thread.
 */
#pragma once

#include <sys/types.h>

#include "journal.h"

/* The process. The journal stays open until meter_stop(). */
pid_t meter_start(struct journal *journal);
void meter_stop(pid_t pid);
