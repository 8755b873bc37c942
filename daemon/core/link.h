// SPDX-License-Identifier: MIT
/*
 * A link: two devices, the routes between them, and what they have to show each other: a lane each, timelines
 * whose points they hand over, and the producer's buffers, which the daemon keeps. It belongs to its state
 * timeline, a brokered one of who offers; whoever accepts comes and goes. Frames pass by without the
 * daemon. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "daemon/rules/account.h"
#include "handle.h"
#include "proto/page.h"
#include "daemon/rules/route.h"

struct token;

/* One end. Empty while nobody is there. */
struct link_side {
	struct client *client; /* NULL: empty */
	struct device *device;
	int tokens[1 + FBK_LANE_POINTS]; /* of its lane, then of its timelines by number */
	uint32_t token_count;
	struct charge fds;
};

struct link_buffer {
	int fd;              /* -1: none */
	uint32_t generation; /* the producer's count of changes */
	uint32_t width, height, format, plane_count;
	uint64_t modifier;
	uint32_t offset[FBK_PLANES_MAX], stride[FBK_PLANES_MAX];
};

struct link {
	LIST_ENTRY(link) links; /* of the registry, newest first */
	struct registry *registry;
	uint64_t id;
	char name[FBK_NAME_SIZE]; /* by which it is published; see link_name */
	struct timeline *state;
	struct link_side sides[2]; /* who offers, who accepted */
	uint32_t producer;         /* index of it */
	uint64_t epoch;            /* counts who accepted */
	uint64_t from;             /* 0: the producer has not joined */
	struct route_choice acquire, release;
	struct link_buffer buffers[FBK_BUFFERS_MAX];
	struct charge buffer_fds;
	int error; /* of the last end */
	char cause[FBK_REASON_SIZE];
	struct charge charge;
};

/* In the functions below `detail` of FBK_REASON_SIZE says what is wrong. `handle` is that of the state
 * timeline, by which a link is found; `lane` that of a ring. */
struct link *link_of(const struct handle *handle); /* NULL: that timeline is no link's */

int link_offer(struct handle *handle, struct device *device, uint32_t role, struct handle *lane,
	       char *detail);
int link_accept(struct link *link, struct client *client, struct device *device,
		struct handle *lane, char *detail);

/* The side that the client is; -1: none. */
int link_side_of(const struct link *link, const struct client *client);

enum fbk_link_phase link_phase(const struct link *link, int side);

/* Frames from `from` on are for the one that accepted, if that is the one that is meant. */
int link_join(struct link *link, const struct client *client, uint64_t from, uint64_t epoch,
	      char *detail);

/* The pairing ends: `by` said so, or is gone (error -EPIPE or -EOWNERDEAD, no reason). */
void link_end(struct link *link, const struct client *by, int error, const char *reason);

int link_add_point(struct link *link, int side, struct handle *handle, uint32_t *ret_number,
		   char *detail);

/* Keeps buffer->fd; with -1 the buffer is removed. */
int link_set_buffer(struct link *link, const struct client *client, uint32_t index,
		    const struct link_buffer *buffer, char *detail);

/* Its oldest frame that the consumer has: the consumer's lane, on which it comes back. NULL: there is none. */
struct timeline *link_frame(const struct link *link, uint64_t *ret_sequence,
			    uint64_t *ret_deadline_ns);

/* The lane of an end; NULL: nobody is there, or closed it. */
struct timeline *link_lane(const struct link *link, const struct link_side *side);

/* The last frame on it. Nobody rings for that: it is what is there, and not what was last seen. */
uint64_t lane_value(const struct timeline *lane);

/* link-name.c: "" where it has none, or is over. */
const char *link_name(const struct link *link);

/* "" takes the name away. */
int link_publish(struct link *link, const struct client *client, const char *name, char *detail);

/* The offer of the oldest link of that name that nobody has accepted; not one of the client's own. */
int link_lookup(const struct client *client, const char *name, struct token **ret_token,
		char *detail);

/* What a producer waits for on the link of this state timeline: the oldest frame that its consumer has. */
struct wait link_wait(const struct handle *handle);

/* An end that closes the state timeline, or whose device is unregistered, leaves the link; one that offered it ends
 * it with the state timeline. */
extern const struct observer link_observer;
