// SPDX-License-Identifier: MIT
/*
 * The stages and the hand-overs between them, from a file in libconfig syntax, like policies. Each stage has
 * at most one producer and there are no circles, so pictures flow from sources to the end. Plain data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TOPOLOGY_STAGES  16
#define TOPOLOGY_OUTPUTS 4
#define TOPOLOGY_NAME    21 /* with the NUL */

enum topology_kind {
	TOPOLOGY_RENDER,
	TOPOLOGY_CAPTURE,
	TOPOLOGY_ENCODE,
	TOPOLOGY_SEND,
	TOPOLOGY_PROBE,
	TOPOLOGY_KINDS,
};

struct topology_stage {
	char name[TOPOLOGY_NAME];
	enum topology_kind kind;
	unsigned int line;      /* of its declaration */
	unsigned int from_line; /* of its producer's edge; 0: none */
	size_t from;            /* valid if from_line > 0 */
	size_t to[TOPOLOGY_OUTPUTS];
	size_t to_count;
};

/* Each stage comes after its producer. */
struct topology {
	struct topology_stage stages[TOPOLOGY_STAGES];
	size_t count;
};

/* `name` is for errors: "NAME:LINE: a sentence". -EINVAL */
int topology_parse(const char *name, const char *text, struct topology *ret_topology, char *error,
		   size_t error_size);

/* The same from a file. Negative errno of reading it; -EFBIG */
int topology_load(const char *path, struct topology *ret_topology, char *error, size_t error_size);

/* The program of a stage: "render", "compose", ... */
const char *topology_program(const struct topology_stage *stage);
const char *topology_kind_name(enum topology_kind kind);
