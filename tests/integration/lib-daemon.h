// SPDX-License-Identifier: MIT
/*
 * A real fencebrokerd for one test: started from $FBK_BIN_DIR in a fresh directory; waits poll and
 * do not sleep for a fixed time; its exit status is checked at the end. Every unexpected error
 * fails the running test. Owned by the test; any thread, one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../expect.h"
#include "../suite.h"

/* How long anything that must happen may take on a loaded machine. */
#define PATIENCE_MS 30000

struct daemon {
	pid_t pid; /* 0: not running */
	int pidfd;
	char directory[64];
	char socket[96];
	char policy[96]; /* "" when the built-in one is used */
	char log[96];    /* what it wrote to stderr */
	bool service;    /* it was there before, and stays */
};

/* How to start it, beyond the usual. All zero: `--user --socket SOCKET`. */
struct daemon_options {
	const char *policy;               /* text of a policy file; then it is a system daemon */
	const char *const *args;          /* in place of all arguments; ends with NULL */
	int listen_fd;                    /* 0: none; else handed over by socket activation */
	uid_t uid;                        /* 0: do not change */
	uint64_t nofile;                  /* 0: do not change */
	int stderr_fd;                    /* 0: the log file; -1: it has none */
	const char *notify;               /* NULL: the test's own socket of notifications */
	void (*confine)(const void *arg); /* NULL: none; else called in its process before exec */
	const void *confine_arg;
};

/* A directory of its own, and the paths in it. Nothing runs yet. */
void daemon_prepare(struct daemon *daemon);

/* Start, and return when it says READY=1. `options` may be NULL. */
void daemon_start(struct daemon *daemon, const struct daemon_options *options);

/* daemon_prepare() and daemon_start() with this policy. NULL: the user's built-in one, or, where $FBK_SERVICE names its socket
 * and $FBK_SERVICE_PID its process, an installed service whose policy allows everything. */
void daemon_serve(struct daemon *daemon, const char *policy);

/* Start a daemon that must fail: wait for its end and return the exit status; `ret_text` gets what
 * it printed. */
int daemon_run(struct daemon *daemon, const struct daemon_options *options, char *ret_text,
	       size_t text_size);

/* Starts it, and does not wait: it is up once a client is served. */
void daemon_launch(struct daemon *daemon, const struct daemon_options *options);

/* SIGTERM; it must end with status 0. Then remove the directory. */
void daemon_stop(struct daemon *daemon);

/* The same, for a test that may have ended it already: then only the directory is removed. */
void daemon_end(struct daemon *daemon);

/* As daemon_stop(), keeping the directory: it may be started again. */
void daemon_terminate(struct daemon *daemon);

void daemon_kill(struct daemon *daemon);   /* SIGKILL, and wait for it */
void daemon_remove(struct daemon *daemon); /* the directory */

/* How many fds it has open once it has done everything it was asked: it closes its copy of an fd
 * that it sent a little after the reply. */
unsigned int daemon_fd_count(const struct daemon *daemon);

/* Waits until it has that many; fails the test if it never has. */
void daemon_await_fds(const struct daemon *daemon, unsigned int count);

/* How often it gave up the CPU to wait: once for each time it woke. */
unsigned long daemon_wakeups(const struct daemon *daemon);

/* Its wake-ups once it has done everything it was asked: none more within `ms`. */
unsigned long daemon_settled(const struct daemon *daemon, uint64_t ms);

/* The helper that closes fds for it, its only child. */
pid_t daemon_closer(const struct daemon *daemon);

/* All that it has said until now: its thread that writes the log is at rest. */
void daemon_log_text(const struct daemon *daemon, char *ret_text, size_t text_size);

/* CLOCK_MONOTONIC. */
uint64_t now_ms(void);
uint64_t monotonic_ns(void);

/* Let other processes run for at most a millisecond; for loops that poll with a deadline. */
void yield_briefly(void);

/* Zeroed memory that is shared with all processes forked later. */
void *shared_memory(size_t size);

/* A child process: runs `fn` and exits with what it returns. */
pid_t child_start(int (*fn)(void *arg), void *arg);
int child_wait(pid_t pid); /* its exit status, or 128 + the signal that killed it */

/* Waits until that thread, of this process or of a child, sleeps on a word of shared memory. */
void await_asleep(pid_t thread);

/* Waits until it sleeps on a private word, as for a reply that another thread reads. */
void await_queued(pid_t thread);

/* Waits until it is in poll(2) or epoll(7), like an event loop without work. A daemon has then
 * looked at everything it was rung for. */
void await_polling(pid_t thread);
