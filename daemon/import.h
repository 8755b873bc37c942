// SPDX-License-Identifier: MIT
/*
 * An import: a point of a brokered timeline that follows a kernel fence. Points are given in rising
 * order and reached in that order: one whose fence signals early waits for those before it. Owned by
 * the timeline; charged to who asked. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "list.h"
#include "notifier.h"
#include "wheel.h"

struct handle;
struct timeline;

struct import {
	TAILQ_ENTRY(import) links; /* of the timeline, by value */
	struct timeline *timeline;
	uint64_t value;
	bool decided;
	int result;
	int fd; /* classified; -1 for a signal by request */
	const struct notifier *notifier;
	void *notifier_state;
	struct wheel_timer deadline;
	struct charge charge;
	struct charge fd_charge;
};

/* The point `value` follows `fd` of `kind`. Takes the fd when it succeeds. */
int import_create(struct handle *handle, uint64_t value, int fd, uint32_t kind, char *detail);

/* The point is signalled by request: it is reached once all before it are. */
int import_signal(struct handle *handle, uint64_t value);

/* The timeline failed. */
void import_drop_all(struct timeline *timeline);
