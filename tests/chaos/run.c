// SPDX-License-Identifier: MIT
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "logs.h"

#define OPTIONS_MAX 16
#define COLUMNS     78

struct run_options run_options;

/* ------------------------------------------------------------------------------------- options -- */

/* Every kind of run has these, besides its own. */
enum common_option {
	OPTION_HELP = 'h',
	OPTION_SEED = 's',
	OPTION_KEEP = 'k',
	OPTION_OWN = 256, /* and above: by number */
};

/* One word of the synopsis, on a new line if it does not fit. */
static void synopsis_add(FILE *stream, const char *program, int *column, const char *name,
			 const char *argument)
{
	int indent = (int)strlen("Usage: ") + (int)strlen(program);
	int width = (int)(strlen(" [--]") + strlen(name) + (argument ? 1 + strlen(argument) : 0));
	if (*column + width > COLUMNS) {
		fprintf(stream, "\n%*s", indent, "");
		*column = indent;
	}
	fprintf(stream, argument ? " [--%s %s]" : " [--%s]", name, argument);
	*column += width;
}

static void option_explain(FILE *stream, const char *name, const char *argument, const char *help)
{
	char option[64];
	snprintf(option, sizeof(option), argument ? "--%s %s" : "--%s", name, argument);
	fprintf(stream, "  %-17s  %s", option, help);
}

static _Noreturn void usage(const struct run_kind *kind, FILE *stream, int status)
{
	int column = fprintf(stream, "Usage: %s", kind->program);
	synopsis_add(stream, kind->program, &column, "seed", "N");
	for (size_t i = 0; i < kind->option_count; i++) {
		synopsis_add(stream, kind->program, &column, kind->options[i].name,
			     kind->options[i].argument);
	}
	synopsis_add(stream, kind->program, &column, "keep", "DIRECTORY");
	fprintf(stream, "\n%s\n", kind->purpose);
	option_explain(stream, "seed", "N",
		       "seed of all random numbers (default: a new one, which is printed)\n");
	for (size_t i = 0; i < kind->option_count; i++) {
		const struct run_option *option = &kind->options[i];
		option_explain(stream, option->name, option->argument, option->help);
		if (option->quick) {
			fprintf(stream, " (%" PRIu64 "; with $FBK_SOAK %" PRIu64 ")", option->quick,
				option->soak);
		}
		fprintf(stream, "\n");
	}
	option_explain(stream, "keep", "DIRECTORY",
		       "create DIRECTORY and keep the logs there, for ");
	fprintf(stream, "%s\n", kind->checker);
	exit(status);
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-') {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return value;
}

static void options_default(const struct run_kind *kind)
{
	bool soak = getenv("FBK_SOAK");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	run_options.seed = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (size_t i = 0; i < kind->option_count; i++) {
		const struct run_option *option = &kind->options[i];
		if (option->number) {
			*option->number = soak ? option->soak : option->quick;
		}
	}
}

static void option_set(const struct run_option *option, const char *argument)
{
	if (option->number) {
		*option->number = number(argument);
	} else {
		*option->flag = true;
	}
}

static void options_known(const struct run_kind *kind, struct option known[OPTIONS_MAX])
{
	const struct option common[] = {
		{ "seed", required_argument, NULL, OPTION_SEED },
		{ "keep", required_argument, NULL, OPTION_KEEP },
		{ "help", no_argument, NULL, OPTION_HELP },
		{ 0 },
	};
	EXPECT(kind->option_count + sizeof(common) / sizeof(common[0]) <= OPTIONS_MAX);
	for (size_t i = 0; i < kind->option_count; i++) {
		known[i] = (struct option){
			.name = kind->options[i].name,
			.has_arg = kind->options[i].number ? required_argument : no_argument,
			.val = OPTION_OWN + (int)i,
		};
	}
	memcpy(&known[kind->option_count], common, sizeof(common));
}

static void options_parse(const struct run_kind *kind, int argc, char **argv)
{
	struct option known[OPTIONS_MAX];
	int c;
	options_default(kind);
	options_known(kind, known);
	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (c >= OPTION_OWN) {
			option_set(&kind->options[c - OPTION_OWN], optarg);
		} else if (c == OPTION_SEED) {
			run_options.seed = number(optarg);
		} else if (c == OPTION_KEEP) {
			run_options.keep = optarg;
		} else if (c == OPTION_HELP) {
			usage(kind, stdout, 0);
		} else {
			usage(kind, stderr, 2);
		}
	}
	bool refused = optind < argc;
	for (size_t i = 0; i < kind->option_count; i++) {
		refused |= kind->options[i].positive && *kind->options[i].number == 0;
	}
	if (refused) {
		usage(kind, stderr, 2);
	}
}

int run_main(const struct run_kind *kind, int argc, char **argv)
{
	options_parse(kind, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return suite_main(kind->suite, kind->add);
}

/* ------------------------------------------------------------------------------------- the run -- */

void run_begin(struct run *run, struct daemon *daemon, uint64_t log_room)
{
	run->daemon = daemon;
	run->seed = run_options.seed;
	run->logs = logs_create(run_options.keep, log_room);
	printf("seed %" PRIu64 ", logs in %s\n", run->seed, run->logs);
	daemon_serve(daemon, run->policy);
}

void run_check(const struct run_kind *kind, const struct run *run, bool expect_findings)
{
	int status = logs_check(kind->checker);
	if (expect_findings) {
		ck_assert_msg(status == 1, "seed %" PRIu64 ": findings were expected (%d)",
			      run->seed, status);
	} else {
		ck_assert_msg(status == 0, "seed %" PRIu64 ": findings (%d); the logs are in %s",
			      run->seed, status, run->logs);
	}
}

void run_end(void)
{
	if (!run_options.keep) {
		logs_remove();
	}
}
