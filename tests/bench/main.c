// SPDX-License-Identifier: MIT
/* fence-bench: arguments, rows one after the other, a report. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "against.h"
#include "bench.h"
#include "host.h"
#include "progress.h"
#include "proto/version.h"
#include "report.h"

#define ROUNDS_MAX 100000
#define MARGIN_MAX 1000

struct options bench_options;

struct arguments {
	struct against against;
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
	"  -q, --quick        few rounds: a smoke test, too few for figures\n"
	"  -r, --rounds N     rounds of each row\n"
	"  -c, --selfcheck    the raw primitive on both sides: all ratios must be 1.00 +- 0.05\n"
	"  -a, --against DIR  compare with another build, whose build directory DIR holds bin/\n"
	"                     and lib/: both in turns, in pairs\n"
	"  -n, --pairs N      with --against: pairs of each row (6 to 200; default 20)\n"
	"  -m, --margin PERCENT\n"
	"                     with --against: call a row worse if it is slower by more (default "
	"5)\n"
	"  -h, --help         show this\n"
	"  -V, --version      show the version\n"
	"\n"
	"Without ROW, all rows are measured. It starts its own daemons and needs no running one.\n"
	"--against prints, for each row, the ratio of times new / old (of rates: old / new), with "
	"the\n"
	"95 % confidence interval of Wilcoxon's signed-rank test on the logarithms of the pairs'\n"
	"ratios. worse: all of the interval is above 1 + the margin; not worse: none of it; else\n"
	"unclear.\n"
	"Exit status: 0 all rows were measured, or skipped with a reason; 1 something failed,\n"
	"--selfcheck was not 1.00, or a row is worse; 2 wrong usage. See fence-bench(1).\n";

/* A number from `low` to `high`, or exit status 2 with a message. */
static int number_parse(const char *option, const char *text, unsigned long low, unsigned long high,
			unsigned int *ret_number)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (errno || *end || end == text || number < low || number > high) {
		fprintf(stderr, "fence-bench: %s takes a number from %lu to %lu, not %s\n", option,
			low, high, text);
		return 2;
	}
	*ret_number = (unsigned int)number;
	return 0;
}

static int margin_parse(const char *text, double *ret_margin)
{
	char *end;
	double margin = strtod(text, &end);
	if (*end || end == text || !(margin >= 0 && margin <= MARGIN_MAX)) {
		fprintf(stderr, "fence-bench: --margin takes percent from 0 to %d, not %s\n",
			MARGIN_MAX, text);
		return 2;
	}
	*ret_margin = margin;
	return 0;
}

/* What only makes sense with --against, and what does not with it. */
static int arguments_check(const struct arguments *arguments)
{
	const struct against *against = &arguments->against;
	const char *wrong = NULL;
	if (!against->directory) {
		wrong = against->pairs         ? "--pairs is for --against"
			: against->margin >= 0 ? "--margin is for --against"
					       : NULL;
	} else {
		wrong = arguments->list           ? "--list takes no --against"
			: arguments->plot         ? "--plot takes no --against"
			: bench_options.selfcheck ? "--selfcheck takes no --against"
						  : NULL;
	}
	if (wrong) {
		fprintf(stderr, "fence-bench: %s\n", wrong);
		return 2;
	}
	return 0;
}

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },          { "plot", required_argument, NULL, 'p' },
	{ "list", no_argument, NULL, 'l' },          { "quick", no_argument, NULL, 'q' },
	{ "rounds", required_argument, NULL, 'r' },  { "selfcheck", no_argument, NULL, 'c' },
	{ "against", required_argument, NULL, 'a' }, { "pairs", required_argument, NULL, 'n' },
	{ "margin", required_argument, NULL, 'm' },  { "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },       { NULL, 0, NULL, 0 },
};

/* -1: go on; else the exit status. */
static int arguments_parse(int argc, char **argv, struct arguments *arguments)
{
	struct against *against = &arguments->against;
	int status = 0;
	int option;
	while (status == 0 &&
	       (option = getopt_long(argc, argv, "jp:lqr:ca:n:m:hV", long_options, NULL)) >= 0) {
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
			status = number_parse("--rounds", optarg, 1, ROUNDS_MAX,
					      &bench_options.rounds);
			break;
		case 'c':
			bench_options.selfcheck = true;
			break;
		case 'a':
			against->directory = optarg;
			break;
		case 'n':
			status = number_parse("--pairs", optarg, INTERVAL_COUNT_MIN,
					      INTERVAL_COUNT_MAX, &against->pairs);
			break;
		case 'm':
			status = margin_parse(optarg, &against->margin);
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
	status = status == 0 ? arguments_check(arguments) : status;
	return status == 0 ? -1 : status;
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

/* ---------------------------------------------------------------------------------- measuring -- */

static void row_progress(const struct row *row, unsigned int round, unsigned int rounds)
{
	progress_show(row->name, "round", round, rounds);
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
			progress_done(results[count].row->name, result_verdict(&results[count]));
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

static int builds_compare(const struct arguments *arguments)
{
	struct against against = arguments->against;
	against.pairs = against.pairs ? against.pairs : AGAINST_PAIRS;
	against.margin = against.margin >= 0 ? against.margin : AGAINST_MARGIN;
	against.json = arguments->json;
	against.names = arguments->names;
	against.name_count = arguments->name_count;
	return against_run(&against);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .against.margin = -1 };
	int status = arguments_parse(argc, argv, &arguments);
	if (status >= 0) {
		return status;
	}
	signal(SIGPIPE, SIG_IGN);
	host_init();
	progress_init();
	if (arguments.against.directory) {
		return builds_compare(&arguments); /* its children choose their CPUs */
	}
	status = names_check(&arguments);
	if (status != 0) {
		return status;
	}
	if (arguments.list) {
		return rows_list(&arguments);
	}
	host_pin(PLACE_LEADER);
	return rows_measure(&arguments);
}
