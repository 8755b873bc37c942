// SPDX-License-Identifier: MIT
#include "viewer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGEST 16384 /* largest plausible side, in pixels */

static int accept_check(struct stage *stage, const struct message *accept)
{
	if (accept->count != VIEWER_BUFFERS || accept->width < 1 || accept->width > LARGEST ||
	    accept->height < 1 || accept->height > LARGEST ||
	    accept->stride / sizeof(uint32_t) < accept->width ||
	    accept->size < (uint64_t)accept->stride * accept->height) {
		return stage_stop(stage, -EPROTO, "the display's buffers",
				  "their count or layout is invalid");
	}
	return 0;
}

/* Takes the fds. */
static int buffers_map(struct viewer *viewer, struct stage *stage, const struct message *accept,
		       const int *fds)
{
	int r = accept_check(stage, accept);
	viewer->size = accept->size;
	for (size_t i = 0; i < VIEWER_BUFFERS; i++) {
		void *memory = r < 0 ? MAP_FAILED
				     : mmap(NULL, viewer->size, PROT_READ | PROT_WRITE, MAP_SHARED,
					    fds[i], 0);
		if (memory != MAP_FAILED) {
			viewer->buffers[viewer->count++] =
				(struct canvas){ .memory = memory,
						 .stride = accept->stride,
						 .width = accept->width,
						 .height = accept->height,
						 .dmabuf = fds[i] };
			continue;
		}
		if (r == 0) {
			r = stage_stop(stage, -errno, "mapping a buffer of the display", "%s",
				       strerror(errno));
		}
		close(fds[i]);
	}
	return r;
}

static int exchange(struct viewer *viewer, struct stage *stage, const char *path,
		    const struct message *offer, struct message *ret_accept, int *ret_fds)
{
	struct message message = *offer;
	int fds[2];
	message.type = MESSAGE_OFFER;
	message.count = 0;
	message.size = 0;
	int r = stage_lane_share(stage, "shown", FBK_TIMELINE_BROKERED, stage_acquire_rights(stage),
				 &viewer->shown, &fds[0], &fds[1]);
	if (r < 0) {
		return r;
	}
	r = channel_connect(path, stage_deadline(stage), &viewer->channel);
	if (r == 0) {
		r = channel_send(&viewer->channel, &message, fds, 2);
	}
	close(fds[0]);
	if (r == 0) {
		r = channel_receive(&viewer->channel, stage_deadline(stage), MESSAGE_ACCEPT,
				    ret_accept, ret_fds, VIEWER_BUFFERS + 2);
	}
	return r < 0 ? stage_stop(stage, r, "connecting to the display", "%s: %s", path,
				  strerror(-r))
		     : 0;
}

int viewer_meet(struct viewer *viewer, struct stage *stage, const char *path,
		const struct message *offer)
{
	struct message accept;
	int fds[VIEWER_BUFFERS + 2];
	int r = exchange(viewer, stage, path, offer, &accept, fds);
	if (r < 0) {
		return r;
	}
	r = stage_lane_open(stage, "show.free", fds[VIEWER_BUFFERS], fds[VIEWER_BUFFERS + 1],
			    &viewer->free);
	int mapped = buffers_map(viewer, stage, &accept, fds);
	return r < 0 ? r : mapped;
}

void viewer_finish(struct viewer *viewer)
{
	for (unsigned int i = 0; i < viewer->count; i++) {
		munmap(viewer->buffers[i].memory, viewer->size);
		close(viewer->buffers[i].dmabuf);
	}
	viewer->count = 0;
	channel_close(&viewer->channel);
}

struct canvas viewer_canvas(const struct viewer *viewer, uint64_t frame)
{
	return viewer->buffers[frame % VIEWER_BUFFERS];
}
