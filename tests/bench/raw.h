// SPDX-License-Identifier: MIT
/* The raw primitives that our side is compared with: system calls and atomics, no code of fencebroker. */
#pragma once

#include "bench.h"

extern const struct side raw_eventfd;        /* write(2) to an eventfd */
extern const struct side raw_flag;           /* a futex word: store, load of the sleepers */
extern const struct side raw_syncobj_signal; /* TIMELINE_SIGNAL, nobody waits */
extern const struct side raw_loads;          /* the loads of a check, in another shared object */
extern const struct side raw_ping_pong;      /* cache lines between two processes */
extern const struct side raw_futex_trip;     /* futex ping-pong, sleeping */
extern const struct side raw_waitv_trip;     /* the leader sleeps on 64 words */
extern const struct side raw_futex_wake;     /* one futex(FUTEX_WAKE) with one asleep */
extern const struct side raw_loop;           /* eventfd, epoll */
extern const struct side raw_relay_to_fd;    /* doorbell, epoll, notify */
extern const struct side raw_relay_to_word;  /* epoll, store, futex */
extern const struct side raw_relay_both;     /* to_fd, and to_word back */
extern const struct side raw_link;           /* as many requests as a link takes */
extern const struct side raw_request;        /* SOCK_SEQPACKET ping-pong, epoll server */
extern const struct side raw_requests;       /* the same, 32 under way */
extern const struct side raw_stalled;        /* send(2) alone */
extern const struct side raw_syncobj;        /* TIMELINE_SIGNAL and SYNCOBJ_EVENTFD */
extern const struct side raw_dbus_start;     /* until dbus-daemon prints its address */
extern const struct side raw_dbus_memory;    /* its anonymous memory at that time */
extern const struct side raw_bus_register;   /* RegisterDevice of a bare service */
extern const struct side raw_bus_flood;      /* Peer.Ping of our daemon under a flood */

#define WAIT_ANY_COUNT 64

/* Bytes of a request and of its reply: as many as ours has (strace shows them). */
#define REQUEST_SIZE   10
#define REPLY_SIZE     3
#define QUIET_SIZE     21 /* the signal of a brokered timeline */
#define PIPELINE_DEPTH 32

/* Requests that set up a link (strace shows them): of the offering process, before and after the other accepted;
 * and of the accepting process. */
#define OFFER_REQUESTS  4
#define ACCEPT_REQUESTS 3
#define JOIN_REQUESTS   4
