// SPDX-License-Identifier: MIT
/* Fence pages and their backing: memfds, seals, udmabuf. */
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "way.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#define UDMABUF "/dev/udmabuf"

static int sealed_memfd(int seals)
{
	int fd = memfd_create("fencectl-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && (ftruncate(fd, 4096) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void check_seals(struct doctor *doctor)
{
	int fd = sealed_memfd(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	bool refused = fd >= 0 &&
		       mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED;
	doctor_add(doctor, "memfd-seals", refused ? CHECK_WORKS : CHECK_MISSING, true,
		   "fence pages that only their device writes",
		   refused ? "" : "use Linux 5.1 or later", "%s",
		   refused ? "a sealed page cannot be mapped for writing"
			   : "F_SEAL_FUTURE_WRITE is not enforced");
	if (fd >= 0) {
		close(fd);
	}
	fd = memfd_create("fencectl-doctor", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	doctor_add(doctor, "memfd-noexec", fd >= 0 ? CHECK_WORKS : CHECK_LIMITED, false,
		   "fence pages that cannot be executed", "", "%s",
		   fd >= 0 ? "MFD_NOEXEC_SEAL works" : "pages are created without MFD_NOEXEC_SEAL");
	if (fd >= 0) {
		close(fd);
	}
}

/* Does udmabuf take a page with these seals through a read-only fd? */
static bool udmabuf_takes(int device, int seals)
{
	char path[32];
	int fd = sealed_memfd(seals);
	if (fd < 0) {
		return false;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int readonly = open(path, O_RDONLY | O_CLOEXEC);
	struct udmabuf_create create = { .memfd = (uint32_t)readonly,
					 .flags = UDMABUF_FLAGS_CLOEXEC,
					 .size = 4096 };
	int buffer = readonly >= 0 ? ioctl(device, UDMABUF_CREATE, &create) : -1;
	if (buffer >= 0) {
		close(buffer);
	}
	if (readonly >= 0) {
		close(readonly);
	}
	close(fd);
	return buffer >= 0;
}

static void check_udmabuf(struct doctor *doctor)
{
	struct stat status;
	const char *use = "fence pages as dma-bufs, for devices that import those";
	if (stat(UDMABUF, &status) < 0) {
		doctor_add(doctor, "udmabuf", CHECK_MISSING, false, use, way_module("udmabuf"),
			   UDMABUF " does not exist");
		return;
	}
	bool others = status.st_mode & S_IWOTH;
	int device = open(UDMABUF, O_RDWR | O_CLOEXEC);
	if (device < 0) {
		doctor_add(doctor, "udmabuf", CHECK_LIMITED, false, use,
			   way_say("if the daemon runs as this user, %s", way_open(UDMABUF)),
			   UDMABUF " (mode %o, uid %u) cannot be opened by this user: %s",
			   status.st_mode & 07777, status.st_uid, strerrordesc_np(errno));
		return;
	}
	bool twin = udmabuf_takes(device, F_SEAL_SHRINK);
	bool unsafe = udmabuf_takes(device, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
	doctor_add(doctor, "udmabuf",
		   !twin    ? CHECK_MISSING
		   : unsafe ? CHECK_LIMITED
			    : CHECK_WORKS,
		   false, use,
		   unsafe ? "deny " UDMABUF " to users who wait on fences, or use a newer kernel"
			  : "",
		   "mode %o%s; %s", status.st_mode & 07777, others ? ", open to every user" : "",
		   !twin    ? "no sealed page is accepted"
		   : unsafe ? "a write-sealed page becomes writable through it for a reader"
			    : "a write-sealed page is rejected, as it must be");
	close(device);
}

void doctor_memory(struct doctor *doctor)
{
	check_seals(doctor);
	check_udmabuf(doctor);
}
