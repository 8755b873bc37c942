// SPDX-License-Identifier: MIT
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "proto/lane.h"
#include "received.h"
#include "token.h"

#define OFFERER  0
#define ACCEPTER 1

/* ---------------------------------------------------------------------------------- one end --- */

/* Add a duplicate of a token of this handle, for the peer to open. The token is void once the handle is closed. */
static int side_add_token(struct link_side *side, struct handle *handle)
{
	struct token *token;
	uint32_t rights = handle->rights & (FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE);
	int r = token_get(handle, rights, &token);
	if (r == 0) {
		r = charge_grow(&side->fds, handle->client->user, ACCOUNT_FDS, 1);
	}
	if (r < 0) {
		return r;
	}
	int fd = fcntl(token->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		charge_shrink(&side->fds, 1);
		return r;
	}
	side->tokens[side->token_count++] = fd;
	return 0;
}

static int side_fill(struct link_side *side, struct device *device, struct handle *lane,
		     bool produces)
{
	int r = side_add_token(side, lane);
	if (r == 0) {
		lane->timeline->idle = produces;
		side->client = lane->client;
		side->device = device;
		device->refs++;
		device->link_ends++;
	}
	return r;
}

static void side_empty(struct link_side *side)
{
	for (uint32_t i = 0; i < side->token_count; i++) {
		close(side->tokens[i]); /* our own memfds */
	}
	charge_release(&side->fds);
	if (side->device) {
		side->device->link_ends--;
		device_unref(side->device);
	}
	*side = (struct link_side){ 0 };
}

int link_side_of(const struct link *link, const struct client *client)
{
	for (int i = 0; i < 2; i++) {
		if (link->sides[i].client == client) {
			return i;
		}
	}
	return -1;
}

static const struct link_side *link_producer(const struct link *link)
{
	return &link->sides[link->producer];
}

/* ---------------------------------------------------------------------------------- buffers --- */

static void buffer_drop(struct link *link, struct link_buffer *buffer)
{
	if (buffer->fd >= 0) {
		closer_close(&link->registry->closer, buffer->fd);
		buffer->fd = -1;
		charge_shrink(&link->buffer_fds, 1);
	}
}

static void buffers_drop(struct link *link)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_drop(link, &link->buffers[i]);
	}
}

static int buffer_check(const struct link *link, uint32_t index, const struct link_buffer *buffer,
			char *detail)
{
	if (index >= FBK_BUFFERS_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u: an exchange has at most %d, from 0",
			 index, FBK_BUFFERS_MAX);
		return -EINVAL;
	}
	bool there = link->buffers[index].fd >= 0;
	if (buffer->fd < 0) {
		if (!there) {
			snprintf(detail, FBK_REASON_SIZE, "there is no buffer %u", index);
		}
		return there ? 0 : -ENOENT;
	}
	if (there) {
		snprintf(detail, FBK_REASON_SIZE, "there is a buffer %u: remove it first", index);
		return -EEXIST;
	}
	if (buffer->plane_count == 0 || buffer->plane_count > FBK_PLANES_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u: a buffer has 1 to %d planes", index,
			 FBK_PLANES_MAX);
		return -EINVAL;
	}
	return received_buffer(link->registry, buffer->fd, index, detail);
}

int link_set_buffer(struct link *link, const struct client *client, uint32_t index,
		    const struct link_buffer *buffer, char *detail)
{
	if (link_producer(link)->client != client) {
		snprintf(detail, FBK_REASON_SIZE, "buffers are the producer's");
		return -EPERM;
	}
	int r = buffer_check(link, index, buffer, detail);
	if (r < 0) {
		return r;
	}
	if (buffer->fd < 0) {
		buffer_drop(link, &link->buffers[index]);
		return 0;
	}
	r = charge_grow(&link->buffer_fds, client->user, ACCOUNT_FDS, 1);
	if (r == 0) {
		link->buffers[index] = *buffer;
	}
	return r;
}

/* ------------------------------------------------------------------------------ birth and death -- */

static void link_changed(struct link *link)
{
	if (link->state->cause == FBK_CAUSE_NONE) {
		timeline_look(link->state);
		timeline_advance(link->state, link->state->seen + 1);
	}
}

struct link *link_of(const struct handle *handle)
{
	return handle->timeline->brokered ? handle->timeline->brokered->link : NULL;
}

static int lane_check(const struct client *client, const struct handle *lane, char *detail)
{
	if (!lane || !lane->timeline->ring || timeline_signaler(lane->timeline) != client) {
		snprintf(detail, FBK_REASON_SIZE, "that timeline is not a lane of this client");
		return -EINVAL;
	}
	return 0;
}

int link_offer(struct handle *handle, struct device *device, uint32_t role, struct handle *lane,
	       char *detail)
{
	struct client *client = handle->client;
	struct timeline *state = handle->timeline;
	if (!state->brokered || timeline_signaler(state) != client || state->brokered->link) {
		snprintf(detail, FBK_REASON_SIZE,
			 "timeline %s can't be the state of a link: it must be a brokered timeline "
			 "of the offering client, used for nothing else",
			 state->name);
		return -EINVAL;
	}
	if (role != FBK_PRODUCER && role != FBK_CONSUMER) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a role", role);
		return -EINVAL;
	}
	int r = lane_check(client, lane, detail);
	if (r < 0) {
		return r;
	}
	struct link *link = calloc(1, sizeof(*link));
	if (!link) {
		return -ENOMEM;
	}
	r = charge_take(&link->charge, client->user, ACCOUNT_LINKS, 1);
	if (r == 0) {
		r = side_fill(&link->sides[OFFERER], device, lane, role == FBK_PRODUCER);
	}
	if (r < 0) {
		side_empty(&link->sides[OFFERER]);
		charge_release(&link->charge);
		free(link);
		return r;
	}
	link->registry = client->registry;
	link->id = registry_new_id(link->registry);
	link->state = state;
	link->producer = role == FBK_PRODUCER ? OFFERER : ACCEPTER;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		link->buffers[i].fd = -1;
	}
	state->brokered->link = link;
	state->idle = true;
	LIST_INSERT_HEAD(&link->registry->links, link, links);
	return 0;
}

static void link_destroy(struct link *link)
{
	buffers_drop(link);
	side_empty(&link->sides[ACCEPTER]);
	side_empty(&link->sides[OFFERER]);
	charge_release(&link->charge);
	LIST_REMOVE(link, links);
	link->state->brokered->link = NULL;
	free(link);
}

/* Choose the acquire and the release route. */
static int link_route(struct link *link, const struct device *offers, const struct device *accepts,
		      char *detail)
{
	const struct device *producer = link->producer == OFFERER ? offers : accepts;
	const struct device *consumer = link->producer == OFFERER ? accepts : offers;
	device_choose_route(producer, consumer, ROUTE_ACQUIRE, &link->acquire);
	device_choose_route(consumer, producer, ROUTE_RELEASE, &link->release);
	const struct route_choice *missing = !link->acquire.route   ? &link->acquire
					     : !link->release.route ? &link->release
								    : NULL;
	if (missing) {
		snprintf(detail, FBK_REASON_SIZE, "%s", missing->why[FBK_ROUTE_NONE]);
		return -EOPNOTSUPP;
	}
	return 0;
}

int link_accept(struct link *link, struct client *client, struct device *device,
		struct handle *lane, char *detail)
{
	struct link_side *side = &link->sides[ACCEPTER];
	const struct link_side *offerer = &link->sides[OFFERER];
	if (side->client) {
		snprintf(detail, FBK_REASON_SIZE, "%s has that link", client_label(side->client));
		return -EBUSY;
	}
	if (offerer->client == client) {
		snprintf(detail, FBK_REASON_SIZE, "a link to oneself needs no broker");
		return -ELOOP;
	}
	if (!offerer->device->client) {
		snprintf(detail, FBK_REASON_SIZE, "device %s, which offered that link, is gone",
			 offerer->device->name);
		return -EPIPE;
	}
	int r = lane_check(client, lane, detail);
	if (r == 0) {
		r = link_route(link, offerer->device, device, detail);
	}
	if (r == 0) {
		r = side_fill(side, device, lane, link->producer == ACCEPTER);
	}
	if (r < 0) {
		side_empty(side);
		return r;
	}
	link->epoch++;
	link->from = 0;
	link_changed(link);
	return 0;
}

enum fbk_link_phase link_phase(const struct link *link, int side)
{
	if (side < 0 || link->state->cause != FBK_CAUSE_NONE) {
		return FBK_LINK_ENDED;
	}
	return !link->sides[ACCEPTER].client ? FBK_LINK_OFFERED
	       : link->from == 0             ? FBK_LINK_ACCEPTED
					     : FBK_LINK_ESTABLISHED;
}

int link_join(struct link *link, const struct client *client, uint64_t from, uint64_t epoch,
	      char *detail)
{
	if (link_producer(link)->client != client) {
		snprintf(detail, FBK_REASON_SIZE, "only the producer joins");
		return -EPERM;
	}
	if (!link->sides[ACCEPTER].client || link->from || link->epoch != epoch) {
		snprintf(detail, FBK_REASON_SIZE, "%s",
			 link->from ? "the producer has joined already"
				    : "stale epoch: that consumer has left");
		return -EALREADY;
	}
	if (from == 0 || from > FBK_POINT_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "frames start from 1");
		return -EINVAL;
	}
	link->from = from;
	link_changed(link);
	return 0;
}

void link_end(struct link *link, const struct client *by, int error, const char *reason)
{
	if (!link->sides[ACCEPTER].client) {
		return;
	}
	link->error = error;
	const char *what = error == -EOWNERDEAD ? "it died" : "it closed the link";
	snprintf(link->cause, sizeof(link->cause), "%s (pid %d, uid %u): %s",
		 link->sides[link_side_of(link, by)].device->name, by->credentials.pid,
		 by->subject.uid, reason && reason[0] ? reason : what);
	if (link->producer == ACCEPTER) {
		buffers_drop(link);
	}
	side_empty(&link->sides[ACCEPTER]);
	link->from = 0;
	link_changed(link);
}

int link_add_point(struct link *link, int side, struct handle *handle, uint32_t *ret_number,
		   char *detail)
{
	struct link_side *end = &link->sides[side];
	if (end->token_count > FBK_LANE_POINTS) {
		snprintf(detail, FBK_REASON_SIZE,
			 "points of %d timelines at most go over a link: hand over those of fewer",
			 FBK_LANE_POINTS);
		return -ENOSPC;
	}
	int r = side_add_token(end, handle);
	if (r == 0) {
		*ret_number = end->token_count - 1;
	}
	return r;
}

static void link_device_unregistered(struct device *device)
{
	struct link *link;
	if (device->link_ends == 0) {
		return;
	}
	LIST_FOREACH(link, &device->registry->links, links) {
		if (link->sides[ACCEPTER].device == device) {
			link_end(link, link->sides[ACCEPTER].client, -EPIPE, NULL);
		}
	}
}

static void link_handle_closed(struct handle *handle, enum fbk_cause cause)
{
	struct link *link = link_of(handle);
	struct client *client = handle->client;
	if (!link) {
		return;
	}
	if (link->sides[OFFERER].client == client) {
		link_destroy(link); /* the peer sees the state timeline fail */
	} else if (link->sides[ACCEPTER].client == client) {
		link_end(link, client, cause_error(cause),
			 cause == FBK_CAUSE_ADMIN ? "the administrator evicted it" : NULL);
	}
}

const struct observer link_observer = {
	.handle_closed = link_handle_closed,
	.device_unregistered = link_device_unregistered,
};

struct timeline *link_lane(const struct link *link, const struct link_side *side)
{
	struct token *token = side->client ? token_find(link->registry, side->tokens[0]) : NULL;
	return token && token->handle->timeline->set ? token->handle->timeline : NULL;
}

uint64_t lane_value(const struct timeline *lane)
{
	/* relaxed: for reports, and for readers that check the number in each entry */
	return atomic_load_explicit(&timeline_payload(lane)->payload, memory_order_relaxed) &
	       ~FBK_POISON;
}

struct timeline *link_frame(const struct link *link, uint64_t *ret_sequence,
			    uint64_t *ret_deadline_ns)
{
	struct timeline *forward = link->from ? link_lane(link, link_producer(link)) : NULL;
	struct timeline *back = forward ? link_lane(link, &link->sides[!link->producer]) : NULL;
	struct lane_entry entry;
	if (!back) {
		return NULL;
	}
	uint64_t returned = lane_value(back);
	uint64_t next = returned >= link->from ? returned + 1 : link->from;
	if (next > lane_value(forward)) {
		return NULL;
	}
	*ret_sequence = next;
	*ret_deadline_ns =
		lane_entry_read(forward->slot.page->memory, next, &entry) ? entry.deadline_ns : 0;
	return back;
}

/* A frame has no arm, and no time of its hand-over is known: the wait counts from the frame's deadline. */
struct wait link_wait(const struct handle *handle)
{
	struct wait wait = { .way = WAIT_FRAME, .waiter = handle->client };
	const struct link *link = link_of(handle);
	if (link && link_producer(link)->client == handle->client) {
		wait.timeline = link_frame(link, &wait.value, &wait.deadline_ns);
		uint64_t now = clock_now_ns();
		wait.since_ns = wait.deadline_ns < now ? wait.deadline_ns : now;
		wait.uid = handle->client->subject.uid;
	}
	return wait;
}
