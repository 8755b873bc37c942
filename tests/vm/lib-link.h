// SPDX-License-Identifier: MIT
/*
 * Links with real peers, for tests in a guest: producers in this process, consumers in processes of their own,
 * and the routes that were chosen between them. Whatever does not go as it must fails the running test.
 */
#pragma once

#include "../integration/lib-exchange.h"
#include "lib-lab.h"

#define LINK_FRAMES 1000

/* What the devices and nothing else decided; says why when it is another. */
void expect_routes(struct fbk_link *link, enum fbk_route acquire, enum fbk_route release);

/* Until all of them are free again. */
void exchange_drain(struct fbk_exchange *exchange, uint32_t count);

/* A producer as in lib-exchange.h, of this device; and its buffers: dma-bufs of vgem, or memfds. */
void link_producer_open(struct producer *producer, const struct daemon *daemon,
			const struct fbk_device_desc *desc, int *ret_offer_fd);
void producer_fill(struct producer *producer, bool dmabufs);

/* Until there is a consumer. Then: take a buffer and hand the next frame over; and, later, draw it. */
void producer_meet(struct producer *producer);
uint32_t producer_hand(struct producer *producer);
void producer_draw(struct producer *producer, uint32_t index);

/* The next frame; NULL when the link ended as its producer left. */
struct fbk_frame *consumer_next(const struct consumer *consumer);

/* The content of its buffer; mapped once, for `protection`. */
uint64_t *frame_words(const struct fbk_frame *frame, int protection);

/* Whether points of syncobjs can be waited for without a thread: what mirrors need. */
bool has_syncobj_eventfd(void);

/* However long it takes: what a peer sends, and its end. */
uint64_t patient_word(int socket);
int patient_wait(struct peer *peer);

/* What went by, and how fast. */
void print_frames(const char *what, unsigned int frames, uint64_t began_ms);
