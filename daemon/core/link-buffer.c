// SPDX-License-Identifier: MIT
/* The buffers of a link: the daemon keeps an fd of each plane as long as a buffer may be in use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
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
		r = received_buffer(link->registry, buffer->fds[i], index, detail);
	}
	return r;
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
	return planes_check(link, index, buffer, detail);
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
		link_holds_drop(link, client, UINT64_C(1) << index);
	} else {
		struct link_memory *memory;
		r = memory_create(link, client->user, buffer, &memory);
		if (r == 0) {
			link->buffers[index] = *buffer;
			link->buffers[index].owner = memory;
		}
	}
	if (r == 0) {
		link->generation++;
	}
	return r;
}
