// SPDX-License-Identifier: MIT
/*
 * The writer's side of record.h: a mapped file, so that the kernel keeps what was stored however
 * the writer ends. Owned by its process; any thread takes records, and fills in its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "record.h"

struct journal {
	struct record_header *header;
	struct record *records;
	size_t size;
};

/* Makes DIRECTORY/INSTANCE. `capacity` in records: the file is sparse. 0 or a negative errno. */
int journal_create(struct journal *journal, const char *directory, uint32_t instance, uint32_t slot,
		   size_t capacity);
void journal_finish(struct journal *journal);

/* `count` records in a row, all zero; NULL when the file is full. */
struct record *journal_take(struct journal *journal, size_t count);

/* As journal_take(), and the first record begins now. Never NULL: a process that cannot log
 * ends. */
struct record *journal_begin(struct journal *journal, size_t count);

/* The record, with its `begin`: publish it once its other fields are set. */
void record_publish(struct record *record, unsigned int kind);
void record_end(struct record *record, int result); /* now */

uint64_t clock_ns(void);
