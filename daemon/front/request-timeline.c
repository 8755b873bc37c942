// SPDX-License-Identifier: MIT
/* Requests about timelines as a whole: create, share, open, close, fail, info. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/client-set.h"
#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/link.h"
#include "daemon/core/received.h"
#include "daemon/core/token.h"
#include "dispatch.h"
#include "inspect.h"

#define SET_SIZE_OF_ONE 4096

static bool handle_writes(const struct handle *handle)
{
	const struct timeline *timeline = handle->timeline;
	return timeline_signaler(timeline) == handle->client && !timeline->brokered;
}

void page_describe(Fbk__Wire__Page *ret, const struct page *page, uint32_t slot)
{
	fbk__wire__page__init(ret);
	ret->id = page->id;
	ret->size = page->size;
	ret->kind = page->kind;
	ret->slot = slot;
	ret->header_size = page_header_size(page->kind);
	ret->stride = page_stride(page->kind);
}

/* An fd of the payload page: writable for the signaler until it has mapped the page, read-only for all clients after
 * that. None of registered memory, which only its owner maps. */
static int answer_payload(struct answer *answer, const struct page *page, bool writable)
{
	if (page->backing == FBK_BACKING_OWN) {
		return 0;
	}
	if (writable) {
		return answer_duplicate(answer, page->fd);
	}
	return answer_readonly(answer, page);
}

int answer_timeline(struct answer *answer, const struct handle *handle)
{
	const struct timeline *timeline = handle->timeline;
	struct page *page = timeline->slot.page;
	bool writable = handle_writes(handle) && !page->sealed;
	int r = answer_readonly(answer, timeline->set->control);
	if (r == 0) {
		r = answer_payload(answer, page, writable);
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
	answer->timeline.flags = timeline_flags(timeline);
	answer->timeline.control = &answer->control;
	answer->timeline.payload = &answer->payload;
	answer->timeline.writable = writable;
	answer->timeline.visibility = timeline->brokered || timeline->lane
					      ? FBK_VISIBILITY_ORDERED
					      : timeline->device->visibility;
	answer->timeline.registered = page->backing == FBK_BACKING_OWN;
	answer->timeline.name = text(timeline->name);
	answer->timeline.device = timeline->device->name;
	answer->timeline.pid = timeline->device->pid;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_TIMELINE;
	answer->message.timeline = &answer->timeline;
	return 0;
}

static int timeline_set(struct client *client, const Fbk__Wire__TimelineCreate *request,
			struct set **ret_set, struct answer *answer)
{
	if (request->set == 0) {
		return set_create(client->registry, client->user, SET_SIZE_OF_ONE, ret_set);
	}
	struct set *set = client_set_find(client, request->set);
	if (!set) {
		snprintf(answer->detail, FBK_REASON_SIZE, "this client has no set %u",
			 request->set);
		return -ENOENT;
	}
	set->refs++;
	*ret_set = set;
	return 0;
}

static int create_check(const Fbk__Wire__TimelineCreate *request, struct answer *answer)
{
	if (!device_name_valid(request->name)) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "a timeline's name has 1 to %d printable characters and no space",
			 FBK_NAME_SIZE - 1);
		return -EINVAL;
	}
	return flags_check(request->flags, FBK_TIMELINE_BROKERED, "a timeline", answer->detail);
}

static int timeline_make(struct client *client, struct device *device,
			 const Fbk__Wire__TimelineCreate *request, struct timeline **ret_timeline,
			 struct answer *answer)
{
	struct set *set;
	int r = timeline_set(client, request, &set, answer);
	if (r < 0) {
		return r;
	}
	r = timeline_create(device, set, request->name, request->flags, ret_timeline);
	if (r == -ENOBUFS) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "%s has no free fence memory: add some with fbk_device_add_memory()",
			 device->name);
		r = -ENOSPC;
	} else if (r == -ENOSPC) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "set %u is full (%u timelines, ended ones too): make another",
			 request->set, set->control->slots);
	}
	set_unref(set); /* the timeline holds its own reference */
	return r;
}

/* Was it made by such a request? */
static bool handle_is(const struct handle *handle, const struct device *device,
		      const Fbk__Wire__TimelineCreate *request)
{
	const struct timeline *timeline = handle->timeline;
	if (timeline_signaler(timeline) != handle->client || timeline->device != device ||
	    timeline->lane || (timeline->brokered != NULL) != (request->flags != 0) ||
	    strcmp(timeline->name, request->name) != 0) {
		return false;
	}
	const struct set *set = client_set_find(handle->client, request->set);
	return request->set ? timeline->set == set
			    : timeline->set->control->size == SET_SIZE_OF_ONE;
}

static int handle_make(struct client *client, struct device *device,
		       const Fbk__Wire__TimelineCreate *request, struct handle **ret_handle,
		       struct answer *answer)
{
	struct timeline *timeline;
	int r = timeline_make(client, device, request, &timeline, answer);
	if (r < 0) {
		return r;
	}
	r = handle_create(client, timeline, RIGHTS_ALL, request->handle, ret_handle);
	if (r < 0) {
		timeline_destroy(timeline);
	}
	return r;
}

int request_timeline_create(struct client *client, struct handle *none, const void *body, int *fds,
			    struct answer *answer)
{
	(void)none;
	(void)fds;
	const Fbk__Wire__TimelineCreate *request = body;
	struct device *device = device_find(client, request->device);
	struct handle *handle = client_handle(client, request->handle);

	if (!device) {
		return answer_no_device(answer, request->device);
	}
	int r = create_check(request, answer);
	if (r == 0 && handle && handle_is(handle, device, request)) {
		return answer_timeline(answer, handle);
	}
	if (r == 0) {
		r = handle_number_check(client, request->handle, answer->detail);
	}
	if (r == 0) {
		r = handle_make(client, device, request, &handle, answer);
	}
	if (r < 0) {
		return r;
	}
	r = answer_timeline(answer, handle);
	if (r < 0) {
		handle_destroy(handle, FBK_CAUSE_OWNER_LEFT);
	}
	return r;
}

int request_page_mapped(struct client *client, struct handle *none, const void *body, int *fds,
			struct answer *answer)
{
	(void)none;
	(void)fds;
	const Fbk__Wire__PageMapped *request = body;
	for (uint32_t number = 1; number < client->handles_size; number++) {
		const struct handle *handle = client->handles[number];
		if (handle && handle_writes(handle) &&
		    handle->timeline->slot.page->id == request->page_id) {
			int r = page_seal(handle->timeline->slot.page);
			if (r == 0 && handle->timeline->lane) {
				link_lane_mapped(handle);
			}
			return r;
		}
	}
	snprintf(answer->detail, FBK_REASON_SIZE, "this client is not the writer of page %llu",
		 (unsigned long long)request->page_id);
	return -ENOENT;
}

int request_timeline_share(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)client;
	(void)fds;
	const Fbk__Wire__TimelineShare *request = body;
	struct timeline *timeline = handle->timeline;
	int fd;

	int r = id_check(request->token, answer->detail);
	if (r < 0) {
		return r;
	}
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
	if (request->rights & FBK_RIGHT_SIGNAL && !timeline->brokered) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "timeline %s lives in memory that only its maker writes: share the right "
			 "to "
			 "wait, or make it brokered",
			 timeline->name);
		return -EPERM;
	}
	r = token_share(handle, request->token, request->rights, &fd, answer->detail);
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

int request_token_cancel(struct client *client, struct handle *none, const void *body, int *fds,
			 struct answer *answer)
{
	(void)none;
	(void)fds;
	const Fbk__Wire__TokenCancel *request = body;
	int r = token_cancel(client, request->token);
	if (r < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "token %u does not exist, or has ended",
			 request->token);
	}
	return r;
}

int request_timeline_open(struct client *client, struct handle *none, const void *body, int *fds,
			  struct answer *answer)
{
	(void)none;
	const Fbk__Wire__TimelineOpen *request = body;
	struct token *token = token_find(client->registry, fds[0]);
	if (!token) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "not a token of this daemon, or its maker closed the timeline");
		return received_refuse(client->registry, -EBADF);
	}
	struct timeline *timeline = token->handle->timeline;
	if (!timeline->set) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s", timeline_reason(timeline));
		return -ENOENT;
	}
	struct handle *handle = handle_of(client, timeline);
	bool fresh = !handle;
	uint32_t rights = token->rights;
	int r = 0;
	if (!handle ||
	    handle->number != request->handle) { /* it was opened by another, which is in force */
		r = handle_number_check(client, request->handle, answer->detail);
	}
	if (r == 0 && fresh) {
		r = handle_create(client, timeline, rights, request->handle, &handle);
	}
	if (r < 0) {
		return r;
	}
	handle->rights |= (uint16_t)rights;
	handle->opened_by = (uint32_t)token->key.inode;
	r = answer_timeline(answer, handle);
	if (r == -EAGAIN) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "the signaler of %s has not mapped it yet", timeline->name);
	}
	if (r < 0 && fresh) {
		handle_destroy(handle, FBK_CAUSE_OWNER_LEFT);
	}
	return r;
}

int request_timeline_close(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)client;
	(void)body;
	(void)fds;
	(void)answer;
	handle_destroy(handle, FBK_CAUSE_OWNER_LEFT);
	return 0;
}

int request_timeline_fail(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)client;
	(void)fds;
	const Fbk__Wire__TimelineFail *request = body;
	struct timeline *timeline = handle->timeline;
	if (request->error >= 0 || request->error < -4095) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%d is not a negative errno",
			 request->error);
		return -EINVAL;
	}
	if (timeline->cause != FBK_CAUSE_NONE) {
		snprintf(answer->detail, FBK_REASON_SIZE, "%s", timeline_reason(timeline));
		return -EALREADY;
	}
	timeline_look(timeline);
	timeline_fail(timeline, FBK_CAUSE_OWNER_FAILED, request->error, request->reason);
	return 0;
}

int request_timeline_info(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)client;
	(void)body;
	(void)fds;
	struct timeline *timeline = handle->timeline;
	timeline_refresh(timeline);
	timeline_describe(&answer->state, timeline);
	answer->state.rights = handle->rights;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_STATE;
	answer->message.state = &answer->state;
	return 0;
}
