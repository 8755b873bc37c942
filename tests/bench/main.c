// SPDX-License-Identifier: MIT
/* fence-bench: arguments, rows one after the other, a report. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "host.h"
#include "proto/version.h"
#include "report.h"

#define ROUNDS_MAX 100000

struct options bench_options;

struct arguments {
	bool json;
	bool list;
	const char *plot;
	char **names;
	int name_count;
};

static const char help_text[] =
	"Usage: fence-bench [OPTION]... [ROW]...\n"
	"Measures fencebroker next to the raw primitives of the kernel, in turns, in the same "
	"run.\n"
	"\n"
	"  -j, --json         print JSON\n"
	"  -p, --plot FILE    draw the distributions into this SVG file\n"
	"  -l, --list         list the rows with their targets, measure nothing\n"
	"  -q, --quick        few rounds: to see that it works, not for figures\n"
	"  -r, --rounds N     so many rounds of each row\n"
	"  -c, --selfcheck    the raw primitive on both sides: all ratios must be 1.00 +- 0.05\n"
	"  -h, --help         show this\n"
	"  -V, --version      show the version\n"
	"\n"
	"Without ROW all are measured. It starts daemons of its own and needs none that runs.\n"
	"Exit status: 0 all rows were measured, or skipped with a reason; 1 something failed, or\n"
	"--selfcheck was not 1.00; 2 wrong usage. See fence-bench(1).\n";

static int rounds_parse(const char *text)
{
	char *end;
	errno = 0;
	unsigned long rounds = strtoul(text, &end, 10);
	if (errno || *end || end == text || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "fence-bench: --rounds takes a number from 1 to %d, not %s\n",
			ROUNDS_MAX, text);
		return 2;
	}
	bench_options.rounds = (unsigned int)rounds;
	return 0;
}

/* -1: go on; else the exit status. */
static int arguments_parse(int argc, char **argv, struct arguments *arguments)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "plot", required_argument, NULL, 'p' },
		{ "list", no_argument, NULL, 'l' },
		{ "quick", no_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "selfcheck", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "jp:lqr:chV", long_options, NULL)) >= 0) {
		switch (option) {
		case 'j':
			arguments->json = true;
			break;
		case 'p':
			arguments->plot = optarg;
			break;
		case 'l':
			arguments->list = true;
			break;
		case 'q':
			bench_options.quick = true;
			break;
		case 'r':
			if (rounds_parse(optarg) != 0) {
				return 2;
			}
			break;
		case 'c':
			bench_options.selfcheck = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("fence-bench " FBK_VERSION_STRING);
			return EXIT_SUCCESS;
		default:
			return 2;
		}
	}
	arguments->names = argv + optind;
	arguments->name_count = argc - optind;
	return -1;
}

static const struct row *row_find(const char *name)
{
	for (size_t i = 0; i < bench_row_count; i++) {
		if (strcmp(bench_rows[i].name, name) == 0) {
			return &bench_rows[i];
		}
	}
	return NULL;
}

static bool row_wanted(const struct row *row, const struct arguments *arguments)
{
	for (int i = 0; i < arguments->name_count; i++) {
		if (strcmp(arguments->names[i], row->name) == 0) {
			return true;
		}
	}
	return arguments->name_count == 0;
}

static int names_check(const struct arguments *arguments)
{
	for (int i = 0; i < arguments->name_count; i++) {
		if (!row_find(arguments->names[i])) {
			fprintf(stderr, "fence-bench: there is no row %s: see fence-bench --list\n",
				arguments->names[i]);
			return 2;
		}
	}
	return 0;
}

static int rows_list(const struct arguments *arguments)
{
	for (size_t i = 0; i < bench_row_count; i++) {
		const struct row *row = &bench_rows[i];
		char target[QUANTITY_SIZE];
		if (!row_wanted(row, arguments)) {
			continue;
		}
		target_text(row, target);
		printf("%-16s %-14s %s%s%s\n", row->name, target, row->title,
		       row_has_raw(row) ? ", against " : "",
		       row_has_raw(row) ? row->raw->what : "");
	}
	return EXIT_SUCCESS;
}

/* --------------------------------------------------------------------------------- progress -- */

static bool shows_progress;

static void row_progress(const struct row *row, unsigned int round, unsigned int rounds)
{
	if (shows_progress) {
		fprintf(stderr, "\r\033[K%s: round %u of %u", row->name, round + 1, rounds);
		fflush(stderr);
	}
}

static void row_done(const struct result *result)
{
	if (shows_progress) {
		fputs("\r\033[K", stderr);
	} else {
		fprintf(stderr, "%s: %s\n", result->row->name, result_verdict(result));
	}
}

static bool result_good(const struct result *result)
{
	return result->state == RESULT_SKIPPED ||
	       (result->state == RESULT_DONE &&
		(!bench_options.selfcheck || result_is_one(result)));
}

static int report(const struct arguments *arguments, const struct result *results, size_t count)
{
	int r = 0;
	if (arguments->json) {
		r = report_json(results, count);
	} else {
		report_table(results, count);
	}
	if (r == 0 && arguments->plot) {
		r = report_plot(results, count, arguments->plot);
		if (r < 0) {
			fprintf(stderr, "fence-bench: %s: %s\n", arguments->plot, strerror(-r));
		}
	}
	return r;
}

static int rows_measure(const struct arguments *arguments)
{
	struct result *results = calloc(bench_row_count, sizeof(*results));
	size_t count = 0;
	bool good = true;
	if (!results) {
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < bench_row_count; i++) {
		if (row_wanted(&bench_rows[i], arguments)) {
			row_run(&bench_rows[i], row_progress, &results[count]);
			row_done(&results[count]);
			good = result_good(&results[count]) && good;
			count++;
		}
	}
	int r = report(arguments, results, count);
	for (size_t i = 0; i < count; i++) {
		result_finish(&results[i]);
	}
	free(results);
	return r == 0 && good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = arguments_parse(argc, argv, &arguments);
	if (status >= 0) {
		return status;
	}
	status = names_check(&arguments);
	if (status != 0) {
		return status;
	}
	if (arguments.list) {
		return rows_list(&arguments);
	}
	signal(SIGPIPE, SIG_IGN);
	host_init();
	host_pin(PLACE_LEADER);
	shows_progress = isatty(STDERR_FILENO);
	return rows_measure(&arguments);
}
