// SPDX-License-Identifier: MIT
/* The checker of runs with exchanges: reads their logs, and nothing else, and says what must not be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange-judge.h"

static void verdict_print(const struct exchange_verdict *verdict)
{
	printf("%" PRIu64 " frames, %" PRIu64 " came back, %" PRIu64 " in error; %" PRIu64
	       " seen by %" PRIu64 " visits, %" PRIu64 " waits, %" PRIu64 " timed out: %" PRIu64
	       " findings\n",
	       verdict->frames, verdict->backs, verdict->in_error, verdict->seen, verdict->visits,
	       verdict->waits, verdict->timed_out, verdict->total);
	for (int i = 0; i < EXCHANGE_FINDING_COUNT; i++) {
		if (verdict->findings[i] > 0) {
			printf("  %s: %" PRIu64 "\n", exchange_finding_names[i],
			       verdict->findings[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct history history = { 0 };
	struct exchange_verdict verdict;
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "Usage: chaos-exchange-check DIRECTORY\n"
				"Exits with 0 without findings, 1 with some, 2 when it cannot read "
				"the logs.\n");
		return 2;
	}
	int r = history_load(&history, argv[1]);
	if (r == 0) {
		r = exchange_judge(&history, &verdict);
	}
	history_free(&history);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerrordesc_np(-r));
		return 2;
	}
	verdict_print(&verdict);
	return verdict.total == 0 ? 0 : 1;
}
