// SPDX-License-Identifier: MIT
/*
 * The threads of this process that sleep on one cell, and sleeping there. Embedded beside the pointer to the
 * cell; any thread, no lock. The letters are those of tests/model: W wait.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "proto/page.h"

struct crowd {
	_Atomic uint32_t sleepers;
	_Atomic uint32_t passed; /* the sequence at which one of them last woke the others */
};

/* W5, on one cell: sleep while its sequence is this, at most until then. */
void crowd_sleep(struct fbk_pair_cell *cell, uint32_t sequence, const struct timespec *until);

/* W6, of one of those that slept on the cell and were counted in the crowd. */
void crowd_wake(struct crowd *crowd, struct fbk_pair_cell *cell);
