// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/context.h"
#include "fencectl.h"
#include "proto/version.h"

#define OPTION_AS 256 /* it has no letter */

static const struct verb verbs[] = {
	{ "status", "", 0, 0, "daemon, counters, and usage per user", verb_status },
	{ "clients", "", 0, 0, "connected programs, what they own, and the limit they are near",
	  verb_clients },
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
	{ "policy", " check FILE | show | test USER KEY [OF]", 4, 3,
	  "check a file; who may do what, and which line decides", verb_policy },
	{ "config", "", 0, 0, "settings and limits in force, and where they are written",
	  verb_config },
	{ "names", " KIND", 1, 0, NULL, verb_names }, /* for completion */
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *file)
{
	fputs("Usage: fencectl [OPTION]... VERB [OPERAND]...\n"
	      "Shows the state of fencebrokerd, and administers it.\n"
	      "\n",
	      file);
	for (size_t i = 0; i < VERB_COUNT && verbs[i].summary; i++) {
		int width = 18 - (int)strlen(verbs[i].name);
		bool wide = (int)strlen(verbs[i].operands) > width;
		fprintf(file, "  %s%-*s%s%s\n", verbs[i].name, width, verbs[i].operands,
			wide ? "\n                     " : " ", verbs[i].summary);
	}
	fputs("\n"
	      "  -j, --json         print JSON\n"
	      "  -s, --socket PATH  the daemon's socket (default $FENCEBROKER_SOCKET, the user's\n"
	      "                     daemon, the system's)\n"
	      "  -o, --older MS     stuck: list waits at least this old (default 1000)\n"
	      "  -n, --dry-run      fail, evict: show what would end, and change nothing\n"
	      "  -a, --all          status: all counters, kernel features and limits, zeros too\n"
	      "  -N, --no-start     fail if no daemon runs: connecting may start one\n"
	      "Of clients, devices, timelines and links, newest first, only\n"
	      "  -u, --user USER    those of this user (a name or uid); of a link, at either end\n"
	      "  -c, --client ID    those of this client\n"
	      "  -d, --device NAME  those of this device, also as '#ID'\n"
	      "  -m, --name GLOB    those whose name matches: * for any text, ? for a character\n"
	      "  -l, --limit COUNT  that many\n"
	      "      --as USER      policy show: what holds for this user\n"
	      "  -h, --help         show this\n"
	      "  -V, --version      show the version\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 a wait is stuck,\n"
	      "4 policy test says no. See fencectl(1).\n",
	      file);
}

void verbs_print(void)
{
	for (size_t i = 0; i < VERB_COUNT && verbs[i].summary; i++) {
		printf("%s\t%s\n", verbs[i].name, verbs[i].summary);
	}
}

static int run_verb(int argc, char *const *argv, struct options *options)
{
	const struct verb *verb = verbs;
	while (verb < verbs + VERB_COUNT && strcmp(verb->name, argv[0]) != 0) {
		verb++;
	}
	if (verb == verbs + VERB_COUNT) {
		verb_suggest(argv[0], verbs, VERB_COUNT);
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
	if (options->no_start && !daemon_runs(options->socket)) {
		fputs("fencectl: no daemon runs\n", stderr);
		return -ENOTCONN;
	}
	int r = context_connect_to_inspect(options->socket, ret_context);
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

static bool user_read(const char *text, struct options *options)
{
	uint64_t number;
	const struct passwd *user = NULL;
	if (number_read(text, &number) && number < UINT32_MAX) {
		options->uid = (uint32_t)number;
	} else if ((user = getpwnam(text))) {
		options->uid = user->pw_uid;
	} else {
		fprintf(stderr, "fencectl: there is no user %s\n", text);
		return false;
	}
	options->has_uid = true;
	return true;
}

static bool filter_number_read(const char *text, const char *what, uint64_t *ret_number)
{
	bool read = number_read(text, ret_number) && *ret_number > 0;
	if (!read) {
		fprintf(stderr, "fencectl: %s is not %s\n", text, what);
	}
	return read;
}

/* One of the options that narrow a list. */
static bool filter_read(int option, const char *text, struct options *options)
{
	switch (option) {
	case 'u':
		return user_read(text, options);
	case 'c':
		return filter_number_read(text, "a client's id: see fencectl clients",
					  &options->client);
	case 'l':
		return filter_number_read(text, "a number of entries", &options->limit);
	case 'd':
		options->device = text;
		return true;
	default:
		options->name = text;
		return true;
	}
}

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "socket", required_argument, NULL, 's' },
	{ "older", required_argument, NULL, 'o' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "all", no_argument, NULL, 'a' },
	{ "no-start", no_argument, NULL, 'N' },
	{ "user", required_argument, NULL, 'u' },
	{ "client", required_argument, NULL, 'c' },
	{ "device", required_argument, NULL, 'd' },
	{ "name", required_argument, NULL, 'm' },
	{ "limit", required_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "as", required_argument, NULL, OPTION_AS },
	{ NULL, 0, NULL, 0 },
};

void options_print(void)
{
	for (const struct option *option = long_options; option->name; option++) {
		printf("--%s\t\n", option->name);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .older_ms = OLDER_MS };
	int option;
	while ((option = getopt_long(argc, argv, "js:o:naNu:c:d:m:l:hV", long_options, NULL)) >=
	       0) {
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
		case 'a':
			options.all = true;
			break;
		case 'N':
			options.no_start = true;
			break;
		case 'u':
		case 'c':
		case 'd':
		case 'm':
		case 'l':
			if (!filter_read(option, optarg, &options)) {
				return EXIT_USAGE;
			}
			break;
		case OPTION_AS:
			options.as = optarg;
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
