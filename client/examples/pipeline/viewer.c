// SPDX-License-Identifier: MIT
#include "viewer.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGEST 16384 /* largest plausible side, in pixels */

static bool reply_fits(const struct message *reply)
{
	return reply->count == VIEWER_BUFFERS && reply->width >= 1 && reply->width <= LARGEST &&
	       reply->height >= 1 && reply->height <= LARGEST &&
	       reply->stride / sizeof(uint32_t) >= reply->width;
}

/* Takes the fd. */
static int buffer_map(struct viewer *viewer, const struct message *reply, int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	void *memory = MAP_FAILED;
	errno = EPROTO;
	viewer->size = (size_t)reply->stride * reply->height;
	if (size >= 0 && (size_t)size >= viewer->size) {
		memory = mmap(NULL, viewer->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (memory == MAP_FAILED) {
		int r = -errno;
		close(fd);
		return r;
	}
	viewer->buffers[viewer->count++] = (struct canvas){
		.memory = memory,
		.stride = reply->stride,
		.width = reply->width,
		.height = reply->height,
		.dmabuf = fd,
	};
	return 0;
}

/* The display makes them once it knows the pictures. */
static int buffers_receive(struct viewer *viewer, struct stage *stage)
{
	struct message reply;
	int fds[VIEWER_BUFFERS];
	int r = channel_receive(&viewer->outlet.consumers[0].channel, stage_deadline(stage),
				MESSAGE_BUFFERS, &reply, fds, VIEWER_BUFFERS);
	if (r < 0) {
		return stage_stop(stage, r, "connecting to the display", "%s", strerror(-r));
	}
	r = reply_fits(&reply) ? 0 : -EPROTO;
	for (size_t i = 0; i < VIEWER_BUFFERS; i++) {
		if (r == 0) {
			r = buffer_map(viewer, &reply, fds[i]);
		} else {
			close(fds[i]);
		}
	}
	return r < 0 ? stage_stop(stage, r, "the display's buffers", "%s",
				  r == -EPROTO ? "their count or layout is invalid" : strerror(-r))
		     : 0;
}

static struct fbk_buffer_desc buffer_of(const struct canvas *canvas)
{
	return (struct fbk_buffer_desc){
		.struct_size = sizeof(struct fbk_buffer_desc),
		.memory = FBK_MEMORY_DMABUF,
		.width = canvas->width,
		.height = canvas->height,
		.plane_count = 1,
		.fd = { fcntl(canvas->dmabuf, F_DUPFD_CLOEXEC, 0), -1, -1, -1 },
		.stride = { canvas->stride },
		.fourcc = DRM_FORMAT_XRGB8888,
		.modifier = DRM_FORMAT_MOD_LINEAR,
	};
}

int viewer_meet(struct viewer *viewer, struct stage *stage, const struct message *offer,
		struct handover *handover)
{
	struct fbk_buffer_desc buffers[VIEWER_BUFFERS];
	struct message message = *offer;
	int r = stage_lane_create(stage, "shown", FBK_TIMELINE_BROKERED, &viewer->shown);
	if (r == 0) {
		r = outlet_connect(&viewer->outlet, stage, &viewer->shown->board, &message,
				   &stage->options->display, 1, handover);
	}
	if (r == 0) {
		r = buffers_receive(viewer, stage);
	}
	for (size_t i = 0; r == 0 && i < VIEWER_BUFFERS; i++) {
		buffers[i] = buffer_of(&viewer->buffers[i]);
	}
	return r < 0 ? r : outlet_open(&viewer->outlet, buffers, VIEWER_BUFFERS);
}

void viewer_finish(struct viewer *viewer)
{
	for (uint32_t i = 0; i < viewer->count; i++) {
		munmap(viewer->buffers[i].memory, viewer->size);
		close(viewer->buffers[i].dmabuf);
	}
	outlet_finish(&viewer->outlet);
}

int viewer_hand(struct viewer *viewer, uint64_t frame, int fence_fd,
		const struct fbk_frame_meta *meta, struct canvas *ret_canvas)
{
	struct fbk_point point = { viewer->shown->timeline, frame };
	struct fbk_frame_meta passed = *meta;
	const struct note note = { .number = frame };
	uint32_t index;
	int r = outlet_take(&viewer->outlet, &index);
	if (r < 0) {
		close(fence_fd);
		return r;
	}
	r = fbk_point_signal_on(point, fence_fd);
	if (r < 0) {
		return stage_stop_call(viewer->outlet.stage, r, viewer->shown->name);
	}
	*ret_canvas = viewer->buffers[index];
	return outlet_hand(&viewer->outlet, index, point, &note, &passed);
}
