// SPDX-License-Identifier: MIT
#include "lib-device.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum order {
	ORDER_STOP,
	ORDER_STORE,
	ORDER_SIGNAL,
	ORDER_LOAD,
	ORDER_RUN,
	ORDER_FAIL,
	ORDER_OVERWRITE,
};

struct beginning {
	const struct daemon *daemon;
	uint32_t signals;
};

struct memory {
	struct fbk_timeline *timeline;
	void *word;
	bool narrow;
};

/* seq_cst: stronger than a device; the tests are about what follows */
static void memory_store(const struct memory *memory, uint64_t value)
{
	if (memory->narrow) {
		atomic_store((_Atomic uint32_t *)memory->word, (uint32_t)value);
	} else {
		atomic_store((_Atomic uint64_t *)memory->word, value);
	}
}

static uint64_t memory_load(const struct memory *memory)
{
	return memory->narrow ? atomic_load((_Atomic uint32_t *)memory->word)
			      : atomic_load((_Atomic uint64_t *)memory->word);
}

static void memory_run(const struct memory *memory, uint64_t count, uint64_t interval_us)
{
	struct timespec at;
	uint64_t value = memory_load(memory);
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (uint64_t i = 0; i < count; i++) {
		at.tv_nsec += (long)interval_us * 1000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
		}
		memory_store(memory, ++value);
	}
}

static uint64_t memory_overwrite(const struct memory *memory, uint64_t value)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	memory_store(memory, value);
	while (memory_load(memory) == value) {
		if (now_ms() > deadline) {
			return 0;
		}
		yield_briefly();
	}
	return memory_load(memory);
}

static void memory_open(struct memory *memory, struct fbk_device *device, int socket)
{
	struct fbk_memory where = { .struct_size = sizeof(where) };
	int token;
	memory->timeline = peer_timeline(device, "stores", 0);
	EXPECT(fbk_timeline_memory(memory->timeline, &where, NULL) == 0);
	memory->word = where.address;
	memory->narrow = where.size == 4;
	EXPECT(fbk_timeline_share(memory->timeline, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
}

static int device_run(int socket, void *arg)
{
	const struct beginning *beginning = arg;
	struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "engine",
		.device_class = FBK_CLASS_CPU,
		.signals = beginning->signals,
		.silent = true,
	};
	struct fbk_context *context = peer_connect(beginning->daemon);
	struct fbk_device *device;
	struct memory memory;
	EXPECT(fbk_device_register(context, &desc, &device) == 0);
	memory_open(&memory, device, socket);
	for (;;) {
		uint64_t order = receive_word(socket, NULL);
		uint64_t value = receive_word(socket, NULL);
		uint64_t extra = receive_word(socket, NULL);
		uint64_t answer = 0;
		switch (order) {
		case ORDER_STOP:
			fbk_disconnect(context);
			return 0;
		case ORDER_STORE:
			memory_store(&memory, value);
			break;
		case ORDER_SIGNAL:
			answer = (uint64_t)fbk_timeline_signal(memory.timeline, value);
			break;
		case ORDER_LOAD:
			answer = memory_load(&memory);
			break;
		case ORDER_RUN:
			send_word(socket, 0, -1);
			memory_run(&memory, value, extra);
			continue;
		case ORDER_FAIL:
			EXPECT(fbk_timeline_fail(memory.timeline, -EIO, NULL) == 0);
			answer = memory_overwrite(&memory, value);
			break;
		default:
			answer = memory_overwrite(&memory, value);
			break;
		}
		send_word(socket, answer, -1);
	}
}

static void silent_send(struct silent *silent, enum order order, uint64_t value, uint64_t extra)
{
	send_word(silent->peer.socket, order, -1);
	send_word(silent->peer.socket, value, -1);
	send_word(silent->peer.socket, extra, -1);
}

static uint64_t silent_ask(struct silent *silent, enum order order, uint64_t value, uint64_t extra)
{
	silent_send(silent, order, value, extra);
	return receive_word(silent->peer.socket, NULL);
}

void silent_start(struct silent *silent, const struct daemon *daemon, uint32_t signals)
{
	struct beginning beginning = { daemon, signals };
	peer_start(&silent->peer, device_run, &beginning);
	receive_word(silent->peer.socket, &silent->token);
}

struct fbk_timeline *silent_open(struct silent *silent, struct fbk_context *context)
{
	struct fbk_timeline *timeline;
	ck_assert_int_eq(fbk_timeline_open(context, silent->token, &timeline), 0);
	return timeline;
}

void silent_store(struct silent *silent, uint64_t value)
{
	silent_ask(silent, ORDER_STORE, value, 0);
}

void silent_signal(struct silent *silent, uint64_t value)
{
	ck_assert_int_eq((int)silent_ask(silent, ORDER_SIGNAL, value, 0), 0);
}

uint64_t silent_load(struct silent *silent)
{
	return silent_ask(silent, ORDER_LOAD, 0, 0);
}

void silent_run(struct silent *silent, uint64_t count, uint64_t interval_us)
{
	silent_ask(silent, ORDER_RUN, count, interval_us);
}

uint64_t silent_fail(struct silent *silent, uint64_t value)
{
	return silent_ask(silent, ORDER_FAIL, value, 0);
}

uint64_t silent_overwrite(struct silent *silent, uint64_t value)
{
	return silent_ask(silent, ORDER_OVERWRITE, value, 0);
}

void silent_stop(struct silent *silent)
{
	silent_send(silent, ORDER_STOP, 0, 0);
	close(silent->token);
	ck_assert_int_eq(peer_wait(&silent->peer), 0);
}

void silent_kill(struct silent *silent)
{
	kill(silent->peer.pid, SIGKILL);
	close(silent->token);
	ck_assert_int_eq(peer_wait(&silent->peer), 128 + SIGKILL);
}

/* -------------------------------------------------------------------------------- the daemon --- */

static DIR *tasks_open(const struct daemon *daemon)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", daemon->pid);
	DIR *directory = opendir(path);
	EXPECT(directory);
	return directory;
}

pid_t daemon_task(const struct daemon *daemon, const char *name)
{
	pid_t found = 0;
	DIR *directory = tasks_open(daemon);
	for (struct dirent *entry; !found && (entry = readdir(directory));) {
		char path[320], line[64] = "";
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", daemon->pid, entry->d_name);
		FILE *file = fopen(path, "re");
		if (!file) {
			continue; /* no task, or it has just ended */
		}
		if (fgets(line, sizeof(line), file)) {
			line[strcspn(line, "\n")] = '\0';
		}
		fclose(file);
		if (strcmp(line, name) == 0) {
			found = atoi(entry->d_name);
		}
	}
	closedir(directory);
	return found;
}

pid_t daemon_await_task(const struct daemon *daemon, const char *name)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	pid_t found;
	while ((found = daemon_task(daemon, name)) == 0) {
		ck_assert_msg(now_ms() < deadline, "no thread %s", name);
		yield_briefly();
	}
	return found;
}

void daemon_await_no_task(const struct daemon *daemon, const char *name)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (daemon_task(daemon, name) != 0) {
		ck_assert_msg(now_ms() < deadline, "a thread %s", name);
		yield_briefly();
	}
}
