// SPDX-License-Identifier: MIT
#include "lib-exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS (BUFFER_SIZE / sizeof(uint64_t))

void buffer_create(struct buffer *buffer)
{
	buffer->fd = memfd_create("test-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	EXPECT(buffer->fd >= 0 && ftruncate(buffer->fd, BUFFER_SIZE) == 0);
	EXPECT(fcntl(buffer->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	buffer->words = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
	EXPECT(buffer->words != MAP_FAILED);
}

void buffer_destroy(struct buffer *buffer)
{
	munmap(buffer->words, BUFFER_SIZE);
	close(buffer->fd);
}

void buffer_write(struct buffer *buffer, uint64_t frame)
{
	for (size_t i = 0; i < WORDS; i++) {
		buffer->words[i] = frame;
	}
}

bool buffer_holds(const uint64_t *words, uint64_t frame)
{
	for (size_t i = 0; i < WORDS; i++) {
		if (words[i] != frame) {
			return false;
		}
	}
	return true;
}

struct fbk_buffer_desc buffer_desc(const struct buffer *buffer)
{
	return (struct fbk_buffer_desc){
		.struct_size = sizeof(struct fbk_buffer_desc),
		/* a dma-buf has no seals */
		.memory = fcntl(buffer->fd, F_GET_SEALS) < 0 ? FBK_MEMORY_DMABUF : FBK_MEMORY_MEMFD,
		.fd = { fcntl(buffer->fd, F_DUPFD_CLOEXEC, 0), -1, -1, -1 },
		.width = 32,
		.height = 32,
		.fourcc = 0x34325258, /* XR24 */
		.plane_count = 1,
		.stride = { 128 },
	};
}

struct fbk_device *link_device(struct fbk_context *context, const struct fbk_device_desc *desc)
{
	struct fbk_device *device = NULL;
	int r = fbk_device_register(context, desc, &device);
	ck_assert_msg(r == 0, "%s: %s", desc->name, fbk_error_detail());
	return device;
}

struct fbk_device *exchange_device(struct fbk_context *context, const char *name, uint32_t waits,
				   uint32_t signals)
{
	const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					      .name = name,
					      .device_class = FBK_CLASS_CPU,
					      .waits = waits,
					      .signals = signals };
	return link_device(context, &desc);
}

void producer_offer(struct producer *producer, const struct daemon *daemon,
		    const struct fbk_device_desc *desc, int *ret_offer_fd)
{
	*producer = (struct producer){ .context = peer_connect(daemon) };
	producer->device = link_device(producer->context, desc);
	producer->timeline = peer_timeline(producer->device, "drawn", 0);
	EXPECT(link_offer(producer->device, FBK_ROLE_PRODUCER, ret_offer_fd, &producer->link) == 0);
	EXPECT(fbk_exchange_create(producer->link, &producer->exchange) == 0);
}

void producer_add(struct producer *producer)
{
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		struct fbk_buffer_desc desc = buffer_desc(&producer->buffers[i]);
		int r = fbk_exchange_add(producer->exchange, i, &desc);
		ck_assert_msg(r == 0, "adding a buffer: %s", fbk_error_detail());
	}
}

void producer_open(struct producer *producer, const struct daemon *daemon, uint32_t waits,
		   uint32_t signals, int *ret_offer_fd)
{
	const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					      .name = "producer",
					      .device_class = FBK_CLASS_CPU,
					      .waits = waits,
					      .signals = signals };
	producer_offer(producer, daemon, &desc, ret_offer_fd);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_create(&producer->buffers[i]);
	}
	producer_add(producer);
}

void producer_close(struct producer *producer)
{
	fbk_exchange_destroy(producer->exchange);
	fbk_link_close(producer->link);
	fbk_disconnect(producer->context);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_destroy(&producer->buffers[i]);
	}
}

uint32_t producer_hand(struct producer *producer)
{
	uint32_t index;
	struct fbk_point acquire = { producer->timeline, ++producer->frame };
	int r = fbk_exchange_take(producer->exchange, deadline_ms(PATIENCE_MS), &index, NULL);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	r = fbk_exchange_hand(producer->exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
			      NULL, NULL);
	ck_assert_msg(r > 0, "handing over: %s", fbk_error_detail());
	return index;
}

void producer_draw(struct producer *producer, uint32_t index)
{
	buffer_write(&producer->buffers[index], producer->frame);
	EXPECT(fbk_timeline_signal(producer->timeline, producer->frame) == 0);
}

void producer_frame(struct producer *producer)
{
	producer_draw(producer, producer_hand(producer));
}

void exchange_drain(struct fbk_exchange *exchange, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index;
		int r = fbk_exchange_take(exchange, deadline_ms(PATIENCE_MS), &index, NULL);
		ck_assert_msg(r == 0, "taking back: %s", fbk_error_detail());
	}
}

void producer_take_all(struct producer *producer)
{
	exchange_drain(producer->exchange, PRODUCER_BUFFERS);
}

void consumer_open(struct consumer *consumer, const struct daemon *daemon,
		   const struct fbk_device_desc *desc, int socket)
{
	uint64_t give_up = now_ms() + PATIENCE_MS;
	int offer, r;
	receive_word(socket, &offer);
	consumer->context = peer_connect(daemon);
	consumer->device = desc ? link_device(consumer->context, desc)
				: exchange_device(consumer->context, "consumer", FBK_FENCE_MEMORY64,
						  FBK_FENCE_MEMORY64);
	while ((r = link_accept(consumer->device, offer, &consumer->link)) == -EBUSY &&
	       now_ms() < give_up) {
		yield_briefly();
	}
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	close(offer);
}

void consumer_close(struct consumer *consumer)
{
	fbk_link_close(consumer->link);
	fbk_disconnect(consumer->context);
}

int wait_point(struct fbk_frame *frame, uint64_t number, void *arg)
{
	(void)number;
	(void)arg;
	return fbk_point_wait(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS));
}

int wait_fd(struct fbk_frame *frame, uint64_t number, void *arg)
{
	(void)number;
	(void)arg;
	struct pollfd entry = { .fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)),
				.events = POLLIN };
	if (entry.fd < 0) {
		return entry.fd;
	}
	EXPECT(poll(&entry, 1, PATIENCE_MS) == 1);
	return fbk_point_check(fbk_frame_acquire(frame));
}

/* Maps a buffer the first time it comes. */
static const uint64_t *frame_map(const struct fbk_frame *frame,
				 const uint64_t *maps[FBK_BUFFERS_MAX])
{
	uint32_t index = fbk_frame_index(frame);
	if (!maps[index]) {
		maps[index] = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, frame_fd(frame), 0);
		EXPECT(maps[index] != MAP_FAILED);
	}
	return maps[index];
}

uint64_t consume(struct fbk_link *link, consumer_fn *wait, void *arg)
{
	const uint64_t *maps[FBK_BUFFERS_MAX] = { NULL };
	struct fbk_frame *frame;
	uint64_t count = 0, number = 0;
	int r;
	while ((r = fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame)) == 0) {
		const uint64_t *words = frame_map(frame, maps);
		EXPECT(!wait || wait(frame, number, arg) == 0);
		number = count++ == 0 ? words[0] : number + 1;
		EXPECT(buffer_holds(words, number));
		EXPECT(frame_release(frame, 0) == 0);
	}
	ck_assert_msg(r == -EPIPE, "the link ends with %d: %s", r, fbk_error_detail());
	return count;
}

/* ------------------------------------------------------------------------- releases that come later -- */

uint64_t consume_later(struct fbk_link *link)
{
	const uint64_t *maps[FBK_BUFFERS_MAX] = { NULL };
	struct fbk_point released;
	struct fbk_frame *frame;
	uint64_t number = 0;
	while (fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame) == 0) {
		const uint64_t *words = frame_map(frame, maps);
		EXPECT(wait_point(frame, 0, NULL) == 0);
		EXPECT(buffer_holds(words, ++number));
		EXPECT(frame_release_later(frame, &released) == 0);
		for (int i = 0; i < 3; i++) {
			sched_yield(); /* a producer that does not wait writes now */
			EXPECT(buffer_holds(words, number));
		}
		EXPECT(fbk_point_signal(released) == 0);
	}
	return number;
}

void release_by_point(const struct fbk_release *release, void *arg)
{
	(void)arg;
	EXPECT(fbk_point_wait(release->point, deadline_ms(PATIENCE_MS)) == 0);
}

void release_by_fd(const struct fbk_release *release, void *arg)
{
	struct pollfd entry = { .events = POLLIN };
	(void)arg;
	int r = fbk_release_fd(release, deadline_ms(PATIENCE_MS), &entry.fd);
	ck_assert_msg(r == 0, "a release's fd: %s", fbk_error_detail());
	EXPECT(poll(&entry, 1, PATIENCE_MS) == 1);
	close(entry.fd);
}

void producer_frame_early(struct producer *producer, release_fn *wait, void *arg)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	struct fbk_point acquire = { producer->timeline, ++producer->frame };
	uint32_t index;
	size_t count;
	int r = fbk_exchange_take_early(producer->exchange, deadline_ms(PATIENCE_MS), &index, NULL,
					releases, &count);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	for (size_t i = 0; i < count; i++) {
		wait(&releases[i], arg);
	}
	buffer_write(&producer->buffers[index], acquire.value);
	r = fbk_exchange_hand(producer->exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
			      NULL, NULL);
	ck_assert_msg(r > 0, "handing over: %s", fbk_error_detail());
	EXPECT(fbk_point_signal(acquire) == 0);
}
