// SPDX-License-Identifier: MIT
/*
 * Mutants: faults of the signalling protocol that a build with -DFBK_MUTANTS=ON can be told to have, one
 * at a time, by $FBK_MUTANT in each process. They are there to show that tests/mutants finds such faults;
 * tests/model knows them by the same names. In any other build they are constant and leave no code.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define MUTANTS(X) \
	X(SIGNAL_FENCE)         /* S1: the payload is raised without a full fence */ \
	X(WAIT_FENCE)           /* W3: the minimum is lowered without one */ \
	X(PUBLISH_FENCE)        /* D2: `monitored` is published without one */ \
	X(WAIT_REREAD)          /* W4: who armed its cell sleeps without another look */ \
	X(DAEMON_REREAD)        /* D3: nor does the daemon take one, after publishing */ \
	X(SEQUENCE_LATE)        /* W1: the sequence is loaded after that look */ \
	X(BUMP_BEFORE_EXCHANGE) /* S4, S5, D4: the sequence is bumped, then the minimum taken */ \
	X(WAKE_ONE)             /* S6, W6, D4: one is woken, who wakes no other */ \
	X(DEATH_SILENT)         /* F5: nobody is woken when the signaler died */ \
	X(DEATH_UNREAD)         /* F3: nor is the payload read once more */ \
	X(MAPPED_EARLY)         /* R2, R1: `mapped` is set before signals see the cell */ \
	X(DROP_SILENT)          /* X3 to X5: a dropped cell is not woken */ \
	X(UNMAPPED_UNARMED)     /* W2: who has a cell relies on it, mapped or not */ \
	X(NAP_REREAD)           /* W4 of a watch: no look after its cell was armed */
/* clang-format on */

#define MUTANT_ENUM(name) MUTANT_##name,
enum mutant {
	MUTANT_OFF,  /* $FBK_MUTANT is not set */
	MUTANT_none, /* the protocol as it is, stretched */
	MUTANTS(MUTANT_ENUM)
};

#ifdef FBK_MUTANTS
#define MUTANT(name)     (mutant_chosen() == MUTANT_##name)
#define MUTANT_STRETCH() mutant_stretch()
#else
#define MUTANT(name)     ((void)MUTANT_##name, false)
#define MUTANT_STRETCH() ((void)0)
#endif

/* What follows is called in a build with mutants only. */
enum mutant mutant_chosen(void);

/* At places where others may come between: now and then, let them. What was stored without a fence comes
 * out at the latest here: before each fence that comes next on the way there is such a place. */
void mutant_stretch(void);

/* A store without a fence. Other threads may see it late, as with the store buffer of a CPU: loads that
 * follow are done before it. */
void mutant_store(_Atomic uint64_t *word, uint64_t value);

/* Bump first, then take the minimum. */
void mutant_bump(_Atomic uint32_t *sequence, _Atomic uint64_t *minimum);

/* A compare-and-exchange that is neither a fence nor atomic. */
bool mutant_exchange(_Atomic uint64_t *word, uint64_t *expected, uint64_t value);
