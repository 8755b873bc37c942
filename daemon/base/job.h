// SPDX-License-Identifier: MIT
/*
 * Work that may block, done once by a thread of its own while the loop goes on. Embedded in the heap object that the work is
 * about. The thread and the loop both hold that object, as the loop may let go of a thread that hangs: the last of them frees
 * it. Loop's thread only, but for `work`.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "loop.h"

struct job;

struct job_ops {
	const char *name;              /* of the thread */
	void (*work)(struct job *job); /* in the thread */
	void (*done)(
		struct
		job *job); /* from the loop, once the thread has ended; then the loop lets go of the job */
	void (*free)(struct job *job); /* in either thread */
};

struct job {
	const struct job_ops *ops;
	_Atomic int holders;
	int ended; /* an eventfd that the thread writes at its end; never read */
	struct event *event;
	pthread_t thread;
	bool joined;
};

/* Takes the object, also when it fails: 0, -EAGAIN, -ENOMEM, -EMFILE. */
int job_start(struct job *job, const struct job_ops *ops, struct loop *loop);

/* Wait for the thread's end for at most so long: true, if it has ended; then `done` will not be called. */
bool job_join(struct job *job, int timeout_ms);

/* The loop's part of it ends. A thread that still runs keeps what it uses. */
void job_let_go(struct job *job);
