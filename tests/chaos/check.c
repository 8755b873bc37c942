// SPDX-License-Identifier: MIT
/* The checker: reads the logs of a stress run, and nothing else, and says what must not be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

static void verdict_print(const struct verdict *verdict)
{
	printf("%" PRIu64 " signals, %" PRIu64 " waits (%" PRIu64 " slept, %" PRIu64
	       " did not, %" PRIu64 " timed out, %" PRIu64 " unended), %" PRIu64
	       " watches, %" PRIu64 " exports, %" PRIu64 " failed: %" PRIu64 " findings\n",
	       verdict->signals, verdict->waits, verdict->slept,
	       verdict->waits - verdict->slept - verdict->unended, verdict->timed_out,
	       verdict->unended, verdict->watches, verdict->exports, verdict->failed,
	       verdict->total);
	for (int i = 0; i < FINDING_COUNT; i++) {
		if (verdict->findings[i] > 0) {
			printf("  %s: %" PRIu64 "\n", finding_names[i], verdict->findings[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct history history = { 0 };
	struct verdict verdict;
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "Usage: chaos-check DIRECTORY\n"
				"Exits with 0 without findings, 1 with some, 2 when it cannot read "
				"the logs.\n");
		return 2;
	}
	int r = history_load(&history, argv[1]);
	if (r == 0) {
		r = history_judge(&history, &verdict);
	}
	history_free(&history);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerrordesc_np(-r));
		return 2;
	}
	verdict_print(&verdict);
	return verdict.total == 0 ? 0 : 1;
}
