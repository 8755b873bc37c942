// SPDX-License-Identifier: MIT
/*
 * Records of a run with exchanges, besides those of its driver and meter (record.h). Every word of
 * a buffer says which frame it holds: FRAME_WORD(). Each producer numbers its frames from 1; the
 * acquire point of frame n is n.
 */
#pragma once

#include "record.h"

enum exchange_record_kind {
	/* Of producers. */
	RECORD_TAKE = 32, /* fbk_exchange_take; index; `value`: the frame that was in it, 0: none */
	RECORD_HAND =
		33, /* value, index; `deadline`: to be back. `seen_begin` and `seen_end`: when its signal
			   * was begun, and was done (0: it never came to that) */
	RECORD_BACK = 34, /* a callback: value, index, result */

	/* Of consumers. `timeline` is the producer's instance, `number` which of its links. */
	RECORD_ACCEPT = 35, /* later records are about this link */
	RECORD_NEXT = 36,   /* fbk_link_next; value: the frame */
	RECORD_READY = 37,  /* waits for the acquire point; value */
	RECORD_FRAME =
		38, /* value, index; `begin`: readable, first looked at. `seen_begin`, `seen_end`: the
			     * smallest and largest word in it. `end`: about to let go of it, with `result`; and
			     * `deadline`, when that was done (0: it never came to that) */
	RECORD_PART = 39, /* its end of the link */
};

/* Flag of RECORD_FRAME: released by an eventfd, which the daemon has to see. */
#define RECORD_BY_FENCE (1U << 4)

#define FRAME_WORD(instance, value) ((uint64_t)(instance) << 40 | (value))
