// SPDX-License-Identifier: MIT
/*
 * A raw client's timelines and the shared memory behind them: the signaler's and the waiter's part
 * of the protocol, written from its specification and not from the library. Also the bystander.
 * Functions that return int give 0 or the daemon's (negative) error, as in lib-wire.h. Owned by the
 * test; one thread at a time, except view_signal(), cell_*() and point_*().
 */
#pragma once

#include "lib-wire.h"

/* ----------------------------------------------------------------------------------- timelines -- */

/* What a client sees of a timeline. */
struct view {
	struct client *client;
	uint32_t handle;
	uint64_t id;
	uint32_t rights;
	uint32_t flags;
	bool writable; /* the payload fd that came was */
	uint64_t control_page, payload_page;
	uint32_t control_slot, payload_slot;
	struct fbk_control_slot *control;
	struct fbk_payload_slot *payload;
};

/* The fds of a Timeline reply, for tests that want them: otherwise they are mapped and closed. */
struct view_fds {
	int control;
	int payload;
	uint64_t control_size, payload_size;
};

uint32_t client_device(struct client *client, const char *name); /* class cpu */
uint32_t client_set(struct client *client);

int view_create(struct client *client, uint32_t device, uint32_t set, const char *name,
		uint32_t flags, struct view *ret_view);
/* Keeps the fds, and does not acknowledge a writable page. */
int view_create_fds(struct client *client, uint32_t device, uint32_t set, const char *name,
		    uint32_t flags, struct view *ret_view, struct view_fds *ret_fds);
int view_share(const struct view *view, uint32_t rights, int *ret_token);
int view_open(struct client *client, int token, struct view *ret_view);
int view_open_fds(struct client *client, int token, struct view *ret_view,
		  struct view_fds *ret_fds);
int view_close(const struct view *view);
int view_fail(const struct view *view, int error, const char *reason);
int view_info(const struct view *view, struct fbk_timeline_info *ret_info);
int view_request_signal(const struct view *view, uint64_t value);
int view_export(const struct view *view, uint64_t value, uint32_t kind, uint64_t deadline_ns,
		int *ret_fd);
int view_import(const struct view *view, uint64_t value, int fd);
int view_watch(const struct view *view, uint64_t value, uint64_t deadline_ns, uint64_t number);
int page_mapped(struct client *client, uint64_t page_id);

/* A cell that the signaler wakes without the daemon once it has taken it up. The client owns its
 * page. */
int view_join(const struct view *view, struct fbk_peer_page **ret_page, uint32_t *ret_slot);

/* A timeline of one client that another opens to wait on. */
void view_pair(struct client *signaler, uint32_t device, const char *name, uint32_t flags,
	       struct client *waiter, struct view *ret_signals, struct view *ret_waits);

/* ------------------------------------------------------------------------- the shared memory --- */

/* Signal in memory: compare-and-exchange from `from`, then the bell where the daemon armed. */
bool view_signal(const struct view *view, uint64_t from, uint64_t value);
void doorbell_ring(struct client *client, uint32_t handle);

uint64_t view_payload(const struct view *view);
uint64_t view_monitored(const struct view *view);
void view_await_monitored(const struct view *view, uint64_t value); /* until the daemon says so */
uint32_t view_status(const struct view *view);
uint32_t cell_sequence(const struct view *view);
uint64_t cell_minimum(const struct view *view);

/* Lower the cell's minimum and ring. Returns the sequence read before. */
uint32_t cell_arm(const struct view *view, uint64_t value);

/* Sleeps until the sequence differs from `sequence`: 0, or -ETIMEDOUT. */
int cell_wait(const struct view *view, uint32_t sequence, unsigned int timeout_ms);
int cell_sleep(struct fbk_pair_cell *cell, uint32_t sequence, unsigned int timeout_ms);

/* A complete wait: 0, -ETIMEDOUT, or the error of the failed point. */
int point_check(const struct view *view, uint64_t value);
int point_wait(const struct view *view, uint64_t value, unsigned int timeout_ms);

/* ------------------------------------------------------------------------------- the bystander -- */

/* Two clients that take no part in what is tested, and must not notice it. */
struct bystander {
	const struct daemon *daemon;
	struct client signaler;
	struct client waiter;
	struct view signals;
	struct view waits;
	uint64_t value;
	unsigned int fds; /* of the daemon, when it has no other clients */
};

void bystander_open(struct bystander *bystander, const struct daemon *daemon);

/* Arm, signal and wake take less than this, whatever other clients do. A fault would take far
 * longer or for ever; a machine that gives this test no CPU for a second is no finding. ThreadSanitizer makes the end of
 * a client with a thousand links ten times as long. */
#ifdef __SANITIZE_THREAD__
#define BYSTANDER_BOUND_MS 20000
#else
#define BYSTANDER_BOUND_MS 5000
#endif
void bystander_round(struct bystander *bystander);

/* A last round; then the daemon must have as many fds as when the bystander came: all other clients
 * are gone. */
void bystander_close(struct bystander *bystander);
