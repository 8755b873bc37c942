// SPDX-License-Identifier: MIT
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/include/fencebroker.h"
#include "daemon/base/log.h"
#include "promise.h"
#include "translator.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3)
#endif

static void result_set(struct probe *probe, enum probe_item item, const char *name, bool works,
		       const char *note)
{
	struct probe_result *result = &probe->results[item];
	result->name = name;
	result->works = works;
	snprintf(result->note, sizeof(result->note), "%s", note);
}

/* The call that failed, on the way that each page takes; NULL: none. */
static const char *page_try(int fd)
{
	if (fd < 0) {
		return "memfd_create";
	}
	if (fchmod(fd, 0600) < 0) {
		return "fchmod";
	}
	if (ftruncate(fd, 4096) < 0) {
		return "ftruncate";
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) < 0) {
		return "F_SEAL_FUTURE_WRITE (Linux 5.1)";
	}
	return NULL;
}

static void probe_seals(struct probe *probe)
{
	char note[PROBE_NOTE_SIZE] = "pages can be sealed against later writers";
	int fd = memfd_create("fencebroker-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *call = page_try(fd);
	if (call) {
		snprintf(note, sizeof(note), "%s: %s%s", call, strerrordesc_np(errno),
			 call_hint(-errno));
	} else if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) {
		call = "mmap";
		snprintf(note, sizeof(note), "F_SEAL_FUTURE_WRITE has no effect on this kernel");
	}
	result_set(probe, PROBE_SEALS, "memfd-seals", !call, note);
	if (fd >= 0) {
		close(fd);
	}
}

static void probe_pidfd(struct probe *probe)
{
	int ends[2] = { -1, -1 };
	int pidfd = -1;
	socklen_t size = sizeof(pidfd);
	bool peer = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 &&
		    getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0;
	if (!peer) {
		pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	}
	result_set(probe, PROBE_PIDFD, "pidfd", pidfd >= 0,
		   peer         ? "SO_PEERPIDFD names the process that connected"
		   : pidfd >= 0 ? "pidfd_open; SO_PEERPIDFD needs Linux 6.5"
				: "pidfd_open needs Linux 5.3, and a sandbox that allows it");
	for (int i = 0; i < 2; i++) {
		if (ends[i] >= 0) {
			close(ends[i]);
		}
	}
	if (pidfd >= 0) {
		close(pidfd);
	}
}

static void probe_same_file(struct probe *probe)
{
	pid_t self = getpid();
	bool kcmp = syscall(SYS_kcmp, self, self, KCMP_FILE, STDERR_FILENO, STDERR_FILENO) == 0;
	bool query = fcntl(STDERR_FILENO, F_DUPFD_QUERY, STDERR_FILENO) == 1;
	result_set(probe, PROBE_SAME_FILE, "own-fences", kcmp || query,
		   query  ? "F_DUPFD_QUERY recognises fences of ours that come back"
		   : kcmp ? "kcmp recognises fences of ours that come back"
			  : "needs Linux 6.10, or kcmp (CONFIG_KCMP, allowed by the sandbox)");
}

static void probe_proc(struct probe *probe)
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	bool works = fd >= 0;
	if (works) {
		close(fd);
	}
	result_set(probe, PROBE_PROC, "proc", works,
		   works ? "/proc is mounted"
			 : "mount /proc: read-only page fds are made through it");
}

static void probe_drm(struct probe *probe, const struct drm *drm)
{
	char note[PROBE_NOTE_SIZE];
	snprintf(note, sizeof(note), "%d render nodes can be opened", drm->seen);
	result_set(probe, PROBE_DRM, "drm", drm->seen > 0,
		   drm->seen > 0 ? note : "no render node can be opened: eventfds only");
	result_set(probe, PROBE_SYNC_FILE, "sync-file", drm->sync_files,
		   drm->sync_files ? "sync_files are handed out late, and a client's are followed"
		   : drm->own_sync_file >= 0
			   ? "a client's are followed; none can be made: no syncobj device, no "
			     "vgem, no udmabuf"
			   : "nothing makes a sync_file: no syncobj device, no vgem, no udmabuf");
	snprintf(note, sizeof(note), "timelines of %s", drm->file ? drm->file->driver : "");
	result_set(probe, PROBE_SYNCOBJ, "syncobj", drm->file,
		   drm->file ? note : "no device has syncobj timelines");
	bool waits = drm->file && drm->file->eventfd;
	result_set(probe, PROBE_SYNCOBJ_WAIT, "syncobj-wait", waits,
		   waits ? "points are followed before anything was submitted"
			 : "DRM_IOCTL_SYNCOBJ_EVENTFD needs Linux 6.6 and such a device");
}

static void probe_udmabuf(struct probe *probe, const struct registry *registry)
{
	bool works = registry->udmabuf >= 0;
	result_set(
		probe, PROBE_UDMABUF, "udmabuf", works,
		works ? "fence pages can be dma-bufs too"
		      : "no /dev/udmabuf that can be opened: fence pages are imported by address");
}

static uint64_t feature_bit(enum fbk_feature feature, bool works)
{
	return works ? UINT64_C(1) << feature : 0;
}

static void features_set(struct probe *probe, const struct drm *drm)
{
	const struct probe_result *results = probe->results;
	probe->features =
		feature_bit(FBK_FEATURE_TIMELINES, true) | feature_bit(FBK_FEATURE_WATCHES, true) |
		feature_bit(FBK_FEATURE_SHARING, true) | feature_bit(FBK_FEATURE_GATES, true) |
		feature_bit(FBK_FEATURE_IMPORT_EVENTFD, true) |
		feature_bit(FBK_FEATURE_MEMORY32, true) | feature_bit(FBK_FEATURE_LINKS, true) |
		feature_bit(FBK_FEATURE_EXCHANGES, true) |
		feature_bit(FBK_FEATURE_EXPORT_EVENTFD, results[PROBE_AIO_EVENTFD].works) |
		feature_bit(FBK_FEATURE_EXPORT_SYNC_FILE, drm->sync_files) |
		feature_bit(FBK_FEATURE_IMPORT_SYNC_FILE, drm->own_sync_file >= 0) |
		feature_bit(FBK_FEATURE_DMA_BUF_IMPLICIT, drm->own_sync_file >= 0) |
		feature_bit(FBK_FEATURE_SYNCOBJ, results[PROBE_SYNCOBJ].works) |
		feature_bit(FBK_FEATURE_MIRRORS, results[PROBE_SYNCOBJ_WAIT].works) |
		feature_bit(FBK_FEATURE_TIMELINE_MEMORY, results[PROBE_UDMABUF].works) |
		feature_bit(FBK_FEATURE_PROMISE, results[PROBE_PROMISE].works);
}

void probe_promises(struct probe *probe, struct translator *translator)
{
	char why[FBK_REASON_SIZE];
	bool works = promises_work(translator, why) == 0;
	result_set(probe, PROBE_PROMISE, "promises", works,
		   works ? "ON, by policy, from vgem: a broken promise reads as success" : why);
	features_set(probe, &translator->drm);
}

void probe_hardware(struct probe *probe, struct translator *translator)
{
	struct probe_result before[PROBE_COUNT];
	memcpy(before, probe->results, sizeof(before));
	probe_drm(probe, &translator->drm);
	probe_udmabuf(probe, translator->registry);
	probe_promises(probe, translator);
	for (size_t i = 0; i < PROBE_COUNT; i++) {
		const struct probe_result *now = &probe->results[i];
		if (now->works != before[i].works) {
			log_info("%s %s: %s", now->name, now->works ? "works now" : "is gone",
				 now->note);
		}
	}
}

void probe_run(struct probe *probe, struct translator *translator)
{
	probe_seals(probe);
	probe_pidfd(probe);
	probe_same_file(probe);
	probe_proc(probe);
	probe_drm(probe, &translator->drm);
	probe_udmabuf(probe, translator->registry);
	bool eventfds = translator->aio.source >= 0;
	result_set(probe, PROBE_AIO_EVENTFD, "aio-eventfd", eventfds,
		   eventfds ? "eventfds are raised without blocking"
			    : "no AIO context (io_setup): raise fs.aio-max-nr, or use a sandbox "
			      "that allows it; eventfds can't be exported");
	probe_promises(probe, translator);
}

const char *probe_fatal(const struct probe *probe)
{
	static const enum probe_item needed[] = { PROBE_SEALS, PROBE_PIDFD, PROBE_PROC };
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!probe->results[needed[i]].works) {
			return probe->results[needed[i]].note;
		}
	}
	return NULL;
}
