// SPDX-License-Identifier: MIT
/*
 * Buffers that a consumer held when it left or died. The producer gets none of them back before nobody reads it:
 *   - the consumer died, or its session ended while it lives: its process is gone, which its pidfd says. The hang-up of
 *     its socket comes earlier in do_exit, while drivers still run.
 *   - after that, or when it left by itself: the fences in the dma-buf as they are then have signalled, and those that
 *     it attached to the buffer's release.
 * No deadline frees a buffer. Until then the daemon keeps the buffer's fds, and its release timelines stay undecided.
 * A holder is made with the consumer's end of a link, so that nothing can fail when the consumer ends; then it is on
 * the registry's list. Loop's thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arm.h"
#include "daemon/base/clock.h"
#include "daemon/base/process.h"
#include "link-table.h"
#include "proto/container.h"
#include "proto/index-mask.h"
#include "proto/ioctl.h"
#include "proto/sync-file.h"

#define AGAIN_NS NS_PER_S /* after an error */

/* One buffer. */
struct link_hold {
	struct link_holder *holder;
	struct link_memory *memory; /* counted */
	uint32_t next;              /* of its fds: those before it have no fences any more */
	int fence;                  /* sync_file of that fd; -1: none */
	struct event *signalled;
	struct charge charge;
	struct timeline *release[2]; /* kept: in memory, brokered; NULL: decided */
	struct arm imports;          /* on the brokered one */
};

struct link_holder {
	LIST_ENTRY(link_holder) links; /* of the registry, once the consumer has ended */
	struct link *link;
	struct client *producer; /* whose buffers these are */
	int pidfd;
	bool died;                      /* its process may still use the buffers */
	char label[FBK_NAME_SIZE + 32]; /* for people */
	struct event *exited;
	struct wheel_timer look; /* again: something fired, or there was no memory, or no fd */
	struct charge fds;
	uint64_t held; /* mask of `holds` */
	struct link_hold holds[FBK_BUFFERS_MAX];
};

/* Later in this turn: who calls may be in the middle of a timeline. */
static void holder_look_soon(struct link_holder *holder, uint64_t within_ns)
{
	loop_arm(&holder->link->registry->loop, &holder->look, clock_now_ns() + within_ns);
}

static void holder_exited(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	holder_look_soon(arg, 0);
}

static void hold_signalled(evutil_socket_t fd, short what, void *arg)
{
	struct link_hold *hold = arg;
	(void)fd;
	(void)what;
	holder_look_soon(hold->holder, 0);
}

static void hold_imported(struct arm *arm, struct timeline *timeline, int result)
{
	struct link_hold *hold = container_of(arm, struct link_hold, imports);
	(void)timeline;
	(void)result;
	holder_look_soon(hold->holder, 0);
}

/* ------------------------------------------------------------------------ the fences of one buffer -- */

static bool is_dmabuf(const struct link_hold *hold, int fd)
{
	char found[64];
	int kind;
	return classify_fd(&hold->memory->registry->classifier, fd, &kind, found, sizeof(found)) ==
		       0 &&
	       kind == FBK_FENCE_DMA_BUF_IMPLICIT;
}

/* 0, or what kept the kernel from saying; -ENOENT: there are no fences. */
static int hold_export(struct link_hold *hold)
{
	int fd = hold->memory->fds[hold->next];
	struct dma_buf_export_sync_file request = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	struct pollfd all = { .fd = fd, .events = POLLOUT };
	if (!is_dmabuf(hold, fd)) {
		return -ENOENT;
	}
	int r = charge_take(&hold->charge, hold->memory->charge.user, ACCOUNT_FDS, 1);
	if (r < 0) {
		return r;
	}
	if (ioctl_again(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) < 0) {
		r = -errno;
		charge_release(&hold->charge);
		/* before Linux 6.0: ask again and again */
		return r == -ENOTTY && poll(&all, 1, 0) == 1 && all.revents & POLLOUT ? -ENOENT : r;
	}
	hold->fence = request.fd;
	return 0;
}

static void hold_close_fence(struct link_hold *hold)
{
	event_drop(hold->signalled);
	hold->signalled = NULL;
	if (hold->fence >= 0) {
		close(hold->fence); /* our own sync_file */
		hold->fence = -1;
	}
	charge_release(&hold->charge);
}

/* 0 once the fence has signalled, with or without an error: then its device is done. */
static int hold_follow(struct link_hold *hold)
{
	if (sync_file_state(hold->fence) != FENCE_PENDING) {
		hold_close_fence(hold);
		return 0;
	}
	if (!hold->signalled) {
		hold->signalled = loop_listen(&hold->memory->registry->loop, hold->fence,
					      EV_READ | EV_ET | EV_PERSIST, PRIORITY_FENCE,
					      hold_signalled, hold);
	}
	return hold->signalled ? -EAGAIN : -ENOMEM;
}

/* 0 once those of all its fds have. */
static int hold_fences(struct link_hold *hold)
{
	while (hold->next < hold->memory->fd_count) {
		int r = hold->fence >= 0 ? 0 : hold_export(hold);
		if (r == 0) {
			r = hold_follow(hold);
		}
		if (r < 0 && r != -ENOENT) {
			return r;
		}
		hold->next++;
	}
	return 0;
}

static bool timeline_follows(const struct timeline *timeline)
{
	return timeline && timeline->cause == FBK_CAUSE_NONE && timeline->brokered &&
	       !TAILQ_EMPTY(&timeline->brokered->sources);
}

/* 0 once those that the consumer attached have. */
static int hold_imports(struct link_hold *hold)
{
	struct timeline *timeline = hold->release[1];
	if (!timeline_follows(timeline)) {
		return 0;
	}
	if (!hold->imports.timeline) {
		arm_add(&hold->imports, timeline, timeline->brokered->given);
	}
	return -EAGAIN;
}

static void hold_end(struct link_hold *hold)
{
	hold_close_fence(hold);
	arm_remove(&hold->imports);
	timeline_unkeep(hold->release[0]);
	timeline_unkeep(hold->release[1]);
	link_memory_unref(hold->memory);
	*hold = (struct link_hold){ .holder = hold->holder, .fence = -1 };
}

/* ------------------------------------------------------------------------------------ one holder -- */

static bool holder_runs(const struct link_holder *holder)
{
	return holder->died && process_runs(holder->pidfd);
}

static bool holder_awaits_exit(struct link_holder *holder)
{
	if (!holder_runs(holder)) {
		event_drop(holder->exited);
		holder->exited = NULL;
		return false;
	}
	if (!holder->exited) {
		holder->exited =
			loop_listen(&holder->link->registry->loop, holder->pidfd,
				    EV_READ | EV_PERSIST, PRIORITY_REQUEST, holder_exited, holder);
	}
	if (!holder->exited) {
		holder_look_soon(holder, AGAIN_NS);
	}
	return true;
}

static void holder_free_all(struct link_holder *holder, uint64_t mask)
{
	uint32_t index;
	FOREACH_INDEX(index, mask) {
		hold_end(&holder->holds[index]);
	}
	holder->held &= ~mask;
}

/* It holds nothing any more. */
static void holder_end(struct link_holder *holder)
{
	struct timeline *state = holder->link->state;
	struct link *link = holder->link;
	LIST_REMOVE(holder, links);
	link_holder_destroy(holder);
	link_holds_changed(link);
	timeline_unkeep(state);
}

static void holder_look(struct link_holder *holder)
{
	uint64_t over = 0;
	uint32_t index;
	bool failed = false;
	if (holder_awaits_exit(holder)) {
		return;
	}
	FOREACH_INDEX(index, holder->held) {
		int r = hold_fences(&holder->holds[index]);
		if (r == 0) {
			r = hold_imports(&holder->holds[index]);
		}
		over |= r == 0 ? index_bit(index) : 0;
		failed |= r < 0 && r != -EAGAIN;
	}
	if (failed) {
		holder_look_soon(holder, AGAIN_NS);
	}
	holder_free_all(holder, over);
	if (!holder->held) {
		holder_end(holder);
	} else if (over) {
		link_holds_changed(holder->link);
	}
}

static void holder_look_again(struct wheel_timer *timer)
{
	holder_look(container_of(timer, struct link_holder, look));
}

int link_holder_create(const struct client *consumer, struct link_holder **ret_holder)
{
	struct link_holder *holder = calloc(1, sizeof(*holder));
	if (!holder) {
		return -ENOMEM;
	}
	int r = charge_take(&holder->fds, consumer->user, ACCOUNT_FDS, 1);
	if (r < 0) {
		free(holder);
		return r;
	}
	holder->look.fire = holder_look_again;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		holder->holds[i] = (struct link_hold){ .holder = holder, .fence = -1 };
	}
	holder->pidfd = fcntl(consumer->credentials.pidfd, F_DUPFD_CLOEXEC, 0);
	if (holder->pidfd < 0) {
		r = -errno;
		link_holder_destroy(holder);
		return r;
	}
	*ret_holder = holder;
	return 0;
}

void link_holder_destroy(struct link_holder *holder)
{
	if (!holder) {
		return;
	}
	if (holder->link) {
		loop_disarm(&holder->link->registry->loop, &holder->look);
	}
	event_drop(holder->exited);
	if (holder->pidfd >= 0) {
		close(holder->pidfd);
	}
	charge_release(&holder->fds);
	free(holder);
}

/* --------------------------------------------------------------------------- the consumer ends -- */

/* The consumer's own timeline of that number, if it may still decide a release. */
static struct timeline *release_line(const struct link_side *consumer, uint32_t number)
{
	const struct handle *handle = link_line_handle(consumer, &consumer->points[number].line);
	struct timeline *timeline = handle ? handle->timeline : NULL;
	if (!timeline || timeline_signaler(timeline) != consumer->client) {
		return NULL; /* not its own: it may not keep it */
	}
	timeline_refresh(timeline);
	return timeline->cause == FBK_CAUSE_NONE ? timeline : NULL;
}

/* The release in memory is undecided if the last return says so; the brokered one if it follows a fence, of the last
 * return or of one before. */
static void hold_find_releases(const struct link *link, uint32_t index, struct timeline *ret[2])
{
	const struct link_side *consumer = &link->sides[!link->producer];
	struct lane_return back;
	ret[0] = release_line(consumer, 1 + 2 * index);
	ret[1] = release_line(consumer, 2 + 2 * index);
	if (ret[0] && (!link_last_return(link, index, &back) || back.kind != FBK_RELEASE_MEMORY ||
		       timeline_point_state(ret[0], back.value) != -EAGAIN)) {
		ret[0] = NULL;
	}
	if (!timeline_follows(ret[1])) {
		ret[1] = NULL;
	}
}

/* What is offered is taken from it: it may live, and map the claims. */
static bool link_taken(struct link *link, uint32_t index)
{
	struct claim_page claims = link_claims(link);
	struct link_place_of place;
	link_place(link, index, &place);
	if (place.place == LINK_OFFERED && claim_retract(&claims, index, place.sequence)) {
		return false;
	}
	/* Taken meanwhile; or the word is nonsense, and to hold it is safe. */
	link_place(link, index, &place);
	return place.place != LINK_AT_PRODUCER;
}

static void hold_begin(struct link_holder *holder, uint32_t index, struct timeline *release[2])
{
	struct link_hold *hold = &holder->holds[index];
	hold->memory = holder->link->buffers[index].owner;
	hold->memory->refs++;
	hold->imports.done = hold_imported;
	for (int i = 0; i < 2; i++) {
		hold->release[i] = release[i];
		if (release[i]) {
			timeline_keep(release[i]);
		}
	}
	holder->held |= index_bit(index);
}

void link_hold(struct link *link, bool died)
{
	struct link_side *consumer = &link->sides[!link->producer];
	struct link_holder *holder = consumer->holder;
	holder->link = link;
	for (uint32_t index = 0; index < FBK_BUFFERS_MAX; index++) {
		struct timeline *release[2];
		if (!link->buffers[index].owner) {
			continue;
		}
		hold_find_releases(link, index, release);
		if (link_taken(link, index) || release[0] || release[1]) {
			hold_begin(holder, index, release);
		}
	}
	if (!holder->held) {
		return;
	}
	consumer->holder = NULL;
	holder->died = died;
	holder->producer = link->sides[link->producer].client;
	snprintf(holder->label, sizeof(holder->label), "%s (pid %d)", consumer->device->name,
		 consumer->client->credentials.pid);
	LIST_INSERT_HEAD(&link->registry->holders, holder, links);
	timeline_keep(link->state);
	holder_look(holder);
}

/* ------------------------------------------------------------------------- what the producer knows -- */

uint64_t link_held(const struct link *link, const struct client *producer)
{
	const struct link_holder *holder;
	uint64_t mask = 0;
	LIST_FOREACH(holder, &link->registry->holders, links) {
		if (holder->link == link && holder->producer == producer) {
			mask |= holder->held;
		}
	}
	return mask;
}

const char *link_holder_label(const struct link *link, uint32_t index)
{
	const struct link_holder *holder;
	LIST_FOREACH(holder, &link->registry->holders, links) {
		if (holder->link == link && holder->held & index_bit(index)) {
			return holder->label;
		}
	}
	return NULL;
}

bool link_has_holds(const struct link *link)
{
	const struct link_holder *holder;
	LIST_FOREACH(holder, &link->registry->holders, links) {
		if (holder->link == link) {
			return true;
		}
	}
	return false;
}

struct link *link_held_for(const struct client *producer)
{
	const struct link_holder *holder;
	LIST_FOREACH(holder, &producer->registry->holders, links) {
		if (holder->producer == producer) {
			return holder->link;
		}
	}
	return NULL;
}

/* Who has the memory keeps it: it does not come back to anybody. */
void link_holds_drop(struct link *link, const struct client *producer, uint64_t mask)
{
	struct link_holder *holder, *next;
	struct timeline *state = link->state;
	LIST_FOREACH_SAFE(holder, &link->registry->holders, links, next) {
		if (holder->link != link || (producer && holder->producer != producer)) {
			continue;
		}
		holder_free_all(holder, holder->held & mask);
		if (!holder->held) {
			LIST_REMOVE(holder, links);
			link_holder_destroy(holder);
			timeline_unkeep(state);
		}
	}
}
