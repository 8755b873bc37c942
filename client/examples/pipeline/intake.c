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

/* Takes the boards' fds and gives the offer's. */
static int offer_take(struct intake *intake, int *fds, int *ret_offer_fd)
{
	struct stage *stage = intake->stage;
	const struct message *offer = &intake->offer;
	const char *why = "it is not a picture";
	int r = board_open(&intake->done, fds[1]);
	int adopted = board_adopt(&intake->board, fds[2]);
	if (r == 0 && adopted == 0 && offer->fps >= 1 && offer->frames >= 1 &&
	    picture_check_size(offer->width, offer->height, &why) == 0) {
		*ret_offer_fd = fds[0];
		return 0;
	}
	close(fds[0]);
	return stage_stop(stage, -EPROTO, "the producer's offer", "%s",
			  r < 0 || adopted < 0 ? "a received board is invalid" : why);
}

static int offer_receive(struct intake *intake, int *ret_offer_fd)
{
	struct stage *stage = intake->stage;
	int listener, fds[OFFER_FDS];
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
		     : offer_take(intake, fds, ret_offer_fd);
}

static int way_take(struct intake *intake, const struct fbk_link_info *info)
{
	switch (info->acquire) {
	case FBK_ROUTE_NATIVE:
		intake->way = STAGE_NATIVE;
		return 0;
	case FBK_ROUTE_EVENTFD:
		intake->way = STAGE_EVENTFD;
		return 0;
	case FBK_ROUTE_SYNC_FILE_LATE:
		intake->way = STAGE_LATE;
		return 0;
	case FBK_ROUTE_SYNC_FILE_PROMISE:
		intake->way = STAGE_PROMISE;
		return 0;
	default:
		return stage_stop(intake->stage, -EOPNOTSUPP, "connecting to the producer",
				  "there is no route to this device: %s", info->acquire_why);
	}
}

int intake_open(struct intake *intake, struct stage *stage, struct handover *handover)
{
	struct fbk_link_info info;
	int offer = -1;
	intake->stage = stage;
	int r = offer_receive(intake, &offer);
	if (r < 0) {
		return r;
	}
	r = fbk_link_accept(stage->device, offer, &intake->link);
	close(offer);
	if (r < 0) {
		return stage_stop_call(stage, r, "connecting to the producer");
	}
	stage_link_add(stage, intake->link);
	r = fbk_link_info(intake->link, &info);
	if (r < 0) {
		return stage_stop_call(stage, r, "connecting to the producer");
	}
	r = way_take(intake, &info);
	stage_peer_name(&info, intake->name);
	snprintf(intake->what, sizeof(intake->what), "%.25s.done", intake->name);
	*handover = (struct handover){
		.name = intake->what,
		.peer = intake->name,
		.way = "acquire",
		.route = stage_way_route(intake->way),
	};
	intake->handover = handover;
	return r;
}

void intake_finish(struct intake *intake)
{
	channel_close(&intake->channel);
	for (size_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (intake->maps[i].memory) {
			munmap(intake->maps[i].memory, intake->maps[i].size);
		}
	}
	board_finish(&intake->done);
	board_finish(&intake->board);
}

/* ----------------------------------------------------------------------------------- buffers -- */

/* Maps a buffer, once. The daemon has checked that it can't shrink; this checks its layout. */
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

static bool plane_fits(const struct fbk_buffer_desc *buffer, size_t plane, uint32_t width,
		       uint32_t height, size_t size)
{
	uint32_t half = plane > 0 ? 2 : 1;
	return buffer->stride[plane] >= width / half &&
	       buffer->offset[plane] + (uint64_t)buffer->stride[plane] * (height / half) <= size;
}

static int picture_take(struct intake *intake)
{
	const struct fbk_buffer_desc *buffer = fbk_frame_buffer(intake->frame);
	const struct message *offer = &intake->offer;
	struct intake_map *map = &intake->maps[fbk_frame_index(intake->frame)];
	int r = map_open(intake, map, buffer->fd);
	if (r < 0) {
		return r;
	}
	bool fits = buffer->format == DRM_FORMAT_YUV420 && buffer->plane_count == PICTURE_PLANES &&
		    buffer->width == offer->width && buffer->height == offer->height;
	intake->picture = (struct picture){ .width = offer->width, .height = offer->height };
	for (size_t i = 0; i < PICTURE_PLANES; i++) {
		fits = fits && plane_fits(buffer, i, offer->width, offer->height, map->size);
		intake->picture.planes[i] = map->memory + buffer->offset[i];
		intake->picture.strides[i] = buffer->stride[i];
	}
	intake->map = map;
	return fits ? 0
		    : stage_stop(intake->stage, -EPROTO, "the producer's picture",
				 "buffer %u differs from the offer",
				 fbk_frame_index(intake->frame));
}

/* No effect if the driver needs no sync. */
static void map_sync(const struct intake *intake, uint64_t flags)
{
	const struct dma_buf_sync sync = { flags | DMA_BUF_SYNC_READ };
	if (intake->map->dmabuf) {
		ioctl(fbk_frame_dmabuf(intake->frame), DMA_BUF_IOCTL_SYNC, &sync);
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
	uint64_t began = clock_now();
	char suspect[2 * FBK_REASON_SIZE] = "";
	int r = -ETIMEDOUT;
	for (unsigned int quarter = 2; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		r = fbk_link_next(intake->link, stage_quarter(stage, began, quarter),
				  &intake->frame);
		if (r == 0) {
			return 0;
		}
		if (r == -ETIMEDOUT && quarter == 2) {
			fbk_link_watch(intake->link, nothing, NULL);
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
	int r = frame_come(intake);
	if (r < 0) {
		return r;
	}
	struct fbk_point point = fbk_frame_acquire(intake->frame);
	bool in_order = intake->offer.stamped ? point.value == intake->number + 1
					      : point.value > intake->number;
	if (!in_order) {
		return stage_stop(intake->stage, -EPROTO, "waiting for a frame",
				  "frame %llu comes after frame %llu",
				  (unsigned long long)point.value,
				  (unsigned long long)intake->number);
	}
	intake->number = point.value;
	intake->acquire = (struct lane){ .timeline = point.timeline, .board = intake->done };
	memcpy(intake->acquire.name, intake->what, sizeof(intake->acquire.name));
	return picture_take(intake);
}

int intake_wait(struct intake *intake)
{
	int r = stage_wait_fence(intake->stage, &intake->acquire, intake->number, intake->way,
				 intake->handover);
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
	if (stamp_read(&intake->picture, &number) < 0 || number != (uint32_t)intake->number) {
		stage->stats.mismatches++;
		return stage_stop(stage, -EBADMSG, "reading",
				  "the picture of frame %llu has a wrong frame number %s",
				  (unsigned long long)intake->number, when);
	}
	return 0;
}

static int released(struct intake *intake, int r)
{
	intake->frame = NULL;
	return r < 0 ? stage_stop_call(intake->stage, r, "releasing a frame") : 0;
}

int intake_release(struct intake *intake)
{
	map_sync(intake, DMA_BUF_SYNC_END);
	board_note(&intake->board, intake->number);
	return released(intake, fbk_frame_release(intake->frame, 0));
}

int intake_release_at(struct intake *intake, struct fbk_point point)
{
	return released(intake, fbk_frame_release_at(intake->frame, point));
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
				  "there are more frames than announced");
}
