// SPDX-License-Identifier: MIT
/* In builds with mutants only. */
#include "mutant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAP_ONE_IN 16
#define NAP_MAX_NS 200000
#define TURNS_MAX  1000

#define MUTANT_NAME(name) [MUTANT_##name] = #name,
static const char *const names[] = { [MUTANT_none] = "none", MUTANTS(MUTANT_NAME) };

/* The store buffer: one store, of this thread. */
static _Thread_local struct {
	_Atomic uint64_t *word; /* NULL: none */
	uint64_t value;
} kept;

static enum mutant mutant_read(void)
{
	const char *name = secure_getenv("FBK_MUTANT");
	if (!name) {
		return MUTANT_OFF;
	}
	for (size_t i = MUTANT_none; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			return (enum mutant)i;
		}
	}
	fprintf(stderr, "FBK_MUTANT: there is no mutant %s\n", name);
	abort();
}

enum mutant mutant_chosen(void)
{
	static _Atomic int chosen = -1;
	/* relaxed: all threads read the same */
	int mutant = atomic_load_explicit(&chosen, memory_order_relaxed);
	if (mutant < 0) {
		mutant = (int)mutant_read();
		atomic_store_explicit(&chosen, mutant, memory_order_relaxed);
	}
	return (enum mutant)mutant;
}

static uint32_t dice(void)
{
	static _Thread_local uint64_t state;
	if (state == 0) {
		state = (uint64_t)time(NULL) << 32 | (uint32_t)gettid();
	}
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33);
}

static void kept_store(void)
{
	if (kept.word) {
		/* relaxed: without a fence */
		atomic_store_explicit(kept.word, kept.value, memory_order_relaxed);
		kept.word = NULL;
	}
}

void mutant_store(_Atomic uint64_t *word, uint64_t value)
{
	kept_store(); /* stores do not overtake each other */
	kept.word = word;
	kept.value = value;
	if (dice() % 2 == 0) {
		kept_store(); /* the rest is up to the CPU */
	}
}

bool mutant_exchange(_Atomic uint64_t *word, uint64_t *expected, uint64_t value)
{
	/* relaxed: not a fence */
	uint64_t found = atomic_load_explicit(word, memory_order_relaxed);
	if (found != *expected) {
		*expected = found;
		return false;
	}
	mutant_store(word, value);
	return true;
}

void mutant_bump(_Atomic uint32_t *sequence, _Atomic uint64_t *minimum)
{
	/* seq_cst: each is right, but not their order */
	atomic_fetch_add_explicit(sequence, 1, memory_order_seq_cst);
	mutant_stretch();
	atomic_exchange_explicit(minimum, UINT64_MAX, memory_order_seq_cst);
}

/* Half of the time not at all; else for some instructions, or for as long as others have a turn. */
static void take_a_break(void)
{
	uint32_t thrown = dice();
	if (thrown % NAP_ONE_IN == 0) {
		nanosleep(&(struct timespec){ .tv_nsec = (thrown >> 8) % NAP_MAX_NS }, NULL);
	} else if (thrown % 2 == 0) {
		for (volatile uint32_t i = (thrown >> 8) % TURNS_MAX; i > 0; i--) {
		}
	}
}

void mutant_stretch(void)
{
	if (!MUTANT(OFF)) {
		take_a_break();
		kept_store();
	}
}
