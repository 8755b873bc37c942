// SPDX-License-Identifier: MIT
#include "request.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "error.h"
#include "proto/fd.h"
#include "proto/wire.h"

#define REQUEST_SIZE_MAX (FBK_FORMAT_DATA_MAX + 512) /* LinkFormat, with its data */
#define UNHEARD_SERIAL   (UINT64_C(1) << 62)         /* of all quiet requests */
#define DRAIN_LOOK_MS    10 /* at a daemon that takes nothing since its replies are not read */

/* On the stack of the thread that waits; of a posted request, on the heap. */
struct pending {
	LIST_ENTRY(pending) links;
	uint64_t serial;
	bool done;
	struct reply reply;
	posted_fn *posted; /* NULL: a thread waits */
	void *arg;
};

void reply_finish(struct reply *reply)
{
	for (size_t i = 0; i < reply->fd_count; i++) {
		if (reply->fds[i] >= 0) {
			fd_close(reply->fds[i]);
		}
	}
	if (reply->message) {
		fbk__wire__message__free_unpacked(reply->message, NULL);
	}
	*reply = (struct reply){ 0 };
}

static struct pending *pending_find(struct fbk_context *context, uint64_t serial)
{
	struct pending *pending;
	LIST_FOREACH(pending, &context->pendings, links) {
		if (pending->serial == serial && !pending->done) {
			return pending;
		}
	}
	return NULL;
}

static void packet_close(const struct wire_packet *packet)
{
	for (size_t i = 0; i < packet->fd_count; i++) {
		fd_close(packet->fds[i]);
	}
}

/* The reply of a posted request. */
static void posted_done(struct pending *pending)
{
	LIST_REMOVE(pending, links);
	pending->posted(pending->arg, &pending->reply);
	reply_finish(&pending->reply);
	free(pending);
}

/* What every message that is about the whole context does, in the order in which they came. */
static void message_heed(struct fbk_context *context, const Fbk__Wire__Message *message)
{
	/* relaxed, all of these: they publish nothing else */
	if (message->body_case == FBK__WIRE__MESSAGE__BODY_WELCOME) {
		atomic_store_explicit(&context->features, message->welcome->features,
				      memory_order_relaxed);
	} else if (message->serial != 0) {
		return;
	} else if (message->body_case == FBK__WIRE__MESSAGE__BODY_FEATURES) {
		atomic_store_explicit(&context->features, message->features->features,
				      memory_order_relaxed);
		context_rouse(context);
	} else if (message->body_case == FBK__WIRE__MESSAGE__BODY_STOPPING) {
		atomic_store_explicit(&context->stopping, true, memory_order_relaxed);
		context_rouse(context);
	}
}

static void packet_pass_on(struct fbk_context *context, const struct wire_packet *packet)
{
	Fbk__Wire__Message *message = fbk__wire__message__unpack(NULL, packet->size, packet->bytes);
	if (message) {
		message_heed(context, message);
	}
	struct pending *pending = message ? pending_find(context, message->serial) : NULL;
	if (!pending || packet->fd_count > REPLY_FDS_MAX) {
		packet_close(packet); /* an event, or its request timed out */
		if (message) {
			context->event(context, message);
			fbk__wire__message__free_unpacked(message, NULL);
		}
		return;
	}
	pending->reply.message = message;
	pending->reply.fd_count = packet->fd_count;
	memcpy(pending->reply.fds, packet->fds, packet->fd_count * sizeof(int));
	if (pending->posted) {
		posted_done(pending);
		return;
	}
	pending->done = true;
	pthread_cond_broadcast(&context->answered);
}

/* No more can be read, for a reason that lies here: the connection is over. Under the mutex. */
static void context_break(struct fbk_context *context, const char *call, int error)
{
	if (error < 0 && !context_closed(context)) {
		context->broken_call = call;
		context->broken_error = error;
	}
	context_lose(context);
}

static int context_broken(const struct fbk_context *context)
{
	return context->broken_call ? error_of_call(context->broken_call, context->broken_error)
				    : error_lost();
}

void request_read(struct fbk_context *context)
{
	while (!context_closed(context)) {
		bool over = context_lost(context); /* then all that the daemon sent is there */
		int r = wire_receive(context->socket, context->packet);
		if (r == -EAGAIN && !over) {
			return;
		}
		r = r == -EAGAIN ? 0 : r;
		if (r <= 0 && r != -EMFILE) { /* of -EMFILE the waiting thread learns: fds lack */
			packet_close(context->packet);
			context_break(context, "recvmsg", r);
			return;
		}
		packet_pass_on(context, context->packet);
	}
}

static int remaining_ms(uint64_t deadline)
{
	uint64_t now = now_ns();
	uint64_t left = now >= deadline ? 0 : (deadline - now) / 1000000 + 1;
	return left < INT_MAX ? (int)left : INT_MAX;
}

/* Wait until this thread, or the one that reads, has read something, or was woken to look whether it waits still. Under the
 * mutex. */
static void request_wait(struct fbk_context *context, uint64_t deadline)
{
	if (context_closed(context)) {
		return;
	}
	if (context->reading) {
		struct timespec until = timespec_of(deadline);
		int before = cancelling_hold();
		pthread_cond_timedwait(&context->answered, &context->mutex, &until);
		cancelling_resume(before);
		return;
	}
	struct pollfd entries[] = {
		{ .fd = context->socket, .events = POLLIN },
		{ .fd = context->wake, .events = POLLIN },
	};
	context->reading = true;
	pthread_mutex_unlock(&context->mutex);
	int r = fd_poll(entries, 2, remaining_ms(deadline)) < 0 ? -errno : 0;
	pthread_mutex_lock(&context->mutex);
	if (r < 0 && r != -EINTR && r != -ENOMEM) {
		context_break(context, "ppoll", r);
	}
	if (entries[1].revents) {
		event_clear(context->wake);
	}
	request_read(context);
	context->reading = false;
	pthread_cond_broadcast(&context->answered); /* another thread may have to read on */
}

/* 0: it was sent, or waits in the outbox with nobody to hear of it. 1: it waits, and `sent` is called. */
static int request_put(struct fbk_context *context, Fbk__Wire__Request *request,
		       struct packet *packet)
{
	uint8_t bytes[REQUEST_SIZE_MAX];
	if (fbk__wire__request__get_packed_size(request) > sizeof(bytes)) {
		return error_set(-EMSGSIZE, "the request is longer than %d bytes",
				 REQUEST_SIZE_MAX);
	}
	packet->bytes = bytes;
	packet->size = fbk__wire__request__pack(request, bytes);
	packet->serial = request->serial;
	int r = outbox_put(&context->outbox, packet);
	return r == 1 && !packet->sent ? 0 : r;
}

int reply_check_fds(const struct reply *reply, size_t fds_wanted)
{
	if (reply->fd_count == fds_wanted) {
		return 0;
	}
	return error_set(reply->fd_count < fds_wanted ? -EMFILE : -EPROTO,
			 "the daemon's reply has %zu file descriptors, not %zu: the limit of open "
			 "files may be reached here",
			 reply->fd_count, fds_wanted);
}

static int reply_judge(struct reply *reply, size_t fds_wanted)
{
	int error = reply->message->error;
	if (error < 0) {
		error_set(error, "%s", reply->message->detail);
	} else if (fds_wanted != FDS_MAY_DIFFER) {
		error = reply_check_fds(reply, fds_wanted);
	}
	if (error < 0) {
		reply_finish(reply);
	}
	return error;
}

static _Thread_local uint64_t limit_ns = FBK_DEADLINE_MAX;

void request_limit(uint64_t deadline_ns)
{
	limit_ns = deadline_ns;
}

/* When a request that is sent now has to be answered. */
static uint64_t request_deadline(struct fbk_context *context, uint64_t timeout_ns)
{
	/* relaxed: publishes nothing else */
	uint64_t usual = atomic_load_explicit(&context->timeout_ns, memory_order_relaxed);
	uint64_t now = now_ns();
	uint64_t timeout = timeout_ns ? timeout_ns : usual;
	uint64_t deadline = timeout > FBK_DEADLINE_MAX - now ? FBK_DEADLINE_MAX : now + timeout;
	return deadline < limit_ns ? deadline : limit_ns;
}

static int request_late(uint64_t since_ns)
{
	return error_set(-ETIMEDOUT, "the daemon did not answer in %.3g seconds",
			 (double)(now_ns() - since_ns) / 1e9);
}

/* How long a request may take, and its fds. */
struct request_call {
	uint64_t timeout_ns; /* 0: as long as any */
	const int *fds;
	size_t fd_count, fds_wanted;
};

static int call_run(struct fbk_context *context, Fbk__Wire__Request *request,
		    const struct request_call *call, struct reply *ret_reply)
{
	struct pending pending = { 0 };
	uint64_t began = now_ns(), deadline = request_deadline(context, call->timeout_ns);
	int r = context_check(context);
	if (r == 0 && context_flushing(context)) {
		r = flushing_error();
	}
	if (r < 0) {
		return r;
	}
	if (deadline <= began) {
		return error_set(-ETIMEDOUT, "the deadline passed");
	}
	pthread_mutex_lock(&context->mutex);
	pending.serial = ++context->next_serial;
	request->serial = pending.serial;
	LIST_INSERT_HEAD(&context->pendings, &pending, links);
	pthread_mutex_unlock(&context->mutex);
	struct packet packet = { .fds = call->fds,
				 .fd_count = call->fd_count,
				 .room = PACKET_ALWAYS };
	r = request_put(context, request, &packet);
	if (r == -EPIPE) {
		r = 0; /* messages from before the hang-up can be read still */
	} else if (r < 0 && r != -EMSGSIZE) {
		r = error_of_call("sendmsg", r);
	}
	pthread_mutex_lock(&context->mutex);
	while (r == 0 && !pending.done) {
		bool late = now_ns() >= deadline;
		if (late) {
			request_read(context); /* however long this thread did not get the CPU */
		} else if (!context_flushing(context)) {
			request_wait(context, deadline);
		}
		if (!pending.done) {
			r = context_closed(context)     ? context_broken(context)
			    : context_flushing(context) ? flushing_error()
			    : late                      ? request_late(began)
							: 0;
		}
	}
	LIST_REMOVE(&pending, links);
	pthread_mutex_unlock(&context->mutex);
	if (r < 0) {
		outbox_withdraw(&context->outbox, pending.serial);
	}
	if (r == 0) {
		r = reply_judge(&pending.reply, call->fds_wanted);
	} else if (pending.done) {
		reply_finish(&pending.reply);
	}
	if (r == 0) {
		*ret_reply = pending.reply;
	}
	return r;
}

int request_call(struct fbk_context *context, Fbk__Wire__Request *request, const int *fds,
		 size_t fd_count, size_t fds_wanted, struct reply *ret_reply)
{
	const struct request_call call = { .fds = fds,
					   .fd_count = fd_count,
					   .fds_wanted = fds_wanted };
	return call_run(context, request, &call, ret_reply);
}

int request_call_within(struct fbk_context *context, Fbk__Wire__Request *request,
			uint64_t timeout_ns, struct reply *ret_reply)
{
	return call_run(context, request, &(struct request_call){ .timeout_ns = timeout_ns },
			ret_reply);
}

int request_do_fds(struct fbk_context *context, Fbk__Wire__Request *request, const int *fds,
		   size_t fd_count)
{
	struct reply reply;
	int r = request_call(context, request, fds, fd_count, 0, &reply);
	if (r == 0) {
		reply_finish(&reply);
	}
	return r;
}

int request_do(struct fbk_context *context, Fbk__Wire__Request *request)
{
	return request_do_fds(context, request, NULL, 0);
}

int request_fd(struct fbk_context *context, Fbk__Wire__Request *request, int *ret_fd)
{
	struct reply reply;
	int r = request_call(context, request, NULL, 0, 1, &reply);
	if (r == 0) {
		*ret_fd = reply.fds[0];
		reply.fds[0] = -1;
		reply_finish(&reply);
	}
	return r;
}

int request_object(struct fbk_context *context, Fbk__Wire__Request *request, uint32_t *ret_id,
		   uint32_t *ret_backing)
{
	struct reply reply;
	int r = request_call(context, request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT) {
		*ret_id = reply.message->object->id;
		if (ret_backing) {
			*ret_backing = reply.message->object->backing;
		}
	} else {
		r = error_set(-EPROTO, "the daemon's reply names no object");
	}
	reply_finish(&reply);
	return r;
}

int request_post(struct fbk_context *context, Fbk__Wire__Request *request, posted_fn *posted,
		 void *arg)
{
	struct packet packet = { .room = PACKET_NOW };
	struct pending *pending = calloc(1, sizeof(*pending));
	if (!pending) {
		return -ENOMEM;
	}
	pending->serial = ++context->next_serial;
	pending->posted = posted;
	pending->arg = arg;
	request->serial = pending->serial;
	int r = request_put(context, request, &packet);
	if (r < 0) {
		free(pending);
		return r;
	}
	LIST_INSERT_HEAD(&context->pendings, pending, links);
	return 0;
}

void requests_forget(struct fbk_context *context, const void *arg)
{
	struct pending *pending = LIST_FIRST(&context->pendings);
	while (pending) {
		struct pending *next = LIST_NEXT(pending, links);
		if (pending->posted && pending->arg == arg) {
			LIST_REMOVE(pending, links);
			free(pending);
		}
		pending = next;
	}
}

void requests_free(struct fbk_context *context)
{
	while (!LIST_EMPTY(&context->pendings)) {
		struct pending *pending = LIST_FIRST(&context->pendings);
		LIST_REMOVE(pending, links);
		free(pending);
	}
}

static int quiet_put(struct fbk_context *context, Fbk__Wire__Request *request,
		     struct packet *packet)
{
	int r = context_check(context);
	if (r < 0) {
		return r;
	}
	if (context_lost(context)) {
		return error_lost();
	}
	request->quiet = true;
	request->serial = request->serial ? request->serial : UNHEARD_SERIAL;
	r = request_put(context, request, packet);
	if (r == -EPIPE) {
		return error_lost();
	}
	return r < 0 && r != -EAGAIN ? error_of_call("sendmsg", r) : r;
}

int request_quiet(struct fbk_context *context, Fbk__Wire__Request *request,
		  const struct packet *packet)
{
	struct packet bounded = packet ? *packet : (struct packet){ 0 };
	bounded.room = PACKET_BOUNDED;
	return quiet_put(context, request, &bounded);
}

void request_quiet_end(struct fbk_context *context, Fbk__Wire__Request *request)
{
	quiet_put(context, request, &(struct packet){ .room = PACKET_ALWAYS });
}

void request_part(struct fbk_context *context, Fbk__Wire__Request *request)
{
	if (context_flushing(context) || id_uncertain(request_do(context, request))) {
		request_quiet_end(context, request);
	}
}

void requests_drain(struct fbk_context *context)
{
	uint64_t deadline = request_deadline(context, 0);
	while (outbox_waits(&context->outbox) && !context_lost(context) &&
	       !context_flushing(context)) {
		int left = remaining_ms(deadline);
		struct pollfd entry = { .fd = context->socket, .events = POLLIN | POLLOUT };
		if (left == 0 || outbox_flush(&context->outbox) == 0) {
			break;
		}
		fd_poll(&entry, 1, left < DRAIN_LOOK_MS ? left : DRAIN_LOOK_MS);
		pthread_mutex_lock(&context->mutex);
		if (!context->reading) {
			request_read(context);
		}
		pthread_mutex_unlock(&context->mutex);
	}
}
