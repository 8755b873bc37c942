// SPDX-License-Identifier: MIT
#include "judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PRINTED_EACH 10 /* findings of a kind that are printed */

void trial_set(struct trial *trial, const struct record *record)
{
	trial->record = record;
	trial->end = record_done(record);
	trial->until = earlier(trial->end, trial->instance->killed.begin);
}

uint64_t trial_ran(const struct trial *trial, uint64_t from, uint64_t to)
{
	return from < to ? history_ran(trial->history, trial->instance, from, to) : 0;
}

bool trial_long(const struct trial *trial, uint64_t from, uint64_t to)
{
	return from < to && to - from > BOUND_NS && trial_ran(trial, from, to) > BOUND_NS;
}

bool trial_find(const struct trial *trial, unsigned int finding)
{
	struct verdict *verdict = trial->verdict;
	const struct finding_kind *kind = &trial->judge->kinds[finding];
	const struct record *record = trial->record;
	verdict->total++;
	if (verdict->findings[finding]++ >= PRINTED_EACH) {
		return false;
	}
	printf("%s: %s: instance %u record %zd (kind %u), begun %" PRIu64 ", ended %" PRId64
	       ", deadline %" PRIu64 ", result %d (%s): ",
	       kind->name, kind->text, trial->instance->header->instance,
	       record - trial->instance->records, record->kind, record->begin,
	       trial->end == NEVER ? -1 : (int64_t)trial->end, record->deadline, record->result,
	       record->result < 0 ? strerrorname_np(-record->result) : "done");
	return true;
}

static void trial_crash(const struct trial *trial, uint32_t number)
{
	const struct judge *judge = trial->judge;
	printf("%s: instance %u, wait status 0x%x\n", judge->kinds[judge->crash].name, number,
	       (unsigned int)trial->instance->status);
	trial->verdict->findings[judge->crash]++;
	trial->verdict->total++;
}

int trial_instances(struct trial *trial, int (*fn)(struct trial *trial))
{
	int r = 0;
	for (uint32_t i = 1; r == 0 && i < trial->history->count; i++) {
		trial->instance = &trial->history->instances[i];
		if (trial->instance->crashed) {
			trial_crash(trial, i);
		}
		if (trial->instance->header) {
			r = fn(trial);
		}
	}
	return r;
}

int history_judge(const struct history *history, const struct judge *judge,
		  struct verdict *ret_verdict)
{
	struct trial trial = { .judge = judge, .history = history, .verdict = ret_verdict };
	*ret_verdict = (struct verdict){ 0 };
	return judge->judge(&trial);
}

/* ----------------------------------------------------------------------------------- the checker -- */

static void verdict_print(const struct verdict *verdict, const struct judge *judge)
{
	judge->summarize(verdict);
	printf(": %" PRIu64 " findings\n", verdict->total);
	for (unsigned int i = 0; i < judge->kind_count; i++) {
		if (verdict->findings[i] > 0) {
			printf("  %s: %" PRIu64 "\n", judge->kinds[i].name, verdict->findings[i]);
		}
	}
}

int check_main(int argc, char **argv, const struct judge *judge)
{
	struct history history = { 0 };
	struct verdict verdict;
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr,
			"Usage: %s DIRECTORY\n"
			"Exit status: 0 no findings, 1 findings, 2 the logs cannot be read.\n",
			judge->checker);
		return 2;
	}
	int r = history_load(&history, argv[1]);
	if (r == 0) {
		r = history_judge(&history, judge, &verdict);
	}
	history_free(&history);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerrordesc_np(-r));
		return 2;
	}
	verdict_print(&verdict, judge);
	return verdict.total == 0 ? 0 : 1;
}
