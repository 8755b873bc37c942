// SPDX-License-Identifier: MIT
/*
 * The stress run: a daemon, actors and hostile clients under torment, then the checker over their
 * logs. Also a test; for its options see --help.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "point-driver.h"
#include "scale.h"

#define MEAN_BURST   6   /* actor-signal.c */
#define MEAN_OF_MAX  8   /* the longest pause over the average one */
#define SIGNALERS    12  /* of all actors */
#define AIM_S        12  /* how long the signals of a short run should take */
#define AIM_SOAK_S   500 /* of a soak */
#define SOAK_MINIMUM 2000000

#define LOG_ROOM      (UINT64_C(256) << 20) /* bytes, and so many more for each signal */
#define LOG_ROOM_EACH 256

static struct {
	uint64_t signals, seconds;
	bool expect_findings, no_hostile;
} options;

/* Half of the threads that one user may have: the rest of the run needs the others. */
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

static const struct run_kind stress_kind;

START_TEST(stress)
{
	struct daemon daemon;
	struct point_report report;
	struct chaos chaos = {
		.base.pause_us = pause_longest_us(),
		.base.log_capacity = 2000000 + options.signals,
		.board = shared_memory(sizeof(*chaos.board)),
		.crowd = crowd_size(),
	};
	const struct point_aim aim = { options.signals, options.seconds, !options.no_hostile };
	run_begin(&chaos.base, &daemon, LOG_ROOM + options.signals * LOG_ROOM_EACH);
	point_drive(&chaos, &aim, &report);
	daemon_stop(&daemon);
	printf("%" PRIu64 " signals in %" PRIu64 " ms, %" PRIu64 " kills, %" PRIu64
	       " stops, %" PRIu64 " leaves, %" PRIu64 " crashes\n",
	       report.driver.work, report.driver.ms, report.driver.kills, report.driver.stops,
	       report.leaves, report.driver.crashes);
	run_check(&stress_kind, &chaos.base, options.expect_findings);
	run_end();
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_set_timeout(tcase, options.signals >= SOAK_MINIMUM ? 7200 : 900);
	tcase_add_test(tcase, stress);
}

static const struct run_option stress_options[] = {
	{ .name = "signals",
	  .help = "signals to make",
	  .argument = "N",
	  .number = &options.signals,
	  .quick = SIGNALS_SHORT,
	  .soak = SIGNALS_SOAK,
	  .positive = true },
	{ .name = "seconds",
	  .help = "end after N seconds at the latest",
	  .argument = "N",
	  .number = &options.seconds },
	{ .name = "expect-findings",
	  .help = "succeed if and only if there are findings",
	  .flag = &options.expect_findings },
	{ .name = "no-hostile", .help = "without hostile clients", .flag = &options.no_hostile },
};

static const struct run_kind stress_kind = {
	.program = "chaos-stress",
	.suite = "stress",
	.purpose = "Kills, stops and disturbs clients of a daemon, and judges what they saw.",
	.checker = "chaos-check",
	.options = stress_options,
	.option_count = sizeof(stress_options) / sizeof(stress_options[0]),
	.add = add_tests,
};

int main(int argc, char **argv)
{
	return run_main(&stress_kind, argc, argv);
}
