// SPDX-License-Identifier: MIT
/*
 * The sentence of this thread's last failure, for fbk_error_detail(). Any thread, any lock. What a failure is made of is
 * kept, and becomes a sentence when it is asked for: programs check a point that failed in loops.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"
#include "proto/error.h"

/* All return `error`; the second has the errno's own sentence, the third a sentence that is a constant. */
__attribute__((format(printf, 2, 3))) int error_set(int error, const char *format, ...);
int error_plain(int error);
int error_fixed(int error, const char *sentence);

/* System call `call` failed with -error. One that the kernel lacks or a sandbox refuses is -ENOSYS, whatever the filter says: -EPERM
 * is the daemon's policy. */
int error_of_call(const char *call, int error);

int error_lost(void);  /* -ENOTCONN: the daemon is gone */
int error_child(void); /* -EBADF: in a forked child */

/* Of a name that no request takes, since it is too long: the daemon judges all others. 0: it is not. */
int error_of_name(const char *what, const char *name);

/* What became of a point: its timeline may be closed before somebody asks. */
struct point_story {
	int error; /* the original; 0: there is no story */
	enum fbk_cause cause;
	bool late; /* no failure: the deadline passed */
	uint64_t value;
	pid_t pid;
	char timeline[FBK_NAME_SIZE], device[FBK_NAME_SIZE];
};

/* To be filled in: it is the last failure from then on. */
struct point_story *error_story(void);

void story_tell(const struct point_story *story, char *ret_text, size_t size);

struct failure {
	const char *fixed; /* NULL: one of the next two */
	struct point_story story;
	char text[2 * FBK_REASON_SIZE];
};

/*
 * Functions that return no error leave the sentence alone, whatever they meet: with ERRORS_KEPT() at their begin. So a
 * program may clean up before it asks. Likewise a call that goes on after a failure of its own, and succeeds.
 */
struct failure error_last(void);
void error_restore(const struct failure *kept);
#define ERRORS_KEPT()                                                                      \
	__attribute__((cleanup(error_restore), unused)) const struct failure errors_kept = \
		error_last()
