// SPDX-License-Identifier: MIT
/* The buffers of a link: the daemon keeps an fd of each plane as long as a buffer may be in use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "proto/index-mask.h"
#include "received.h"

void link_memory_unref(struct link_memory *memory)
{
	if (!memory || --memory->refs > 0) {
		return;
	}
	closer_close_all(&memory->registry->closer, memory->fds, memory->fd_count);
	charge_release(&memory->charge);
	free(memory);
}

/* Takes the fds when it succeeds. */
static int memory_create(struct link *link, struct user *user, const struct link_buffer *buffer,
			 struct link_memory **ret_memory)
{
	struct link_memory *memory = calloc(1, sizeof(*memory));
	if (!memory) {
		return -ENOMEM;
	}
	int r = charge_take(&memory->charge, user, ACCOUNT_FDS, buffer->fd_count);
	if (r < 0) {
		free(memory);
		return r;
	}
	memory->refs = 1;
	memory->registry = link->registry;
	memory->fd_count = buffer->fd_count;
	memcpy(memory->fds, buffer->fds, sizeof(memory->fds));
	*ret_memory = memory;
	return 0;
}

static void buffer_drop(struct link_buffer *buffer)
{
	link_memory_unref(buffer->owner);
	*buffer = (struct link_buffer){ 0 };
}

void link_drop_buffers(struct link *link)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_drop(&link->buffers[i]);
	}
}

static int planes_check(const struct link *link, uint32_t index, const struct link_buffer *buffer,
			char *detail)
{
	if (buffer->plane_count == 0 || buffer->plane_count > FBK_PLANES_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u: a buffer has 1 to %d planes", index,
			 FBK_PLANES_MAX);
		return -EINVAL;
	}
	if (buffer->fd_count > buffer->plane_count) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u: %u fds for %u planes", index,
			 buffer->fd_count, buffer->plane_count);
		return -EINVAL;
	}
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < buffer->fd_count; i++) {
		r = received_buffer(link->registry, buffer->fds[i], buffer->memory, index, detail);
	}
	return r;
}

enum fbk_visibility link_visibility(const struct link *link, const struct device *producer)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (link->buffers[i].visibility == FBK_VISIBILITY_FLUSH &&
		    producer->visibility == FBK_VISIBILITY_ORDERED) {
			return FBK_VISIBILITY_FLUSH;
		}
	}
	return producer->visibility;
}

/* The route was chosen without it: a buffer whose data has to be read back needs a process of the consumer's. */
static int visibility_check(const struct link *link, uint32_t index,
			    const struct link_buffer *buffer, char *detail)
{
	const struct device *producer = link->sides[link->producer].device;
	const struct device *consumer = link->sides[!link->producer].device;
	struct route_choice choice;
	if (buffer->visibility > FBK_VISIBILITY_IRQ) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u: %u is not a visibility", index,
			 buffer->visibility);
		return -EINVAL;
	}
	if (buffer->visibility != FBK_VISIBILITY_FLUSH || !link_has_peer(link) ||
	    producer->visibility != FBK_VISIBILITY_ORDERED) {
		return 0;
	}
	device_choose_route(producer, consumer, ROUTE_ACQUIRE, FBK_VISIBILITY_FLUSH, &choice);
	if (choice.route == link->acquire.route) {
		return 0;
	}
	snprintf(detail, FBK_REASON_SIZE,
		 "buffer %u has to be read back before its data is visible, and %s waits by %s",
		 index, consumer->name, route_name(link->acquire.route));
	return -ENOTSUP;
}

static int buffer_check(const struct link *link, uint32_t index, const struct link_buffer *buffer,
			char *detail)
{
	if (index >= FBK_BUFFERS_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u: an exchange has at most %d, from 0",
			 index, FBK_BUFFERS_MAX);
		return -EINVAL;
	}
	bool there = link->buffers[index].fd_count > 0;
	if (buffer->fd_count == 0) {
		if (!there) {
			snprintf(detail, FBK_REASON_SIZE, "there is no buffer %u", index);
		}
		return there ? 0 : -ENOENT;
	}
	if (there) {
		snprintf(detail, FBK_REASON_SIZE, "there is a buffer %u: remove it first", index);
		return -EEXIST;
	}
	int r = planes_check(link, index, buffer, detail);
	return r < 0 ? r : visibility_check(link, index, buffer, detail);
}

static uint32_t buffer_count(const struct link *link)
{
	return (uint32_t)__builtin_popcountll(link_buffers(link));
}

static int buffer_add(struct link *link, struct user *user, uint32_t index,
		      const struct link_buffer *buffer, char *detail)
{
	struct link_buffer added = *buffer;
	int r = link_match_format(link, &added, index, detail);
	if (r == 0) {
		r = memory_create(link, user, &added, &added.owner);
	}
	if (r == 0) {
		link->buffers[index] = added;
		uint32_t count = buffer_count(link);
		link->pool = count > link->pool ? count : link->pool;
	}
	return r;
}

int link_set_buffer(struct link *link, const struct client *client, uint32_t index,
		    const struct link_buffer *buffer, char *detail)
{
	if (link->sides[link->producer].client != client) {
		snprintf(detail, FBK_REASON_SIZE, "buffers are the producer's");
		return -EPERM;
	}
	int r = buffer_check(link, index, buffer, detail);
	if (r < 0) {
		return r;
	}
	if (buffer->fd_count == 0) {
		buffer_drop(&link->buffers[index]);
		link_holds_drop(link, client, index_bit(index));
	} else {
		r = buffer_add(link, client->user, index, buffer, detail);
	}
	if (r == 0) {
		link->generation++;
		link_changed(link);
	}
	return r;
}

/* ---------------------------------------------------------------------------- what the consumer says -- */

static int import_check(const struct link *link, const struct client *client, uint32_t index,
			uint32_t generation, int error, char *detail)
{
	if (link->sides[!link->producer].client != client) {
		snprintf(detail, FBK_REASON_SIZE, "only the consumer accepts buffers");
		return -EPERM;
	}
	if (error > 0 || error < -4095) {
		snprintf(detail, FBK_REASON_SIZE, "%d is not 0 or a negative errno", error);
		return -EINVAL;
	}
	if (index >= FBK_BUFFERS_MAX || link->buffers[index].fd_count == 0) {
		snprintf(detail, FBK_REASON_SIZE, "there is no buffer %u", index);
		return -ENOENT;
	}
	if (link->buffers[index].generation != generation) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u is of generation %u, not %u", index,
			 link->buffers[index].generation, generation);
		return -ESTALE;
	}
	if (link->buffers[index].imported == LINK_BUFFER_REFUSED) {
		snprintf(detail, FBK_REASON_SIZE, "buffer %u was refused already", index);
		return -EALREADY;
	}
	return 0;
}

int link_accept_buffer(struct link *link, const struct client *client, uint32_t index,
		       uint32_t generation, int error, char *detail)
{
	int r = import_check(link, client, index, generation, error, detail);
	if (r < 0) {
		return r;
	}
	struct link_buffer *buffer = &link->buffers[index];
	enum link_imported imported = error < 0 ? LINK_BUFFER_REFUSED : LINK_BUFFER_ACCEPTED;
	if (buffer->imported == imported) {
		return 0;
	}
	buffer->imported = imported;
	if (error < 0) {
		link_refuse_format(link, buffer, error);
		link->generation++;
	}
	link_changed(link);
	return 0;
}

uint64_t link_buffers(const struct link *link)
{
	uint64_t mask = 0;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		mask |= link->buffers[i].fd_count > 0 ? index_bit(i) : 0;
	}
	return mask;
}

uint64_t link_buffers_imported(const struct link *link, enum link_imported imported)
{
	uint64_t mask = 0;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		bool there = link->buffers[i].fd_count > 0;
		mask |= there && link->buffers[i].imported == imported ? index_bit(i) : 0;
	}
	return mask;
}

/* ------------------------------------------------------------------------------------------- counts -- */

static int counts_check(uint32_t hold, uint32_t depth, uint32_t count, char *detail)
{
	/* without a depth there is no sum, and before the first buffer nothing is known of their number */
	if (depth == 0 || count == 0 || (hold <= count && depth <= count - hold)) {
		return 0;
	}
	snprintf(detail, FBK_REASON_SIZE,
		 "the consumer holds %u frames, and %u more are offered: the producer has %u "
		 "buffers",
		 hold, depth, count);
	return -ENOBUFS;
}

int link_check_hold(const struct link *link, uint32_t hold, char *detail)
{
	return counts_check(hold, link->depth, link->pool, detail);
}

int link_set_depth(struct link *link, const struct client *client, uint32_t depth, char *detail)
{
	if (link->sides[link->producer].client != client) {
		snprintf(detail, FBK_REASON_SIZE, "the depth is the producer's");
		return -EPERM;
	}
	if (depth > FBK_BUFFERS_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "a depth of %u: at most %d", depth,
			 FBK_BUFFERS_MAX);
		return -EINVAL;
	}
	uint32_t count = buffer_count(link);
	int r = counts_check(link->sides[!link->producer].hold, depth, count, detail);
	if (r == 0) {
		link->depth = depth;
		link->pool = count;
	}
	return r;
}
