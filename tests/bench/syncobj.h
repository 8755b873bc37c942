// SPDX-License-Identifier: MIT
/* Timeline syncobjs by ioctl: for both sides of the syncobj row. */
#pragma once

#include <stdint.h>

#include "round.h"

struct syncobj {
	int drm; /* our own open file of a DRM device */
	uint32_t handle;
	int event; /* an eventfd, armed for one point */
};

/* Call syncobj_finish() after a failure as well. */
int syncobj_create(struct syncobj *syncobj, int *ret_fd);
int syncobj_open(struct syncobj *syncobj, int fd); /* closes the fd */
int syncobj_probe_event(struct syncobj *syncobj);  /* skips the row without SYNCOBJ_EVENTFD */
void syncobj_finish(struct syncobj *syncobj);
int syncobj_signal(void *syncobj, uint64_t value); /* for struct half */

/* The partner: receives a syncobj and waits for its points, one after the other, by eventfd. */
int syncobj_partner(int socket, struct meeting *meeting);
