// SPDX-License-Identifier: MIT
#include "stage.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	struct fbk_device_desc named = *desc;
	char name[FBK_NAME_SIZE];
	snprintf(name, sizeof(name), "%s0", options->name);
	named.name = name;
	r = fbk_device_register(stage->context, &named, &stage->device);
	return r < 0 ? stage_stop_call(stage, r, "registering") : 0;
}

/* ---------------------------------------------------------------------------------- lanes --- */

int stage_lane_create(struct stage *stage, const char *what, uint32_t flags, struct lane **ret_lane)
{
	struct lane *lane = &stage->lanes[stage->lane_count++];
	snprintf(lane->name, sizeof(lane->name), "%s.%s", stage->options->name, what);
	int r = fbk_timeline_create(stage->device, NULL, lane->name, flags, &lane->timeline);
	if (r < 0) {
		return stage_stop_call(stage, r, lane->name);
	}
	r = board_create(&lane->board, lane->name);
	if (r < 0) {
		return stage_stop(stage, r, lane->name, "%s", strerror(-r));
	}
	*ret_lane = lane;
	return 0;
}

void stage_peer_name(const struct fbk_link_info *info, char ret_name[FBK_NAME_SIZE])
{
	size_t length = strlen(info->peer);
	memcpy(ret_name, info->peer, length + 1);
	if (length > 0) {
		ret_name[length - 1] = '\0';
	}
}

void stage_link_add(struct stage *stage, struct fbk_link *link)
{
	stage->links[stage->link_count++] = link;
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

uint64_t stage_quarter(const struct stage *stage, uint64_t began, unsigned int quarter)
{
	return began + patience(stage) * quarter / 4;
}

static int wait_in_memory(void *arg, struct fbk_point point, uint64_t deadline_ns)
{
	(void)arg;
	return fbk_point_wait(point, deadline_ns);
}

/* As fbk_point_wait(), but asks for blame in between. */
static int point_wait(struct stage *stage, const struct waiting *waiting)
{
	char detail[2 * FBK_REASON_SIZE] = ""; /* blame, or the error */
	struct fbk_point point = waiting->point;
	stage_wait_fn *wait = waiting->wait ? waiting->wait : wait_in_memory;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	uint64_t began = clock_now();
	char what[64];
	int r = -ETIMEDOUT;
	for (unsigned int quarter = 3; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		r = wait(waiting->arg, point, stage_quarter(stage, began, quarter));
		if (r == 0) {
			return 0;
		}
		if (r != -ETIMEDOUT ||
		    (quarter == 3 && fbk_point_blame(point, detail, sizeof(detail)) < 0)) {
			snprintf(detail, sizeof(detail), "%s", fbk_error_detail());
		}
	}
	snprintf(what, sizeof(what), "waiting for frame %llu", (unsigned long long)waiting->number);
	if (r != -ETIMEDOUT && fbk_timeline_info(point.timeline, &info) == 0 && info.error != 0) {
		return stage_stop(stage, r, what, "%s", info.reason);
	}
	return stage_stop(stage, r, what, "%s", detail[0] ? detail : strerror(-r));
}

int stage_wait(struct stage *stage, const struct waiting *waiting, struct handover *handover)
{
	int r = point_wait(stage, waiting);
	if (r < 0) {
		return r;
	}
	stage->stats.waits++;
	handover_note(handover, waiting->began, board_read(waiting->board, waiting->number),
		      clock_now());
	return 0;
}

int stage_poll(int fd, uint64_t deadline_ns)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	int r;
	do {
		r = poll(&wanted, 1, clock_poll_ms(deadline_ns));
	} while (r < 0 && errno == EINTR);
	if (r <= 0) {
		return r < 0 ? -errno : -ETIMEDOUT;
	}
	return 0;
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

void stage_tell(struct stage *stage)
{
	if (stage->told || !stage->what[0]) {
		return;
	}
	stage->told = true;
	fprintf(stderr, "%s: %s: %s\n", stage->options->name, stage->what, stage->why);
	for (size_t i = 0; i < stage->link_count; i++) {
		fbk_link_fail(stage->links[i], -ECANCELED, stage->why);
	}
	for (size_t i = 0; i < stage->lane_count; i++) {
		if (stage->lanes[i].timeline) {
			fbk_timeline_fail(stage->lanes[i].timeline, -ECANCELED, stage->why);
		}
	}
}

int stage_finish(struct stage *stage)
{
	const struct options *options = stage->options;
	stage_tell(stage);
	int status = stage->what[0] ? EXIT_FAILURE : EXIT_SUCCESS;
	for (size_t i = 0; i < stage->lane_count; i++) {
		board_finish(&stage->lanes[i].board);
	}
	if (options->stats &&
	    stats_write(&stage->stats, options->stats, options->name, stage->why) < 0) {
		fprintf(stderr, "%s: can't write %s\n", options->name, options->stats);
		status = EXIT_FAILURE;
	}
	fbk_disconnect(stage->context);
	return status;
}
