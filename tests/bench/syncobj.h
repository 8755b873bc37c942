// SPDX-License-Identifier: MIT
/* Timeline syncobjs of the kernel, by hand: what both sides of the syncobj row use. */
#pragma once

#include <stdint.h>

#include "round.h"

struct syncobj {
	int drm; /* a DRM device of our own */
	uint32_t handle;
	int event; /* an eventfd, armed for one point */
};

/* Finish it also after a failure. */
int syncobj_create(struct syncobj *syncobj, int *ret_fd);
int syncobj_open(struct syncobj *syncobj, int fd); /* takes the fd */
int syncobj_probe_event(struct syncobj *syncobj);  /* skips where there is no SYNCOBJ_EVENTFD */
void syncobj_finish(struct syncobj *syncobj);
int syncobj_signal(void *syncobj, uint64_t value); /* for struct half */

/* The partner: waits for one point after the other by eventfd, of the syncobj it is sent. */
int syncobj_partner(int socket, struct meeting *meeting);
