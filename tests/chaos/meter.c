// SPDX-License-Identifier: MIT
#include "meter.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/lib-daemon.h"

#define PERIOD_NS UINT64_C(10000000)
#define LAG_NS    UINT64_C(50000000) /* longer ones are written down */
#define STACK     65536

struct meter {
	struct journal *journal;
	size_t cpu;
};

static void sleep_until(uint64_t when)
{
	struct timespec at = { .tv_sec = (time_t)(when / 1000000000),
			       .tv_nsec = (long)(when % 1000000000) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
	}
}

static void *meter_run(void *arg)
{
	const struct meter *meter = arg;
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(meter->cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set); /* else it is moved */
	for (;;) {
		uint64_t due = clock_ns() + PERIOD_NS;
		sleep_until(due);
		if (clock_ns() < due + LAG_NS) {
			continue;
		}
		struct record *record = journal_begin(meter->journal, 1);
		record->index = (uint32_t)meter->cpu;
		record->begin = due;
		record_end(record, 0);
		record_publish(record, RECORD_LAG);
	}
	return NULL;
}

static int meter_serve(void *arg)
{
	static struct meter meters[CPU_SETSIZE];
	pthread_attr_t attributes;
	cpu_set_t set;
	pthread_t thread;
	EXPECT(sched_getaffinity(0, sizeof(set), &set) == 0);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		meters[cpu] = (struct meter){ arg, cpu };
		EXPECT(!CPU_ISSET(cpu, &set) ||
		       pthread_create(&thread, &attributes, meter_run, &meters[cpu]) == 0);
	}
	for (;;) {
		pause();
	}
}

pid_t meter_start(struct journal *journal)
{
	return child_start(meter_serve, journal);
}

void meter_stop(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL);
}
