// SPDX-License-Identifier: MIT
/*
 * What the doctor finds: a list of checks, each with its result, its use and the way out, and the routes
 * that follow from them. It tries each feature; it never judges by a version number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CHECK_NOTE_SIZE 200
#define WAY_OUT_SIZE    320
#define CHECKS_MAX      48

enum check_result {
	CHECK_WORKS,
	CHECK_LIMITED,
	CHECK_MISSING,
};

struct check {
	const char *name;
	enum check_result result;
	bool core; /* the daemon cannot run without it */
	const char *needed_for;
	char note[CHECK_NOTE_SIZE];
	char way_out[WAY_OUT_SIZE]; /* what to do; "" for nothing */
};

struct doctor {
	struct check checks[CHECKS_MAX];
	size_t count;
	int daemon_pid;        /* 0: none runs, or it does not say */
	bool daemon_user_mode; /* it serves one user, on the session bus */
};

/* Add a check; the note is the result. */
__attribute__((format(printf, 7, 8))) void doctor_add(struct doctor *doctor, const char *name,
						      enum check_result result, bool core,
						      const char *needed_for, const char *way_out,
						      const char *format, ...);

bool doctor_works(const struct doctor *doctor, const char *name);

void doctor_memory(struct doctor *doctor);
void doctor_process(struct doctor *doctor);
void doctor_drm(struct doctor *doctor);
void doctor_daemon(struct doctor *doctor, const char *socket);
void doctor_bus(struct doctor *doctor); /* after doctor_daemon: it says which bus */
