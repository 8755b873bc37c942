// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/version.h"
#include "fencectl.h"

static const struct verb verbs[] = {
	{ "status", "the daemon, what it counted, and who uses how much", verb_status },
	{ "devices", "registered devices and what they can wait on and signal", verb_devices },
	{ "timelines", "timelines, their values, owners and translations", verb_timelines },
	{ "stuck", "who waits for too long, for whom, and why", verb_stuck },
	{ "doctor", "what this kernel offers, what works, what is missing, what to do",
	  verb_doctor },
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *file)
{
	fputs("Usage: fencectl [OPTION]... VERB\n"
	      "Shows what fencebrokerd does.\n"
	      "\n",
	      file);
	for (size_t i = 0; i < VERB_COUNT; i++) {
		fprintf(file, "  %-14s %s\n", verbs[i].name, verbs[i].summary);
	}
	fputs("\n"
	      "  -j, --json         print JSON\n"
	      "  -s, --socket PATH  the daemon's socket (default $FENCEBROKER_SOCKET, the user's\n"
	      "                     daemon, the system's)\n"
	      "  -o, --older MS     stuck: what has waited for that long (default 1000)\n"
	      "  -h, --help         show this\n"
	      "  -V, --version      show the version\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 something is stuck. See "
	      "fencectl(1).\n",
	      file);
}

static int run_verb(const char *name, const struct options *options)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i].name, name) == 0) {
			return verbs[i].run(options);
		}
	}
	fprintf(stderr, "fencectl: there is no verb %s: see fencectl --help\n", name);
	return EXIT_USAGE;
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

static bool number_read(const char *text, uint64_t *ret_number)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9') {
		fprintf(stderr, "fencectl: %s is no number of milliseconds\n", text);
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
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .older_ms = OLDER_MS };
	int option;
	while ((option = getopt_long(argc, argv, "js:o:hV", long_options, NULL)) >= 0) {
		switch (option) {
		case 'j':
			options.json = true;
			break;
		case 's':
			options.socket = optarg;
			break;
		case 'o':
			if (!number_read(optarg, &options.older_ms)) {
				return EXIT_USAGE;
			}
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
	if (optind + 1 != argc) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[optind], "help") == 0) {
		help(stdout);
		return EXIT_SUCCESS;
	}
	return run_verb(argv[optind], &options);
}
