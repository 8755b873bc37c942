// SPDX-License-Identifier: MIT
/*
 * One process of the pipeline as the broker sees it: a device, the timelines (lanes) that it signals, its
 * links, and one sentence about why it stopped. When it stops early, its timelines and
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

#define STAGE_LANES 2
#define STAGE_LINKS 6

/* A timeline that this process signals, and when it did. */
struct lane {
	struct fbk_timeline *timeline;
	struct board board;
	char name[FBK_NAME_SIZE];
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

/* A timeline that this process signals, NAME.`what`, with its board. */
int stage_lane_create(struct stage *stage, const char *what, uint32_t flags,
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
struct waiting {
	struct fbk_point point;
	uint64_t number;           /* of its frame */
	uint64_t began;            /* when this stage first waited for that frame */
	const struct board *board; /* when its point was signalled */
	stage_wait_fn *wait;       /* NULL: in memory */
	void *arg;
};
int stage_wait(struct stage *stage, const struct waiting *waiting, struct handover *handover);

/* Wait until the fd is readable: 0, or -ETIMEDOUT. */
int stage_poll(int fd, uint64_t deadline_ns);

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
