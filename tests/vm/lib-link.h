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

/* Buffers for a producer that has made its offer: dma-bufs of vgem, or memfds. */
void producer_fill(struct producer *producer, bool dmabufs);

/* Until there is a consumer. */
void producer_meet(struct producer *producer);

/* LINK_FRAMES frames, each drawn once the peer sent its number. The buffer of each is free by then: `done`, which other
 * processes count up, says how many frames are done with. Then all come back. */
void producer_frames_on_demand(struct producer *producer, const _Atomic uint64_t *done, int socket);

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
