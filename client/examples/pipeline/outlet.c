// SPDX-License-Identifier: MIT
#include "outlet.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define PATIENCES 4 /* deadlines for a frame before the consumer's link ends */

int outlet_picture_buffer(int fd, unsigned int width, unsigned int height,
			  struct fbk_buffer_desc *ret_buffer)
{
	const struct picture picture = picture_at(NULL, width, height);
	*ret_buffer = (struct fbk_buffer_desc){
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
		.width = width,
		.height = height,
		.format = DRM_FORMAT_YUV420,
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.plane_count = PICTURE_PLANES,
	};
	for (size_t i = 0; i < PICTURE_PLANES; i++) {
		ret_buffer->offset[i] = (uint32_t)((uintptr_t)picture.planes[i]);
		ret_buffer->stride[i] = (uint32_t)picture.strides[i];
	}
	return ret_buffer->fd < 0 ? -errno : 0;
}

/* Frame 1 takes the buffer that was added first. */
static uint32_t index_of(uint64_t frame)
{
	return (uint32_t)((frame - 1) % OUTLET_BUFFERS);
}

/* ----------------------------------------------------------------------------------- meeting -- */

static int buffers_add(struct outlet *outlet, const struct fbk_buffer_desc *buffers)
{
	int r = 0;
	for (uint64_t frame = 1; frame <= OUTLET_BUFFERS; frame++) {
		const struct fbk_buffer_desc *buffer = &buffers[frame % OUTLET_BUFFERS];
		if (r < 0) {
			close(buffer->fd);
			continue;
		}
		r = fbk_exchange_add(outlet->exchange, index_of(frame), buffer);
	}
	return r < 0 ? stage_stop_call(outlet->stage, r, "offering the buffers") : 0;
}

static int consumer_offer(struct outlet *outlet, struct outlet_consumer *consumer,
			  int *ret_offer_fd)
{
	struct stage *stage = outlet->stage;
	int r = fbk_link_offer(stage->device, FBK_PRODUCER, ret_offer_fd, &consumer->link);
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
		const int fds[] = { offer_fd, outlet->done->board.shared.fd,
				    consumer->board.shared.fd };
		r = channel_send(&consumer->channel, message, fds, 3);
	}
	close(offer_fd);
	return r < 0 ? stage_stop(stage, r, "connecting to a consumer", "%s: %s", path,
				  strerror(-r))
		     : 0;
}

static const char *release_route(const struct stage *stage, enum fbk_route route)
{
	switch (route) {
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
	struct fbk_link_info info;
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
		.route = release_route(stage, info.release),
	};
	return 0;
}

int outlet_open(struct outlet *outlet, struct stage *stage, struct lane *done,
		struct message *message, const struct fbk_buffer_desc *buffers,
		struct handover *handovers)
{
	const struct options *options = stage->options;
	int offers[OUTLET_CONSUMERS];
	int r = 0;
	outlet->stage = stage;
	outlet->done = done;
	message->type = MESSAGE_LINK;
	for (; outlet->count < options->connect_count; outlet->count++) {
		struct outlet_consumer *consumer = &outlet->consumers[outlet->count];
		*consumer = (struct outlet_consumer){ .channel.fd = -1 };
		consumer->handover = &handovers[outlet->count];
		r = consumer_offer(outlet, consumer, &offers[outlet->count]);
		if (r < 0) {
			break;
		}
	}
	if (r < 0) {
		for (size_t i = 0; i < outlet->count; i++) {
			close(offers[i]);
		}
		for (size_t i = 0; i < OUTLET_BUFFERS; i++) {
			close(buffers[i].fd);
		}
		return r;
	}
	r = buffers_add(outlet, buffers);
	for (size_t i = 0; i < outlet->count; i++) {
		if (r < 0) {
			close(offers[i]);
			continue;
		}
		r = consumer_send(outlet, &outlet->consumers[i], options->connects[i], message,
				  offers[i]);
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
		struct fbk_link_info info;
		int r = fbk_link_info(outlet->consumers[i].link, &info);
		if (r < 0) {
			return stage_stop_call(stage, r, "handing over");
		}
		if (info.phase != FBK_LINK_ESTABLISHED) {
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

void outlet_note(struct outlet *outlet, uint64_t number, uint64_t began)
{
	uint64_t now = clock_now();
	uint64_t last = 0; /* the buffer is free when the last consumer released it */
	for (size_t i = 0; i < outlet->count; i++) {
		uint64_t back = board_read(&outlet->consumers[i].board, number);
		last = back > last ? back : last;
	}
	for (size_t i = 0; i < outlet->count; i++) {
		handover_note(outlet->consumers[i].handover, began, last, now);
	}
	outlet->stage->stats.waits++;
}

int outlet_take(struct outlet *outlet, uint64_t frame)
{
	struct stage *stage = outlet->stage;
	uint64_t began = clock_now();
	uint32_t index = 0;
	int r = -ETIMEDOUT;
	if (frame <= outlet->taken) {
		return 0;
	}
	stage->suspect[0] = '\0';
	for (unsigned int quarter = 3; r == -ETIMEDOUT && quarter <= 4; quarter++) {
		r = fbk_exchange_take(outlet->exchange, stage_quarter(stage, began, quarter),
				      &index);
		int late = r == -ETIMEDOUT ? outlet_late(outlet, quarter) : 0;
		if (late < 0) {
			return late;
		}
	}
	if (r < 0) {
		return stage_stop_call(stage, r, "waiting for a buffer");
	}
	outlet->taken = frame;
	if (frame > OUTLET_BUFFERS) {
		outlet_note(outlet, frame - OUTLET_BUFFERS, began);
	}
	r = outlet_check(outlet);
	if (r == 0 && index != index_of(frame)) {
		r = stage_stop(stage, -EPROTO, "waiting for a buffer",
			       "buffer %u was released, not that of frame %llu", index,
			       (unsigned long long)frame);
	}
	return r;
}

int outlet_hand_buffer(struct outlet *outlet, uint64_t number, uint32_t index, fbk_released_fn *fn,
		       void *arg)
{
	struct stage *stage = outlet->stage;
	struct fbk_point point = { outlet->done->timeline, number };
	uint64_t deadline_ns = stage_quarter(stage, clock_now(), 4 * PATIENCES);
	int r = fbk_exchange_hand(outlet->exchange, index, point, deadline_ns, fn, arg);
	return r < 0 ? stage_stop_call(stage, r, "handing over") : 0;
}

int outlet_hand(struct outlet *outlet, uint64_t frame)
{
	return outlet_hand_buffer(outlet, frame, index_of(frame), NULL, NULL);
}

/* A producer that leaves earlier would not get the last buffers back: stay until all are released. */
int outlet_drain(struct outlet *outlet, uint64_t frames)
{
	int r = 0;
	for (uint64_t frame = frames + 1; r == 0 && frame <= frames + OUTLET_BUFFERS; frame++) {
		r = outlet_take(outlet, frame);
	}
	return r;
}
