// SPDX-License-Identifier: MIT
/*
 * The run with exchanges: a daemon, producers and consumers under torment, then the checker over
 * their logs. At the end the daemon must hold nothing of them. Also a test; for its options see
 * --help.
 */
#include <inttypes.h>
#include <stdio.h>

#include "exchange-driver.h"
#include "scale.h"
#include "tests/integration/lib-wire.h"

#define LOG_ROOM      (UINT64_C(256) << 20) /* bytes, and so many more for each frame */
#define LOG_ROOM_EACH 1024

/* A fence that its killed consumer would have raised is given up before a producer gives up. Its processes share one user. */
static const char policy[] = "version = 1;\n"
			     "settings: { max_import_ms = 2000; };\n"
			     "rules: ( { user = \"*\"; connect = true; register = true;\n"
			     "           inspect = \"all\"; } );\n";

static struct {
	struct exchange_aim aim;
	uint64_t pause_us;
} options;

/* Its fds while this client alone is connected. */
static unsigned int daemon_fds_begin(const struct daemon *daemon)
{
	struct client client;
	client_open(&client, daemon);
	unsigned int fds = daemon_fd_count(daemon);
	client_close(&client);
	return fds;
}

/* Its fds are as many as then, and it has no link, no device and no timeline. */
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

static const struct run_kind exchange_kind;

START_TEST(exchange)
{
	struct daemon daemon;
	struct driver_report report;
	struct exchange_run run = {
		.base.pause_us = options.pause_us,
		.base.policy = policy,
		.base.log_capacity = 1000000 + 8 * options.aim.frames,
		.board = shared_memory(sizeof(*run.board)),
	};
	run_begin(&run.base, &daemon, LOG_ROOM + options.aim.frames * LOG_ROOM_EACH);
	unsigned int fds = daemon_fds_begin(&daemon);
	exchange_drive(&run, &options.aim, &report);
	printf("%" PRIu64 " frames in %" PRIu64 " ms, %" PRIu64 " kills, %" PRIu64
	       " stops, %" PRIu64 " crashes\n",
	       report.work, report.ms, report.kills, report.stops, report.crashes);
	run_check(&exchange_kind, &run.base, false);
	daemon_expect_empty(&daemon, fds);
	daemon_stop(&daemon);
	run_end();
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_set_timeout(tcase, options.aim.frames > FRAMES_SHORT ? 7200 : 900);
	tcase_add_test(tcase, exchange);
}

static const struct run_option exchange_options[] = {
	{ .name = "frames",
	  .help = "frames to hand over",
	  .argument = "N",
	  .number = &options.aim.frames,
	  .quick = FRAMES_SHORT,
	  .soak = FRAMES_SOAK,
	  .positive = true },
	{ .name = "kills",
	  .help = "processes to kill meanwhile",
	  .argument = "N",
	  .number = &options.aim.kills,
	  .quick = KILLS_SHORT,
	  .soak = KILLS_SOAK },
	{ .name = "stops",
	  .help = "times that a process is stopped for a while",
	  .argument = "N",
	  .number = &options.aim.stops,
	  .quick = STOPS_SHORT,
	  .soak = STOPS_SOAK },
	{ .name = "pause",
	  .help = "longest pause of a producer between frames, in microseconds",
	  .argument = "US",
	  .number = &options.pause_us },
};

static const struct run_kind exchange_kind = {
	.program = "chaos-exchange",
	.suite = "exchange",
	.purpose =
		"Kills and stops producers and consumers, and judges what became of their frames.",
	.checker = "chaos-exchange-check",
	.options = exchange_options,
	.option_count = sizeof(exchange_options) / sizeof(exchange_options[0]),
	.add = add_tests,
};

int main(int argc, char **argv)
{
	return run_main(&exchange_kind, argc, argv);
}
