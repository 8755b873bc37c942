// SPDX-License-Identifier: MIT
/*
 * One process of the pipeline as the broker sees it: a device, the timelines (lanes) it signals and
 * waits for, its links, and the one sentence that says why it stopped. When it stops early its own
 * timelines and its links fail with that sentence, so that its neighbours name the true culprit as
 * well. A stage belongs to one thread.
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
	char what[64]; /* it was doing when it stopped */
	char why[2 * FBK_REASON_SIZE];
	bool told;                         /* stage_tell() was called */
	char suspect[2 * FBK_REASON_SIZE]; /* who was to blame when a wait became long */
};

/* Connect, register the device, named after the process. All functions here return 0 or a negative errno that stage_stop()
 * has seen. */
int stage_start(struct stage *stage, const struct options *options,
		const struct fbk_device_desc *desc);

/* A timeline of one's own, NAME.`what`, and, if wanted, its board. */
int stage_lane_create(struct stage *stage, const char *what, uint32_t flags, bool board,
		      struct lane **ret_lane);

/* The same, shared with these rights: gives the token for the neighbour; the board's fd stays its own. */
int stage_lane_share(struct stage *stage, const char *what, uint32_t flags, uint32_t rights,
		     struct lane **ret_lane, int *ret_token_fd, int *ret_board_fd);

/* For a device without memory fences that reads at these points: with --promise it may rely on them.
 * Never for what is written again. */
uint32_t stage_acquire_rights(const struct stage *stage);

/* A neighbour's; takes the fds. */
int stage_lane_open(struct stage *stage, const char *name, int token_fd, int board_fd,
		    struct lane **ret_lane);

/* The name of the stage at the other end, of its device's name. */
void stage_peer_name(const struct fbk_link_info *info, char ret_name[FBK_NAME_SIZE]);

/* A link that ends when it stops early. */
void stage_link_add(struct stage *stage, struct fbk_link *link);

/* When a wait that begins now has to end. */
uint64_t stage_deadline(const struct stage *stage);
uint64_t stage_quarter(const struct stage *stage, uint64_t began, unsigned int quarter);

/*
 * Wait for a point and note its latency: in memory; or in one's own way, which returns 0, the error
 * that the point failed with, or -ETIMEDOUT. When three quarters of the deadline have passed it asks
 * the broker whose fault it is: by then all who wait for each other still wait, and the chain leads
 * to the one who waits for nobody.
 */
typedef int stage_wait_fn(void *arg, struct fbk_point point, uint64_t deadline_ns);
int stage_wait(struct stage *stage, struct lane *lane, uint64_t value, struct handover *handover);
int stage_wait_with(struct stage *stage, struct lane *lane, uint64_t value, stage_wait_fn *wait,
		    void *arg, struct handover *handover);

/* How a device is made to wait for a point: by itself, or, without memory fences, by what is made for it. */
enum stage_way {
	STAGE_NATIVE,  /* in memory */
	STAGE_EVENTFD, /* readable when the point is decided */
	STAGE_LATE,    /* a sync_file that is made when the point is reached */
	STAGE_PROMISE, /* a sync_file that is made now, and relied on */
};

/* Of the options: of what is written again, which must not be promised. */
enum stage_way stage_way_release(const struct stage *stage);
const char *stage_way_route(enum stage_way way); /* for people: from memory to that */

/* The fence to give to such a device. */
int stage_promise(struct stage *stage, struct lane *lane, uint64_t value, int *ret_fd);

/* Be such a device, or one that has them, and wait for it. */
int stage_wait_fence(struct stage *stage, struct lane *lane, uint64_t value, enum stage_way way,
		     struct handover *handover);

/* Signal a point in memory. */
int stage_signal(struct stage *stage, struct lane *lane, uint64_t value);

/* Remember what it was doing, and why it stopped. Returns `error`. */
__attribute__((format(printf, 4, 5))) int stage_stop(struct stage *stage, int error,
						     const char *what, const char *format, ...);

/* A call of the library failed while doing `what`. */
int stage_stop_call(struct stage *stage, int error, const char *what);

/* Say why it stopped, if it did, and fail its timelines with that. */
void stage_tell(struct stage *stage);

/* That, if it was not called; write the counts; disconnect. Returns the exit status. */
int stage_finish(struct stage *stage);
