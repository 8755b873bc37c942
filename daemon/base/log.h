// SPDX-License-Identifier: MIT
/*
 * The daemon's log: the journal, with structured fields, where the service manager connected stderr to it; else
 * lines of text on stderr. The fields are
 *   MESSAGE_ID                        what kind of event it is; see below
 *   FENCEBROKER_UID, FENCEBROKER_PID  the client that the line is about
 *   FENCEBROKER_TIMELINE              the timeline, by its name
 *   FENCEBROKER_DEVICE                the device that signals it, by its name
 * Loop's thread only, and before the loop runs. None of it waits: an outlet writes the lines. What nobody reads in time is
 * dropped, counted, and said in its place.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-id128.h>

/* Each of these has an entry in systemd/fencebroker.catalog. */

/* What a client did wrong, and how the daemon answered. */
#define LOG_MESSAGE_CLIENT \
	SD_ID128_MAKE(6d, a1, 81, d4, 14, 3c, 40, 38, 8c, 19, f9, e1, a5, d5, 3c, b9)
/* A wait ended by its deadline; the line has the blame. */
#define LOG_MESSAGE_EXPIRED \
	SD_ID128_MAKE(ed, 4d, ce, a8, ac, 8a, 42, 93, 82, 9d, 13, 58, 06, 19, 03, 83)
/* A kernel fence takes long; the line has the blame. */
#define LOG_MESSAGE_LATE \
	SD_ID128_MAKE(f3, 08, bc, 6c, d8, 23, 41, a3, a4, 61, 7f, 7a, 13, 43, 0d, 2d)
/* A promise to the kernel was broken. */
#define LOG_MESSAGE_PROMISE \
	SD_ID128_MAKE(a5, 6f, 33, af, 70, 5f, 42, b7, 9d, 5a, 78, 8f, c4, 03, eb, f2)
/* The daemon is out of file descriptors. */
#define LOG_MESSAGE_STARVED \
	SD_ID128_MAKE(13, 26, 89, fe, d1, d5, 45, 5a, 88, 11, 46, f3, 61, f3, 7d, fc)
/* The files of the policy have an error, and another policy is in force. */
#define LOG_MESSAGE_POLICY \
	SD_ID128_MAKE(92, 09, 28, 97, b1, cf, 41, 4c, a3, e2, 57, 65, d0, 67, 3b, e9)

/* What a line is about; all zero: nothing in particular. */
struct log_subject {
	sd_id128_t message_id;
	bool has_client;
	uid_t uid;
	pid_t pid;
	const char *timeline; /* NULL: none */
	const char *device;
};

void log_set_verbose(int verbose);

/* At the end of the process: wait a second for whoever reads. */
void log_finish(void);

/* How many lines nobody read in time. */
uint64_t log_dropped(void);

__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

/* System call `call` failed with -error, and nothing works without it. Returns `error`. */
int log_call(const char *call, int error);

/* Why it may have. "" for most errnos. */
const char *call_hint(int error);

__attribute__((format(printf, 2, 3))) void log_warning_about(const struct log_subject *subject,
							     const char *format, ...);

/* For what all users together cause: true, and then false for ten seconds. `quiet_until_ns` is 0 at first. */
bool log_seldom(uint64_t *quiet_until_ns);

/* File descriptors are used up; `consequence` says what that leads to. Logs one line in ten seconds at
 * most, for all users together. */
void log_starved(const char *consequence);
