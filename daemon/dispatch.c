// SPDX-License-Identifier: MIT
#include "dispatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "handle.h"
#include "log.h"

#define NO_HANDLE SIZE_MAX

struct dispatch_entry {
	const char *name;
	request_fn *handler;
	size_t size_max;             /* of the whole packet */
	size_t fd_count;             /* exactly */
	size_t handle_offset;        /* of the field in the body that names a timeline; NO_HANDLE */
	uint32_t right;              /* on that timeline: all of this mask */
	enum policy_inspect inspect; /* what policy must allow at least */
	bool before_hello;
};

#define PLAIN(field, function, size)                                                               \
	[FBK__WIRE__REQUEST__BODY_##field] = { #function, request_##function,  size, 0, NO_HANDLE, \
					       0,         POLICY_INSPECT_NONE, false }
#define WITH_FD(field, function, size)                                                             \
	[FBK__WIRE__REQUEST__BODY_##field] = { #function, request_##function,  size, 1, NO_HANDLE, \
					       0,         POLICY_INSPECT_NONE, false }
#define ON_TIMELINE(field, function, size, fds, type, right)                                    \
	[FBK__WIRE__REQUEST__BODY_##field] = {                                                  \
		#function, request_##function,  size, fds, offsetof(Fbk__Wire__##type, handle), \
		right,     POLICY_INSPECT_NONE, false                                           \
	}
#define INSPECT(field, function)                                                                  \
	[FBK__WIRE__REQUEST__BODY_##field] = { #function, request_##function, 64,   0, NO_HANDLE, \
					       0,         POLICY_INSPECT_OWN, false }

static const struct dispatch_entry entries[] = {
	[FBK__WIRE__REQUEST__BODY_HELLO] = { "hello", request_hello, 256, 0, NO_HANDLE, 0,
					     POLICY_INSPECT_NONE, true },
	PLAIN(GOODBYE, goodbye, 64),
	PLAIN(DEVICE_REGISTER, device_register, 256),
	PLAIN(DEVICE_UNREGISTER, device_unregister, 64),
	PLAIN(SET_CREATE, set_create, 64),
	PLAIN(SET_DESTROY, set_destroy, 64),
	PLAIN(TIMELINE_CREATE, timeline_create, 256),
	PLAIN(PAGE_MAPPED, page_mapped, 64),
	WITH_FD(TIMELINE_OPEN, timeline_open, 64),
	ON_TIMELINE(TIMELINE_SHARE, timeline_share, 64, 0, TimelineShare, 0),
	ON_TIMELINE(TIMELINE_CLOSE, timeline_close, 64, 0, TimelineClose, 0),
	ON_TIMELINE(TIMELINE_SIGNAL, timeline_signal, 64, 0, TimelineSignal, FBK_RIGHT_SIGNAL),
	ON_TIMELINE(TIMELINE_FAIL, timeline_fail, 512, 0, TimelineFail, FBK_RIGHT_SIGNAL),
	ON_TIMELINE(TIMELINE_INFO, timeline_info, 64, 0, TimelineInfo, 0),
	ON_TIMELINE(POINT_BLAME, point_blame, 64, 0, PointBlame, FBK_RIGHT_WAIT),
	ON_TIMELINE(POINT_WATCH, point_watch, 64, 0, PointWatch, FBK_RIGHT_WAIT),
	PLAIN(WATCH_CANCEL, watch_cancel, 64),
	ON_TIMELINE(POINT_EXPORT, point_export, 64, 0, PointExport, FBK_RIGHT_WAIT),
	ON_TIMELINE(POINT_SIGNAL_ON, point_signal_on, 64, 1, PointSignalOn, FBK_RIGHT_SIGNAL),
	INSPECT(INSPECT_STATUS, inspect_status),
	INSPECT(INSPECT_DEVICES, inspect_devices),
	INSPECT(INSPECT_TIMELINES, inspect_timelines),
};

static const char *right_name(uint32_t missing)
{
	return missing & FBK_RIGHT_SIGNAL ? "signal" : "wait";
}

/* All that is checked before a handler runs. */
static int entry_check(const struct dispatch_entry *entry, struct session *session,
		       const void *body, const struct wire_packet *packet,
		       struct handle **ret_handle, char *detail)
{
	if (!entry->handler) {
		snprintf(detail, FBK_REASON_SIZE,
			 "this daemon does not know that request: it is older than the client");
		return -EOPNOTSUPP;
	}
	if (entry->before_hello == session->greeted) {
		snprintf(detail, FBK_REASON_SIZE,
			 session->greeted ? "Hello comes once, and first"
					  : "the first request is Hello");
		return -EPROTO;
	}
	if (packet->size > entry->size_max) {
		snprintf(detail, FBK_REASON_SIZE, "%s: %zu bytes, at most %zu are taken",
			 entry->name, packet->size, entry->size_max);
		return -EMSGSIZE;
	}
	if (packet->fd_count != entry->fd_count) {
		session->broker->counters.fds_refused += packet->fd_count;
		snprintf(detail, FBK_REASON_SIZE, "%s: %zu file descriptors came, %zu belong to it",
			 entry->name, packet->fd_count, entry->fd_count);
		return -EINVAL;
	}
	if (entry->inspect > POLICY_INSPECT_NONE &&
	    policy_inspect(session->broker->policy, &session->subject, NULL) < entry->inspect) {
		snprintf(detail, FBK_REASON_SIZE, "policy lets uid %u inspect nothing",
			 session->subject.uid);
		return -EPERM;
	}
	if (entry->handle_offset == NO_HANDLE) {
		return 0;
	}
	uint32_t number;
	memcpy(&number, (const char *)body + entry->handle_offset, sizeof(number));
	struct handle *handle = session_handle(session, number);
	if (!handle) {
		snprintf(detail, FBK_REASON_SIZE, "%s: this client has no timeline %u open",
			 entry->name, number);
		return -ENOENT;
	}
	uint32_t missing = entry->right & ~handle->rights;
	if (missing) {
		snprintf(
			detail, FBK_REASON_SIZE,
			"%s: this client has no right to %s timeline %s: ask its owner for a token "
			"with that right",
			entry->name, right_name(missing), handle->timeline->name);
		return -EPERM;
	}
	*ret_handle = handle;
	return 0;
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

int answer_no_device(struct answer *answer, uint32_t number)
{
	snprintf(answer->detail, FBK_REASON_SIZE, "this client has no device %u", number);
	return -ENOENT;
}

static void answer_finish(struct answer *answer)
{
	for (size_t i = 0; i < answer->fd_count; i++) {
		close(answer->fds[i]);
	}
}

static void dispatch_request(struct session *session, const Fbk__Wire__Request *request,
			     struct wire_packet *packet)
{
	static const struct dispatch_entry unknown;
	size_t count = sizeof(entries) / sizeof(entries[0]);
	const struct dispatch_entry *entry =
		(size_t)request->body_case < count ? &entries[request->body_case] : &unknown;
	struct answer answer = { .detail = "" };
	struct handle *handle = NULL;
	const void *body = request->hello; /* the members of the union are all pointers */

	fbk__wire__message__init(&answer.message);
	int r = entry_check(entry, session, body, packet, &handle, answer.detail);
	if (r == 0) {
		r = entry->handler(session, handle, body, packet->fds, &answer);
	}
	session->broker->counters.requests++;
	if (r < 0) {
		session->broker->counters.errors++;
		if (!answer.detail[0]) {
			session_explain(session, r, answer.detail);
		}
		answer.message.error = r;
		answer.message.detail = answer.detail;
		answer.message.body_case = FBK__WIRE__MESSAGE__BODY__NOT_SET;
		log_debug("%s: %s", session_label(session), answer.detail);
	}
	answer.message.serial = request->serial;
	if (!answer.silent) {
		session_send(session, &answer.message, answer.fds, r < 0 ? 0 : answer.fd_count);
	}
	answer_finish(&answer);
	if (r == -EPROTONOSUPPORT || (r < 0 && !session->greeted)) {
		session->hangup_after_reply = true;
		if (session->reply.size == 0) {
			session_end(session, NULL);
		}
	}
}

void dispatch_packet(struct session *session, struct wire_packet *packet)
{
	static _Alignas(16) uint8_t memory[WIRE_ARENA_SIZE];
	struct wire_arena arena;
	wire_arena_init(&arena, memory, sizeof(memory));

	Fbk__Wire__Request *request =
		fbk__wire__request__unpack(&arena.allocator, packet->size, packet->bytes);
	if (!request || request->serial == 0) {
		session->broker->counters.malformed++;
		session->broker->counters.fds_refused += packet->fd_count;
		session_end(session, "it sent a packet that is no request");
		return;
	}
	dispatch_request(session, request, packet);
}
