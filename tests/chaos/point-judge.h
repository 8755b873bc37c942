// SPDX-License-Identifier: MIT
/*
 * The rules of a stress run. They know nothing of how library and daemon work. Owned by the
 * checker; one thread.
 */
#pragma once

#include "judge.h"

#define FINDINGS(X)                                                                      \
	X(EARLY, "early", "reached before a signal of such a value was begun")           \
	X(LOST, "lost-wake", "went on waiting long after the point was decided")         \
	X(OVERSLEPT, "overslept", "went on waiting long after its deadline")             \
	X(HASTY, "hasty-timeout", "timed out before its deadline")                       \
	X(BLIND, "blind-timeout", "timed out although it was reached before")            \
	X(UNENDED, "never-ended", "never ended, and neither did its process")            \
	X(TWICE, "told-twice", "told more than once")                                    \
	X(CANCELLED, "told-after-cancel", "told although it was cancelled")              \
	X(BACK, "value-back", "a value was seen that is below one seen before")          \
	X(AHEAD, "value-ahead", "a value was seen that nobody had begun to signal")      \
	X(BELOW, "value-below", "reached, but the value seen then is below the point")   \
	X(REVIVED, "reached-after-failed", "a point was reached and a lower one failed") \
	X(DENIED, "reached-failed", "failed although its signal was done")               \
	X(WRONG, "wrong-error", "an error that its owner's end does not explain")        \
	X(INDEX, "wrong-index", "the answer names a point that there was not")           \
	X(SIGNAL, "signal-refused", "the owner could not signal")                        \
	X(OPEN, "open-refused", "could not be opened although its owner had it still")   \
	X(CRASH, "crashed", "a process ended otherwise than it was told to")

enum finding {
#define FINDING_NUMBER(number, name, text) FINDING_##number,
	FINDINGS(FINDING_NUMBER)
#undef FINDING_NUMBER
		FINDING_COUNT
};

extern const struct judge point_judge;
