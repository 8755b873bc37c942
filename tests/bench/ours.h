// SPDX-License-Identifier: MIT
/* Our side: the public calls of <fencebroker.h> at default settings, with a daemon that the row starts. */
#pragma once

#include <fencebroker.h>

#include "bench.h"
#include "daemon.h"
#include "member.h"
#include "round.h"

#define NOBODY 65534 /* the first partner; the next ones count down */

extern const struct side ours_signal;     /* nobody asleep, row->pairs waiters */
extern const struct side ours_check;      /* of a reached point */
extern const struct side ours_spin_trip;  /* many trips per sample, spinning */
extern const struct side ours_trip;       /* one trip per sample, with thinking */
extern const struct side ours_sleep_trip; /* the same; counts only if both slept */
extern const struct side ours_commit;     /* more pipelines than CPUs */
extern const struct side ours_commit_no_spin;
extern const struct side ours_wait_any;      /* the leader waits for any of 64 */
extern const struct side ours_signal_asleep; /* row->pairs asleep, one woken */
extern const struct side ours_export;        /* memory to an eventfd */
extern const struct side ours_import;        /* an eventfd to memory */
extern const struct side ours_loop;          /* a watch in an event loop */
extern const struct side ours_armed_many;    /* delivery with 100,000 points armed */
extern const struct side ours_armed_few;     /* with 100 */
extern const struct side ours_edges_many;    /* declares a wait, 10,000 declared */
extern const struct side ours_edges_none;    /* none declared */
extern const struct side ours_promise_many;  /* a promise, 10,000 waits declared */
extern const struct side ours_promise_none;
extern const struct side ours_request;
extern const struct side ours_requests; /* the same, 32 under way, by the protocol */
extern const struct side ours_stalled;  /* sent while the daemon is stopped */
extern const struct side ours_syncobj;  /* direct mirror */
extern const struct side ours_link;
extern const struct side ours_hand; /* memory to eventfd, eventfd to memory */
extern const struct side ours_hand_native;
extern const struct side ours_in_order; /* four frames there and back */
extern const struct side ours_last_first;
extern const struct side ours_stages;        /* devices wait for points */
extern const struct side ours_stages_waited; /* processes wait for devices */
extern const struct side ours_start;
extern const struct side ours_memory;
extern const struct side ours_bus_register; /* and the close of its socket */
extern const struct side ours_bus_flood;    /* ListDevices, while another user floods the daemon */

/* ROW_VALUE */
int ours_bus_turn(double *ret_value, char *ret_note);
int ours_heap_timeline(double *ret_value, char *ret_note);
int ours_heap_point(double *ret_value, char *ret_note);
int ours_idle_wakes(double *ret_value, char *ret_note);
int ours_idle_cpu(double *ret_value, char *ret_note);
int ours_allocations(double *ret_value, char *ret_note);

/* ----------------------------------------------------------------------- shared by all rows -- */

struct party {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_timeline *mine;   /* signalled here */
	struct fbk_timeline *theirs; /* signalled by the peer */
};

/* -EIO, with fbk_error_detail() as the reason. */
int ours_fail(const char *what);

int party_join(struct party *party, const struct daemon *daemon, const char *name);
void party_leave(struct party *party);

/* Both ends make a timeline and share it with the peer; they run this at the same time. */
int party_swap(struct party *party, int socket);
int party_send(struct fbk_timeline *timeline, int socket);
int party_receive(struct party *party, int socket, struct fbk_timeline **ret_timeline);

int party_signal(void *party, uint64_t value); /* of `mine`; for struct half */
int party_wait(void *party, uint64_t value);   /* for `theirs` */

/* A daemon, the leader (this process) and its partners. */
#define PARTNERS_MAX 8

struct ours {
	struct daemon daemon;
	struct party party;
	struct member partners[PARTNERS_MAX];
	unsigned int partner_count;
	struct meeting *meeting;
	const struct row *row;
	struct half half;
	void *more; /* private to the row */
};

/* Starts the daemon and `partners` members that run `fn` with the struct ours; then connects the leader. */
int ours_open(const struct row *row, const struct daemon_setup *setup, member_fn *fn,
	      unsigned int partners, struct ours **ret_ours);
void ours_close(void *state);
