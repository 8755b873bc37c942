// SPDX-License-Identifier: MIT
/*
 * Links with real peers, for tests in a guest: producers in this process, consumers in processes of
 * their own, and the routes that were chosen between them. Every unexpected error fails the running
 * test.
 */
#pragma once

#include "../integration/lib-exchange.h"
#include "lib-lab.h"

#define LINK_FRAMES 1000

/* The routes follow from the devices alone; says why if it is another one. */
void expect_routes(struct fbk_link *link, enum fbk_route acquire, enum fbk_route release);

/* Buffers for a producer that has made its offer: dma-bufs of vgem, or memfds. */
void producer_fill(struct producer *producer, bool dmabufs);

/* Waits for a consumer. */
void producer_meet(struct producer *producer);

/* Hands over LINK_FRAMES frames, and draws each once the peer has sent its number. The frame before
 * it in its buffer is done with by then: other processes count such frames in `done`. Then takes
 * all back. */
void producer_frames_on_demand(struct producer *producer, const _Atomic uint64_t *done, int socket);

/* The next frame; NULL when the link ended as its producer left. */
struct fbk_frame *consumer_next(const struct consumer *consumer);

/* The content of its buffer; mapped once, for `protection`. */
uint64_t *frame_words(const struct fbk_frame *frame, int protection);

/* Whether points of syncobjs can be waited for without a thread, as mirrors need. */
bool has_syncobj_eventfd(void);

/* A word of a peer, and its end, without a time limit. */
uint64_t patient_word(int socket);
int patient_wait(struct peer *peer);

/* Prints how many frames went over, and how fast. */
void print_frames(const char *what, unsigned int frames, uint64_t began_ms);
