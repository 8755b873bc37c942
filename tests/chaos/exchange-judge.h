// SPDX-License-Identifier: MIT
/* The rules that a run with exchanges is held to. Owned by the checker; one thread. */
#pragma once

#include "judge.h"

#define EXCHANGE_FINDINGS(X)                                                                      \
	X(AGAIN, "frame-again", "a consumer got a frame a second time")                           \
	X(ORDER, "frame-order", "a consumer got a frame after a later one")                       \
	X(SKIPPED, "frame-skipped", "a consumer did not get a frame between two, for no reason")  \
	X(STALE, "frame-stale", "handed over before the consumer came")                           \
	X(PHANTOM, "frame-phantom", "a consumer got what nobody had begun to hand over")          \
	X(BUFFER, "wrong-buffer", "it lies in another buffer than it was handed over in")         \
	X(META, "wrong-metadata", "its metadata are those of another frame")                      \
	X(EARLY, "early", "readable before its signal was begun, or though it failed")            \
	X(TORN, "torn", "its content was of two frames")                                          \
	X(NEWER, "overwritten", "its content was that of a later frame")                          \
	X(OLDER, "not-drawn", "its content was that of an earlier frame, or of none")             \
	X(REUSED, "reused", "it was free while somebody had it")                                  \
	X(RETRACTED, "retracted-read", "a consumer asked for and got what had been free already") \
	X(WINNERS, "two-winners", "two ends have it: consumers, or one and the producer")         \
	X(UNDRAWN, "back-undrawn", "retracted, and free before its own acquire point")            \
	X(DISPLACED, "displaced", "it came back unread, and no later one was reached")            \
	X(OVERFULL, "overfull", "offered to a link that had as many as it takes")                 \
	X(HOLD, "held-too-many", "a consumer got more frames than it holds, or too few")          \
	X(LOST, "frame-lost", "it never came back to a producer that lived on")                   \
	X(BACK_AGAIN, "back-again", "it came back twice, or was never away")                      \
	X(BACK_SLOW, "back-slow", "it came back long after all had given it back")                \
	X(ERROR_LOST, "error-lost", "released in error, and the producer was told it was not")    \
	X(ERROR_MADE, "error-made-up", "in error although all was well")                          \
	X(SENT_AWAY, "sent-away", "a link ended for no reason")                                   \
	X(WRONG, "wrong-error", "an error that does not belong there")                            \
	X(WAKE, "lost-wake", "went on waiting long after it was there")                           \
	X(OVERSLEPT, "overslept", "went on long after its deadline")                              \
	X(HASTY, "hasty-timeout", "timed out before its deadline")                                \
	X(UNENDED, "never-ended", "never ended, and neither did its process")                     \
	X(CRASH, "crashed", "a process ended otherwise than it was told to")

enum exchange_finding {
#define EXCHANGE_FINDING_NUMBER(number, name, text) EXCHANGE_##number,
	EXCHANGE_FINDINGS(EXCHANGE_FINDING_NUMBER)
#undef EXCHANGE_FINDING_NUMBER
		EXCHANGE_FINDING_COUNT
};

extern const struct judge exchange_judge;
