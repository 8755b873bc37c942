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
	struct fbk_device_desc named = *desc;
	char name[FBK_NAME_SIZE];
	snprintf(name, sizeof(name), "%s0", options->name);
	named.name = name;
	r = fbk_device_register(stage->context, &named, &stage->device);
	return r < 0 ? stage_stop_call(stage, r, "registering") : 0;
}

/* ---------------------------------------------------------------------------------- lanes --- */

static struct lane *lane_add(struct stage *stage, const char *name, bool own)
{
	struct lane *lane = &stage->lanes[stage->lane_count++];
	snprintf(lane->name, sizeof(lane->name), "%s", name);
	lane->own = own;
	return lane;
}

uint32_t stage_acquire_rights(const struct stage *stage)
{
	return FBK_RIGHT_WAIT | (stage->options->promise ? (uint32_t)FBK_RIGHT_PROMISE : 0);
}

int stage_lane_create(struct stage *stage, const char *what, uint32_t flags, bool board,
		      struct lane **ret_lane)
{
	char name[FBK_NAME_SIZE];
	snprintf(name, sizeof(name), "%s.%s", stage->options->name, what);
	struct lane *lane = lane_add(stage, name, true);
	int r = fbk_timeline_create(stage->device, NULL, name, flags, &lane->timeline);
	if (r < 0) {
		return stage_stop_call(stage, r, name);
	}
	r = board ? board_create(&lane->board, name) : 0;
	if (r < 0) {
		return stage_stop(stage, r, name, "%s", strerror(-r));
	}
	*ret_lane = lane;
	return 0;
}

int stage_lane_share(struct stage *stage, const char *what, uint32_t flags, uint32_t rights,
		     struct lane **ret_lane, int *ret_token_fd, int *ret_board_fd)
{
	struct lane *lane;
	int r = stage_lane_create(stage, what, flags, true, &lane);
	if (r < 0) {
		return r;
	}
	r = fbk_timeline_share(lane->timeline, rights, ret_token_fd);
	if (r < 0) {
		return stage_stop_call(stage, r, lane->name);
	}
	*ret_lane = lane;
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
		return stage_stop(stage, r, name, "the received board is invalid");
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

/* As fbk_point_wait(), but asks for blame in between. */
static int point_wait(struct stage *stage, struct fbk_point point, uint64_t began,
		      stage_wait_fn *wait, void *arg)
{
	char detail[2 * FBK_REASON_SIZE] = ""; /* blame, or the error */
	struct fbk_timeline_info info;
	char what[64];
	int r = -ETIMEDOUT;
	for (unsigned int quarter = 3; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		r = wait(arg, point, stage_quarter(stage, began, quarter));
		if (r == 0) {
			return 0;
		}
		if (r != -ETIMEDOUT ||
		    (quarter == 3 && fbk_point_blame(point, detail, sizeof(detail)) < 0)) {
			snprintf(detail, sizeof(detail), "%s", fbk_error_detail());
		}
	}
	snprintf(what, sizeof(what), "waiting for point %llu", (unsigned long long)point.value);
	if (r != -ETIMEDOUT && fbk_timeline_info(point.timeline, &info) == 0 && info.error != 0) {
		return stage_stop(stage, r, what, "%s", info.reason);
	}
	return stage_stop(stage, r, what, "%s", detail[0] ? detail : strerror(-r));
}

static int wait_in_memory(void *arg, struct fbk_point point, uint64_t deadline_ns)
{
	(void)arg;
	return fbk_point_wait(point, deadline_ns);
}

static int lane_wait(struct stage *stage, struct lane *lane, uint64_t value, uint64_t began,
		     stage_wait_fn *wait, void *arg, struct handover *handover)
{
	struct fbk_point point = { lane->timeline, value };
	int r = point_wait(stage, point, began, wait, arg);
	if (r < 0) {
		return r;
	}
	stage->stats.waits++;
	handover_note(handover, began, board_read(&lane->board, value), clock_now());
	return 0;
}

int stage_wait_with(struct stage *stage, struct lane *lane, uint64_t value, stage_wait_fn *wait,
		    void *arg, struct handover *handover)
{
	return lane_wait(stage, lane, value, clock_now(), wait, arg, handover);
}

int stage_wait(struct stage *stage, struct lane *lane, uint64_t value, struct handover *handover)
{
	return stage_wait_with(stage, lane, value, wait_in_memory, NULL, handover);
}

/* -------------------------------------------------------------------- waiting without memory -- */

enum stage_way stage_way_release(const struct stage *stage)
{
	return stage->options->sync_files ? STAGE_LATE : STAGE_EVENTFD;
}

const char *stage_way_route(enum stage_way way)
{
	static const char *const routes[] = {
		[STAGE_NATIVE] = "memory64",
		[STAGE_EVENTFD] = "memory64 -> eventfd",
		[STAGE_LATE] = "memory64 -> sync_file (late)",
		[STAGE_PROMISE] = "memory64 -> sync_file (promise)",
	};
	return routes[way];
}

int stage_promise(struct stage *stage, struct lane *lane, uint64_t value, int *ret_fd)
{
	int r = fbk_point_promise((struct fbk_point){ lane->timeline, value }, ret_fd);
	if (r < 0) {
		return stage_stop_call(stage, r, lane->name);
	}
	stage->stats.promises++;
	return 0;
}

static int poll_until(int fd, uint64_t deadline_ns)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	int r;
	do {
		r = poll(&wanted, 1, clock_poll_ms(deadline_ns));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Wait for an existing fence. It can't say whether the point was reached; fbk_point_check() can. */
static int wait_for_fd(void *arg, struct fbk_point point, uint64_t deadline_ns)
{
	int r = poll_until(*(int *)arg, deadline_ns);
	if (r == 0) {
		r = fbk_point_check(point);
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* Wait for a late sync_file. It is signalled by then, but the device waits on it all the same. */
static int wait_late(void *arg, struct fbk_point point, uint64_t deadline_ns)
{
	struct stage *stage = arg;
	int fd;
	int r = fbk_point_export(point, FBK_SYNC_FILE, deadline_ns, &fd);
	if (r < 0) {
		return r;
	}
	stage->stats.exports++;
	r = wait_for_fd(&fd, point, deadline_ns);
	close(fd);
	return r;
}

static int stage_export(struct stage *stage, struct lane *lane, uint64_t value, int *ret_fd)
{
	int r = fbk_point_export((struct fbk_point){ lane->timeline, value }, FBK_EVENTFD,
				 stage_deadline(stage), ret_fd);
	if (r < 0) {
		return stage_stop_call(stage, r, lane->name);
	}
	stage->stats.exports++;
	return 0;
}

int stage_wait_fence(struct stage *stage, struct lane *lane, uint64_t value, enum stage_way way,
		     struct handover *handover)
{
	if (way == STAGE_NATIVE) {
		return stage_wait(stage, lane, value, handover);
	}
	/* No promise for point 1: its signaler has not delivered yet. */
	if (way == STAGE_LATE || (way == STAGE_PROMISE && value == 1)) {
		return stage_wait_with(stage, lane, value, wait_late, stage, handover);
	}
	uint64_t began = clock_now(); /* include the time to make the fence */
	int fd;
	int r = way == STAGE_PROMISE ? stage_promise(stage, lane, value, &fd)
				     : stage_export(stage, lane, value, &fd);
	if (r == 0) {
		r = lane_wait(stage, lane, value, began, wait_for_fd, &fd, handover);
		close(fd);
	}
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
		struct lane *lane = &stage->lanes[i];
		if (lane->own && lane->timeline) {
			fbk_timeline_fail(lane->timeline, -ECANCELED, stage->why);
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
