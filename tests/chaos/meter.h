// SPDX-License-Identifier: MIT
/*
 * Measures how long a ready thread waits for a CPU, and logs it for the checker: on an overloaded
 * machine lateness proves nothing. A process with one thread on each CPU, which only sleeps; it
 * writes into the driver's log. Owned by the driver; one thread.
 */
#pragma once

#include <sys/types.h>

#include "journal.h"

/* The process. The journal stays open until meter_stop(). */
pid_t meter_start(struct journal *journal);
void meter_stop(pid_t pid);
