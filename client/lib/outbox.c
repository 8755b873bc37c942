// SPDX-License-Identifier: MIT
#include "outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "proto/fd.h"
#include "proto/wire.h"

struct outbox_entry {
	TAILQ_ENTRY(outbox_entry) links;
	uint64_t serial;
	bool bounded;
	outbox_sent_fn *sent;
	void *arg;
	size_t fd_count, size;
	int *fds;
	uint8_t bytes[];
};

void outbox_init(struct outbox *outbox)
{
	pthread_mutex_init(&outbox->lock, NULL);
	TAILQ_INIT(&outbox->entries);
}

void outbox_finish(struct outbox *outbox)
{
	pthread_mutex_destroy(&outbox->lock);
}

bool outbox_waits(const struct outbox *outbox)
{
	/* acquire: after the guard was woken for it, or a hint */
	return atomic_load_explicit(&outbox->waits, memory_order_acquire);
}

static void entry_free(struct outbox_entry *entry)
{
	for (size_t i = 0; i < entry->fd_count; i++) {
		fd_close(entry->fds[i]);
	}
	free(entry->fds);
	free(entry);
}

static int entry_take_fds(struct outbox_entry *entry, const struct packet *packet)
{
	entry->fds = packet->fd_count > 0 ? calloc(packet->fd_count, sizeof(int)) : NULL;
	if (packet->fd_count > 0 && !entry->fds) {
		return -ENOMEM;
	}
	for (; entry->fd_count < packet->fd_count; entry->fd_count++) {
		int fd = fcntl(packet->fds[entry->fd_count], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			return -errno;
		}
		entry->fds[entry->fd_count] = fd;
	}
	return 0;
}

static int entry_create(const struct packet *packet, struct outbox_entry **ret_entry)
{
	struct outbox_entry *entry = calloc(1, sizeof(*entry) + packet->size);
	if (!entry) {
		return -ENOMEM;
	}
	entry->serial = packet->serial;
	entry->bounded = packet->room == PACKET_BOUNDED;
	entry->sent = packet->sent;
	entry->arg = packet->arg;
	entry->size = packet->size;
	memcpy(entry->bytes, packet->bytes, packet->size);
	int r = entry_take_fds(entry, packet);
	if (r < 0) {
		entry_free(entry);
		return r;
	}
	*ret_entry = entry;
	return 0;
}

/* All three under the lock. */

static void entry_append(struct outbox *outbox, struct outbox_entry *entry)
{
	TAILQ_INSERT_TAIL(&outbox->entries, entry, links);
	outbox->requests += entry->bounded;
	outbox->fds += entry->bounded ? entry->fd_count : 0;
	/* release: see outbox_waits */
	atomic_store_explicit(&outbox->waits, true, memory_order_release);
}

static void entry_remove(struct outbox *outbox, struct outbox_entry *entry)
{
	TAILQ_REMOVE(&outbox->entries, entry, links);
	outbox->requests -= entry->bounded;
	outbox->fds -= entry->bounded ? entry->fd_count : 0;
	/* release: see outbox_waits */
	atomic_store_explicit(&outbox->waits, !TAILQ_EMPTY(&outbox->entries), memory_order_release);
}

static int room_check(const struct outbox *outbox, const struct packet *packet)
{
	if (packet->room == PACKET_NOW) {
		return -EAGAIN;
	}
	if (packet->room == PACKET_BOUNDED && (outbox->requests >= OUTBOX_REQUESTS_MAX ||
					       outbox->fds + packet->fd_count > OUTBOX_FDS_MAX)) {
		return error_set(-EAGAIN,
				 "the daemon takes no requests, and %zu with %zu file descriptors "
				 "wait for it",
				 outbox->requests, outbox->fds);
	}
	return 0;
}

/* -EAGAIN: no room. -ENOBUFS: ETOOMANYREFS says that as many fds as the limit of open files allows are on their way in
 * sockets of this user. */
static int socket_send(const struct outbox *outbox, const void *bytes, size_t size, const int *fds,
		       size_t fd_count)
{
	int r = wire_send(outbox->socket, bytes, size, fds, fd_count);
	return r == -ETOOMANYREFS || r == -ENOMEM ? -ENOBUFS : r == -ECONNRESET ? -EPIPE : r;
}

/* Under the lock. */
static int packet_wait(struct outbox *outbox, const struct packet *packet)
{
	struct outbox_entry *entry = NULL;
	int r = room_check(outbox, packet);
	if (r == 0 && (TAILQ_EMPTY(&outbox->entries) || !outbox->begun)) {
		outbox->begun = outbox->begin(outbox) == 0;
	}
	if (r == 0 && !outbox->begun && packet->room == PACKET_BOUNDED) {
		r = error_set(-EAGAIN, "the daemon takes no requests, and no thread can be started "
				       "that sends them later");
	}
	if (r == 0) {
		r = entry_create(packet, &entry);
	}
	if (r < 0) {
		return r;
	}
	entry_append(outbox, entry);
	return 1;
}

int outbox_put(struct outbox *outbox, const struct packet *packet)
{
	pthread_mutex_lock(&outbox->lock);
	int r = TAILQ_EMPTY(&outbox->entries) ? socket_send(outbox, packet->bytes, packet->size,
							    packet->fds, packet->fd_count)
					      : -EAGAIN;
	if (r == -EAGAIN || r == -ENOBUFS) {
		r = packet_wait(outbox, packet);
	}
	pthread_mutex_unlock(&outbox->lock);
	return r;
}

static void entry_done(struct outbox_entry *entry, int result)
{
	if (entry->sent) {
		entry->sent(entry->arg, result);
	}
	entry_free(entry);
}

int outbox_flush(struct outbox *outbox)
{
	for (;;) {
		pthread_mutex_lock(&outbox->lock);
		struct outbox_entry *entry = TAILQ_FIRST(&outbox->entries);
		int r = entry ? socket_send(outbox, entry->bytes, entry->size, entry->fds,
					    entry->fd_count)
			      : 0;
		bool full = r == -EAGAIN || r == -ENOBUFS;
		if (entry && !full) {
			entry_remove(outbox, entry);
		}
		pthread_mutex_unlock(&outbox->lock);
		if (!entry || full) {
			return r;
		}
		entry_done(entry, r);
	}
}

void outbox_withdraw(struct outbox *outbox, uint64_t serial)
{
	struct outbox_entry *entry;
	pthread_mutex_lock(&outbox->lock);
	TAILQ_FOREACH(entry, &outbox->entries, links) {
		if (entry->serial == serial) {
			entry_remove(outbox, entry);
			break;
		}
	}
	pthread_mutex_unlock(&outbox->lock);
	if (entry) {
		entry_free(entry);
	}
}

void outbox_drop(struct outbox *outbox, int error)
{
	struct outbox_entry *entry;
	do {
		pthread_mutex_lock(&outbox->lock);
		entry = TAILQ_FIRST(&outbox->entries);
		if (entry) {
			entry_remove(outbox, entry);
		}
		pthread_mutex_unlock(&outbox->lock);
		if (entry) {
			entry_done(entry, error);
		}
	} while (entry);
}
