// SPDX-License-Identifier: MIT
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static bool on_terminal;

void progress_init(void)
{
	on_terminal = isatty(STDERR_FILENO);
}

void progress_show(const char *row, const char *step, unsigned int done, unsigned int all)
{
	if (on_terminal) {
		fprintf(stderr, "\r\033[K%s: %s %u of %u", row, step, done + 1, all);
		fflush(stderr);
	}
}

void progress_done(const char *row, const char *verdict)
{
	if (on_terminal) {
		fputs("\r\033[K", stderr);
	} else {
		fprintf(stderr, "%s: %s\n", row, verdict);
	}
}
