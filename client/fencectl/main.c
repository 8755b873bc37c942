// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fencectl.h"
#include "proto/version.h"

static const struct verb verbs[] = {
	{ "status", "", 0, 0, "daemon, counters, and usage per user", verb_status },
	{ "devices", "", 0, 0, "registered devices and what they can wait on and signal",
	  verb_devices },
	{ "timelines", "", 0, 0, "timelines, their values, owners and translations",
	  verb_timelines },
	{ "links", "", 0, 0, "links, their routes, and the buffers that consumers hold",
	  verb_links },
	{ "explain", " A B", 2, 0, "the routes A -> B (acquire) and A <- B (release), and why",
	  verb_explain },
	{ "stuck", "", 0, 0, "stuck waits: waiter, signaler, and likely cause", verb_stuck },
	{ "doctor", "", 0, 0,
	  "kernel features, routes and bus: what works here, and how to get the rest",
	  verb_doctor },
	{ "fail", " ID [REASON]", 2, 1, "fail a timeline: whoever waits for it goes on",
	  verb_fail },
	{ "evict", " ID [REASON]", 2, 1,
	  "disconnect a client (by its CLIENT ID): its timelines fail", verb_evict },
	{ "reload", "", 0, 0, "read the policy anew", verb_reload },
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *file)
{
	fputs("Usage: fencectl [OPTION]... VERB [OPERAND]...\n"
	      "Shows the state of fencebrokerd, and administers it.\n"
	      "\n",
	      file);
	for (size_t i = 0; i < VERB_COUNT; i++) {
		fprintf(file, "  %s%-*s %s\n", verbs[i].name, 18 - (int)strlen(verbs[i].name),
			verbs[i].operands, verbs[i].summary);
	}
	fputs("\n"
	      "  -j, --json         print JSON\n"
	      "  -s, --socket PATH  the daemon's socket (default $FENCEBROKER_SOCKET, the user's\n"
	      "                     daemon, the system's)\n"
	      "  -o, --older MS     stuck: list waits at least this old (default 1000)\n"
	      "  -n, --dry-run      fail, evict: show what would end, and change nothing\n"
	      "  -h, --help         show this\n"
	      "  -V, --version      show the version\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 a wait is stuck. See "
	      "fencectl(1).\n",
	      file);
}

static int run_verb(int argc, char *const *argv, struct options *options)
{
	const struct verb *verb = verbs;
	while (verb < verbs + VERB_COUNT && strcmp(verb->name, argv[0]) != 0) {
		verb++;
	}
	if (verb == verbs + VERB_COUNT) {
		fprintf(stderr, "fencectl: unknown verb %s: see fencectl --help\n", argv[0]);
		return EXIT_USAGE;
	}
	int given = argc - 1;
	if (given > verb->operand_count || given < verb->operand_count - verb->optional) {
		fprintf(stderr, "Usage: fencectl [OPTION]... %s%s\n", verb->name, verb->operands);
		return EXIT_USAGE;
	}
	for (int i = 0; i < given; i++) {
		options->operands[i] = argv[1 + i];
	}
	return verb->run(options);
}

int connect_or_explain(const struct options *options, struct fbk_context **ret_context)
{
	int r = fbk_connect(options->socket, ret_context);
	if (r < 0) {
		fprintf(stderr, "fencectl: %s\n", fbk_error_detail());
	}
	return r;
}

int explain_failure(const char *what)
{
	fprintf(stderr, "fencectl: %s: %s\n", what, fbk_error_detail());
	return EXIT_FAILURE;
}

bool number_read(const char *text, uint64_t *ret_number)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9') {
		return false;
	}
	*ret_number = number;
	return true;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 's' },
		{ "older", required_argument, NULL, 'o' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .older_ms = OLDER_MS };
	int option;
	while ((option = getopt_long(argc, argv, "js:o:nhV", long_options, NULL)) >= 0) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 's':
			options.socket = optarg;
			break;
		case 'o':
			if (!number_read(optarg, &options.older_ms)) {
				fprintf(stderr, "fencectl: %s is not a number of milliseconds\n",
					optarg);
				return EXIT_USAGE;
			}
			break;
		case 'n':
			options.dry_run = true;
			break;
		case 'h':
			help(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("fencectl " FBK_VERSION_STRING);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[optind], "help") == 0) {
		help(stdout);
		return EXIT_SUCCESS;
	}
	return run_verb(argc - optind, argv + optind, &options);
}
