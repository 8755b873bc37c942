// SPDX-License-Identifier: MIT
/* Processes, sleep and wake, limits. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/uring.h"
#include "doctor.h"
#include "way.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3)
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define FDS_ENOUGH 4096

static void check_pidfd(struct doctor *doctor)
{
	int ends[2] = { -1, -1 };
	int peer = -1;
	socklen_t size = sizeof(peer);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
		getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &peer, &size);
		close(ends[0]);
		close(ends[1]);
	}
	int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	doctor_add(doctor, "pidfd",
		   peer >= 0  ? CHECK_WORKS
		   : own >= 0 ? CHECK_LIMITED
			      : CHECK_MISSING,
		   true, "noticing that a client died", own >= 0 ? "" : "use Linux 5.3 or later",
		   "%s",
		   peer >= 0  ? "SO_PEERPIDFD names the process that connected"
		   : own >= 0 ? "pidfd_open by number; a client that dies while it connects is "
				"noticed only by its hang-up"
			      : "pidfd_open does not work");
	if (peer >= 0) {
		close(peer);
	}
	if (own >= 0) {
		close(own);
	}
}

static void check_own_fences(struct doctor *doctor)
{
	pid_t self = getpid();
	int fd = eventfd(0, EFD_CLOEXEC);
	int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	int other = eventfd(0, EFD_CLOEXEC);
	bool kcmp = syscall(SYS_kcmp, self, self, KCMP_FILE, fd, copy) == 0 &&
		    syscall(SYS_kcmp, self, self, KCMP_FILE, fd, other) > 0;
	bool query = fcntl(fd, F_DUPFD_QUERY, copy) == 1 && fcntl(fd, F_DUPFD_QUERY, other) == 0;
	doctor_add(doctor, "own-fences", kcmp || query ? CHECK_WORKS : CHECK_MISSING, false,
		   "cycles over fences that were exported and imported again",
		   kcmp || query ? "" : "use Linux 6.10, or a kernel with CONFIG_KCMP", "%s",
		   query  ? "F_DUPFD_QUERY recognises such a fence"
		   : kcmp ? "kcmp recognises such a fence"
			  : "neither F_DUPFD_QUERY nor kcmp works");
	close(fd);
	close(copy);
	close(other);
}

static void check_aio(struct doctor *doctor)
{
	aio_context_t context = 0;
	uint8_t byte;
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int source = memfd_create("fencectl-doctor", MFD_CLOEXEC);
	bool made =
		source >= 0 && ftruncate(source, 1) == 0 && syscall(SYS_io_setup, 1, &context) == 0;
	int error = made ? 0 : errno;
	bool raised = false;
	if (made) {
		struct iocb block = { .aio_lio_opcode = IOCB_CMD_PREAD,
				      .aio_fildes = (uint32_t)source,
				      .aio_buf = (uint64_t)(uintptr_t)&byte,
				      .aio_nbytes = 1,
				      .aio_flags = IOCB_FLAG_RESFD,
				      .aio_resfd = (uint32_t)fence };
		struct iocb *blocks[] = { &block };
		struct pollfd entry = { .fd = fence, .events = POLLIN };
		raised = syscall(SYS_io_submit, context, 1L, blocks) == 1 &&
			 poll(&entry, 1, 100) == 1;
		syscall(SYS_io_destroy, context);
	}
	doctor_add(doctor, "aio-eventfd", raised ? CHECK_WORKS : CHECK_MISSING, false,
		   "exporting points as eventfds",
		   raised ? ""
			  : way_say("%s, or use a kernel with CONFIG_AIO",
				    way_sysctl("fs.aio-max-nr", "1048576")),
		   "%s",
		   raised ? "an eventfd is raised without a write that could block"
		   : made ? "AIO does not raise an eventfd"
			  : strerrordesc_np(error));
	close(fence);
	if (source >= 0) {
		close(source);
	}
}

static void check_waitv(struct doctor *doctor)
{
	uint32_t word = 1;
	struct timespec now;
	struct futex_waitv {
		uint64_t value, address;
		uint32_t flags, reserved;
	} waiter = { .value = 0, .address = (uint64_t)(uintptr_t)&word, .flags = 2 };
	clock_gettime(CLOCK_MONOTONIC, &now);
	/* The word differs from the expected value: EAGAIN shows that the kernel compared it. */
	long r = syscall(SYS_futex_waitv, &waiter, 1, 0, &now, CLOCK_MONOTONIC);
	bool works = r < 0 && errno == EAGAIN;
	doctor_add(doctor, "futex-waitv", works ? CHECK_WORKS : CHECK_LIMITED, false,
		   "waiting for any of many points", works ? "" : "use Linux 5.16 or later", "%s",
		   works ? "sleeps on up to 127 timelines at once"
			 : "such waits sleep on one word and wake more often");
}

static void check_uring(struct doctor *doctor)
{
	int r = uring_probe();
	doctor_add(doctor, "io-uring-futex", r == 0 ? CHECK_WORKS : CHECK_LIMITED, false,
		   "waking event loops without the daemon",
		   r == 0 ? ""
			  : way_say("use Linux 6.7 or later, with %s",
				    way_sysctl("kernel.io_uring_disabled", "0")),
		   "%s",
		   r == 0 ? "signalers wake event loops directly"
		   : r == -EOPNOTSUPP
			   ? "io_uring can't wait on futexes: the daemon delivers watches"
			   : strerrordesc_np(-r));
}

static uint64_t read_number(const char *path)
{
	unsigned long long number = 0;
	FILE *file = fopen(path, "re");
	if (!file || fscanf(file, "%llu", &number) != 1) {
		number = 0;
	}
	if (file) {
		fclose(file);
	}
	return number;
}

static void check_limits(struct doctor *doctor)
{
	struct rlimit fds = { 0 };
	struct rlimit locked = { 0 };
	getrlimit(RLIMIT_NOFILE, &fds);
	getrlimit(RLIMIT_MEMLOCK, &locked);
	doctor_add(doctor, "open-files", fds.rlim_max >= FDS_ENOUGH ? CHECK_WORKS : CHECK_LIMITED,
		   false, "clients and timelines: each holds a few file descriptors",
		   fds.rlim_max >= FDS_ENOUGH ? ""
					      : "raise LimitNOFILE= of the service, or ulimit -Hn",
		   "%llu at most, for a daemon started from here",
		   (unsigned long long)fds.rlim_max);
	uint64_t used = read_number("/proc/sys/fs/aio-nr");
	uint64_t most = read_number("/proc/sys/fs/aio-max-nr");
	doctor_add(doctor, "aio-requests", most > used + 1024 ? CHECK_WORKS : CHECK_LIMITED, false,
		   "exporting points as eventfds",
		   most > used + 1024 ? "" : way_sysctl("fs.aio-max-nr", "1048576"),
		   "%llu of %llu are used", (unsigned long long)used, (unsigned long long)most);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	doctor_add(doctor, "cpus", cpus > 1 ? CHECK_WORKS : CHECK_LIMITED, false,
		   "spinning before a wait sleeps", "",
		   cpus > 1 ? "%ld are online" : "%ld is online: waits sleep at once", cpus);
}

void doctor_process(struct doctor *doctor)
{
	struct utsname name;
	uname(&name);
	bool proc = access("/proc/self/fd", R_OK) == 0;
	doctor_add(doctor, "proc", proc ? CHECK_WORKS : CHECK_MISSING, true,
		   "read-only pages, and telling fences from other files",
		   proc ? "" : "mount /proc", "kernel %s %s", name.sysname, name.release);
	check_pidfd(doctor);
	check_own_fences(doctor);
	check_aio(doctor);
	check_waitv(doctor);
	check_uring(doctor);
	check_limits(doctor);
}
