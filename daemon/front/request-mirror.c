// SPDX-License-Identifier: MIT
/* Requests about syncobjs and mirrors. */
#include <errno.h>
#include <stdio.h>

#include "broker.h"
#include "daemon/core/handle.h"
#include "daemon/core/received.h"
#include "daemon/translate/mirror.h"
#include "dispatch.h"

int request_syncobj_create(struct client *client, struct handle *handle, const void *body, int *fds,
			   struct answer *answer)
{
	(void)handle;
	(void)body;
	(void)fds;
	struct syncobj syncobj;
	int fd;
	int r = syncobj_create(&translator_of(client)->drm, &syncobj);
	if (r == -EOPNOTSUPP) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "no DRM device here has syncobj timelines: see `fencectl doctor`");
	}
	if (r < 0) {
		return r;
	}
	r = syncobj_fd(&syncobj, &fd);
	syncobj_close(&syncobj); /* it lives on in the fd */
	if (r == 0) {
		answer_fd(answer, fd);
	}
	return r;
}

static int mirror_make(struct client *client, struct handle *handle, int fd, uint32_t number,
		       bool from, bool direct, struct answer *answer)
{
	int kind;
	int r = id_check(number, answer->detail);
	if (r == 0) {
		r = received_fence(client->registry, fd, FBK_FENCE_SYNCOBJ_TIMELINE,
				   "a drm_syncobj", -EBADF, &kind, answer->detail);
	}
	if (r == 0) {
		r = mirror_create(translator_of(client), handle, fd, number, from, direct,
				  answer->detail);
	}
	return r < 0 ? r : answer_object(answer, number);
}

int request_mirror_to(struct client *client, struct handle *handle, const void *body, int *fds,
		      struct answer *answer)
{
	const Fbk__Wire__MirrorTo *request = body;
	if (request->direct && timeline_signaler(handle->timeline) != client) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "only the signaler of %s can mirror it directly", handle->timeline->name);
		return -EPERM;
	}
	return mirror_make(client, handle, fds[0], request->mirror, false, request->direct, answer);
}

int request_mirror_from(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	const Fbk__Wire__MirrorFrom *request = body;
	if (!handle->timeline->brokered) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "timeline %s is signalled in memory by its maker: only a brokered one "
			 "follows a syncobj",
			 handle->timeline->name);
		return -EINVAL;
	}
	return mirror_make(client, handle, fds[0], request->mirror, true, false, answer);
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
