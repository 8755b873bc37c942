// SPDX-License-Identifier: MIT
/*
 * The run with exchanges: a daemon, producers and consumers under torment, then the checker over their logs; and
 * nothing is left of them in the daemon. Also a test: see --help for what it may be asked.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "exchange-driver.h"
#include "logs.h"
#include "scale.h"
#include "tests/integration/lib-wire.h"

#define LOG_ROOM      (UINT64_C(256) << 20) /* bytes, and so many for each frame */
#define LOG_ROOM_EACH 1024

static struct {
	struct exchange_counts aim;
	uint64_t seed, pause_us;
	const char *keep;
} options;

/* With nobody connected but who asks. */
static unsigned int daemon_fds_begin(const struct daemon *daemon)
{
	struct client client;
	client_open(&client, daemon);
	unsigned int fds = daemon_fd_count(daemon);
	client_close(&client);
	return fds;
}

/* As many as then, and no link, no device and no timeline is left. */
static void daemon_expect_empty(const struct daemon *daemon, unsigned int fds)
{
	struct client client;
	struct reply reply;
	REQUEST(links, INSPECT_LINKS, inspect_links);
	REQUEST(status, INSPECT_STATUS, inspect_status);
	client_open(&client, daemon);
	daemon_await_fds(daemon, fds);
	EXPECT(client_call(&client, &links, NULL, 0, &reply) == 0);
	ck_assert_uint_eq(reply.message->links->n_links, 0);
	reply_free(&reply);
	EXPECT(client_call(&client, &status, NULL, 0, &reply) == 0);
	ck_assert_uint_eq(reply.message->status->sessions, 1);
	ck_assert_uint_eq(reply.message->status->devices, 0);
	ck_assert_uint_eq(reply.message->status->timelines, 0);
	reply_free(&reply);
	client_close(&client);
}

START_TEST(exchange)
{
	struct daemon daemon;
	struct exchange_report report;
	struct exchange_run run = {
		.daemon = &daemon,
		.logs = logs_create(options.keep, LOG_ROOM + options.aim.frames * LOG_ROOM_EACH),
		.seed = options.seed,
		.pause_us = options.pause_us,
		.log_capacity = 1000000 + 8 * options.aim.frames,
	};
	run.board = mmap(NULL, sizeof(*run.board), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(run.board != MAP_FAILED);
	printf("seed %" PRIu64 ", logs in %s\n", options.seed, run.logs);
	daemon_serve(&daemon, NULL);
	unsigned int fds = daemon_fds_begin(&daemon);
	exchange_drive(&run, &options.aim, &report);
	printf("%" PRIu64 " frames in %" PRIu64 " ms, %" PRIu64 " kills, %" PRIu64
	       " stops, %" PRIu64 " crashes\n",
	       report.done.frames, report.ms, report.done.kills, report.done.stops, report.crashes);
	int status = logs_check("chaos-exchange-check");
	ck_assert_msg(status == 0, "seed %" PRIu64 ": findings (%d); the logs are in %s",
		      options.seed, status, run.logs);
	daemon_expect_empty(&daemon, fds);
	daemon_stop(&daemon);
	if (!options.keep) {
		logs_remove();
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_set_timeout(tcase, options.aim.frames > FRAMES_SHORT ? 7200 : 900);
	tcase_add_test(tcase, exchange);
}

static _Noreturn void usage(FILE *stream, int status)
{
	fprintf(stream,
		"Usage: chaos-exchange [--seed N] [--frames N] [--kills N] [--stops N]\n"
		"                      [--pause US] [--keep DIRECTORY]\n"
		"Torments producers and consumers and judges what became of their frames.\n"
		"  --seed N          of all chance; printed, and new each time without it\n"
		"  --frames N        how many to hand over (%llu; with $FBK_SOAK %llu)\n"
		"  --kills N         how many processes to kill meanwhile (%llu; %llu)\n"
		"  --stops N         how often to stop one for a while (%llu; %llu)\n"
		"  --pause US        how long producers pause between frames, at most\n"
		"  --keep DIRECTORY  make it and leave the logs there, for chaos-exchange-check\n",
		(unsigned long long)FRAMES_SHORT, (unsigned long long)FRAMES_SOAK,
		(unsigned long long)KILLS_SHORT, (unsigned long long)KILLS_SOAK,
		(unsigned long long)STOPS_SHORT, (unsigned long long)STOPS_SOAK);
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
		{ "frames", required_argument, NULL, 'n' },
		{ "kills", required_argument, NULL, 'k' },
		{ "stops", required_argument, NULL, 'z' },
		{ "pause", required_argument, NULL, 'p' },
		{ "keep", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool soak = getenv("FBK_SOAK");
	struct timespec now;
	int c;
	clock_gettime(CLOCK_REALTIME, &now);
	options.seed = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	options.aim = soak ? (struct exchange_counts){ FRAMES_SOAK, KILLS_SOAK, STOPS_SOAK }
			   : (struct exchange_counts){ FRAMES_SHORT, KILLS_SHORT, STOPS_SHORT };
	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case 's':
			options.seed = number(optarg);
			break;
		case 'n':
			options.aim.frames = number(optarg);
			break;
		case 'k':
			options.aim.kills = number(optarg);
			break;
		case 'z':
			options.aim.stops = number(optarg);
			break;
		case 'p':
			options.pause_us = number(optarg);
			break;
		case 'd':
			options.keep = optarg;
			break;
		case 'h':
			usage(stdout, 0);
		default:
			usage(stderr, 2);
		}
	}
	if (optind < argc || options.aim.frames == 0) {
		usage(stderr, 2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return suite_main("exchange", add_tests);
}
