// SPDX-License-Identifier: MIT
/* What the verbs of fencectl share. One file per verb; main.c has the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/include/fencebroker.h"

#define OPERANDS_MAX 4

struct options {
	bool json;
	const char *socket;                 /* NULL: the library's default */
	const char *operands[OPERANDS_MAX]; /* those that are given; then NULL */
	uint64_t older_ms;
	bool dry_run;
	bool all;      /* zeros too */
	bool no_start; /* fail where no daemon runs, even if connecting would start it */
	/* what a list is narrowed to */
	bool has_uid;
	uint32_t uid;
	uint64_t client;    /* 0: all */
	const char *device; /* NULL: all; a name, or #ID */
	const char *name;   /* NULL: all; a pattern */
	uint64_t limit;     /* 0: all */
	const char *as;     /* policy show: a user; NULL: the rules */
};

/* Exit statuses beside EXIT_SUCCESS and EXIT_FAILURE. */
#define EXIT_USAGE 2
#define EXIT_STUCK 3
#define EXIT_NO    4

#define OLDER_MS 1000 /* default of --older */

struct verb {
	const char *name;
	const char *operands;                      /* their names in --help; "" for none */
	int operand_count;                         /* the most */
	int optional;                              /* this many of them may be left out */
	const char *summary;                       /* NULL: not in --help; such are the last */
	int (*run)(const struct options *options); /* an exit status */
};

int verb_status(const struct options *options);
int verb_clients(const struct options *options);
int verb_devices(const struct options *options);
int verb_timelines(const struct options *options);
int verb_links(const struct options *options);
int verb_explain(const struct options *options);
int verb_stuck(const struct options *options);
int verb_doctor(const struct options *options);
int verb_fail(const struct options *options);
int verb_evict(const struct options *options);
int verb_reload(const struct options *options);
int verb_policy(const struct options *options);
int verb_config(const struct options *options);
int verb_names(const struct options *options);

/* For completion: a line for each. */
void verbs_print(void);
void options_print(void);

/* Print that there is no such verb, and which was perhaps meant. */
void verb_suggest(const char *word, const struct verb *verbs, size_t count);

/* A decimal number, and nothing else. */
bool number_read(const char *text, uint64_t *ret_number);

/* running.c: whether a daemon runs at the socket that the library would connect to. Starts none. */
bool daemon_runs(const char *socket);

/* Connect, or print to stderr why not and what to do. */
int connect_or_explain(const struct options *options, struct fbk_context **ret_context);

/* Print the library's last error to stderr; returns EXIT_FAILURE. */
int explain_failure(const char *what);
