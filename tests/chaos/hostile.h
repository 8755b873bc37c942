// SPDX-License-Identifier: MIT
/*
 * Hostile clients beside the actors of a stress run, on the same timelines. They speak the wire
 * protocol themselves and write no log: no other client may notice them. Each is a process, ended
 * by SIGKILL.
 */
#pragma once

#include "actor.h"

enum hostile_kind {
	HOSTILE_LOW,      /* keeps the minimum of its cells at 1, and rings */
	HOSTILE_CROWD,    /* thousands of threads asleep on one cell */
	HOSTILE_SCRIBBLE, /* writes nonsense over its pages, and misuses its doorbell */
	HOSTILE_KINDS,
};

/* `socket` brings tokens. */
int hostile_run(const struct chaos *chaos, enum hostile_kind kind, int socket);
