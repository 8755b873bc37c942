// SPDX-License-Identifier: MIT
/*
 * A link: two devices, the routes between them, and the objects that they share: a lane of each side, the timelines
 * whose points they hand over, and the producer's buffers, which the daemon keeps. Owned by its state timeline, a
 * brokered one of the offering client. Accepting clients come and go. Frames do not pass through the daemon. Loop's
 * thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "daemon/rules/account.h"
#include "daemon/rules/route.h"
#include "device.h"
#include "format-list.h"
#include "handle.h"
#include "proto/lane.h"
#include "proto/page.h"

struct link_holder;

/* A timeline that a client has open, as long as that lasts. */
struct link_line {
	uint32_t handle; /* 0: none */
	uint64_t id;     /* of the timeline: another may have the handle since */
};

struct link_point {
	struct link_line line;
	uint32_t incarnation;
};

/* One end; empty while no client is there. */
struct link_side {
	struct client *client; /* NULL: empty */
	struct device *device;
	struct link_line lane;
	uint32_t asked_hold; /* as the request said */
	struct link_point points[1 + FBK_LANE_POINTS];
	struct format_list *formats; /* NULL: any */
	uint32_t hold;               /* of a consumer; 0: not stated */
	struct link_holder *holder;  /* of a consumer: for its end */
};

/* What a buffer's fds refer to. Counted: by the link that has it as a buffer, and by a consumer that is gone and may
 * still use it. */
struct link_memory {
	unsigned int refs;
	struct registry *registry;
	uint32_t fd_count;
	int fds[FBK_PLANES_MAX];
	struct charge charge; /* the producer's */
};

/* What the present consumer said of a buffer. */
enum link_imported { LINK_BUFFER_NEW, LINK_BUFFER_ACCEPTED, LINK_BUFFER_REFUSED };

struct link_buffer {
	struct link_memory *owner; /* of the fds */
	int fds[FBK_PLANES_MAX];
	uint32_t fd_count;   /* 0: no buffer */
	uint32_t generation; /* the producer's count of changes */
	uint32_t memory, visibility;
	uint32_t format; /* its number as the producer says, */
	uint32_t number; /* and that of the link's formats which it is of */
	enum link_imported imported;
	uint32_t width, height, fourcc, plane_count;
	uint64_t modifier;
	uint64_t offset[FBK_PLANES_MAX], stride[FBK_PLANES_MAX];
	uint32_t plane_fd[FBK_PLANES_MAX]; /* which of the fds */
};

/* Kind of buffer that the present consumer refused. */
struct link_refusal {
	uint32_t memory, fourcc;
	uint64_t modifier;
	int error;
};

/* The joined list of a link, by the numbers of the two that it comes from. */
struct link_joined {
	uint32_t count;
	struct link_pair {
		uint8_t producer, consumer;
		bool refused; /* it keeps its number */
	} pairs[FBK_FORMATS_MAX];
	struct link_refusal refusals[FBK_FORMATS_MAX]; /* the oldest goes when there are more */
	uint32_t refusal_count;
	uint64_t generation; /* raised with each change of these */
};

struct link {
	LIST_ENTRY(link) links; /* of the registry, newest first */
	struct registry *registry;
	uint64_t id;
	char name[FBK_NAME_SIZE]; /* that it is published under; see link_name */
	struct timeline *state;
	struct link_side sides[2]; /* offerer, accepter */
	uint32_t producer;         /* its index */
	uint64_t epoch;            /* raised by each accept */
	uint64_t from;             /* first frame of this epoch; 0: the producer has not joined */
	struct page *claims;       /* of this epoch; NULL: no peer */
	struct route_choice acquire, release;
	struct link_buffer buffers[FBK_BUFFERS_MAX];
	bool points_awaited; /* see link_point_find */
	bool over; /* its offerer is gone: it stays for the buffers that this consumer held */
	LIST_HEAD(, format_list) waiting; /* of clients that are about to accept */
	struct link_joined joined;
	uint32_t depth;              /* of the producer; 0: not stated */
	uint32_t pool;               /* the most buffers at once since it was stated */
	uint64_t generation;         /* of its formats and buffers */
	char unfit[FBK_REASON_SIZE]; /* the last peer that could not accept, and why */
	int error;                   /* that the last pairing ended with */
	char cause[FBK_REASON_SIZE];
	struct charge charge;
};

/* In the functions below `detail`, of FBK_REASON_SIZE, says why on an error. `handle` is one of the state
 * timeline, by which a link is found. */
struct link *link_of(const struct handle *handle); /* NULL: not the state of a link */

/* What a client asks for as an end of a link. */
struct link_wish {
	struct device *device;
	uint32_t role; /* of an offering end */
	uint32_t hold; /* of a consumer; 0: not stated */
	uint32_t lane; /* the number of the handle of its lane */
};

/* Both make a lane for the client. Asked for the same once more, they find the end that it is already; -EEXIST: it is
 * another. */
int link_offer(struct handle *handle, const struct link_wish *wish, char *detail);
int link_accept(struct link *link, struct client *client, const struct link_wish *wish,
		char *detail);

/* How many ends of links its devices are. */
uint32_t link_ends_of(const struct client *client);

/* The index of the client's side; -1: none. */
int link_side_of(const struct link *link, const struct client *client);

static inline bool link_offers(const struct link *link, const struct client *client)
{
	return link->sides[0].client == client;
}

static inline bool link_has_peer(const struct link *link)
{
	return link->sides[1].client != NULL;
}

enum fbk_link_phase link_phase(const struct link *link, int side);

/* Frames from `from` on are for the consumer of this epoch. -EALREADY: that consumer has left. */
int link_join(struct link *link, const struct client *client, uint64_t from, uint64_t epoch,
	      char *detail);

/* The pairing ends at the request of `by`, an end of it. */
void link_end(struct link *link, const struct client *by, int error, const char *reason);

/* The client is about to unregister this device: its ends of links leave, while their timelines live. */
void links_leave(struct device *device);

/* link-hold.c: for the end of a consumer, made with its end of a link; takes NULL. */
int link_holder_create(const struct client *consumer, struct link_holder **ret_holder);
void link_holder_destroy(struct link_holder *holder);

/* The consumer ends, and its lanes and timelines still live: the link's holder takes what it holds. `died`: not by
 * itself. */
void link_hold(struct link *link, bool died);

/* The buffers of this producer that consumers which have ended may still use, as a mask. */
uint64_t link_held(const struct link *link, const struct client *producer);

/* Which of these holds that buffer, for people; NULL: none. */
const char *link_holder_label(const struct link *link, uint32_t index);

/* The producer gives up those buffers (a mask), or ends; NULL: the link ends. */
void link_holds_drop(struct link *link, const struct client *producer, uint64_t mask);
bool link_has_holds(const struct link *link);

/* A link with buffers of that producer that are held; NULL: there is none. */
struct link *link_held_for(const struct client *producer);

/* For link-hold.c: a buffer that a consumer held is free. May destroy the link. */
void link_holds_changed(struct link *link);

/* link-point.c: the timeline of that number is this one now; `incarnation` tells it from the one before. */
int link_set_point(struct link *link, int side, struct handle *handle, uint32_t number,
		   uint32_t incarnation, char *detail);
/* -ENOENT: there is none, it was closed, or a later incarnation has the number. -EAGAIN: the producer has told the other
 * end of it before the daemon; with points_awaited the state changes when the daemon knows. */
int link_point_find(const struct link *link, int side, uint32_t number, uint32_t incarnation,
		    struct handle **ret_handle, char *detail);

/* link-buffer.c: keeps buffer->fds; without fds the buffer is removed. */
int link_set_buffer(struct link *link, const struct client *client, uint32_t index,
		    const struct link_buffer *buffer, char *detail);
void link_drop_buffers(struct link *link);
void link_memory_unref(struct link_memory *memory); /* takes NULL */

/* Of the data of a producer's device in these buffers. */
enum fbk_visibility link_visibility(const struct link *link, const struct device *producer);

/* By the consumer: it has imported the buffer of that generation, or refuses it with that error. -ESTALE: another lies
 * there. -EALREADY: it was refused. */
int link_accept_buffer(struct link *link, const struct client *client, uint32_t index,
		       uint32_t generation, int error, char *detail);

/* Masks of the buffers: those that are there, and those of which the consumer said so. */
uint64_t link_buffers(const struct link *link);
uint64_t link_buffers_imported(const struct link *link, enum link_imported imported);

/* By the producer: so many frames are offered at once, besides those that the consumer holds. -ENOBUFS: there are too few
 * buffers. */
int link_set_depth(struct link *link, const struct client *client, uint32_t depth, char *detail);

/* The same for a consumer that is about to accept; a buffer that is being replaced counts. */
int link_check_hold(const struct link *link, uint32_t hold, char *detail);

/* Both ends learn of it: the state timeline is raised. */
void link_changed(struct link *link);

/* The peer may open that lane from now on, and learns so. */
void link_lane_mapped(const struct handle *lane);

/* Of that end, while its client has it open; else NULL. */
struct handle *link_line_handle(const struct link_side *side, const struct link_line *line);

/* The lane of an end; NULL: no client is there, or it closed the lane. */
struct timeline *link_lane(const struct link_side *side);

/* The claim words of this pairing, which is there. */
struct claim_page link_claims(const struct link *link);

/* The last frame on the lane. Read from the payload itself: nobody rings for frames, so `seen` may be old. */
uint64_t lane_value(const struct timeline *lane);

/* link-format.c */

/* Add one to the client's list. -EBUSY: too late, there is or was a peer. -E2BIG: a limit, which the detail names. */
int link_add_format(struct link *link, const struct client *client, const struct format *format,
		    const void *data, size_t size, char *detail);

/* The client does not accept any more. */
void link_drop_formats(struct link *link, const struct client *client);

/* Join what the two ends allow; the accepting one is in its side, and its list comes there. The buffers that are there
 * have to be of that. -EOPNOTSUPP */
int link_join_formats(struct link *link, char *detail);

/* The joined format of that number, with the data of the peer of `side`. -ENOENT: there are no more. -ENOTSUP: it was
 * refused. */
int link_format_get(const struct link *link, int side, uint32_t number, struct format *ret_format,
		    struct format_data *ret_data, char *detail);

/* Sets buffer->number. -EINVAL: it is of none of the formats. -ENOTSUP: the consumer refused such a one. */
int link_match_format(const struct link *link, struct link_buffer *buffer, uint32_t index,
		      char *detail);

/* The consumer refused such a buffer. */
void link_refuse_format(struct link *link, const struct link_buffer *buffer, int error);

/* link-name.c: "" when the link has no name or is over. */
const char *link_name(const struct link *link);

/* The name "" withdraws the link. */
int link_publish(struct link *link, const struct client *client, const char *name, char *detail);

/* The state of the oldest link of that name that is free and not the client's own. */
int link_lookup(const struct client *client, const char *name, struct handle **ret_state,
		char *detail);

/* A producer's wait on the link of this state timeline: for the oldest frame that its consumer has. */
struct wait link_wait(const struct handle *handle);

/* The accepting end leaves the link when it closes the state timeline or unregisters its device. The offering end ends
 * the link together with the state timeline. */
extern const struct observer link_observer;
