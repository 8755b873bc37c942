// SPDX-License-Identifier: MIT
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFERER  0
#define ACCEPTER 1

#define CLAIM_PAGE_SIZE 8192 /* of FBK_BUFFERS_MAX words, each in a cache line */

_Static_assert(sizeof(struct fbk_page_header) + FBK_BUFFERS_MAX * FBK_CLAIM_STRIDE <=
		       CLAIM_PAGE_SIZE,
	       "the claim page has a word for each buffer");

/* ---------------------------------------------------------------------------------- one end --- */

struct handle *link_line_handle(const struct link_side *side, const struct link_line *line)
{
	struct handle *handle = side->client ? client_handle(side->client, line->handle) : NULL;
	return handle && handle->timeline->id == line->id ? handle : NULL;
}

static int side_make_lane(struct link_side *side, uint32_t number, bool produces)
{
	struct registry *registry = side->client->registry;
	struct set *set;
	struct timeline *lane;
	struct handle *handle;
	int r = set_create(registry, side->client->user, FBK_PAGE_SIZE_MIN, &set);
	if (r < 0) {
		return r;
	}
	r = timeline_create(side->device, set, produces ? "handed" : "returned",
			    produces ? FBK_TIMELINE_FRAMES : FBK_TIMELINE_RETURNS, &lane);
	set_unref(set); /* the timeline holds its own reference */
	if (r < 0) {
		return r;
	}
	r = handle_create(side->client, lane, RIGHTS_ALL & ~(uint32_t)FBK_RIGHT_PROMISE, number,
			  &handle);
	if (r < 0) {
		timeline_destroy(lane);
		return r;
	}
	lane->idle = produces;
	side->lane = (struct link_line){ handle->number, lane->id };
	return 0;
}

static int side_fill(struct link_side *side, struct client *client, const struct link_wish *wish,
		     bool produces)
{
	side->client = client;
	side->device = wish->device;
	side->device->refs++;
	side->device->link_ends++;
	side->hold = produces ? 0 : wish->hold;
	side->asked_hold = wish->hold;
	int r = produces ? 0 : link_holder_create(client, &side->holder);
	return r < 0 ? r : side_make_lane(side, wish->lane, produces);
}

/* Is this the end that the client asks for once more? */
static int side_again(const struct link_side *side, const struct link_wish *wish, char *detail)
{
	if (side->device == wish->device && side->asked_hold == wish->hold &&
	    side->lane.handle == wish->lane && link_line_handle(side, &side->lane)) {
		return 0;
	}
	snprintf(detail, FBK_REASON_SIZE, "this client is an end of that link already, as %s",
		 side->device->name);
	return -EEXIST;
}

static void side_empty(struct link_side *side)
{
	format_list_destroy(side->formats);
	link_holder_destroy(side->holder);
	if (side->device) {
		side->device->link_ends--;
		device_unref(side->device);
	}
	memset(side, 0, sizeof(*side));
}

/* It could not be filled: its lane goes too. */
static void side_undo(struct link_side *side)
{
	struct handle *lane = link_line_handle(side, &side->lane);
	side_empty(side);
	if (lane) {
		handle_destroy(lane, FBK_CAUSE_OWNER_LEFT);
	}
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

/* ------------------------------------------------------------------------------ birth and death -- */

void link_changed(struct link *link)
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

static struct link *link_alloc(void)
{
	struct link *link = calloc(1, sizeof(*link));
	if (!link) {
		return NULL;
	}
	LIST_INIT(&link->waiting);
	return link;
}

int link_offer(struct handle *handle, const struct link_wish *wish, char *detail)
{
	struct client *client = handle->client;
	struct timeline *state = handle->timeline;
	uint32_t role = wish->role;
	struct link *link = link_of(handle);
	if (link && link->sides[OFFERER].client == client) {
		bool same = (role == FBK_ROLE_PRODUCER) == (link->producer == OFFERER);
		return same ? side_again(&link->sides[OFFERER], wish, detail) : -EEXIST;
	}
	if (!state->brokered || timeline_signaler(state) != client || state->brokered->link) {
		snprintf(detail, FBK_REASON_SIZE,
			 "timeline %s can't stand for a link: it must be a brokered timeline "
			 "of the offering client, used for nothing else",
			 state->name);
		return -EINVAL;
	}
	if (role != FBK_ROLE_PRODUCER && role != FBK_ROLE_CONSUMER) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a role", role);
		return -EINVAL;
	}
	int r = handle_number_check(client, wish->lane, detail);
	if (r < 0) {
		return r;
	}
	link = link_alloc();
	if (!link) {
		return -ENOMEM;
	}
	r = charge_take(&link->charge, client->user, ACCOUNT_LINKS, 1);
	if (r == 0) {
		r = side_fill(&link->sides[OFFERER], client, wish, role == FBK_ROLE_PRODUCER);
	}
	if (r < 0) {
		side_undo(&link->sides[OFFERER]);
		charge_release(&link->charge);
		free(link);
		return r;
	}
	link->registry = client->registry;
	link->id = registry_new_id(link->registry);
	link->state = state;
	link->producer = role == FBK_ROLE_PRODUCER ? OFFERER : ACCEPTER;
	state->brokered->link = link;
	state->idle = true;
	LIST_INSERT_HEAD(&link->registry->links, link, links);
	return 0;
}

static void link_destroy(struct link *link)
{
	link->state->brokered->link = NULL;
	link_drop_buffers(link);
	while (!LIST_EMPTY(&link->waiting)) {
		link_drop_formats(link, LIST_FIRST(&link->waiting)->client);
	}
	page_unref(link->claims);
	side_empty(&link->sides[ACCEPTER]);
	side_empty(&link->sides[OFFERER]);
	charge_release(&link->charge);
	LIST_REMOVE(link, links);
	link_holds_drop(link, NULL, UINT64_MAX); /* the state may go with it */
	free(link);
}

/* Its offerer is gone. */
static void link_end_over(struct link *link)
{
	if (link->over && !link_has_holds(link)) {
		link_destroy(link);
	}
}

void link_holds_changed(struct link *link)
{
	link_changed(link);
	link_end_over(link);
}

/* Choose the acquire and the release route. */
static int link_route(struct link *link, const struct device *offers, const struct device *accepts,
		      char *detail)
{
	const struct device *producer = link->producer == OFFERER ? offers : accepts;
	const struct device *consumer = link->producer == OFFERER ? accepts : offers;
	device_choose_route(producer, consumer, ROUTE_ACQUIRE, link_visibility(link, producer),
			    &link->acquire);
	device_choose_route(consumer, producer, ROUTE_RELEASE, consumer->visibility,
			    &link->release);
	const struct route_choice *missing = !link->acquire.route   ? &link->acquire
					     : !link->release.route ? &link->release
								    : NULL;
	if (missing) {
		snprintf(detail, FBK_REASON_SIZE, "%s", missing->why[FBK_ROUTE_NONE]);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Another page for each peer: one that has left still maps the last. */
static int link_make_claims(struct link *link, struct user *user)
{
	page_unref(link->claims);
	link->claims = NULL;
	return page_create(FBK_PAGE_CLAIM, registry_new_id(link->registry), 0, CLAIM_PAGE_SIZE,
			   user, &link->claims);
}

/* Frames go on behind what it carried before, so it has to have room. */
static bool lane_is_good(const struct link_side *side)
{
	const struct timeline *lane = link_lane(side);
	return lane && lane->cause == FBK_CAUSE_NONE && lane_value(lane) <= FBK_POINT_MAX / 2;
}

static int accept_check(const struct link *link, const struct client *client, char *detail)
{
	const struct link_side *offerer = &link->sides[OFFERER];
	if (link->over) {
		snprintf(detail, FBK_REASON_SIZE, "%s", link->cause);
		return -EPIPE;
	}
	if (link->sides[ACCEPTER].client) {
		snprintf(detail, FBK_REASON_SIZE, "%s has that link",
			 client_label(link->sides[ACCEPTER].client));
		return -EBUSY;
	}
	if (offerer->client == client) {
		snprintf(detail, FBK_REASON_SIZE, "a link to oneself needs no broker");
		return -ELOOP;
	}
	if (link->state->cause != FBK_CAUSE_NONE) {
		snprintf(detail, FBK_REASON_SIZE, "%s stopped that link",
			 client_label(offerer->client));
		return -EPIPE;
	}
	if ((int)link->producer == OFFERER && !lane_is_good(offerer)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "device %s, which offered that link, has broken it: it has to offer "
			 "another one",
			 offerer->device->name);
		return -EPIPE;
	}
	if (!offerer->device->client) {
		snprintf(detail, FBK_REASON_SIZE, "device %s, which offered that link, is gone",
			 offerer->device->name);
		return -EPIPE;
	}
	return 0;
}

static int accept_fill(struct link *link, struct client *client, const struct link_wish *wish,
		       char *detail)
{
	struct link_side *side = &link->sides[ACCEPTER];
	int r = link_route(link, link->sides[OFFERER].device, wish->device, detail);
	if (r == 0 && link->producer == OFFERER) {
		r = link_check_hold(link, wish->hold, detail);
	}
	if (r == 0) {
		r = link_make_claims(link, client->user);
	}
	if (r == 0) {
		r = side_fill(side, client, wish, link->producer == ACCEPTER);
	}
	if (r == 0) {
		r = link_join_formats(link, detail);
	}
	if (r < 0) {
		side_undo(side);
	}
	return r;
}

/* The offering end learns who could not accept, and why. */
static void link_tell_unfit(struct link *link, const struct client *client,
			    const struct device *device, const char *detail)
{
	snprintf(link->unfit, sizeof(link->unfit), "%s (pid %d, uid %u): %s", device->name,
		 client->credentials.pid, client->subject.uid, detail);
	link_changed(link);
}

int link_accept(struct link *link, struct client *client, const struct link_wish *wish,
		char *detail)
{
	if (link->sides[ACCEPTER].client == client) {
		return side_again(&link->sides[ACCEPTER], wish, detail);
	}
	int r = accept_check(link, client, detail);
	if (r == 0) {
		r = handle_number_check(client, wish->lane, detail);
	}
	if (r < 0) {
		return r;
	}
	r = accept_fill(link, client, wish, detail);
	if (r == -EOPNOTSUPP || r == -ENOBUFS) {
		link_tell_unfit(link, client, wish->device, detail);
	}
	if (r < 0) {
		return r;
	}
	timeline_set_end(link->state, 0, NULL);
	link->unfit[0] = '\0';
	link->epoch++;
	link->generation++;
	link->from = 0;
	link_changed(link);
	return 0;
}

enum fbk_link_phase link_phase(const struct link *link, int side)
{
	if (side < 0 || link->state->cause != FBK_CAUSE_NONE) {
		return FBK_PHASE_ENDED;
	}
	return !link->sides[ACCEPTER].client ? FBK_PHASE_OFFERED
	       : link->from == 0             ? FBK_PHASE_ACCEPTED
					     : FBK_PHASE_ESTABLISHED;
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
			 link->from ? "the producer has joined already" : "that consumer has left");
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

/* The pairing ends because of `by`: it left or died, or (`reason`) says why. What a consumer held comes back to its
 * producer later; what a producer takes back itself, at once. */
static void link_part(struct link *link, const struct client *by, enum fbk_cause cause, int error,
		      const char *reason)
{
	int side = link_side_of(link, by);
	link->error = error;
	snprintf(link->cause, sizeof(link->cause), "%s (pid %d, uid %u): %s",
		 link->sides[side].device->name, by->credentials.pid, by->subject.uid,
		 reason && reason[0]             ? reason
		 : cause == FBK_CAUSE_OWNER_DIED ? "it died or was disconnected"
						 : "it closed the link");
	if (side != (int)link->producer && !link->registry->ending) {
		link_hold(link, cause != FBK_CAUSE_OWNER_LEFT);
	}
	if (link->producer == ACCEPTER) {
		link_drop_buffers(link);
		link->depth = 0;
	}
	side_empty(&link->sides[ACCEPTER]);
	link->from = 0;
	link_changed(link);
}

void link_end(struct link *link, const struct client *by, int error, const char *reason)
{
	if (!link->sides[ACCEPTER].client) {
		return;
	}
	link_part(link, by, FBK_CAUSE_OWNER_LEFT, error, reason);
	if (link_side_of(link, by) == OFFERER) { /* the peer may ask only when the link is gone */
		timeline_set_end(link->state, link->error, link->cause);
	}
}

/* It leaves, or dies. Ends the link of an offerer, unless buffers are held. */
static void link_leave(struct link *link, const struct client *client, enum fbk_cause cause)
{
	const char *reason = cause == FBK_CAUSE_ADMIN ? "the administrator evicted it" : NULL;
	int side = link_side_of(link, client);
	if (side >= 0 && link->sides[ACCEPTER].client) {
		link_part(link, client, cause, cause_error(cause), reason);
	}
	if (side == OFFERER) {
		if ((int)link->producer == OFFERER || !link_has_holds(link)) {
			link_destroy(link); /* the peer sees the state timeline fail */
			return;
		}
		link->over = true;
		side_empty(&link->sides[OFFERER]);
	}
	link_drop_formats(link, client);
	link_holds_drop(link, client, UINT64_MAX);
	link_end_over(link);
}

static void device_leave(struct device *device, bool whole)
{
	struct link *link;
	if (device->link_ends == 0) {
		return;
	}
	LIST_FOREACH(link, &device->registry->links, links) {
		const struct link_side *offerer = &link->sides[OFFERER];
		bool ends = link->sides[ACCEPTER].device == device ||
			    (whole && offerer->device == device && link->sides[ACCEPTER].client);
		if (ends) {
			link_part(link, device->client, FBK_CAUSE_OWNER_LEFT, -EPIPE, NULL);
		}
	}
}

void links_leave(struct device *device)
{
	device_leave(device, true);
}

static void link_device_unregistered(struct device *device)
{
	device_leave(device, false);
}

uint32_t link_ends_of(const struct client *client)
{
	const struct device *device;
	uint32_t ends = 0;
	LIST_FOREACH(device, &client->devices, client_links) {
		ends += device->link_ends;
	}
	return ends;
}

/* Before its handles are closed: what it held is told by its lanes and timelines. */
static void link_client_ended(struct client *client, enum fbk_cause cause)
{
	struct link *link, *next;
	if (link_ends_of(client) > 0) {
		LIST_FOREACH_SAFE(link, &client->registry->links, links, next) {
			if (link_side_of(link, client) >= 0) {
				link_leave(link, client, cause);
			}
		}
	}
	while ((link = link_held_for(client))) {
		link_holds_drop(link, client, UINT64_MAX);
		link_end_over(link);
	}
}

static void link_handle_closed(struct handle *handle, enum fbk_cause cause)
{
	struct link *link = link_of(handle);
	if (link) {
		link_leave(link, handle->client, cause);
	}
}

const struct observer link_observer = {
	.client_ended = link_client_ended,
	.handle_closed = link_handle_closed,
	.device_unregistered = link_device_unregistered,
};

void link_lane_mapped(const struct handle *lane)
{
	struct link *link;
	LIST_FOREACH(link, &lane->client->registry->links, links) {
		const struct link_side *accepter = &link->sides[ACCEPTER];
		if (link_line_handle(accepter, &accepter->lane) == lane) {
			link_changed(link); /* the offerer's is there before any peer */
		}
	}
}

struct timeline *link_lane(const struct link_side *side)
{
	const struct handle *lane = link_line_handle(side, &side->lane);
	return lane && lane->timeline->set ? lane->timeline : NULL;
}

struct claim_page link_claims(const struct link *link)
{
	return (struct claim_page){ link->claims->memory, page_header_size(FBK_PAGE_CLAIM),
				    page_stride(FBK_PAGE_CLAIM) };
}

uint64_t lane_value(const struct timeline *lane)
{
	/* acquire: the table as it was when that was said */
	return atomic_load_explicit(&timeline_payload(lane)->payload, memory_order_acquire) &
	       ~FBK_POISON;
}
