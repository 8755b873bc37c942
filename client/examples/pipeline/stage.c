// SPDX-License-Identifier: MIT
#include "stage.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

int stage_stop(struct stage *stage, int error, const char *what, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	snprintf(stage->what, sizeof(stage->what), "%s", what);
	vsnprintf(stage->why, sizeof(stage->why), format, arguments);
	va_end(arguments);
	return error;
}

int stage_stop_call(struct stage *stage, int error, const char *what)
{
	const char *detail = fbk_error_detail();
	return stage_stop(stage, error, what, "%s", detail[0] ? detail : strerror(-error));
}

int stage_start(struct stage *stage, const struct options *options,
		const struct fbk_device_desc *desc)
{
	stage->options = options;
	int r = fbk_connect(options->socket, &stage->context);
	if (r < 0) {
		return stage_stop_call(stage, r, "connecting to the daemon");
	}
	r = fbk_device_register(stage->context, desc, &stage->device);
	return r < 0 ? stage_stop_call(stage, r, "registering") : 0;
}

/* ---------------------------------------------------------------------------------- lanes --- */

static struct lane *lane_add(struct stage *stage, const char *name, bool own)
{
	struct lane *lane = &stage->lanes[stage->lane_count++];
	lane->name = name;
	lane->own = own;
	return lane;
}

int stage_lane_create(struct stage *stage, const char *name, uint32_t flags, struct lane **ret_lane,
		      int *ret_token_fd, int *ret_board_fd)
{
	struct lane *lane = lane_add(stage, name, true);
	int token;
	int r = fbk_timeline_create(stage->device, NULL, name, flags, &lane->timeline);
	if (r == 0) {
		r = fbk_timeline_share(lane->timeline, FBK_RIGHT_WAIT, &token);
	}
	if (r < 0) {
		return stage_stop_call(stage, r, name);
	}
	r = board_create(&lane->board, name);
	if (r < 0) {
		close(token);
		return stage_stop(stage, r, name, "%s", strerror(-r));
	}
	*ret_lane = lane;
	*ret_token_fd = token;
	*ret_board_fd = lane->board.shared.fd;
	return 0;
}

int stage_lane_open(struct stage *stage, const char *name, int token_fd, int board_fd,
		    struct lane **ret_lane)
{
	struct lane *lane = lane_add(stage, name, false);
	int r = fbk_timeline_open(stage->context, token_fd, &lane->timeline);
	close(token_fd);
	if (r < 0) {
		close(board_fd);
		return stage_stop_call(stage, r, name);
	}
	r = board_open(&lane->board, board_fd);
	if (r < 0) {
		return stage_stop(stage, r, name, "the board that came is no board");
	}
	*ret_lane = lane;
	return 0;
}

/* --------------------------------------------------------------------------------- waiting -- */

static uint64_t patience(const struct stage *stage)
{
	return stage->options->deadline_ms * NS_PER_MS;
}

uint64_t stage_deadline(const struct stage *stage)
{
	return clock_now() + patience(stage);
}

/* Until the eventfd says that the point is decided; it can't say how. */
static int eventfd_wait(int fd, struct fbk_point point, uint64_t deadline_ns)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	int r;
	do {
		r = poll(&wanted, 1, clock_poll_ms(deadline_ns));
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		return -errno;
	}
	r = fbk_point_check(point);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* `fd` < 0: in memory. */
static int point_wait(struct stage *stage, struct fbk_point point, int fd, uint64_t began)
{
	char suspect[2 * FBK_REASON_SIZE] = "";
	struct fbk_timeline_info info;
	char what[64];
	int r = -ETIMEDOUT;
	for (unsigned int quarter = 3; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		uint64_t until = began + patience(stage) * quarter / 4;
		r = fd < 0 ? fbk_point_wait(point, until) : eventfd_wait(fd, point, until);
		if (r == -ETIMEDOUT && quarter == 3 &&
		    fbk_point_blame(point, suspect, sizeof(suspect)) < 0) {
			snprintf(suspect, sizeof(suspect), "%s", fbk_error_detail());
		}
	}
	if (r == 0) {
		return 0;
	}
	snprintf(what, sizeof(what), "waiting for point %llu", (unsigned long long)point.value);
	if (r == -ETIMEDOUT) {
		return stage_stop(stage, r, what, "%s", suspect);
	}
	int known = fbk_timeline_info(point.timeline, &info);
	return stage_stop(stage, r, what, "%s", known == 0 ? info.reason : strerror(-r));
}

static int lane_wait(struct stage *stage, struct lane *lane, uint64_t value, int fd, uint64_t began,
		     struct handover *handover)
{
	struct fbk_point point = { lane->timeline, value };
	int r = point_wait(stage, point, fd, began);
	if (r < 0) {
		return r;
	}
	stage->stats.waits++;
	handover_note(handover, began, board_read(&lane->board, value), clock_now());
	return 0;
}

int stage_wait(struct stage *stage, struct lane *lane, uint64_t value, struct handover *handover)
{
	return lane_wait(stage, lane, value, -1, clock_now(), handover);
}

int stage_wait_eventfd(struct stage *stage, struct lane *lane, uint64_t value,
		       struct handover *handover)
{
	uint64_t began = clock_now();
	int fd;
	int r = fbk_point_export((struct fbk_point){ lane->timeline, value }, FBK_EVENTFD,
				 began + patience(stage), &fd);
	if (r < 0) {
		return stage_stop_call(stage, r, lane->name);
	}
	stage->stats.exports++;
	r = lane_wait(stage, lane, value, fd, began, handover);
	close(fd);
	return r;
}

int stage_signal(struct stage *stage, struct lane *lane, uint64_t value)
{
	board_note(&lane->board, value);
	int r = fbk_timeline_signal(lane->timeline, value);
	if (r < 0) {
		return stage_stop_call(stage, r, lane->name);
	}
	stage->stats.signals++;
	return 0;
}

/* ------------------------------------------------------------------------------------ end --- */

int stage_finish(struct stage *stage)
{
	const struct options *options = stage->options;
	int status = EXIT_SUCCESS;
	if (stage->what[0]) {
		fprintf(stderr, "%s: %s: %s\n", options->name, stage->what, stage->why);
		status = EXIT_FAILURE;
	}
	for (size_t i = 0; i < stage->lane_count; i++) {
		struct lane *lane = &stage->lanes[i];
		if (lane->own && lane->timeline && status != EXIT_SUCCESS) {
			fbk_timeline_fail(lane->timeline, -ECANCELED, stage->why);
		}
		board_finish(&lane->board);
	}
	if (options->stats &&
	    stats_write(&stage->stats, options->stats, options->name, stage->why) < 0) {
		fprintf(stderr, "%s: can't write %s\n", options->name, options->stats);
		status = EXIT_FAILURE;
	}
	fbk_disconnect(stage->context);
	return status;
}
