// SPDX-License-Identifier: MIT
/*
 * A producer and its consumers for tests of links: buffers whose content says which frame they
 * hold, and a process that consumes. Every unexpected error fails the running test.
 */
#pragma once

#include "lib-frame.h"
#include "lib-peer.h"

#define BUFFER_SIZE 4096

/* A memfd as a buffer, and its memory. */
struct buffer {
	int fd;
	uint64_t *words;
};

void buffer_create(struct buffer *buffer);
void buffer_destroy(struct buffer *buffer);
void buffer_write(struct buffer *buffer, uint64_t frame); /* all of it */
bool buffer_holds(const uint64_t *words, uint64_t frame); /* all of it */

struct fbk_buffer_desc buffer_desc(const struct buffer *buffer); /* with a duplicate of its fd */

struct fbk_device *link_device(struct fbk_context *context, const struct fbk_device_desc *desc);

/* A device of that name, which waits on and signals these masks. */
struct fbk_device *exchange_device(struct fbk_context *context, const char *name, uint32_t waits,
				   uint32_t signals);

/* A producer in this process. */
#define PRODUCER_BUFFERS 3
struct producer {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_timeline *timeline; /* its acquire points */
	struct fbk_link *link;
	struct fbk_exchange *exchange;
	struct buffer buffers[PRODUCER_BUFFERS];
	uint64_t frame; /* the last one */
};

/* Offers a link of this device; the test makes its buffers, and then producer_add() adds them. */
void producer_offer(struct producer *producer, const struct daemon *daemon,
		    const struct fbk_device_desc *desc, int *ret_offer_fd);
void producer_add(struct producer *producer);

/* The same with memfds as buffers, of a device which waits on and signals these masks. */
void producer_open(struct producer *producer, const struct daemon *daemon, uint32_t waits,
		   uint32_t signals, int *ret_offer_fd);
void producer_close(struct producer *producer);

/* A consumer's end, in its own process. */
struct consumer {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

/* The offer comes over the socket; if another consumer has it, it is accepted once the daemon knows
 * that this one is gone. `desc` NULL: a device with memory fences. */
void consumer_open(struct consumer *consumer, const struct daemon *daemon,
		   const struct fbk_device_desc *desc, int socket);
void consumer_close(struct consumer *consumer);

/* Takes a buffer and hands the next frame over; draws it afterwards. */
uint32_t producer_hand(struct producer *producer);
void producer_draw(struct producer *producer, uint32_t index);

/* Takes a buffer, hands the next frame over, then writes it and signals it. */
void producer_frame(struct producer *producer);

/* Takes that many buffers back. */
void exchange_drain(struct fbk_exchange *exchange, uint32_t count);

/* Takes all of its buffers back, and keeps them. */
void producer_take_all(struct producer *producer);

/* How a consumer waits for a frame, and what it does with it; returns 0 or the error to release it
 * with. */
typedef int consumer_fn(struct fbk_frame *frame, uint64_t number, void *arg);

/* Maps buffers by index as they come; checks frame after frame until the link ends, and returns how
 * many came. The first frame's number is read from its content. */
uint64_t consume(struct fbk_link *link, consumer_fn *wait, void *arg);

consumer_fn wait_point, wait_fd;

/*
 * Early releases: the consumer gives each frame back at the point of its buffer and goes on reading it;
 * the producer takes it early, and waits for that point with `wait` before it writes.
 */
uint64_t consume_later(struct fbk_link *link);
typedef void release_fn(const struct fbk_release *release, void *arg);
void producer_frame_early(struct producer *producer, release_fn *wait, void *arg);
release_fn release_by_point, release_by_fd;
