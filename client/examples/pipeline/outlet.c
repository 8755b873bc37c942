// SPDX-License-Identifier: MIT
#include "outlet.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

struct fbk_buffer_desc outlet_picture_buffer(int fd, unsigned int width, unsigned int height)
{
	const struct picture picture = picture_at(NULL, width, height);
	struct fbk_buffer_desc buffer = outlet_bytes_buffer(fd);
	buffer.width = width;
	buffer.height = height;
	buffer.fourcc = DRM_FORMAT_YUV420;
	buffer.plane_count = PICTURE_PLANES;
	for (size_t i = 0; i < PICTURE_PLANES; i++) {
		buffer.offset[i] = (uint64_t)(uintptr_t)picture.planes[i];
		buffer.stride[i] = picture.strides[i];
	}
	return buffer;
}

struct fbk_buffer_desc outlet_bytes_buffer(int fd)
{
	return (struct fbk_buffer_desc){
		.struct_size = sizeof(struct fbk_buffer_desc),
		/* a dma-buf has no seals */
		.memory = fcntl(fd, F_GET_SEALS) < 0 ? FBK_MEMORY_DMABUF : FBK_MEMORY_MEMFD,
		.plane_count = 1,
		.fd = { fcntl(fd, F_DUPFD_CLOEXEC, 0), -1, -1, -1 },
		.modifier = DRM_FORMAT_MOD_LINEAR,
	};
}

/* ----------------------------------------------------------------------------------- meeting -- */

static int consumer_offer(struct outlet *outlet, struct outlet_consumer *consumer,
			  int *ret_offer_fd)
{
	struct stage *stage = outlet->stage;
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc),
					    .role = FBK_ROLE_PRODUCER };
	int r = fbk_link_offer(stage->device, &desc, ret_offer_fd, &consumer->link);
	if (r < 0) {
		return stage_stop_call(stage, r, "offering a link");
	}
	stage_link_add(stage, consumer->link);
	r = outlet->exchange ? fbk_exchange_attach(outlet->exchange, consumer->link)
			     : fbk_exchange_create(consumer->link, &outlet->exchange);
	if (r < 0) {
		close(*ret_offer_fd);
		return stage_stop_call(stage, r, "offering a link");
	}
	return 0;
}

/* Sends the offer to the consumer at that address. */
static int consumer_send(struct outlet *outlet, struct outlet_consumer *consumer, const char *path,
			 const struct message *message, int offer_fd)
{
	struct stage *stage = outlet->stage;
	int r = board_create(&consumer->board, "released");
	if (r == 0) {
		r = channel_connect(path, stage_deadline(stage), &consumer->channel);
	}
	if (r == 0) {
		const int fds[] = { offer_fd, outlet->done->shared.fd, consumer->board.shared.fd };
		r = channel_send(&consumer->channel, message, fds, 3);
	}
	close(offer_fd);
	return r < 0 ? stage_stop(stage, r, "connecting to a consumer", "%s: %s", path,
				  strerror(-r))
		     : 0;
}

/* As the consumers here release: by system call, in memory, or by fences of theirs. */
static const char *release_route(const struct stage *stage, const struct fbk_link_info *info)
{
	switch (info->release) {
	case FBK_ROUTE_NATIVE:
		return "memory64";
	case FBK_ROUTE_GATE:
		return "memory64 -> VIDIOC_QBUF";
	default:
		return stage->options->sync_files ? "sync_file -> memory64" : "eventfd -> memory64";
	}
}

static int consumer_join(struct outlet *outlet, struct outlet_consumer *consumer)
{
	struct stage *stage = outlet->stage;
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	int r = fbk_link_wait(consumer->link, stage_deadline(stage));
	if (r == 0) {
		r = fbk_link_info(consumer->link, &info);
	}
	if (r < 0) {
		return stage_stop_call(stage, r, "connecting to a consumer");
	}
	stage_peer_name(&info, consumer->name);
	snprintf(consumer->what, sizeof(consumer->what), "%.25s.free", consumer->name);
	*consumer->handover = (struct handover){
		.name = consumer->what,
		.peer = consumer->name,
		.way = "release",
		.route = consumer->handover->route ? consumer->handover->route
						   : release_route(stage, &info),
	};
	return 0;
}

int outlet_connect(struct outlet *outlet, struct stage *stage, struct board *done,
		   struct message *message, const char *const *paths, size_t count,
		   struct handover *handovers)
{
	int r = 0;
	outlet->stage = stage;
	outlet->done = done;
	message->type = MESSAGE_LINK;
	while (r == 0 && outlet->count < count) {
		const char *path = paths[outlet->count];
		struct outlet_consumer *consumer = &outlet->consumers[outlet->count];
		int offer_fd;
		*consumer = (struct outlet_consumer){ .channel.fd = -1,
						      .handover = &handovers[outlet->count++] };
		r = consumer_offer(outlet, consumer, &offer_fd);
		if (r == 0) {
			r = consumer_send(outlet, consumer, path, message, offer_fd);
		}
	}
	return r;
}

int outlet_open(struct outlet *outlet, const struct fbk_buffer_desc *buffers, size_t count)
{
	struct stage *stage = outlet->stage;
	int r = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (r == 0) {
			r = fbk_exchange_add(outlet->exchange, i, &buffers[i]);
		} else {
			close(buffers[i].fd[0]);
		}
	}
	if (r < 0) {
		return stage_stop_call(stage, r, "offering the buffers");
	}
	for (size_t i = 0; r == 0 && i < outlet->count; i++) {
		r = consumer_join(outlet, &outlet->consumers[i]);
	}
	return r;
}

void outlet_finish(struct outlet *outlet)
{
	for (size_t i = 0; i < outlet->count; i++) {
		channel_close(&outlet->consumers[i].channel);
		board_finish(&outlet->consumers[i].board);
	}
}

/* ------------------------------------------------------------------------------------ frames -- */

int outlet_check(struct outlet *outlet)
{
	struct stage *stage = outlet->stage;
	for (size_t i = 0; i < outlet->count; i++) {
		struct fbk_link_info info = { .struct_size = sizeof(info) };
		int r = fbk_link_info(outlet->consumers[i].link, &info);
		if (r < 0) {
			return stage_stop_call(stage, r, "handing over");
		}
		if (info.phase != FBK_PHASE_ESTABLISHED) {
			return stage_stop(stage, info.error < 0 ? info.error : -EPIPE,
					  "handing over", "%s", info.cause);
		}
	}
	return 0;
}

int outlet_late(struct outlet *outlet, unsigned int quarter)
{
	struct stage *stage = outlet->stage;
	char text[2 * FBK_REASON_SIZE];
	for (size_t i = 0; quarter == 3 && i < outlet->count; i++) {
		if (fbk_link_blame(outlet->consumers[i].link, text, sizeof(text)) == 0) {
			snprintf(stage->suspect, sizeof(stage->suspect), "%s", text);
			return 0;
		}
	}
	if (quarter < 4) {
		return 0;
	}
	return stage_stop(stage, -ETIMEDOUT, "waiting for a buffer", "%s",
			  stage->suspect[0] ? stage->suspect : "no consumer releases one");
}

void outlet_note(struct outlet *outlet, uint32_t index, uint64_t began)
{
	uint64_t now = clock_now();
	uint64_t last = 0; /* the buffer is free when the last consumer released it */
	for (size_t i = 0; i < outlet->count; i++) {
		uint64_t back = board_read(&outlet->consumers[i].board, outlet->numbers[index]);
		last = back > last ? back : last;
	}
	for (size_t i = 0; i < outlet->count; i++) {
		handover_note(outlet->consumers[i].handover, began, last, now);
	}
	outlet->numbers[index] = 0;
	outlet->stage->stats.waits++;
}

int outlet_take(struct outlet *outlet, uint32_t *ret_index)
{
	struct stage *stage = outlet->stage;
	uint64_t began = clock_now();
	int r = -ETIMEDOUT;
	stage->suspect[0] = '\0';
	for (unsigned int quarter = 3; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		r = fbk_exchange_take(outlet->exchange, stage_quarter(stage, began, quarter),
				      ret_index, NULL);
		int late = r == -ETIMEDOUT ? outlet_late(outlet, quarter) : 0;
		if (late < 0) {
			return late;
		}
	}
	if (r < 0) {
		return stage_stop_call(stage, r, "waiting for a buffer");
	}
	if (outlet->numbers[*ret_index] > 0) {
		outlet_note(outlet, *ret_index, began);
	}
	return outlet_check(outlet);
}

int outlet_lend(struct outlet *outlet, uint32_t index, struct fbk_point acquire,
		const struct note *note, struct fbk_frame_meta *meta, fbk_released_fn *fn,
		void *arg)
{
	struct stage *stage = outlet->stage;
	note_write(meta, note);
	int r = fbk_exchange_hand(outlet->exchange, index, acquire, stage_deadline(stage), meta, fn,
				  arg);
	if (r < 0) {
		return stage_stop_call(stage, r, "handing over");
	}
	outlet->numbers[index] = note->number;
	return 0;
}

int outlet_hand(struct outlet *outlet, uint32_t index, struct fbk_point acquire,
		const struct note *note, struct fbk_frame_meta *meta)
{
	return outlet_lend(outlet, index, acquire, note, meta, NULL, NULL);
}

static bool outlet_empty(const struct outlet *outlet)
{
	for (size_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (outlet->numbers[i] > 0) {
			return false;
		}
	}
	return true;
}

/* A producer that leaves earlier would not get the last buffers back: stay until all are released. */
int outlet_drain(struct outlet *outlet)
{
	uint32_t index;
	int r = 0;
	while (r == 0 && !outlet_empty(outlet)) {
		r = outlet_take(outlet, &index);
	}
	for (size_t i = 0; r == 0 && i < outlet->count; i++) {
		r = fbk_link_stop(outlet->consumers[i].link);
	}
	return r < 0 && !outlet->stage->what[0]
		       ? stage_stop_call(outlet->stage, r, "ending the links")
		       : r;
}
