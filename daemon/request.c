// SPDX-License-Identifier: MIT
/* The handlers that the dispatch table names, but for inspection. Rights are checked by then. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blame.h"
#include "broker.h"
#include "clock.h"
#include "device.h"
#include "dispatch.h"
#include "export.h"
#include "handle.h"
#include "import.h"
#include "log.h"
#include "session-object.h"
#include "token.h"
#include "version.h"
#include "watch.h"

static void answer_fd(struct answer *answer, int fd)
{
	answer->fds[answer->fd_count++] = fd;
}

/* A duplicate of an fd of ours, to be closed when it was sent. */
static int answer_duplicate(struct answer *answer, int fd)
{
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (duplicate < 0) {
		return -errno;
	}
	answer_fd(answer, duplicate);
	return 0;
}

static int answer_object(struct answer *answer, uint32_t id)
{
	fbk__wire__object__init(&answer->object);
	answer->object.id = id;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_OBJECT;
	answer->message.object = &answer->object;
	return 0;
}

/* Deadlines that a client may choose, cut to what policy allows. */
static uint64_t deadline_bounded(uint64_t deadline_ns, uint64_t longest_ms)
{
	uint64_t latest = clock_now_ns() + longest_ms * NS_PER_MS;
	return deadline_ns < latest ? deadline_ns : latest;
}

static int point_check(uint64_t value, struct answer *answer)
{
	if (value == 0 || value > FBK_POINT_MAX) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "%llu is not a point: points are 1 to 2^62 - 1",
			 (unsigned long long)value);
		return -ERANGE;
	}
	return 0;
}

/* ------------------------------------------------------------------------------- connection -- */

int request_hello(struct session *session, struct handle *handle, const void *body, int *fds,
		  struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__Hello *hello = body;
	struct broker *broker = session->broker;
	const char *rule = "";
	char name[FBK_NAME_SIZE];

	wire_text_copy(name, sizeof(name), hello->name);
	if (hello->version_min > WIRE_VERSION_MAX || hello->version_max < WIRE_VERSION_MIN) {
		bool newer = hello->version_min > WIRE_VERSION_MAX;
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "this daemon (%s) speaks protocol %d to %d, the client %u to %u: update "
			 "the %s",
			 FBK_VERSION_STRING, WIRE_VERSION_MIN, WIRE_VERSION_MAX, hello->version_min,
			 hello->version_max, newer ? "daemon" : "client");
		broker->counters.refused++;
		return -EPROTONOSUPPORT;
	}
	if (!policy_may_connect(broker->policy, &session->subject, &rule)) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "policy does not let uid %u connect (%s): ask the administrator to add a "
			 "rule",
			 session->subject.uid, rule);
		broker->counters.refused++;
		return -EPERM;
	}
	int r = session_greet(session, name);
	if (r == 0) {
		r = answer_duplicate(answer, session->pair->fd);
	}
	if (r == 0) {
		r = answer_duplicate(answer, session->doorbell);
	}
	if (r < 0) {
		return r;
	}
	const struct policy_settings *settings = policy_settings(broker->policy);
	Fbk__Wire__Welcome *welcome = &answer->welcome;
	fbk__wire__welcome__init(welcome);
	welcome->version =
		hello->version_max < WIRE_VERSION_MAX ? hello->version_max : WIRE_VERSION_MAX;
	welcome->daemon_version = (char *)(uintptr_t)FBK_VERSION_STRING;
	welcome->features = broker->probe.features;
	welcome->spin_ns = settings->spin_ns;
	welcome->max_wait_ms = settings->max_wait_ms;
	welcome->user_mode = broker->user_mode;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_WELCOME;
	answer->message.welcome = welcome;
	session->greeted = true;
	broker_disarm(broker, &session->greeting);
	return 0;
}

int request_goodbye(struct session *session, struct handle *handle, const void *body, int *fds,
		    struct answer *answer)
{
	(void)handle;
	(void)body;
	(void)fds;
	session->left = true;
	answer->silent = true;
	session_end(session, NULL);
	return 0;
}

/* -------------------------------------------------------------------------- devices and sets -- */

int request_device_register(struct session *session, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	struct device *device;
	int r = device_register(session, body, &device, answer->detail);
	return r < 0 ? r : answer_object(answer, device->handle);
}

static int no_device(uint32_t number, struct answer *answer)
{
	snprintf(answer->detail, FBK_REASON_SIZE, "this client has no device %u", number);
	return -ENOENT;
}

int request_device_unregister(struct session *session, struct handle *handle, const void *body,
			      int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__DeviceUnregister *request = body;
	struct device *device = device_find(session, request->device);
	if (!device) {
		return no_device(request->device, answer);
	}
	device_unregister(device);
	return 0;
}

int request_set_create(struct session *session, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)handle;
	(void)body;
	(void)fds;
	uint32_t number;
	int r = session_set_create(session, &number);
	return r < 0 ? r : answer_object(answer, number);
}

int request_set_destroy(struct session *session, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__SetDestroy *request = body;
	int r = session_set_destroy(session, request->set);
	if (r < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "this client has no set %u",
			 request->set);
	}
	return r;
}

/* -------------------------------------------------------------------------------- timelines -- */

#define SET_SIZE_OF_ONE 4096

static bool handle_writes(const struct handle *handle)
{
	const struct timeline *timeline = handle->timeline;
	return timeline->signaler == handle->session && !(timeline->flags & FBK_TIMELINE_BROKERED);
}

static void page_describe(Fbk__Wire__Page *ret, const struct page *page, uint32_t slot)
{
	fbk__wire__page__init(ret);
	ret->id = page->id;
	ret->size = page->size;
	ret->kind = page->kind;
	ret->slot = slot;
}

/* The pages of a timeline: control read-only; payload writable for its signaler until that has
 * mapped it, and read-only for all others after. */
static int answer_timeline(struct answer *answer, const struct handle *handle)
{
	const struct timeline *timeline = handle->timeline;
	struct page *page = timeline->slot.page;
	bool writable = handle_writes(handle) && !page->sealed;
	int fd;

	int r = page_readonly_fd(timeline->set->control, &fd);
	if (r < 0) {
		return r;
	}
	answer_fd(answer, fd);
	if (writable) {
		r = answer_duplicate(answer, page->fd);
	} else {
		r = page_readonly_fd(page, &fd);
		if (r == 0) {
			answer_fd(answer, fd);
		}
	}
	if (r < 0) {
		return r;
	}
	page_describe(&answer->control, timeline->set->control, timeline->slot.control);
	page_describe(&answer->payload, page, timeline->slot.payload);
	fbk__wire__timeline__init(&answer->timeline);
	answer->timeline.handle = handle->number;
	answer->timeline.id = timeline->id;
	answer->timeline.rights = handle->rights;
	answer->timeline.flags = timeline->flags;
	answer->timeline.control = &answer->control;
	answer->timeline.payload = &answer->payload;
	answer->timeline.writable = writable;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_TIMELINE;
	answer->message.timeline = &answer->timeline;
	return 0;
}

static int timeline_set(struct session *session, const Fbk__Wire__TimelineCreate *request,
			struct set **ret_set, struct answer *answer)
{
	if (request->set == 0) {
		return set_create(session->broker, session->user, SET_SIZE_OF_ONE, ret_set);
	}
	struct set *set = session_set_find(session, request->set);
	if (!set) {
		snprintf(answer->detail, FBK_REASON_SIZE, "this client has no set %u",
			 request->set);
		return -ENOENT;
	}
	set->refs++;
	*ret_set = set;
	return 0;
}

static int handle_new(struct session *session, struct timeline *timeline, uint32_t rights,
		      struct handle **ret_handle, struct answer *answer)
{
	int r = handle_create(session, timeline, rights, ret_handle);
	if (r == -ENOSPC) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "this client has %d timelines open, the most", FBK_PAIR_CELLS - 1);
	}
	return r;
}

int request_timeline_create(struct session *session, struct handle *none, const void *body,
			    int *fds, struct answer *answer)
{
	(void)none;
	(void)fds;
	const Fbk__Wire__TimelineCreate *request = body;
	struct device *device = device_find(session, request->device);
	struct timeline *timeline;
	struct handle *handle;
	struct set *set;

	if (!device) {
		return no_device(request->device, answer);
	}
	if (!device_name_valid(request->name)) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "a timeline's name has 1 to %d printable characters and no space",
			 FBK_NAME_SIZE - 1);
		return -EINVAL;
	}
	if (request->flags & ~(uint32_t)FBK_TIMELINE_BROKERED) {
		snprintf(answer->detail, FBK_REASON_SIZE, "0x%x: unknown timeline flags",
			 request->flags);
		return -EINVAL;
	}
	int r = timeline_set(session, request, &set, answer);
	if (r < 0) {
		return r;
	}
	r = timeline_create(device, set, request->name, request->flags, &timeline);
	set_unref(set); /* the timeline holds its own */
	if (r == -ENOSPC) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "set %u is full (%u timelines, ended ones too): make another",
			 request->set, set->control->slots);
	}
	if (r < 0) {
		return r;
	}
	r = handle_new(session, timeline, RIGHTS_ALL, &handle, answer);
	if (r < 0) {
		timeline_destroy(timeline);
		return r;
	}
	r = answer_timeline(answer, handle);
	if (r < 0) {
		handle_destroy(handle);
	}
	return r;
}

int request_page_mapped(struct session *session, struct handle *none, const void *body, int *fds,
			struct answer *answer)
{
	(void)none;
	(void)fds;
	const Fbk__Wire__PageMapped *request = body;
	struct timeline *timeline;
	LIST_FOREACH(timeline, &session->signals, signaler_links) {
		struct page *page =
			timeline->set ? set_payload_page(timeline->set, request->page_id) : NULL;
		if (page && page == timeline->slot.page) {
			return page_seal(page);
		}
	}
	snprintf(answer->detail, FBK_REASON_SIZE, "this client writes no page %llu",
		 (unsigned long long)request->page_id);
	return -ENOENT;
}

int request_timeline_share(struct session *session, struct handle *handle, const void *body,
			   int *fds, struct answer *answer)
{
	(void)session;
	(void)fds;
	const Fbk__Wire__TimelineShare *request = body;
	struct timeline *timeline = handle->timeline;
	struct token *token;

	if (request->rights == 0 || request->rights & ~(uint32_t)RIGHTS_ALL) {
		snprintf(answer->detail, FBK_REASON_SIZE, "0x%x is not a mask of rights",
			 request->rights);
		return -EINVAL;
	}
	if (request->rights & ~handle->rights) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "rights 0x%x on timeline %s asked for, this client has 0x%x",
			 request->rights, timeline->name, handle->rights);
		return -EPERM;
	}
	if (request->rights & FBK_RIGHT_SIGNAL && !(timeline->flags & FBK_TIMELINE_BROKERED)) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "timeline %s lives in memory that only its maker writes: share the right "
			 "to "
			 "wait, or make it brokered",
			 timeline->name);
		return -EPERM;
	}
	int r = token_get(handle, request->rights, &token);
	return r < 0 ? r : answer_duplicate(answer, token->fd);
}

int request_timeline_open(struct session *session, struct handle *none, const void *body, int *fds,
			  struct answer *answer)
{
	(void)none;
	(void)body;
	struct token *token = token_find(session->broker, fds[0]);
	if (!token) {
		session->broker->counters.fds_refused++;
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "that fd is no token of this daemon, or who made it has closed the "
			 "timeline; a "
			 "token that was opened again through /proc is none");
		return -EBADF;
	}
	struct timeline *timeline = token->handle->timeline;
	if (!timeline->set) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s", timeline->reason);
		return -ENOENT;
	}
	struct handle *handle = handle_of(session, timeline);
	bool fresh = !handle;
	uint32_t rights = token->rights;
	int r = fresh ? handle_new(session, timeline, rights, &handle, answer) : 0;
	if (r < 0) {
		return r;
	}
	handle->rights |= rights;
	r = answer_timeline(answer, handle);
	if (r == -EAGAIN) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "the signaler of %s has not mapped it yet", timeline->name);
	}
	if (r < 0 && fresh) {
		handle_destroy(handle);
	}
	return r;
}

int request_timeline_close(struct session *session, struct handle *handle, const void *body,
			   int *fds, struct answer *answer)
{
	(void)session;
	(void)body;
	(void)fds;
	(void)answer;
	handle_destroy(handle);
	return 0;
}

static int not_above(const struct timeline *timeline, uint64_t value, int error,
		     struct answer *answer)
{
	if (error == -EALREADY) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "%llu is not above %llu, the last point of %s", (unsigned long long)value,
			 (unsigned long long)timeline->given, timeline->name);
	} else if (timeline->cause != FBK_CAUSE_NONE) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s", timeline->reason);
	}
	return error;
}

static int brokered_check(const struct timeline *timeline, struct answer *answer)
{
	if (timeline->flags & FBK_TIMELINE_BROKERED) {
		return 0;
	}
	snprintf(answer->detail, FBK_REASON_SIZE,
		 "timeline %s is signalled in memory, by who made it: only a brokered one is "
		 "signalled "
		 "by the daemon",
		 timeline->name);
	return -EINVAL;
}

int request_timeline_signal(struct session *session, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)session;
	(void)fds;
	const Fbk__Wire__TimelineSignal *request = body;
	int r = brokered_check(handle->timeline, answer);
	if (r == 0) {
		r = point_check(request->value, answer);
	}
	return r < 0 ? r
		     : not_above(handle->timeline, request->value,
				 import_signal(handle, request->value), answer);
}

int request_timeline_fail(struct session *session, struct handle *handle, const void *body,
			  int *fds, struct answer *answer)
{
	(void)session;
	(void)fds;
	const Fbk__Wire__TimelineFail *request = body;
	struct timeline *timeline = handle->timeline;
	if (request->error >= 0 || request->error < -4095) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%d is not a negative errno",
			 request->error);
		return -EINVAL;
	}
	if (timeline->cause != FBK_CAUSE_NONE) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s", timeline->reason);
		return -EALREADY;
	}
	timeline_look(timeline);
	timeline_fail(timeline, FBK_CAUSE_OWNER_FAILED, request->error, request->reason);
	return 0;
}

int request_timeline_info(struct session *session, struct handle *handle, const void *body,
			  int *fds, struct answer *answer)
{
	(void)session;
	(void)body;
	(void)fds;
	struct timeline *timeline = handle->timeline;
	Fbk__Wire__TimelineState *state = &answer->state;

	if (timeline->cause == FBK_CAUSE_NONE) {
		timeline_look(timeline);
	}
	fbk__wire__timeline_state__init(state);
	state->id = timeline->id;
	state->name = timeline->name;
	state->flags = timeline->flags;
	state->value = timeline->seen;
	state->cause = timeline->cause;
	state->error = timeline->error;
	state->failed_from = timeline->failed_from;
	state->reason = timeline->reason;
	state->device = timeline->owner.device;
	state->class_ = timeline->owner.class;
	state->pid = timeline->owner.pid;
	state->uid = timeline->owner.uid;
	state->rights = handle->rights;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_STATE;
	answer->message.state = state;
	return 0;
}

/* ----------------------------------------------------------------------------------- points -- */

int request_point_blame(struct session *session, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)session;
	(void)fds;
	const Fbk__Wire__PointBlame *request = body;
	blame_describe(handle->timeline, request->value, answer->text_buffer,
		       sizeof(answer->text_buffer));
	fbk__wire__text__init(&answer->text);
	answer->text.text = answer->text_buffer;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_TEXT;
	answer->message.text = &answer->text;
	return 0;
}

int request_point_watch(struct session *session, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__PointWatch *request = body;
	const struct policy_settings *settings = policy_settings(session->broker->policy);
	int r = point_check(request->value, answer);
	if (r < 0) {
		return r;
	}
	r = watch_create(handle, request->watch, request->value,
			 deadline_bounded(request->deadline_ns, settings->max_wait_ms));
	if (r == -EEXIST) {
		snprintf(answer->detail, FBK_REASON_SIZE, "watch %llu exists already",
			 (unsigned long long)request->watch);
	}
	return r;
}

int request_watch_cancel(struct session *session, struct handle *handle, const void *body, int *fds,
			 struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__WatchCancel *request = body;
	int r = watch_cancel(session, request->watch);
	if (r < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "watch %llu does not exist, or was told already",
			 (unsigned long long)request->watch);
	}
	return r;
}

int request_point_export(struct session *session, struct handle *handle, const void *body, int *fds,
			 struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__PointExport *request = body;
	const struct policy_settings *settings = policy_settings(session->broker->policy);
	int fd;
	int r = point_check(request->value, answer);
	if (r < 0) {
		return r;
	}
	r = export_create(handle, request->value, request->kind,
			  deadline_bounded(request->deadline_ns, settings->max_export_ms), &fd,
			  answer->detail);
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

int request_point_signal_on(struct session *session, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	const Fbk__Wire__PointSignalOn *request = body;
	char what[64];
	int kind;
	int r = brokered_check(handle->timeline, answer);
	if (r == 0) {
		r = point_check(request->value, answer);
	}
	if (r < 0) {
		return r;
	}
	r = classify_fd(&session->broker->classifier, fds[0], &kind, what, sizeof(what));
	if (r < 0) {
		session->broker->counters.fds_refused++;
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "that fd is %s, not a fence the daemon can follow; it follows an eventfd",
			 what);
		return r;
	}
	r = import_create(handle, request->value, fds[0], (uint32_t)kind, answer->detail);
	if (r == 0) {
		fds[0] = -1; /* kept */
	}
	return not_above(handle->timeline, request->value, r, answer);
}
