// SPDX-License-Identifier: MIT
/*
 * Display by DRM/KMS, as the end of a point: link libfencebroker, and libdrm for the request. Conventions as in
 * fencebroker.h.
 */
#pragma once

#include "fencebroker.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A gate that calls drmModeAtomicCommit(drm_fd, a copy of request, flags, user_data). Until then it borrows drm_fd and
 * all that the request names: fds (IN_FENCE_FD), memory (OUT_FENCE_PTR) and blobs.
 * `done` gets -EBUSY like every error: the display still flips; commit again after that. */
struct _drmModeAtomicReq;
int fbk_gate_atomic_commit(struct fbk_point point, uint64_t deadline_ns, int drm_fd,
			   struct _drmModeAtomicReq *request, uint32_t flags, void *user_data,
			   fbk_point_fn *done, void *arg, struct fbk_gate **ret_gate);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
