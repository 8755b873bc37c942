// SPDX-License-Identifier: MIT
/*
 * What this kernel and machine offer the daemon. Each item is tried at start, those of devices once more when devices came
 * or went; version numbers are never compared.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROBE_NOTE_SIZE 160 /* FBK_REASON_SIZE */

enum probe_item {
	PROBE_SEALS,        /* memfd with F_SEAL_FUTURE_WRITE */
	PROBE_PIDFD,        /* SO_PEERPIDFD, else pidfd_open */
	PROBE_SAME_FILE,    /* F_DUPFD_QUERY or kcmp: imports of exports */
	PROBE_AIO_EVENTFD,  /* IOCB_FLAG_RESFD: eventfd exports */
	PROBE_PROC,         /* /proc: read-only page fds, classification */
	PROBE_DRM,          /* a DRM device */
	PROBE_SYNC_FILE,    /* the daemon makes a sync_file: late exports, confirming a client's */
	PROBE_SYNCOBJ,      /* timeline syncobjs */
	PROBE_SYNCOBJ_WAIT, /* DRM_IOCTL_SYNCOBJ_EVENTFD */
	PROBE_UDMABUF,      /* fence pages as dma-bufs */
	PROBE_PROMISE,      /* unsignalled sync_files, and policy allows them */
	PROBE_COUNT,
};

struct probe_result {
	const char *name;
	bool works;
	char note[PROBE_NOTE_SIZE];
};

struct probe {
	struct probe_result results[PROBE_COUNT];
	uint64_t features; /* bit n: enum fbk_feature n works */
};

struct translator;

/* Fills in `probe`. The translator's aio, drm and memory_lock must be set, and the registry's policy. */
void probe_run(struct probe *probe, struct translator *translator);

/* NULL, or a sentence that names a missing item without which the daemon can't run. */
const char *probe_fatal(const struct probe *probe);

/* The translator's drm or the registry's udmabuf is another: sets the results and features that depend on them, and logs which
 * came and went. */
void probe_hardware(struct probe *probe, struct translator *translator);

/* The policy is new: can promises be made now? Sets that result and its feature. */
void probe_promises(struct probe *probe, struct translator *translator);
