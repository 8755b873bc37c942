// SPDX-License-Identifier: MIT
/*
 * One process of the pipeline as the broker sees it: a device, the timelines (lanes) that it signals and
 * waits for, its links, and one sentence about why it stopped. When it stops early, its timelines and
 * links fail with that sentence, so that its neighbours blame the right process too. A stage belongs to
 * one thread.
 */
#pragma once

#include <fencebroker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "channel.h"
#include "options.h"
#include "stats.h"

#define STAGE_LANES 6
#define STAGE_LINKS 6

/* A timeline and when its points were signalled. */
struct lane {
	struct fbk_timeline *timeline;
	struct board board;
	char name[FBK_NAME_SIZE];
	bool own; /* this process signals it */
};

struct stage {
	const struct options *options;
	struct fbk_context *context;
	struct fbk_device *device;
	struct lane lanes[STAGE_LANES];
	size_t lane_count;
	struct fbk_link *links[STAGE_LINKS];
	size_t link_count;
	struct stats stats;
	char what[64]; /* activity when it stopped */
	char why[2 * FBK_REASON_SIZE];
	bool told;                         /* stage_tell() was called */
	char suspect[2 * FBK_REASON_SIZE]; /* the process to blame for a long wait */
};

/* Connect and register the device, named after the process. All functions here return 0 or the negative errno that
 * was given to stage_stop(). */
int stage_start(struct stage *stage, const struct options *options,
		const struct fbk_device_desc *desc);

/* A timeline that this process signals, NAME.`what`, and, if wanted, its board. */
int stage_lane_create(struct stage *stage, const char *what, uint32_t flags, bool board,
		      struct lane **ret_lane);

/* The same, shared with these rights: gives the token for the neighbour; the lane keeps the board's fd. */
int stage_lane_share(struct stage *stage, const char *what, uint32_t flags, uint32_t rights,
		     struct lane **ret_lane, int *ret_token_fd, int *ret_board_fd);

/* Rights for a device without memory fences that reads at these points: --promise allows promises. Never
 * for release points. */
uint32_t stage_acquire_rights(const struct stage *stage);

/* A neighbour's timeline; takes the fds. */
int stage_lane_open(struct stage *stage, const char *name, int token_fd, int board_fd,
		    struct lane **ret_lane);

/* The name of the stage at the other end, from its device's name. */
void stage_peer_name(const struct fbk_link_info *info, char ret_name[FBK_NAME_SIZE]);

/* Add a link that fails when the stage stops early. */
void stage_link_add(struct stage *stage, struct fbk_link *link);

/* The deadline of a wait that begins now. */
uint64_t stage_deadline(const struct stage *stage);
uint64_t stage_quarter(const struct stage *stage, uint64_t began, unsigned int quarter);

/*
 * Wait for a point and note its latency: in memory, or with the given function, which returns 0, the
 * point's error, or -ETIMEDOUT. After three quarters of the deadline it asks the broker for blame: then
 * all processes of a chain still wait, and it leads to the one that does not.
 */
typedef int stage_wait_fn(void *arg, struct fbk_point point, uint64_t deadline_ns);
int stage_wait(struct stage *stage, struct lane *lane, uint64_t value, struct handover *handover);
int stage_wait_with(struct stage *stage, struct lane *lane, uint64_t value, stage_wait_fn *wait,
		    void *arg, struct handover *handover);

/* How a device waits for a point: in memory, or on a fence that is made for it. */
enum stage_way {
	STAGE_NATIVE,  /* in memory */
	STAGE_EVENTFD, /* readable when the point is decided */
	STAGE_LATE,    /* a sync_file, made when the point is reached */
	STAGE_PROMISE, /* a sync_file, made before the point is reached */
};

/* From the options, for release points, which must not be promised. */
enum stage_way stage_way_release(const struct stage *stage);
const char *stage_way_route(enum stage_way way); /* for people: from memory to that */

/* The fence for a device that waits that way. */
int stage_promise(struct stage *stage, struct lane *lane, uint64_t value, int *ret_fd);

/* Wait that way, as such a device or one with memory fences. */
int stage_wait_fence(struct stage *stage, struct lane *lane, uint64_t value, enum stage_way way,
		     struct handover *handover);

/* Signal a point in memory. */
int stage_signal(struct stage *stage, struct lane *lane, uint64_t value);

/* Record activity and reason of the stop. Returns `error`. */
__attribute__((format(printf, 4, 5))) int stage_stop(struct stage *stage, int error,
						     const char *what, const char *format, ...);

/* A call of the library failed while doing `what`. */
int stage_stop_call(struct stage *stage, int error, const char *what);

/* Print why it stopped, if it did, and fail its timelines with that. */
void stage_tell(struct stage *stage);

/* Call stage_tell() unless called, write the counters, disconnect. Returns the exit status. */
int stage_finish(struct stage *stage);
