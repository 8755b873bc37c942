// SPDX-License-Identifier: MIT
#include "dispatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/core/handle.h"

struct dispatch_entry {
	const char *name;
	request_fn *handler;
	size_t size_max; /* of the whole packet */
	size_t fd_count; /* the least */
	size_t fd_more;  /* this many more are allowed */
	bool on_timeline;
	size_t handle_offset; /* on_timeline: of the field in the body that names the timeline */
	uint32_t right;       /* on_timeline: needs all of this mask */
	enum policy_inspect inspect; /* the least that policy must allow */
	bool admin;                  /* only for administrators */
	bool before_hello;
	enum {
		QUIET_NEVER,
		QUIET,            /* without a reply, however it ends */
		QUIET_IF_GRANTED, /* with one if it is refused */
	} quiet;
};

#define ENTRY(field, function, size, ...)                                                       \
	[FBK__WIRE__REQUEST__BODY_##field] = {                                                  \
		.name = #function, .handler = request_##function, .size_max = size, __VA_ARGS__ \
	}
#define ON_TIMELINE(type, needed) \
	.on_timeline = true, .handle_offset = offsetof(Fbk__Wire__##type, handle), .right = (needed)
#define INSPECTS .inspect = POLICY_INSPECT_OWN

#define IS_QUIET .quiet = QUIET

/* Bytes that each request may have, though it needs fewer: fields that a newer client adds are ignored. */
#define REQUEST_ROOM 256

#define WAIT    FBK_RIGHT_WAIT
#define SIGNAL  FBK_RIGHT_SIGNAL
#define PROMISE FBK_RIGHT_PROMISE

static const struct dispatch_entry entries[] = {
	ENTRY(HELLO, hello, REQUEST_ROOM, .before_hello = true),
	ENTRY(GOODBYE, goodbye, REQUEST_ROOM, IS_QUIET),
	ENTRY(DEVICE_REGISTER, device_register, REQUEST_ROOM),
	ENTRY(DEVICE_UNREGISTER, device_unregister, REQUEST_ROOM, IS_QUIET),
	ENTRY(SET_CREATE, set_create, REQUEST_ROOM),
	ENTRY(SET_DESTROY, set_destroy, REQUEST_ROOM, IS_QUIET),
	ENTRY(TIMELINE_CREATE, timeline_create, REQUEST_ROOM),
	ENTRY(PAGE_MAPPED, page_mapped, REQUEST_ROOM, IS_QUIET),
	ENTRY(DEVICE_MEMORY, device_memory, REQUEST_ROOM, .fd_count = 1),
	ENTRY(TIMELINE_MEMORY, timeline_memory, REQUEST_ROOM, ON_TIMELINE(TimelineMemory, SIGNAL)),
	ENTRY(TIMELINE_OPEN, timeline_open, REQUEST_ROOM, .fd_count = 1),
	ENTRY(TIMELINE_SHARE, timeline_share, REQUEST_ROOM, ON_TIMELINE(TimelineShare, 0)),
	ENTRY(TIMELINE_CLOSE, timeline_close, REQUEST_ROOM, ON_TIMELINE(TimelineClose, 0),
	      IS_QUIET),
	ENTRY(TIMELINE_SIGNAL, timeline_signal, REQUEST_ROOM, ON_TIMELINE(TimelineSignal, SIGNAL),
	      IS_QUIET),
	ENTRY(TIMELINE_FAIL, timeline_fail, 512, ON_TIMELINE(TimelineFail, SIGNAL)),
	ENTRY(TIMELINE_INFO, timeline_info, REQUEST_ROOM, ON_TIMELINE(TimelineInfo, 0)),
	ENTRY(POINT_BLAME, point_blame, REQUEST_ROOM, ON_TIMELINE(PointBlame, WAIT)),
	ENTRY(POINT_WATCH, point_watch, REQUEST_ROOM, ON_TIMELINE(PointWatch, WAIT),
	      .quiet = QUIET_IF_GRANTED),
	ENTRY(WATCH_CANCEL, watch_cancel, REQUEST_ROOM, IS_QUIET),
	ENTRY(POINT_EXPORT, point_export, REQUEST_ROOM, ON_TIMELINE(PointExport, WAIT)),
	ENTRY(POINT_EXPORT_TO, point_export_to, REQUEST_ROOM, ON_TIMELINE(PointExportTo, WAIT),
	      .fd_count = 1),
	ENTRY(EXPORT_CANCEL, export_cancel, REQUEST_ROOM, IS_QUIET),
	ENTRY(TOKEN_CANCEL, token_cancel, REQUEST_ROOM, IS_QUIET),
	ENTRY(POINT_PROMISE, point_promise, REQUEST_ROOM,
	      ON_TIMELINE(PointPromise, WAIT | PROMISE)),
	ENTRY(POINT_SIGNAL_ON, point_signal_on, REQUEST_ROOM, ON_TIMELINE(PointSignalOn, SIGNAL),
	      .fd_count = 1, .fd_more = FBK_FENCES_MAX - 1, IS_QUIET),
	ENTRY(POINT_DEPENDS, point_depends, REQUEST_ROOM, ON_TIMELINE(PointDepends, SIGNAL)),
	ENTRY(SYNCOBJ_CREATE, syncobj_create, REQUEST_ROOM),
	ENTRY(MIRROR_TO, mirror_to, REQUEST_ROOM, ON_TIMELINE(MirrorTo, WAIT), .fd_count = 1),
	ENTRY(MIRROR_FROM, mirror_from, REQUEST_ROOM, ON_TIMELINE(MirrorFrom, SIGNAL),
	      .fd_count = 1),
	ENTRY(MIRROR_DESTROY, mirror_destroy, REQUEST_ROOM, IS_QUIET),
	ENTRY(PAIR_JOIN, pair_join, REQUEST_ROOM, ON_TIMELINE(PairJoin, WAIT)),
	ENTRY(PAIR_LIST, pair_list, REQUEST_ROOM, ON_TIMELINE(PairList, SIGNAL)),
	ENTRY(LINK_OFFER, link_offer, REQUEST_ROOM, ON_TIMELINE(LinkOffer, SIGNAL)),
	ENTRY(LINK_ACCEPT, link_accept, REQUEST_ROOM, ON_TIMELINE(LinkAccept, WAIT)),
	ENTRY(LINK_INFO, link_info, REQUEST_ROOM, ON_TIMELINE(LinkInfo, WAIT)),
	ENTRY(LINK_JOIN, link_join, REQUEST_ROOM, ON_TIMELINE(LinkJoin, WAIT), IS_QUIET),
	ENTRY(LINK_END, link_end, 512, ON_TIMELINE(LinkEnd, WAIT), IS_QUIET),
	ENTRY(LINK_POINT, link_point, REQUEST_ROOM, ON_TIMELINE(LinkPoint, WAIT), IS_QUIET),
	ENTRY(LINK_POINT_GET, link_point_get, REQUEST_ROOM, ON_TIMELINE(LinkPointGet, WAIT)),
	ENTRY(LINK_BUFFER, link_buffer, 512, ON_TIMELINE(LinkBuffer, WAIT),
	      .fd_more = FBK_PLANES_MAX),
	ENTRY(LINK_BUFFER_GET, link_buffer_get, REQUEST_ROOM, ON_TIMELINE(LinkBufferGet, WAIT)),
	ENTRY(LINK_BUFFER_ACCEPT, link_buffer_accept, REQUEST_ROOM,
	      ON_TIMELINE(LinkBufferAccept, WAIT), IS_QUIET),
	ENTRY(LINK_FORMAT, link_format, FBK_FORMAT_DATA_MAX + 512, ON_TIMELINE(LinkFormat, WAIT)),
	ENTRY(LINK_FORMAT_GET, link_format_get, REQUEST_ROOM, ON_TIMELINE(LinkFormatGet, WAIT)),
	ENTRY(LINK_DEPTH, link_depth, REQUEST_ROOM, ON_TIMELINE(LinkDepth, WAIT)),
	ENTRY(LINK_PUBLISH, link_publish, REQUEST_ROOM, ON_TIMELINE(LinkPublish, SIGNAL)),
	ENTRY(LINK_FIND, link_find, REQUEST_ROOM),
	ENTRY(INSPECT_LINKS, inspect_links, REQUEST_ROOM, INSPECTS),
	ENTRY(INSPECT_STATUS, inspect_status, REQUEST_ROOM, INSPECTS),
	ENTRY(INSPECT_DEVICES, inspect_devices, REQUEST_ROOM, INSPECTS),
	ENTRY(INSPECT_TIMELINES, inspect_timelines, REQUEST_ROOM, INSPECTS),
	ENTRY(INSPECT_CLIENTS, inspect_clients, REQUEST_ROOM, INSPECTS),
	ENTRY(INSPECT_ROUTE, inspect_route, REQUEST_ROOM, INSPECTS),
	ENTRY(INSPECT_POLICY, inspect_policy, 1024, INSPECTS),
	ENTRY(INSPECT_STUCK, inspect_stuck, REQUEST_ROOM, INSPECTS),
	ENTRY(ADMIN_FAIL, admin_fail, 512, .admin = true),
	ENTRY(ADMIN_EVICT, admin_evict, 512, .admin = true),
	ENTRY(ADMIN_RELOAD, admin_reload, REQUEST_ROOM, .admin = true),
};

static const char *right_name(uint32_t missing)
{
	return missing & FBK_RIGHT_SIGNAL    ? "signal"
	       : missing & FBK_RIGHT_PROMISE ? "promise"
					     : "wait";
}

int handle_check(const struct client *client, uint32_t number, uint32_t right,
		 struct handle **ret_handle, char *detail)
{
	struct handle *handle = client_handle(client, number);
	if (!handle) {
		snprintf(detail, FBK_REASON_SIZE, "this client has no timeline %u open", number);
		return -ENOENT;
	}
	uint32_t missing = right & ~handle->rights;
	if (missing) {
		snprintf(detail, FBK_REASON_SIZE,
			 "this client has no right to %s timeline %s: ask its owner for a token "
			 "with that right",
			 right_name(missing), handle->timeline->name);
		return -EPERM;
	}
	*ret_handle = handle;
	return 0;
}

/* All checks before a handler runs. */
static int entry_check(const struct dispatch_entry *entry, struct client *client, const void *body,
		       bool quiet, const struct wire_packet *packet, struct handle **ret_handle,
		       char *detail)
{
	if (!entry->handler) {
		snprintf(detail, FBK_REASON_SIZE,
			 "this daemon does not know that request: it is older than the client");
		return -EOPNOTSUPP;
	}
	if (entry->before_hello ? client->said_hello : !client->greeted) {
		snprintf(detail, FBK_REASON_SIZE,
			 entry->before_hello ? "Hello comes once, and first"
					     : "the first request is Hello");
		return -EPROTO;
	}
	if (quiet && entry->quiet == QUIET_NEVER) {
		snprintf(detail, FBK_REASON_SIZE, "%s has a reply: it can't be quiet", entry->name);
		return -EINVAL;
	}
	if (packet->size > entry->size_max) {
		snprintf(detail, FBK_REASON_SIZE, "%s: %zu bytes, at most %zu are taken",
			 entry->name, packet->size, entry->size_max);
		return -EMSGSIZE;
	}
	if (packet->fd_count < entry->fd_count ||
	    packet->fd_count > entry->fd_count + entry->fd_more) {
		client->registry->counters.fds_refused += packet->fd_count;
		snprintf(detail, FBK_REASON_SIZE,
			 "%s: %zu file descriptors received, %zu%s expected", entry->name,
			 packet->fd_count, entry->fd_count, entry->fd_more ? " or more" : "");
		return -EINVAL;
	}
	if (entry->admin && !client->admin) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s: uid %u is no administrator here: be root, or use fencectl over the "
			 "bus, where polkit decides",
			 entry->name, client->subject.uid);
		return -EPERM;
	}
	if (entry->inspect > POLICY_INSPECT_NONE &&
	    policy_inspect(client->registry->policy, &client->subject, NULL) < entry->inspect) {
		snprintf(detail, FBK_REASON_SIZE, "policy lets uid %u inspect nothing",
			 client->subject.uid);
		return -EPERM;
	}
	if (!entry->on_timeline) {
		return 0;
	}
	uint32_t number;
	memcpy(&number, (const char *)body + entry->handle_offset, sizeof(number));
	return handle_check(client, number, entry->right, ret_handle, detail);
}

void answer_fd(struct answer *answer, int fd)
{
	answer->fds[answer->fd_count++] = fd;
}

int answer_duplicate(struct answer *answer, int fd)
{
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (duplicate < 0) {
		return -errno;
	}
	answer_fd(answer, duplicate);
	return 0;
}

int answer_readonly(struct answer *answer, const struct page *page)
{
	int fd;
	int r = page_readonly_fd(page, &fd);
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

int id_check(uint32_t id, char *detail)
{
	if (id == 0) {
		snprintf(detail, FBK_REASON_SIZE, "0 is no id: the client chooses one, from 1 on");
		return -EINVAL;
	}
	return 0;
}

int flags_check(uint32_t flags, uint32_t known, const char *what, char *detail)
{
	if (flags & FBK_FLAGS_PROTOCOL) {
		snprintf(detail, FBK_REASON_SIZE,
			 "flags 0x%x of %s: bits 16 to 31 are for the daemon to set", flags, what);
		return -EINVAL;
	}
	if (flags & ~known) {
		snprintf(detail, FBK_REASON_SIZE, "flags 0x%x of %s has unknown ones", flags, what);
		return -EINVAL;
	}
	return 0;
}

int answer_object(struct answer *answer, uint32_t id)
{
	fbk__wire__object__init(&answer->object);
	answer->object.id = id;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_OBJECT;
	answer->message.object = &answer->object;
	return 0;
}

int answer_no_device(struct answer *answer, uint32_t number)
{
	snprintf(answer->detail, FBK_REASON_SIZE, "this client has no device %u", number);
	return -ENOENT;
}

void answer_finish(struct answer *answer)
{
	for (size_t i = 0; i < answer->fd_count; i++) {
		close(answer->fds[i]);
	}
}

void error_explain(const struct client *client, int error, char *text)
{
	const struct account_limit *limit = user_refused(client->user);
	if (error == -EDQUOT && client->reserve) {
		snprintf(text, FBK_REASON_SIZE,
			 "uid %u is at a limit, so this connection is of the reserve: it can only "
			 "inspect and administer",
			 client->subject.uid);
	} else if (error == -EDQUOT && limit) {
		snprintf(text, FBK_REASON_SIZE,
			 "a limit of uid %u is reached: %s (%llu %s); release something, or raise "
			 "it in the policy",
			 client->subject.uid, limit->key,
			 (unsigned long long)user_limit(
				 client->user, (enum account_resource)(limit - account_limits)),
			 limit->what);
	} else if (error == -ENODEV) {
		snprintf(text, FBK_REASON_SIZE,
			 "the DRM device that the daemon used is gone: try again, it looks for "
			 "another");
	} else if (error == -ENFILE || error == -EMFILE) {
		snprintf(text, FBK_REASON_SIZE,
			 "the daemon's file descriptors are used up: raise LimitNOFILE=");
	} else {
		wire_text_copy(text, FBK_REASON_SIZE, strerrordesc_np(-error));
	}
}

static void answer_error(struct answer *answer, const struct client *client, int error)
{
	client->registry->counters.errors++;
	if (!answer->detail[0]) {
		error_explain(client, error, answer->detail);
	}
	for (; answer->fd_count > 0; answer->fd_count--) {
		close(answer->fds[answer->fd_count - 1]);
	}
	answer->message.error = error;
	answer->message.detail = answer->detail;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY__NOT_SET;
	log_debug("%s: %s", client_label(client), answer->detail);
}

enum answer_then dispatch_run(struct client *client, const Fbk__Wire__Request *request,
			      struct wire_packet *packet, struct answer *ret_answer)
{
	static const struct dispatch_entry unknown;
	size_t count = sizeof(entries) / sizeof(entries[0]);
	const struct dispatch_entry *entry =
		(size_t)request->body_case < count ? &entries[request->body_case] : &unknown;
	struct answer *answer = ret_answer;
	struct handle *handle = NULL;
	const void *body = request->hello; /* the members of the union are all pointers */

	*answer = (struct answer){ .detail = "", .quiet = request->quiet };
	fbk__wire__message__init(&answer->message);
	answer->message.serial = request->serial;
	int r = entry_check(entry, client, body, answer->quiet, packet, &handle, answer->detail);
	if (r == 0) {
		packet->fds[packet->fd_count] = -1; /* there is room: the table bounds the count */
		r = entry->handler(client, handle, body, packet->fds, answer);
	}
	client->registry->counters.requests++;
	if (r < 0) {
		answer_error(answer, client, r);
	}
	if (answer->quiet && entry->quiet != QUIET_NEVER) {
		answer->silent |= r == 0 || entry->quiet == QUIET;
	}
	/* A refused client has no second try on the same connection. */
	bool refused = r == -EPROTONOSUPPORT || (r < 0 && !client->greeted);
	return refused ? ANSWER_THEN_HANG_UP : answer->then;
}
