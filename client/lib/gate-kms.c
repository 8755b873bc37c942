// SPDX-License-Identifier: MIT
/* A gate that commits to a display. */
#include <errno.h>
#include <stdlib.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "error.h"
#include "fence-kms.h"
#include "gate.h"
#include "proto/container.h"

struct commit_gate {
	struct fbk_gate gate;
	int fd;
	drmModeAtomicReqPtr request; /* a copy: the caller frees its own at once */
	uint32_t flags;
	void *user_data;
};

static int commit_act(struct fbk_gate *gate)
{
	const struct commit_gate *commit = container_of(gate, struct commit_gate, gate);
	int r = drmModeAtomicCommit(commit->fd, commit->request, commit->flags, commit->user_data);
	return r == -1 ? -errno : r;
}

static void commit_finish(struct fbk_gate *gate)
{
	drmModeAtomicFree(container_of(gate, struct commit_gate, gate)->request);
}

int fbk_gate_atomic_commit(struct fbk_point point, uint64_t deadline_ns, int drm_fd,
			   struct _drmModeAtomicReq *request, uint32_t flags, void *user_data,
			   fbk_point_fn *done, void *arg, struct fbk_gate **ret_gate)
{
	struct commit_gate *commit = calloc(1, sizeof(*commit));
	drmModeAtomicReqPtr copy = commit ? drmModeAtomicDuplicate(request) : NULL;
	if (!copy) {
		free(commit);
		return error_plain(-ENOMEM);
	}
	commit->gate.act = commit_act;
	commit->gate.finish = commit_finish;
	commit->fd = drm_fd;
	commit->request = copy;
	commit->flags = flags;
	commit->user_data = user_data;
	return gate_begin(&commit->gate,
			  &(struct gate_request){ point, deadline_ns, done, arg, ret_gate });
}
