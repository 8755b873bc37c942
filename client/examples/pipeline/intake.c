// SPDX-License-Identifier: MIT
#include "intake.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <linux/dma-buf.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "stamp.h"

#define OFFER_FDS 3

/* ----------------------------------------------------------------------------------- meeting -- */

/* Takes the fds. */
static int offer_take(struct intake *intake, const int *fds)
{
	struct stage *stage = intake->stage;
	const struct message *offer = &intake->offer;
	const char *why = "it is not a picture";
	int r = board_open(&intake->done, fds[1]);
	int adopted = board_adopt(&intake->board, fds[2]);
	if (r == 0 && adopted == 0 && offer->fps >= 1 &&
	    picture_check_size(offer->width, offer->height, &why) == 0) {
		intake->offer_fd = fds[0];
		return 0;
	}
	close(fds[0]);
	return stage_stop(stage, -EPROTO, "the producer's offer", "%s",
			  r < 0 || adopted < 0 ? "a received board is invalid" : why);
}

int intake_meet(struct intake *intake, struct stage *stage)
{
	int listener, fds[OFFER_FDS];
	intake->stage = stage;
	int r = channel_listen(stage->options->listen, &listener);
	if (r < 0) {
		return stage_stop(stage, r, stage->options->listen, "%s", strerror(-r));
	}
	r = channel_accept(listener, stage_deadline(stage), &intake->channel);
	close(listener);
	if (r == 0) {
		r = channel_receive(&intake->channel, stage_deadline(stage), MESSAGE_LINK,
				    &intake->offer, fds, OFFER_FDS);
	}
	return r < 0 ? stage_stop(stage, r, "connecting to the producer", "%s", strerror(-r))
		     : offer_take(intake, fds);
}

static const char *const routes[] = {
	[FBK_ROUTE_NATIVE] = "memory64",
	[FBK_ROUTE_GATE] = "memory64 -> KMS commit (gate)",
	[FBK_ROUTE_EVENTFD] = "memory64 -> eventfd",
	[FBK_ROUTE_SYNC_FILE_LATE] = "memory64 -> sync_file (late)",
	[FBK_ROUTE_SYNC_FILE_PROMISE] = "memory64 -> sync_file (promise)",
	[FBK_ROUTE_CPU_WAIT] = "memory64 -> process",
};

static int link_name(struct intake *intake, struct handover *handover)
{
	struct stage *stage = intake->stage;
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	int r = fbk_link_info(intake->link, &info);
	if (r < 0) {
		return stage_stop_call(stage, r, "connecting to the producer");
	}
	const char *route =
		info.acquire < sizeof(routes) / sizeof(routes[0]) ? routes[info.acquire] : NULL;
	if (!route) {
		return stage_stop(stage, -EOPNOTSUPP, "connecting to the producer",
				  "there is no route to this device: %s", info.acquire_why);
	}
	intake->route = info.acquire;
	stage_peer_name(&info, intake->name);
	snprintf(intake->what, sizeof(intake->what), "%.25s.done", intake->name);
	*handover = (struct handover){
		.name = intake->what,
		.peer = intake->name,
		.way = "acquire",
		.route = route,
	};
	intake->handover = handover;
	return 0;
}

int intake_open(struct intake *intake, uint32_t hold, struct handover *handover)
{
	struct stage *stage = intake->stage;
	const struct fbk_consumer_desc consumer = { .struct_size = sizeof(consumer), .hold = hold };
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc), .consumer = &consumer };
	int r = fbk_link_accept(stage->device, intake->offer_fd, &desc, &intake->link);
	close(intake->offer_fd);
	intake->offer_fd = -1;
	if (r < 0) {
		return stage_stop_call(stage, r, "connecting to the producer");
	}
	stage_link_add(stage, intake->link);
	return link_name(intake, handover);
}

void intake_finish(struct intake *intake)
{
	fbk_frame_unref(intake->frame);
	channel_close(&intake->channel);
	for (size_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (intake->maps[i].memory) {
			munmap(intake->maps[i].memory, intake->maps[i].size);
		}
	}
	if (intake->offer_fd > 0) {
		close(intake->offer_fd);
	}
	board_finish(&intake->done);
	board_finish(&intake->board);
}

/* ----------------------------------------------------------------------------------- buffers -- */

/* Maps a buffer, once: these producers replace none. The daemon has checked that it can't shrink. */
static int map_open(struct intake *intake, struct intake_map *map, int fd)
{
	if (map->memory) {
		return 0;
	}
	off_t size = lseek(fd, 0, SEEK_END);
	void *memory =
		size <= 0 ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		return stage_stop(intake->stage, -EPROTO, "mapping a picture", "%s",
				  strerror(errno));
	}
	map->memory = memory;
	map->size = (size_t)size;
	const struct dma_buf_sync sync = { DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ };
	map->dmabuf = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) == 0;
	return 0;
}

/* Of the same memory as plane 0, and within it. */
static bool plane_fits(const struct fbk_buffer_desc *buffer, size_t plane, uint32_t width,
		       uint32_t height, size_t size)
{
	uint32_t half = plane > 0 ? 2 : 1;
	uint64_t offset = buffer->offset[plane], stride = buffer->stride[plane];
	return (plane == 0 || buffer->fd[plane] < 0) && stride >= width / half && offset <= size &&
	       (size - offset) / stride >= height / half;
}

int intake_map(struct intake *intake)
{
	intake->map = &intake->maps[fbk_frame_index(intake->frame)];
	return map_open(intake, intake->map, fbk_frame_buffer(intake->frame)->fd[0]);
}

int intake_picture(struct intake *intake)
{
	const struct fbk_buffer_desc *buffer = fbk_frame_buffer(intake->frame);
	const struct message *offer = &intake->offer;
	int r = intake_map(intake);
	if (r < 0) {
		return r;
	}
	bool fits = buffer->fourcc == DRM_FORMAT_YUV420 && buffer->plane_count == PICTURE_PLANES &&
		    buffer->width == offer->width && buffer->height == offer->height;
	intake->picture = (struct picture){ .width = offer->width, .height = offer->height };
	for (size_t i = 0; i < PICTURE_PLANES; i++) {
		fits = fits &&
		       plane_fits(buffer, i, offer->width, offer->height, intake->map->size);
		intake->picture.planes[i] = intake->map->memory + buffer->offset[i];
		intake->picture.strides[i] = buffer->stride[i];
	}
	return fits ? 0
		    : stage_stop(intake->stage, -EPROTO, "the producer's picture",
				 "buffer %u differs from the offer",
				 fbk_frame_index(intake->frame));
}

/* No effect if the driver needs no sync. */
static void map_sync(const struct intake *intake, uint64_t flags)
{
	const struct dma_buf_sync sync = { flags | DMA_BUF_SYNC_READ };
	if (intake->map && intake->map->dmabuf) {
		ioctl(fbk_frame_buffer(intake->frame)->fd[0], DMA_BUF_IOCTL_SYNC, &sync);
	}
}

/* ------------------------------------------------------------------------------------ frames -- */

static void nothing(void *arg, struct fbk_link *link)
{
	(void)arg;
	(void)link;
}

/*
 * As stage_wait(), for the next frame. A process that asks for blame does not wait meanwhile, so a process that asks
 * for blame at the same moment would not find it: from half of the time on this process also watches the frame.
 */
static int frame_come(struct intake *intake)
{
	struct stage *stage = intake->stage;
	uint64_t began = intake->began = clock_now();
	char suspect[2 * FBK_REASON_SIZE] = "";
	int r = -ETIMEDOUT;
	for (unsigned int quarter = 2; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		r = fbk_link_next(intake->link, stage_quarter(stage, began, quarter),
				  &intake->frame);
		if (r == 0) {
			return 0;
		}
		if (r == -ETIMEDOUT && quarter == 2) {
			fbk_link_watch(intake->link, nothing, NULL, NULL);
		}
		if (r == -ETIMEDOUT && quarter == 3) {
			fbk_link_blame(intake->link, suspect, sizeof(suspect));
		}
	}
	intake->frame = NULL;
	return r == -ETIMEDOUT && suspect[0]
		       ? stage_stop(stage, r, "waiting for a frame", "%s", suspect)
		       : stage_stop_call(stage, r, "waiting for a frame");
}

int intake_next(struct intake *intake)
{
	struct note note = { 0 };
	int r = frame_come(intake);
	if (r < 0) {
		return r;
	}
	intake->meta = fbk_frame_meta(intake->frame);
	intake->last = intake->meta->flags & FBK_FRAME_LAST;
	intake->map = NULL;
	r = note_read(intake->meta, &note);
	bool in_order =
		note.number == intake->note.number + 1 ||
		(intake->meta->flags & FBK_FRAME_DISCONT && note.number > intake->note.number);
	if (r < 0 || !in_order) {
		return stage_stop(intake->stage, -EPROTO, "waiting for a frame",
				  "frame %llu comes after frame %llu",
				  (unsigned long long)note.number,
				  (unsigned long long)intake->note.number);
	}
	intake->note = note;
	return 0;
}

/* As a device that waits by a fence: poll() is its queue. The fd can't say whether the point was reached. */
static int wait_for_fence(void *arg, struct fbk_point point, uint64_t deadline_ns)
{
	struct intake *intake = arg;
	int r = 0;
	if (intake->route == FBK_ROUTE_SYNC_FILE_LATE) { /* made once the point is reached */
		r = fbk_point_wait(point, deadline_ns);
	}
	int fd = r < 0 ? r : fbk_frame_acquire_fd(intake->frame, deadline_ns);
	if (fd < 0) {
		return fd;
	}
	r = stage_poll(fd, deadline_ns);
	if (r == 0) {
		r = fbk_frame_error(intake->frame);
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int intake_wait_with(struct intake *intake, stage_wait_fn *wait, void *arg)
{
	const struct waiting waiting = {
		.point = fbk_frame_acquire(intake->frame),
		.number = intake->note.number,
		.began = intake->began,
		.board = &intake->done,
		.wait = wait,
		.arg = arg,
	};
	return stage_wait(intake->stage, &waiting, intake->handover);
}

int intake_wait(struct intake *intake)
{
	bool by_process = intake->route == FBK_ROUTE_NATIVE || intake->route == FBK_ROUTE_CPU_WAIT;
	int r = intake_wait_with(intake, by_process ? NULL : wait_for_fence, intake);
	if (r == 0) {
		map_sync(intake, DMA_BUF_SYNC_START);
	}
	return r;
}

int intake_check(struct intake *intake, const char *when)
{
	struct stage *stage = intake->stage;
	uint32_t number = 0;
	if (!intake->offer.stamped) {
		return 0;
	}
	stage->stats.checks++;
	if (stamp_read(&intake->picture, &number) < 0 || number != (uint32_t)intake->note.number) {
		stage->stats.mismatches++;
		return stage_stop(stage, -EBADMSG, "reading",
				  "the picture of frame %llu has a wrong frame number %s",
				  (unsigned long long)intake->note.number, when);
	}
	return 0;
}

struct fbk_frame *intake_keep(struct intake *intake)
{
	struct fbk_frame *frame = intake->frame;
	intake->frame = NULL;
	return frame;
}

static int released(struct intake *intake, int r)
{
	fbk_frame_unref(intake_keep(intake));
	return r < 0 ? stage_stop_call(intake->stage, r, "releasing a frame") : 0;
}

int intake_release(struct intake *intake)
{
	map_sync(intake, DMA_BUF_SYNC_END);
	board_note(&intake->board, intake->note.number);
	return released(intake, fbk_frame_release(intake->frame, 0));
}

int intake_release_on(struct intake *intake, int fence_fd)
{
	return released(intake, fbk_frame_release_on(intake->frame, fence_fd));
}

int intake_end(struct intake *intake)
{
	struct stage *stage = intake->stage;
	int r = fbk_link_next(intake->link, stage_deadline(stage), &intake->frame);
	if (r == -EPIPE) {
		return 0;
	}
	return r < 0 ? stage_stop_call(stage, r, "ending the link")
		     : stage_stop(stage, -EPROTO, "ending the link",
				  "a frame comes after the last one");
}
