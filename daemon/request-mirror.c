// SPDX-License-Identifier: MIT
/* Requests about syncobjs and mirrors. */
#include <errno.h>
#include <stdio.h>

#include "broker.h"
#include "dispatch.h"
#include "handle.h"
#include "mirror.h"

int request_syncobj_create(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)handle;
	(void)body;
	(void)fds;
	struct drm *drm = &client->broker->drm;
	uint32_t syncobj;
	int fd;
	int r = syncobj_create(drm, &syncobj);
	if (r == -EOPNOTSUPP) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "no DRM device here has syncobj timelines: see `fencectl doctor`");
	}
	if (r < 0) {
		return r;
	}
	r = syncobj_fd(drm, syncobj, &fd);
	syncobj_close(drm, syncobj); /* it lives on in the fd */
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

/* The fd came from a stranger: what is it? */
static int syncobj_check(struct client *client, int fd, struct answer *answer)
{
	char what[64];
	int kind;
	int r = classify_fd(&client->broker->classifier, fd, &kind, what, sizeof(what));
	if (r == 0 && kind == FBK_SYNCOBJ_TIMELINE) {
		return 0;
	}
	client->broker->counters.fds_refused++;
	snprintf(answer->detail, FBK_REASON_SIZE, "that fd is %s, not a drm_syncobj", what);
	return -EBADF;
}

static int mirror_make(struct client *client, struct handle *handle, int fd, bool from, bool direct,
		       struct answer *answer)
{
	struct mirror *mirror;
	int r = syncobj_check(client, fd, answer);
	if (r == 0) {
		r = mirror_create(handle, fd, from, direct, &mirror, answer->detail);
	}
	return r < 0 ? r : answer_object(answer, mirror->number);
}

int request_mirror_to(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	const Fbk__Wire__MirrorTo *request = body;
	if (request->direct && timeline_signaler(handle->timeline) != client) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "only who signals %s can signal a syncobj with it",
			 handle->timeline->name);
		return -EPERM;
	}
	return mirror_make(client, handle, fds[0], false, request->direct, answer);
}

int request_mirror_from(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)body;
	if (!handle->timeline->brokered) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "timeline %s is signalled in memory, by who made it: only a brokered one "
			 "follows a syncobj",
			 handle->timeline->name);
		return -EINVAL;
	}
	return mirror_make(client, handle, fds[0], true, false, answer);
}

int request_mirror_destroy(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__MirrorDestroy *request = body;
	struct mirror *mirror = mirror_find(client, request->mirror);
	if (!mirror) {
		snprintf(answer->detail, FBK_REASON_SIZE, "this client has no mirror %u",
			 request->mirror);
		return -ENOENT;
	}
	mirror_destroy(mirror, true);
	return 0;
}
