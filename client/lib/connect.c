// SPDX-License-Identifier: MIT
/* A context from its first to its last: what it is made of is put together here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "guard.h"
#include "handle.h"
#include "page-map.h"
#include "proto/fd.h"
#include "proto/wire.h"
#include "request.h"
#include "watch.h"

int context_socket_path(const char *given, char *ret_path, size_t size)
{
	/* not in a set-user-ID program: its caller would choose the daemon */
	const char *environment = secure_getenv("FENCEBROKER_SOCKET");
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	int length;
	if (given || (environment && environment[0])) {
		length = snprintf(ret_path, size, "%s", given ? given : environment);
	} else {
		length = snprintf(ret_path, size, "%s/fencebroker/socket", runtime ? runtime : "");
		if (!runtime || !runtime[0] || access(ret_path, F_OK) < 0) {
			length = snprintf(ret_path, size, "%s", CONTEXT_SYSTEM_SOCKET);
		}
	}
	if ((size_t)length >= size) {
		return error_set(-ENAMETOOLONG, "a socket's path has at most %zu bytes", size - 1);
	}
	return 0;
}

/* Where the kernel refuses that address, the daemon serves it as any other. */
static int socket_say_inspects(int socket)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	unsigned long long number;
	if (syscall(SYS_getrandom, &number, sizeof(number), 0) != sizeof(number)) {
		return error_of_call("getrandom", -errno);
	}
	int length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s%016llx",
			      WIRE_INSPECTS_ADDRESS, number);
	bind(socket, (struct sockaddr *)&address,
	     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length));
	return 0;
}

static int context_connect(struct fbk_context *context, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r = context_socket_path(path, address.sun_path, sizeof(address.sun_path));
	if (r < 0) {
		return r;
	}
	context->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (context->socket < 0) {
		return error_of_call("socket", -errno);
	}
	if (context->inspects) {
		r = socket_say_inspects(context->socket);
	}
	if (r < 0) {
		return r;
	}
	do { /* waits while the daemon has a queue of others */
		r = fd_connect(context->socket, (struct sockaddr *)&address, sizeof(address));
	} while (r < 0 && errno == EINTR);
	if (r < 0 &&
	    (errno == EPERM || errno == EINVAL || errno == ENOSYS)) { /* not the daemon's doing */
		return error_of_call("connect", -errno);
	}
	if (r < 0) {
		return error_set(-errno,
				 "no daemon at %s (%s): start it with `systemctl start "
				 "fencebroker`, or your own with `fencebrokerd --user`",
				 address.sun_path, strerrordesc_np(errno));
	}
	return 0;
}

static int context_map_pair(struct fbk_context *context, const Fbk__Wire__Page *page, int fd)
{
	struct stat status;
	if (!page ||
	    page->header_size < offsetof(struct fbk_pair_page, bell) + 8 * FBK_BELL_WORDS ||
	    page_slot_check(page, FBK_PAIR_CELLS - 1, sizeof(struct fbk_pair_cell)) < 0 ||
	    fstat(fd, &status) < 0 || (uint64_t)status.st_size < page->size) {
		return error_set(-EPROTO, "the daemon describes no page to be woken by");
	}
	void *memory = mmap(NULL, page->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		return error_of_call("mmap", -errno);
	}
	context->pair = memory;
	context->pair_size = page->size;
	context->pair_first = page->header_size;
	context->pair_stride = page->stride;
	return 0;
}

/* How a program in another time namespace sees the daemon's clock. */
#define CLOCK_SLACK_NS UINT64_C(1000000)

/* The daemon read its clock after Hello was sent and before Welcome came. Elsewhere deadlines mean another time there: a
 * wait would end at once, or never. */
static int clock_check(uint64_t theirs, uint64_t before, uint64_t after)
{
	bool ahead = theirs > after + CLOCK_SLACK_NS;
	if (!ahead && theirs + CLOCK_SLACK_NS >= before) {
		return 0;
	}
	uint64_t off = ahead ? theirs - after : before - theirs;
	return error_set(
		-EXDEV,
		"the daemon's CLOCK_MONOTONIC is %llu.%03llu s %s this process's: they are "
		"in different time namespaces (time_namespaces(7)): run both in one",
		(unsigned long long)(off / 1000000000), (unsigned long long)(off / 1000000 % 1000),
		ahead ? "ahead of" : "behind");
}

static int welcome_check(const struct reply *reply, uint64_t before, uint64_t after)
{
	const Fbk__Wire__Welcome *welcome = reply->message->welcome;
	if (reply->message->body_case != FBK__WIRE__MESSAGE__BODY_WELCOME) {
		return error_set(-EPROTO, "the daemon did not answer Hello with Welcome");
	}
	if (welcome->page_version != FBK_PAGE_VERSION) {
		return error_set(-EPROTONOSUPPORT,
				 "the fence pages of the daemon (%s) have version %u, this library "
				 "knows %d: update the %s",
				 welcome->daemon_version, welcome->page_version, FBK_PAGE_VERSION,
				 welcome->page_version > FBK_PAGE_VERSION ? "library" : "daemon");
	}
	return clock_check(welcome->clock_ns, before, after);
}

/* Takes the fd. */
static int context_map_life(struct fbk_context *context, const Fbk__Wire__Page *page, int fd)
{
	struct page_map *map; /* among the context's, until its end */
	if (!page || page_slot_check(page, 0, sizeof(struct fbk_life_slot)) < 0) {
		fd_close(fd);
		return error_set(-EPROTO, "the daemon shows no page that says whether it lives");
	}
	int r = page_map_get(context, page->id, page->size, fd, false, &map);
	if (r == 0) {
		context->life = page_slot(map->memory, page, 0);
	}
	return r;
}

static int context_greet(struct fbk_context *context)
{
	struct reply reply;
	REQUEST(request, HELLO, hello, .version_min = WIRE_VERSION_MIN,
		.version_max = WIRE_VERSION_MAX, .name = program_invocation_short_name);

	uint64_t before = now_ns();
	int r = request_call(context, &request, NULL, 0, 3, &reply);
	if (r < 0) {
		return r;
	}
	const Fbk__Wire__Welcome *welcome = reply.message->welcome;
	r = welcome_check(&reply, before, now_ns());
	if (r == 0 && welcome->device) {
		r = device_adopt(context, welcome->device);
	}
	if (r < 0) {
		reply_finish(&reply);
		return r;
	}
	/* Spinning keeps the only CPU from the signaler. */
	context->spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? welcome->spin_ns : 0;
	context->max_wait_ns = welcome->max_wait_ms * UINT64_C(1000000);
	r = context_map_pair(context, welcome->pair, reply.fds[0]);
	if (r == 0) {
		classifier_know_memfds(&context->classifier,
				       reply.fds[0]); /* else there are none */
		r = context_map_life(context, welcome->life, reply.fds[2]);
		reply.fds[2] = -1;
	}
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
	const char *call;
	context->local = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	context->wake = context->local < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (context->wake < 0) {
		return error_of_call("eventfd2", -errno);
	}
	context->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (context->epoll < 0) {
		return error_of_call("epoll_create1", -errno);
	}
	if (epoll_ctl(context->epoll, EPOLL_CTL_ADD, context->local, &event) < 0) {
		return error_of_call("epoll_ctl", -errno);
	}
	int r = classifier_init(&context->classifier, &call);
	return r < 0 ? error_of_call(call, r) : 0;
}

static int context_mark(struct fbk_context *context)
{
	void *page = mmap(NULL, CONTEXT_MARK_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		return error_of_call("mmap", -errno);
	}
	context->ours = page;
	*context->ours = true;
	if (madvise(page, CONTEXT_MARK_SIZE, MADV_WIPEONFORK) < 0) {
		return errno == EINVAL ? error_set(-ENOSYS, "madvise: this kernel lacks "
							    "MADV_WIPEONFORK (Linux 4.14)")
				       : error_of_call("madvise", -errno);
	}
	return 0;
}

/* `socket`: -1 to connect to `path`, or a connected one, which it takes. */
static int context_start(struct fbk_context *context, int socket, const char *path)
{
	struct epoll_event event = { .events = EPOLLIN };
	context->socket = socket;
	int r = context_mark(context);
	if (r == 0) {
		r = context_make_fds(context);
	}
	if (r == 0) {
		r = watches_create(context);
	}
	if (r == 0) {
		r = exports_create(context);
	}
	if (r == 0 && socket < 0) {
		r = context_connect(context, path);
	}
	context->outbox.socket = context->socket;
	context->outbox.begin = guard_begin;
	if (r == 0) {
		r = context_greet(context);
	}
	if (r == 0 && epoll_ctl(context->epoll, EPOLL_CTL_ADD, context->socket, &event) < 0) {
		r = error_of_call("epoll_ctl", -errno);
	}
	return r;
}

static int connect_by(int socket, const char *path, bool inspects, struct fbk_context **ret_context)
{
	struct fbk_context *context = context_create();
	if (!context) {
		if (socket >= 0) {
			fd_close(socket);
		}
		return error_plain(-ENOMEM);
	}
	context->inspects = inspects;
	int r = context_start(context, socket, path);
	if (r < 0) {
		fbk_disconnect(context);
		return r;
	}
	*ret_context = context;
	return 0;
}

int fbk_connect(const char *path, struct fbk_context **ret_context)
{
	return connect_by(-1, path, false, ret_context);
}

int context_connect_to_inspect(const char *path, struct fbk_context **ret_context)
{
	return connect_by(-1, path, true, ret_context);
}

int fbk_connect_fd(int socket_fd, struct fbk_context **ret_context)
{
	int type;
	socklen_t size = sizeof(type);
	if (fcntl(socket_fd, F_GETFD) < 0) {
		return error_set(-EBADF, "%d is not an open file descriptor", socket_fd);
	}
	if (getsockopt(socket_fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    type != SOCK_SEQPACKET) {
		fd_close(socket_fd);
		return error_set(-EPROTO,
				 "that fd is not the socket that RegisterDevice() returned");
	}
	fcntl(socket_fd, F_SETFD, FD_CLOEXEC);
	return connect_by(socket_fd, NULL, false, ret_context);
}

static void context_goodbye(struct fbk_context *context)
{
	if (context->pair && !context_lost(context)) {
		REQUEST(request, GOODBYE, goodbye);
		request_quiet_end(context, &request);
		requests_drain(context);
	}
	guard_end(context);
}

/* What belongs to it goes without a request for each: the daemon drops it with the connection. */
void fbk_disconnect(struct fbk_context *context)
{
	if (!context) {
		return;
	}
	ERRORS_KEPT();
	if (context->ours && *context->ours) {
		context_goodbye(
			context); /* a forked child has no guard thread, and sends nothing */
	}
	outbox_drop(&context->outbox, -ENOTCONN);
	children_drop(&context->children);
	handles_free(context);
	page_maps_finish(context);
	requests_free(context);
	context_destroy(context);
}
