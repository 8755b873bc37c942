// SPDX-License-Identifier: MIT
/*
 * What the tests in the guest share beyond raw kernel fences and peers: a daemon whose policy
 * allows promises, and a device with a timeline in memory next to a waiter. Every unexpected error
 * fails the running test.
 */
#pragma once

#include "../integration/lib-daemon.h"
#include "../integration/lib-peer.h"
#include "lib-kernel.h"

/* The most that the policy allows. It is below the limit of any kernel, so that a slow machine
 * breaks no promise that should be kept, and a test can tell whether the kernel or the daemon ended
 * one. The kernel of these guests takes 10 s. */
#define LAB_PROMISE_MS    1500
#define KERNEL_PROMISE_MS 10000

/* A policy that allows everything to everybody: promises too, explicit and implicit, for LAB_PROMISE_MS;
 * imports fail after `import_ms`. Valid until the next call. */
const char *lab_policy(unsigned int import_ms);

/* A signaler and a waiter in this process, each with a context of its own. */
struct lab {
	struct daemon daemon;
	struct fbk_context *signaler, *waiter;
	struct fbk_device *device;     /* of the signaler */
	struct fbk_device *imports;    /* of the waiter */
	struct fbk_timeline *timeline; /* in memory; the signaler's */
	struct fbk_timeline *opened;   /* the same, as the waiter has it */
};

void lab_open(struct lab *lab, const char *policy);
void lab_close(struct lab *lab);

static inline struct fbk_point lab_point(const struct lab *lab, uint64_t value)
{
	return (struct fbk_point){ lab->opened, value };
}

/* `full` with FBK_SOAK, else a tenth of it, for loops that prove something by their count. */
unsigned int lab_count(unsigned int full);

/* Until the feature works, or does not: the context's fd is readable, and a dispatch tells. */
void lab_await_feature(struct fbk_context *context, enum fbk_feature feature, int works);

/* As daemon_fd_count() and daemon_await_fds(), once it has closed vgem's card: a second or two after the last promise. */
unsigned int lab_fd_count(const struct daemon *daemon);
void lab_await_fds(const struct daemon *daemon, unsigned int count);

/* One of the daemon's counters. */
uint64_t lab_counter(const struct daemon *daemon, const char *name);

/* main() of a suite: as suite_main(), but skipped outside of a guest, and without `driver`'s card
 * (NULL: none is needed). */
int lab_main(const char *name, const char *driver, void (*add)(TCase *tcase));

/* The same with something set up around it: `start` returns NULL, or why it cannot, which skips the
 * suite. */
int lab_main_with(const char *name, const char *(*start)(void), void (*stop)(void),
		  void (*add)(TCase *tcase));
