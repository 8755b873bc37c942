// SPDX-License-Identifier: MIT
/* Exports, imports and watches. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ours.h"

#define PATIENCE_MS 20000
#define FAR         (UINT64_C(1) << 40)
#define MANY_ARMED  100000
#define FEW_ARMED   100

static int post_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	return post_lead(ours->partners[0].socket, ours->meeting, &ours->half, count, POST_WOKEN,
			 samples);
}

static int relay_open(const struct row *row, uint32_t flags, member_fn *fn, struct ours **ret_ours)
{
	struct ours *ours;
	int r = ours_open(row, NULL, fn, 1, &ours);
	if (r < 0) {
		return r;
	}
	struct party *party = &ours->party;
	if (fbk_timeline_create(party->device, NULL, "bench", flags, &party->mine) < 0) {
		r = ours_fail("making a timeline");
	}
	if (r == 0) {
		r = party_send(party->mine, ours->partners[0].socket);
	}
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	ours->half.signal = party_signal;
	*ret_ours = ours;
	return 0;
}

/* The partner's state. */
struct listener {
	struct party party;
	int fd;     /* the export */
	bool fired; /* the watch */
};

static int listener_join(struct listener *listener, const struct ours *ours, int socket)
{
	int r = party_join(&listener->party, &ours->daemon, "partner");
	return r < 0 ? r : party_receive(&listener->party, socket, &listener->party.theirs);
}

static int fd_await(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	return poll(&entry, 1, PATIENCE_MS) == 1 ? 0 : bench_fail("nothing became readable");
}

/* ---------------------------------------------------------------------------------- export --- */

static int export_prepare(void *arg, uint64_t value)
{
	struct listener *listener = arg;
	struct fbk_point point = { listener->party.theirs, value };
	return fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &listener->fd) < 0
		       ? ours_fail("exporting")
		       : 0;
}

static int export_wait(void *arg, uint64_t value)
{
	(void)value;
	return fd_await(((struct listener *)arg)->fd);
}

static int export_settle(void *arg, uint64_t value)
{
	(void)value;
	close(((struct listener *)arg)->fd);
	return 0;
}

static int export_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct listener listener;
	struct half half = { .arg = &listener,
			     .prepare = export_prepare,
			     .wait = export_wait,
			     .settle = export_settle };
	int r = listener_join(&listener, ours, socket);
	return r < 0 ? r : post_follow(socket, ours->meeting, &half);
}

static int export_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = relay_open(row, 0, export_partner, &ours);
	if (r == 0) {
		*ret_state = ours;
	}
	return r;
}

const struct side ours_export = { "signal to exported eventfd", export_open, post_round,
				  ours_close };

/* ---------------------------------------------------------------------------------- import --- */

struct source {
	struct party *party;
	int fd;
};

static int import_prepare(void *arg, uint64_t value)
{
	struct source *source = arg;
	struct fbk_point point = { source->party->mine, value };
	source->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int duplicate = source->fd < 0 ? -1 : dup(source->fd);
	if (duplicate < 0) {
		return bench_fail("no eventfd");
	}
	return fbk_point_signal_on(point, duplicate) < 0 ? ours_fail("importing") : 0;
}

static int import_signal(void *arg, uint64_t value)
{
	uint64_t one = 1;
	(void)value;
	return write(((struct source *)arg)->fd, &one, sizeof(one)) == sizeof(one)
		       ? 0
		       : bench_fail("cannot write an eventfd");
}

static int import_settle(void *arg, uint64_t value)
{
	(void)value;
	close(((struct source *)arg)->fd);
	return 0;
}

static int import_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct listener listener;
	struct half half = { .arg = &listener.party, .wait = party_wait };
	int r = listener_join(&listener, ours, socket);
	return r < 0 ? r : post_follow(socket, ours->meeting, &half);
}

static int import_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = relay_open(row, FBK_TIMELINE_BROKERED, import_partner, &ours);
	if (r < 0) {
		return r;
	}
	struct source *source = ours->more = calloc(1, sizeof(*source));
	if (!source) {
		ours_close(ours);
		return bench_fail("no memory");
	}
	source->party = &ours->party;
	ours->half = (struct half){ .arg = source,
				    .signal = import_signal,
				    .prepare = import_prepare,
				    .settle = import_settle };
	*ret_state = ours;
	return 0;
}

const struct side ours_import = { "eventfd to sleeping wait", import_open, post_round, ours_close };

/* ------------------------------------------------------------ event loops, and many armed points --- */

static void watch_told(void *arg, struct fbk_point point, int result)
{
	(void)point;
	if (result == 0) {
		((struct listener *)arg)->fired = true;
	}
}

static int watch_prepare(void *arg, uint64_t value)
{
	struct listener *listener = arg;
	struct fbk_point point = { listener->party.theirs, value };
	listener->fired = false;
	int r = fbk_point_watch(point, FBK_DEADLINE_MAX, watch_told, listener, NULL);
	if (r == 0) {
		/* a reply may have made the fd readable */
		r = fbk_dispatch(listener->party.context);
	}
	return r < 0 ? ours_fail("watching") : 0;
}

static int watch_wait(void *arg, uint64_t value)
{
	struct listener *listener = arg;
	int r = 0;
	(void)value;
	while (r >= 0 && !listener->fired) {
		r = fd_await(fbk_context_fd(listener->party.context));
		if (r == 0 && fbk_dispatch(listener->party.context) < 0) {
			r = ours_fail("dispatching");
		}
	}
	return r < 0 ? r : 0;
}

static int watch_partner(int socket, struct ours *ours, unsigned int armed)
{
	struct listener listener;
	struct half half = { .arg = &listener, .prepare = watch_prepare, .wait = watch_wait };
	if (armed > 0) {
		setenv("FENCEBROKER_IO_URING", "no", 1); /* watches go through the daemon */
	}
	int r = listener_join(&listener, ours, socket);
	for (uint64_t i = 0; r == 0 && i < armed; i++) {
		struct fbk_point point = { listener.party.theirs, FAR + i };
		if (fbk_point_watch(point, FBK_DEADLINE_MAX, watch_told, &listener, NULL) < 0) {
			r = ours_fail("watching");
		}
	}
	if (r == 0) {
		r = note_send(socket, 0, -1); /* all are armed */
	}
	return r < 0 ? r : post_follow(socket, ours->meeting, &half);
}

static int loop_partner(int socket, void *arg)
{
	return watch_partner(socket, arg, 0);
}

static int armed_many_partner(int socket, void *arg)
{
	return watch_partner(socket, arg, MANY_ARMED);
}

static int armed_few_partner(int socket, void *arg)
{
	return watch_partner(socket, arg, FEW_ARMED);
}

static int armed_open(const struct row *row, member_fn *fn, void **ret_state)
{
	struct ours *ours;
	int r = relay_open(row, 0, fn, &ours);
	if (r < 0) {
		return r;
	}
	r = note_receive(ours->partners[0].socket, NULL, NULL); /* all are armed */
	if (r < 0) {
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int loop_open(const struct row *row, void **ret_state)
{
	return armed_open(row, loop_partner, ret_state);
}

static int armed_many_open(const struct row *row, void **ret_state)
{
	return armed_open(row, armed_many_partner, ret_state);
}

static int armed_few_open(const struct row *row, void **ret_state)
{
	return armed_open(row, armed_few_partner, ret_state);
}

const struct side ours_loop = { "signal to watch", loop_open, post_round, ours_close };
const struct side ours_armed_many = { "watch among 100,000", armed_many_open, post_round,
				      ours_close };
const struct side ours_armed_few = { "watch among 100", armed_few_open, post_round, ours_close };
