// SPDX-License-Identifier: MIT
#include "closer.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "process.h"

#define CLOSER_RING_MIN   1024
#define CLOSER_RING_MAX   (UINT32_C(1) << 24)
#define CLOSER_PATIENCE_S 1

/* The daemon writes `tail`. The helper writes the others; the daemon does so once the helper is dead. */
struct closer_ring {
	_Atomic uint32_t tail;
	_Atomic uint32_t head;
	_Atomic uint32_t busy; /* 1 from before until after the close that may hang */
	int fds[];
};

/* A raw system call: see helper_run. 0 stops the alarm. */
static void alarm_wind(int alarm, time_t seconds)
{
	struct itimerspec time = { .it_value = { .tv_sec = seconds } };
	syscall(SYS_timerfd_settime, alarm, 0, &time, NULL);
}

/*
 * The helper's life. It makes raw system calls only: it is a bare clone of a process that may run a
 * sanitizer. The fd numbers are those of the shared table.
 */
static _Noreturn void helper_run(struct closer_ring *ring, uint32_t mask, int alarm, pid_t parent)
{
	syscall(SYS_prctl, PR_SET_NAME, "fbk-closer", 0, 0, 0);
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if ((pid_t)syscall(SYS_getppid) != parent) {
		syscall(SYS_exit_group, 0); /* the daemon died before the line above */
	}
	for (;;) {
		/* acquire: pairs with the release in closer_close, so that fds[] is visible */
		uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
		uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
		if (head == tail) {
			alarm_wind(alarm, 0);
			syscall(SYS_futex, &ring->tail, FUTEX_WAIT, tail, NULL, NULL, 0);
			continue;
		}
		int fd = ring->fds[head & mask];
		alarm_wind(alarm, CLOSER_PATIENCE_S);
		/* relaxed: the daemon reads it when this process is dead or asleep in the kernel */
		atomic_store_explicit(&ring->busy, 1, memory_order_relaxed);
		syscall(SYS_close, fd);
		/* release: the daemon may write the slot again once it sees this */
		atomic_store_explicit(&ring->head, head + 1, memory_order_release);
		atomic_store_explicit(&ring->busy, 0, memory_order_relaxed);
	}
}

static void closer_spawn(struct closer *closer)
{
	pid_t parent = getpid();
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		helper_run(closer->ring, closer->mask, closer->alarm, parent);
	}
	closer->pid = pid > 0 ? (pid_t)pid : -1;
	if (pid < 0) {
		log_call("clone, for the closing helper", -errno);
		alarm_wind(closer->alarm, CLOSER_PATIENCE_S); /* closer_tend tries again then */
	}
}

unsigned int closer_pending(const struct closer *closer)
{
	/* acquire: what the helper did before is visible. relaxed: only we write the tail */
	return atomic_load_explicit(&closer->ring->tail, memory_order_relaxed) -
	       atomic_load_explicit(&closer->ring->head, memory_order_acquire);
}

/* A new helper goes on behind the fd at which the old one hung, if that close had begun: close() frees the
 * number at the start of the call. */
static void closer_respawn(struct closer *closer)
{
	struct closer_ring *ring = closer->ring;
	/* acquire, relaxed: the helper, their other writer, is dead */
	if (atomic_load_explicit(&ring->busy, memory_order_acquire)) {
		atomic_fetch_add_explicit(&ring->head, 1, memory_order_relaxed);
		atomic_store_explicit(&ring->busy, 0, memory_order_relaxed);
	}
	closer_spawn(closer);
}

/* The helper has been at one fd for a second. */
static void closer_check(struct closer *closer)
{
	/* relaxed: a helper that hangs is asleep in the kernel, so its store is long done */
	if (!atomic_load_explicit(&closer->ring->busy, memory_order_relaxed)) {
		return;
	}
	char state = process_state(closer->pid);
	if (state != 'S' && state != 'D') { /* it does not hang: it gets no CPU */
		alarm_wind(closer->alarm, CLOSER_PATIENCE_S);
		return;
	}
	if (log_seldom(&closer->quiet_until_ns)) {
		log_warning("the closing helper %d hangs on a client's file and is replaced",
			    closer->pid);
	}
	kill(closer->pid, SIGKILL); /* after that call it never returns to the shared memory */
	closer->replaced++;
	closer_respawn(closer);
}

/* Reaps abandoned helpers too. */
static bool helper_died(const struct closer *closer)
{
	bool died = false;
	pid_t pid;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		died |= pid == closer->pid;
	}
	return died;
}

void closer_tend(struct closer *closer)
{
	uint64_t times;
	/* The alarm is ours and never blocks. It is empty when the helper went on since it expired. */
	bool late = read(closer->alarm, &times, sizeof(times)) == sizeof(times);
	if (helper_died(closer)) {
		if (log_seldom(&closer->quiet_until_ns)) {
			log_warning("the closing helper %d was killed; there is a new one",
				    closer->pid);
		}
		closer_respawn(closer);
	} else if (closer->pid < 0) {
		closer_spawn(closer);
	} else if (late) {
		closer_check(closer);
	}
}

static size_t ring_size(uint32_t mask)
{
	return sizeof(struct closer_ring) + ((size_t)mask + 1) * sizeof(int);
}

int closer_init(struct closer *closer, uint64_t fd_limit)
{
	uint32_t slots = CLOSER_RING_MIN;
	while (slots < fd_limit && slots < CLOSER_RING_MAX) {
		slots *= 2;
	}
	*closer = (struct closer){ .pid = -1, .mask = slots - 1 };
	closer->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (closer->alarm < 0) {
		return log_call("timerfd_create", -errno);
	}
	void *memory = mmap(NULL, ring_size(closer->mask), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		int error = -errno;
		close(closer->alarm);
		return error;
	}
	closer->ring = memory;
	closer_spawn(closer);
	return closer->pid > 0 ? 0 : -EAGAIN;
}

void closer_finish(struct closer *closer)
{
	if (!closer->ring) {
		return;
	}
	if (closer->pid > 0) {
		kill(closer->pid, SIGKILL);
		/* A killed helper ends at once unless it hangs in a close: then we do not wait. */
		waitpid(closer->pid, NULL, closer_pending(closer) > 0 ? WNOHANG : 0);
	}
	close(closer->alarm);
	munmap(closer->ring, ring_size(closer->mask));
	closer->ring = NULL;
}

void closer_close(struct closer *closer, int fd)
{
	if (fd < 0) {
		return;
	}
	struct closer_ring *ring = closer->ring;
	if (closer_pending(closer) > closer->mask) {
		/* Only when the limit of open files was raised from outside, and that many hang. */
		log_error("close queue full: file descriptor %d stays open", fd);
		return;
	}
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	ring->fds[tail & closer->mask] = fd;
	/* release: pairs with the acquire in helper_run */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	syscall(SYS_futex, &ring->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void closer_close_all(struct closer *closer, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		closer_close(closer, fds[i]);
	}
}
