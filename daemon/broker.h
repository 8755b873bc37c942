// SPDX-License-Identifier: MIT
/*
 * The state of the daemon that its parts share: one loop, one clock of deadlines, one account, one
 * policy, and the registry of all that lives. Made once by main; everything in it belongs to the
 * loop's thread.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "aio.h"
#include "closer.h"
#include "proto/drm.h"
#include "graph.h"
#include "origin.h"
#include "policy.h"
#include "probe.h"
#include "proto/classify.h"
#include "wheel.h"

struct device;
struct export;
struct link;
struct client;
struct submit_arm;
struct timeline;
struct watcher;

/* Priorities of the loop: signals, fences and deadlines before requests. */
enum broker_priority {
	PRIORITY_FENCE = 0,
	PRIORITY_REQUEST = 1,
	PRIORITY_COUNT = 2,
};

/* What the daemon counted since it started. `fencectl status` shows them by these names. */
#define BROKER_COUNTERS(X)                                              \
	X(connections, "clients accepted")                              \
	X(refused, "clients refused")                                   \
	X(requests, "requests served")                                  \
	X(errors, "requests answered with an error")                    \
	X(malformed, "connections ended for a malformed packet")        \
	X(bells, "doorbell wake-ups")                                   \
	X(looks, "timelines looked at")                                 \
	X(watcher_polls, "payloads polled for silent devices")          \
	X(watcher_hits, "points of silent devices found by polling")    \
	X(waits, "waits armed through shared memory")                   \
	X(wakes, "cells woken")                                         \
	X(watches, "watches armed")                                     \
	X(watches_fired, "watches delivered")                           \
	X(watches_expired, "watches ended by their deadline")           \
	X(exports, "exports made")                                      \
	X(exports_fired, "exports fired because the point was decided") \
	X(exports_expired, "exports fired by their deadline")           \
	X(imports, "kernel fences imported")                            \
	X(imports_done, "imported fences that signalled")               \
	X(imports_failed, "imported fences that failed or expired")     \
	X(promises, "promises made to the kernel")                      \
	X(promises_kept, "promises kept")                               \
	X(promises_broken, "promises ended without their point")        \
	X(mirrors, "mirrors made")                                      \
	X(mirror_signals, "syncobjs signalled by mirrors")              \
	X(cycles_refused, "waits refused for they close a cycle")       \
	X(fds_refused, "file descriptors refused")                      \
	X(timelines_failed, "timelines failed")                         \
	X(log_lines_dropped, "log lines not written: their user had too many")

struct broker_counters {
#define X(name, what) uint64_t name;
	BROKER_COUNTERS(X)
#undef X
};

struct broker {
	struct event_base *base;
	struct wheel wheel;
	unsigned int bells_in_a_row; /* since a request was served */
	int timer;         /* a timerfd for all deadlines; set only when the first one changes */
	uint64_t timer_ns; /* when it goes off; UINT64_MAX: never */
	struct event *timer_event;
	struct event *reaper; /* runs once after the callbacks that asked for it */
	struct account *account;
	struct policy *policy;
	const char *policy_name;
	struct classifier classifier;
	struct closer closer;
	struct event *closer_alarm;
	struct aio aio;
	int udmabuf; /* udmabuf_open() */
	struct drm drm;
	struct vgem *vgem;       /* provider-vgem.c; NULL: not used */
	struct watcher *watcher; /* NULL: policy leaves it no CPU time */
	int memory_lock;         /* 0: all memory stays in RAM (rule R13); else why not */
	struct probe probe;
	bool user_mode;
	bool stopping;
	bool ending; /* nothing is kept any more */
	uint64_t started_ns;
	uint64_t base_fds; /* open before the first client */
	uint64_t fd_limit;
	LIST_HEAD(, log_charge) log_charges;
	uint64_t starved_quiet_until_ns;

	struct graph graph;                  /* who waits for whom */
	struct origins origins;              /* exports that may come back as imports */
	LIST_HEAD(, submit_arm) submit_arms; /* syncobj-follow.c */
	LIST_HEAD(, export) promises;
	unsigned int promise_count;
	struct wheel_timer stop_timer;

	LIST_HEAD(, client) clients;
	LIST_HEAD(, client) dying;
	LIST_HEAD(, device) devices;
	LIST_HEAD(, timeline) timelines; /* newest first: ids fall */
	LIST_HEAD(, link) links;         /* the same */
	LIST_HEAD(, token) tokens[256];  /* by inode */
	uint32_t client_count, device_count, timeline_count;
	uint64_t arm_ns;  /* when the last point was armed: no two at the same time */
	uint64_t next_id; /* of devices, timelines, pages, sets */
	struct broker_counters counters;
};

int broker_create(struct policy *policy, const char *policy_name, bool user_mode,
		  struct broker **ret_broker);
int broker_run(struct broker *broker);      /* until broker_stop() is done; else an error */
void broker_destroy(struct broker *broker); /* ends all clients; takes the policy; takes NULL */

/* Stop the loop: at once, or when all promises are kept or broken; clients are told first. Called
 * again: at once. */
void broker_stop(struct broker *broker);
void broker_promise_over(struct broker *broker);

uint64_t broker_new_id(struct broker *broker);

/* Deadlines: fire never early, at most about a millisecond late. */
void broker_arm(struct broker *broker, struct wheel_timer *timer, uint64_t deadline_ns);
void broker_disarm(struct broker *broker, struct wheel_timer *timer);

void event_drop(struct event *event); /* event_free() that takes NULL */

/* File descriptors that may still be opened, beyond what is charged and queued for closing. */
uint64_t broker_free_fds(const struct broker *broker);

/* Free the clients on `dying` once the running callbacks have returned. */
void broker_reap_later(struct broker *broker);
