// SPDX-License-Identifier: MIT
/*
 * The stress run: a daemon, actors and hostile clients under torment, then the checker over their logs.
 * Also a test: see --help for what it may be asked.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "driver.h"
#include "logs.h"
#include "scale.h"

#define MEAN_BURST   6   /* actor-signal.c */
#define MEAN_OF_MAX  8   /* the longest pause over the average one */
#define SIGNALERS    12  /* of all actors */
#define AIM_S        12  /* how long the signals of a short run are to take */
#define AIM_SOAK_S   500 /* of a soak */
#define SOAK_MINIMUM 2000000

#define LOG_ROOM      (UINT64_C(256) << 20) /* bytes, and so many for each signal */
#define LOG_ROOM_EACH 256

static struct {
	uint64_t seed, signals, seconds;
	const char *keep;
	bool expect_findings, hostile;
} options;

/* As many threads as one user may have, less what the rest of the run needs. */
static uint32_t crowd_size(void)
{
	struct rlimit limit;
	EXPECT(getrlimit(RLIMIT_NPROC, &limit) == 0);
	rlim_t room = limit.rlim_cur == RLIM_INFINITY ? CROWD_MAX : limit.rlim_cur / 2;
	return (uint32_t)(room < CROWD_MAX ? room : CROWD_MAX);
}

static uint64_t pause_longest_us(void)
{
	uint64_t aim_s = options.signals >= SOAK_MINIMUM ? AIM_SOAK_S : AIM_S;
	uint64_t mean = aim_s * 1000000 * SIGNALERS * MEAN_BURST / options.signals;
	uint64_t longest = MEAN_OF_MAX * mean;
	return longest < 100 ? 100 : longest > 100000 ? 100000 : longest;
}

START_TEST(stress)
{
	struct daemon daemon;
	struct driver_report report;
	struct chaos chaos = {
		.daemon = &daemon,
		.logs = logs_create(options.keep, LOG_ROOM + options.signals * LOG_ROOM_EACH),
		.seed = options.seed,
		.pause_us = pause_longest_us(),
		.log_capacity = 2000000 + options.signals,
		.crowd = crowd_size(),
	};
	chaos.board = mmap(NULL, sizeof(*chaos.board), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(chaos.board != MAP_FAILED);
	printf("seed %" PRIu64 ", logs in %s\n", options.seed, chaos.logs);
	daemon_serve(&daemon, NULL);
	driver_run(&chaos, options.signals, options.seconds, options.hostile, &report);
	daemon_stop(&daemon);
	printf("%" PRIu64 " signals in %" PRIu64 " ms, %" PRIu64 " kills, %" PRIu64
	       " stops, %" PRIu64 " leaves, %" PRIu64 " crashes\n",
	       report.signals, report.ms, report.kills, report.stops, report.leaves,
	       report.crashes);
	int status = logs_check("chaos-check");
	if (options.expect_findings) {
		ck_assert_msg(status == 1, "seed %" PRIu64 ": findings were expected (%d)",
			      options.seed, status);
	} else {
		ck_assert_msg(status == 0, "seed %" PRIu64 ": findings (%d); the logs are in %s",
			      options.seed, status, chaos.logs);
	}
	if (!options.keep) {
		logs_remove();
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_set_timeout(tcase, options.signals >= SOAK_MINIMUM ? 7200 : 900);
	tcase_add_test(tcase, stress);
}

static _Noreturn void usage(FILE *stream, int status)
{
	fprintf(stream,
		"Usage: chaos-stress [--seed N] [--signals N] [--seconds N] [--keep DIRECTORY]\n"
		"                    [--expect-findings] [--no-hostile]\n"
		"Torments clients of a daemon and judges what they saw.\n"
		"  --seed N           of all chance; printed, and new each time without it\n"
		"  --signals N        how many to make (%llu; with $FBK_SOAK %llu)\n"
		"  --seconds N        end after that time, however many were made\n"
		"  --keep DIRECTORY   make it and leave the logs there, for chaos-check\n"
		"  --expect-findings  succeed when there are findings, and only then\n"
		"  --no-hostile       without the clients that mean harm\n",
		(unsigned long long)SIGNALS_SHORT, (unsigned long long)SIGNALS_SOAK);
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

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "signals", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 't' },
		{ "keep", required_argument, NULL, 'k' },
		{ "expect-findings", no_argument, NULL, 'x' },
		{ "no-hostile", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct timespec now;
	int c;
	clock_gettime(CLOCK_REALTIME, &now);
	options.seed = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	options.signals = getenv("FBK_SOAK") ? SIGNALS_SOAK : SIGNALS_SHORT;
	options.hostile = true;
	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case 's':
			options.seed = number(optarg);
			break;
		case 'n':
			options.signals = number(optarg);
			break;
		case 't':
			options.seconds = number(optarg);
			break;
		case 'k':
			options.keep = optarg;
			break;
		case 'x':
			options.expect_findings = true;
			break;
		case 'q':
			options.hostile = false;
			break;
		case 'h':
			usage(stdout, 0);
		default:
			usage(stderr, 2);
		}
	}
	if (optind < argc || options.signals == 0) {
		usage(stderr, 2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return suite_main("stress", add_tests);
}
