// SPDX-License-Identifier: MIT
/*
 * Runs the actors of a stress run, and torments them: SIGSTOP and SIGCONT, SIGKILL and a new one in its
 * place, or the wish that it leaves. Passes tokens between them. Writes a log of its own: what it did to
 * whom, and who ended for no such reason. One thread.
 */
#pragma once

#include "hostile.h"

struct driver_report {
	uint64_t signals, kills, stops, leaves, crashes;
	uint64_t ms;
};

/* Until that many signals were made, or that many seconds have passed (0: no matter). */
void driver_run(const struct chaos *chaos, uint64_t signals, uint64_t seconds, bool hostile,
		struct driver_report *ret_report);
