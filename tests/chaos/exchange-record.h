// SPDX-License-Identifier: MIT
/*
 * Records of a run with exchanges, besides those of its driver and meter (record.h). Every word of
 * a buffer says which frame it holds: FRAME_WORD(). Each producer numbers its frames from 1; the
 * acquire point of frame n is n, and so is its presentation time.
 */
#pragma once

#include "record.h"

enum exchange_record_kind {
	/* Of producers. */
	RECORD_TAKE = 32, /* fbk_exchange_take; index; `value`: the frame that was in it, 0: none */
	RECORD_HAND =
		33, /* value, index; `number` of links it was offered on; `deadline`: to be back.
			   * `seen_begin` and `seen_end`: when its signal, or failure, was begun, and was done (0: it
			   * never came to that) */
	RECORD_BACK = 34,    /* a callback: value, index, result */
	RECORD_DEPTH = 40,   /* of link `number`, before all frames: index; 0: none */
	RECORD_ABANDON = 43, /* value, index: new memory lies there from then on */

	/* Of consumers. `timeline` is the producer's instance, `number` which of its links. */
	RECORD_ACCEPT =
		35, /* later records are about this link; index: how many frames it may hold */
	RECORD_NEXT =
		36, /* fbk_link_next; value: the frame, by its acquire point; `seen_begin`: the
			   * same by its metadata; `seen_end`: its sequence; `fires`: frames that were held */
	RECORD_READY = 37, /* waits for the acquire point; value */
	RECORD_FRAME =
		38, /* value, index; `begin`: readable, first looked at. `seen_begin`, `seen_end`: the
			     * smallest and largest word in it. `end`: about to let go of it, with `result`; and
			     * `deadline`, when that was done (0: it never came to that); `fires`: the error
			     * (without sign) of a release that was refused */
	RECORD_PART = 39,  /* its end of the link */
	RECORD_PAUSE = 41, /* index: 1 paused, 0 resumed */
	RECORD_HALT = 42,  /* fbk_link_stop */
};

enum exchange_record_flags {
	RECORD_BY_FENCE = 1 << 2, /* FRAME: released by an eventfd, which the daemon has to see */
	RECORD_MAILBOX = 1 << 3,  /* ACCEPT: the newest frame, not each */
	RECORD_DISCONT = 1 << 4,  /* NEXT: something is missing before it */
	RECORD_FAILS = 1 << 5,    /* HAND: its acquire point fails */
	RECORD_SKIPS = 1 << 6,    /* DEPTH: the link gets no frame while it has that many */
};

#define FRAME_WORD(instance, value) ((uint64_t)(instance) << 40 | (value))
