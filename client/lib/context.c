// SPDX-License-Identifier: MIT
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"
#include "proto/cells.h"
#include "proto/wire.h"
#include "request.h"

#define SYSTEM_SOCKET "/run/fencebroker/socket"
#define GUARD_STACK   (64 * 1024)

int context_check(struct fbk_context *context)
{
	if (!*context->ours) {
		return error_set(-EBADF,
				 "this context belongs to the process that forked: connect anew");
	}
	return 0;
}

bool context_lost(struct fbk_context *context)
{
	/* acquire: pairs with context_lose */
	return atomic_load_explicit(&context->lost, memory_order_acquire);
}

void context_rouse(struct fbk_context *context)
{
	/* Our own eventfd, shared with nobody; at its maximum it is readable anyway. */
	eventfd_write(context->local, 1);
}

void context_lose(struct fbk_context *context)
{
	if (context_lost(context)) {
		return;
	}
	/* seq_cst: before the cells are bumped. A waiter loads the sequence, then this, then sleeps
	 * while the sequence is unchanged: it sees one or the other. */
	atomic_store_explicit(&context->lost, true, memory_order_seq_cst);
	struct fbk_timeline *timeline;
	LIST_FOREACH(timeline, &context->timelines, links) {
		cell_wake_all(timeline->cell);
		if (timeline->peer_map) {
			/* relaxed: set under the mutex */
			cell_wake_all(atomic_load_explicit(&timeline->peer, memory_order_relaxed));
		}
	}
	if (context->pair) { /* else it was refused before it had one */
		cell_wake_all(&context->pair->cells[0]);
	}
	watches_lost(context);
	exports_lost(context);
	epoll_ctl(context->epoll, EPOLL_CTL_DEL, context->socket, NULL);
	pthread_cond_broadcast(&context->answered);
	context_rouse(context);
}

/* --------------------------------------------------------------------------------- the guard -- */
/*
 * A thread that sleeps in a futex can't see the socket hang up. So while there may be such threads
 * one more sits in poll(2) for nothing but the hang-up. It reads nothing that others wait for.
 */
static void *guard_run(void *arg)
{
	struct fbk_context *context = arg;
	struct pollfd entries[] = {
		{ .fd = context->socket, .events = 0 }, /* POLLHUP and POLLERR come unasked */
		{ .fd = context->guard_stop, .events = POLLIN },
	};
	prctl(PR_SET_NAME, "fbk-guard");
	while (poll(entries, 2, -1) < 0 && errno == EINTR) {
	}
	if (entries[0].revents) {
		pthread_mutex_lock(&context->mutex);
		if (!context->reading) {
			request_read(context); /* its last words; ends in context_lose */
		}
		context_lose(context);
		pthread_mutex_unlock(&context->mutex);
	}
	return NULL;
}

static int guard_start(struct fbk_context *context)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t old;
	context->guard_stop = eventfd(0, EFD_CLOEXEC);
	if (context->guard_stop < 0) {
		return -errno;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, GUARD_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the program's, not ours */
	int r = -pthread_create(&context->guard, &attributes, guard_run, context);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	if (r < 0) {
		close(context->guard_stop);
		context->guard_stop = -1;
	}
	return r;
}

int context_guard(struct fbk_context *context)
{
	int r = 0;
	/* acquire: pairs with the release below; the guard is there then */
	if (atomic_load_explicit(&context->guarded, memory_order_acquire)) {
		return 0;
	}
	pthread_mutex_lock(&context->mutex);
	if (!context->guarded) {
		r = guard_start(context);
		/* release: see above */
		atomic_store_explicit(&context->guarded, r == 0, memory_order_release);
	}
	pthread_mutex_unlock(&context->mutex);
	return r < 0 ? error_set(r, "cannot start the thread that watches the daemon: %s",
				 strerrordesc_np(-r))
		     : 0;
}

/* ------------------------------------------------------------------------------- connecting --- */

static int socket_path(const char *given, char *ret_path, size_t size)
{
	const char *environment = getenv("FENCEBROKER_SOCKET");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;
	if (given || (environment && environment[0])) {
		length = snprintf(ret_path, size, "%s", given ? given : environment);
	} else {
		length = snprintf(ret_path, size, "%s/fencebroker/socket", runtime ? runtime : "");
		if (!runtime || !runtime[0] || access(ret_path, F_OK) < 0) {
			length = snprintf(ret_path, size, "%s", SYSTEM_SOCKET);
		}
	}
	if ((size_t)length >= size) {
		return error_set(-ENAMETOOLONG, "a socket's path has at most %zu bytes", size - 1);
	}
	return 0;
}

static int context_connect(struct fbk_context *context, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r = socket_path(path, address.sun_path, sizeof(address.sun_path));
	if (r < 0) {
		return r;
	}
	context->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (context->socket < 0) {
		return error_plain(-errno);
	}
	if (connect(context->socket, (struct sockaddr *)&address, sizeof(address)) < 0) {
		return error_set(-errno,
				 "no daemon at %s (%s): start it with `systemctl start "
				 "fencebroker`, or your own with `fencebrokerd --user`",
				 address.sun_path, strerrordesc_np(errno));
	}
	return 0;
}

static int context_map_pair(struct fbk_context *context, int fd)
{
	void *memory =
		mmap(NULL, sizeof(struct fbk_pair_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		return error_plain(-errno);
	}
	context->pair = memory;
	return 0;
}

static int context_greet(struct fbk_context *context)
{
	struct reply reply;
	REQUEST(request, HELLO, hello, .version_min = WIRE_VERSION_MIN,
		.version_max = WIRE_VERSION_MAX, .name = program_invocation_short_name);

	int r = request_call(context, &request, NULL, 0, 2, &reply);
	if (r < 0) {
		return r;
	}
	const Fbk__Wire__Welcome *welcome = reply.message->welcome;
	if (reply.message->body_case != FBK__WIRE__MESSAGE__BODY_WELCOME) {
		reply_finish(&reply);
		return error_set(-EPROTO, "the daemon did not answer Hello with Welcome");
	}
	context->features = welcome->features;
	/* Spinning keeps the only CPU from whoever is to signal. */
	context->spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? welcome->spin_ns : 0;
	context->max_wait_ns = welcome->max_wait_ms * UINT64_C(1000000);
	r = context_map_pair(context, reply.fds[0]);
	if (r == 0) {
		context->doorbell = reply.fds[1];
		reply.fds[1] = -1;
	}
	reply_finish(&reply);
	return r;
}

static int context_make_fds(struct fbk_context *context)
{
	struct epoll_event event = { .events = EPOLLIN };
	context->local = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	context->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (context->local < 0 || context->epoll < 0 ||
	    epoll_ctl(context->epoll, EPOLL_CTL_ADD, context->local, &event) < 0) {
		return error_plain(-errno);
	}
	return classifier_init(&context->classifier);
}

static int context_mark(struct fbk_context *context)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		return error_plain(-errno);
	}
	context->ours = page;
	*context->ours = true;
	if (madvise(page, 4096, MADV_WIPEONFORK) < 0) {
		return error_set(-errno, "this kernel lacks MADV_WIPEONFORK (Linux 4.14)");
	}
	return 0;
}

static struct fbk_context *context_alloc(void)
{
	pthread_condattr_t attributes;
	struct fbk_context *context = calloc(1, sizeof(*context));
	if (!context) {
		return NULL;
	}
	context->packet = malloc(sizeof(*context->packet));
	if (!context->packet) {
		free(context);
		return NULL;
	}
	context->socket = -1;
	context->epoll = -1;
	context->local = -1;
	context->doorbell = -1;
	context->guard_stop = -1;
	context->timer = -1;
	context->timer_ns = UINT64_MAX;
	context->classifier.reference_fd = -1;
	TAILQ_INIT(&context->fired);
	TAILQ_INIT(&context->unsent);
	pthread_mutex_init(&context->opening, NULL);
	pthread_mutex_init(&context->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&context->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	return context;
}

int fbk_connect(const char *path, struct fbk_context **ret_context)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct fbk_context *context = context_alloc();
	if (!context) {
		return error_plain(-ENOMEM);
	}
	int r = context_mark(context);
	if (r == 0) {
		r = context_make_fds(context);
	}
	if (r == 0) {
		r = context_connect(context, path);
	}
	if (r == 0) {
		r = context_greet(context);
	}
	if (r == 0 && epoll_ctl(context->epoll, EPOLL_CTL_ADD, context->socket, &event) < 0) {
		r = error_plain(-errno);
	}
	if (r < 0) {
		fbk_disconnect(context);
		return r;
	}
	*ret_context = context;
	return 0;
}

static void context_goodbye(struct fbk_context *context)
{
	if (context->guarded) {
		eventfd_write(context->guard_stop, 1);
		pthread_join(context->guard, NULL);
	}
	if (context->pair && !context_lost(context)) {
		REQUEST(request, GOODBYE, goodbye);
		request.serial = ++context->next_serial;
		request_send(context, &request);
	}
}

static void close_if_open(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

void fbk_disconnect(struct fbk_context *context)
{
	if (!context) {
		return;
	}
	if (context->ours && *context->ours) {
		context_goodbye(context); /* a forked child has neither thread nor say */
	}
	context_free_objects(context);
	if (context->pair) {
		munmap(context->pair, sizeof(*context->pair));
	}
	if (context->ours) {
		munmap(context->ours, 4096);
	}
	classifier_finish(&context->classifier);
	close_if_open(context->socket);
	close_if_open(context->epoll);
	close_if_open(context->local);
	close_if_open(context->doorbell);
	close_if_open(context->guard_stop);
	close_if_open(context->timer);
	pthread_cond_destroy(&context->answered);
	pthread_mutex_destroy(&context->mutex);
	pthread_mutex_destroy(&context->opening);
	free(context->packet);
	free(context);
}

bool fbk_context_stopping(struct fbk_context *context)
{
	/* relaxed: nothing else is told by it */
	return atomic_load_explicit(&context->stopping, memory_order_relaxed);
}

int fbk_context_fd(struct fbk_context *context)
{
	int r = context_check(context);
	return r < 0 ? r : context->epoll;
}
