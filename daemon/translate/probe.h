// SPDX-License-Identifier: MIT
/*
 * What this kernel and machine offer the daemon, found once at start by trying, never by a version
 * number. Read-only after probe_run().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROBE_NOTE_SIZE 160 /* FBK_REASON_SIZE */

enum probe_item {
	PROBE_SEALS,        /* memfd with F_SEAL_FUTURE_WRITE */
	PROBE_PIDFD,        /* SO_PEERPIDFD, else pidfd_open */
	PROBE_SAME_FILE,    /* kcmp or F_DUPFD_QUERY: tokens */
	PROBE_AIO_EVENTFD,  /* IOCB_FLAG_RESFD: eventfd exports */
	PROBE_PROC,         /* /proc: read-only page fds, classification */
	PROBE_DRM,          /* a DRM device */
	PROBE_SYNC_FILE,    /* a sync_file of our own: late exports, confirming a client's */
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

/* Fills in translator->probe; its aio, drm and policy are there already. */
void probe_run(struct probe *probe, struct translator *translator);

/* What the daemon cannot do without: NULL, or the sentence that says what is missing. */
const char *probe_fatal(const struct probe *probe);
