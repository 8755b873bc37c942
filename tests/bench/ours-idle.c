// SPDX-License-Identifier: MIT
/* The idle daemon: 1,000 clients, 10,000 sleeping waits, no signals. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ours.h"
#include "tests/proc-stat.h"

#define CLIENTS          1000
#define WAITS            10000
#define PROCESSES        8
#define CLIENTS_EACH     (CLIENTS / PROCESSES)
#define WAITS_PER        (WAITS / CLIENTS)
#define FILES_ONE_USER   32768
#define FILES_MANY_USERS 16384
#define MEMBER_FILES     4096
#define THREAD_STACK     65536
#define IDLE_S           10
#define IDLE_QUICK_S     2
#define IDLE_PATIENCE_S  60
#define FAR              (UINT64_C(1) << 40)

_Static_assert(CLIENTS % PROCESSES == 0 && WAITS % CLIENTS == 0, "all have the same share");

struct idle {
	double wakes;
	double cpu_ms;
};

struct waiter {
	struct fbk_point point;
};

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;
	fbk_point_wait(waiter->point, FBK_DEADLINE_MAX); /* until the process is killed */
	return NULL;
}

static int client_wait(struct party *party, unsigned int number)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r = 0;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	for (unsigned int i = 0; r == 0 && i < WAITS_PER; i++) {
		struct waiter *waiter = malloc(sizeof(*waiter));
		if (!waiter) {
			r = bench_fail("no memory");
			break;
		}
		waiter->point = (struct fbk_point){ party->theirs, FAR + number * WAITS_PER + i };
		if (pthread_create(&thread, &attributes, waiter_run, waiter) != 0) {
			free(waiter);
			r = bench_skip("this machine lets nobody have 10,000 threads");
		}
	}
	pthread_attr_destroy(&attributes);
	return r;
}

/* Receives the token, opens the timeline in each of this process's clients, and starts their threads. */
static int idle_member(int socket, void *arg)
{
	struct ours *ours = arg;
	static struct party parties[CLIENTS_EACH];
	struct rlimit limit = { MEMBER_FILES, MEMBER_FILES };
	int token;
	setrlimit(RLIMIT_NOFILE, &limit);
	int r = note_receive(socket, NULL, &token);
	for (unsigned int i = 0; r == 0 && i < CLIENTS_EACH; i++) {
		struct party *party = &parties[i];
		if (fbk_connect(ours->daemon.socket, &party->context) < 0 ||
		    fbk_timeline_open(party->context, token, &party->theirs) < 0) {
			return ours_fail("connecting a thousand times");
		}
		r = client_wait(party, i);
	}
	if (r == 0) {
		r = note_send(socket, 0, -1);
	}
	return r < 0 ? r : note_await(socket, NULL);
}

/* How many of a process's threads sleep in a futex, and how many it has. */
static void threads_count(pid_t pid, unsigned int *ret_asleep, unsigned int *ret_all)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *directory = opendir(path);
	const struct dirent *entry;
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		char state = proc_state((pid_t)strtol(entry->d_name, NULL, 10));
		*ret_asleep += state == 'S';
		*ret_all += state != 0;
	}
	if (directory) {
		closedir(directory);
	}
}

static int all_asleep(const struct ours *ours)
{
	uint64_t end = host_now() + IDLE_PATIENCE_S * UINT64_C(1000000000);
	unsigned int asleep;
	unsigned int all;
	do {
		asleep = all = 0;
		for (unsigned int i = 0; i < PROCESSES; i++) {
			threads_count(ours->partners[i].pid, &asleep, &all);
		}
		if (asleep == all && all >= WAITS) {
			return 0;
		}
		poll(NULL, 0, 20);
	} while (host_now() < end);
	return bench_fail("%u of %u threads sleep", asleep, all);
}

/* CPU time in ns: the first number of schedstat. */
static long long daemon_cpu_ns(const struct daemon *daemon)
{
	char path[64];
	long long ns = -1;
	snprintf(path, sizeof(path), "/proc/%d/schedstat", daemon->pid);
	FILE *file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%lld", &ns) != 1) {
			ns = -1;
		}
		fclose(file);
	}
	return ns;
}

static int idle_watch(struct ours *ours, struct idle *idle)
{
	int seconds = bench_options.quick ? IDLE_QUICK_S : IDLE_S;
	int r = all_asleep(ours);
	if (r == 0) {
		r = daemon_await_idle(&ours->daemon);
	}
	if (r < 0) {
		return r;
	}
	pid_t pid = ours->daemon.pid;
	long wakes = host_proc_number(pid, "status", "voluntary_ctxt_switches:");
	long long cpu = daemon_cpu_ns(&ours->daemon);
	poll(NULL, 0, seconds * 1000);
	idle->wakes = (double)(host_proc_number(pid, "status", "voluntary_ctxt_switches:") - wakes);
	idle->cpu_ms = (double)(daemon_cpu_ns(&ours->daemon) - cpu) / 1e6;
	if (cpu < 0) {
		return bench_skip("this kernel has no /proc/PID/schedstat");
	}
	return all_asleep(ours); /* all waits still sleep */
}

/* The daemon charges a session about 13 fds and gives one user at most half of its fds. It raises its own
 * limit to the hard limit, so that must be large enough. */
static int files_check(void)
{
	rlim_t needed = geteuid() == 0 ? FILES_MANY_USERS : FILES_ONE_USER;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max >= needed
		       ? 0
		       : bench_skip("it takes root and `ulimit -Hn %d`, or `ulimit -Hn %d`",
				    FILES_MANY_USERS, FILES_ONE_USER);
}

/* Measured once; both rows use the result. */
static int idle_measure(struct idle *ret_idle, char *ret_note)
{
	const struct row row = { .name = "idle", .other_uid = geteuid() == 0 };
	static const struct daemon_setup setup = { .policy = daemon_policy_open };
	static struct idle known;
	static bool measured;
	struct ours *ours;
	int r = 0;
	if (!measured) {
		r = files_check();
		if (r == 0) {
			r = ours_open(&row, &setup, idle_member, PROCESSES, &ours);
		}
		if (r < 0) {
			return r;
		}
		if (fbk_timeline_create(ours->party.device, NULL, "bench", 0, &ours->party.mine) <
		    0) {
			r = ours_fail("making a timeline");
		}
		for (unsigned int i = 0; r == 0 && i < PROCESSES; i++) {
			r = party_send(ours->party.mine, ours->partners[i].socket);
		}
		for (unsigned int i = 0; r == 0 && i < PROCESSES; i++) {
			r = note_receive(ours->partners[i].socket, NULL, NULL);
		}
		if (r == 0) {
			r = idle_watch(ours, &known);
		}
		ours_close(ours);
		measured = r == 0;
	}
	*ret_idle = known;
	snprintf(ret_note, REASON_SIZE, "%d clients, %d waits, %d s", CLIENTS, WAITS,
		 bench_options.quick ? IDLE_QUICK_S : IDLE_S);
	return r;
}

int ours_idle_wakes(double *ret_value, char *ret_note)
{
	struct idle idle;
	int r = idle_measure(&idle, ret_note);
	*ret_value = idle.wakes;
	return r;
}

int ours_idle_cpu(double *ret_value, char *ret_note)
{
	struct idle idle;
	int r = idle_measure(&idle, ret_note);
	*ret_value = idle.cpu_ms;
	return r;
}
