// SPDX-License-Identifier: MIT
#include "closer.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "list.h"
#include "log.h"

#define CLOSER_RING 2048 /* a power of two; eight packets full of fds */
#define CLOSER_PATIENCE_NS (1000 * NS_PER_MS)

/* `tail` is written by the daemon, `head` by the helper, or by the daemon once it killed it. */
struct closer_ring {
	_Atomic uint32_t tail;
	_Atomic uint32_t head;
	int fds[CLOSER_RING];
};

/*
 * The helper's life. Only raw system calls: it is a bare clone of a process that may run a
 * sanitizer. The fd numbers are those of the shared table.
 */
static _Noreturn void helper_run(struct closer_ring *ring, pid_t parent)
{
	syscall(SYS_prctl, PR_SET_NAME, "fbk-closer", 0, 0, 0);
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if ((pid_t)syscall(SYS_getppid) != parent) {
		syscall(SYS_exit_group, 0); /* the daemon died before the line above */
	}
	for (;;) {
		/* acquire: pairs with the release in closer_close, so that fds[] is there */
		uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
		uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
		if (head == tail) {
			syscall(SYS_futex, &ring->tail, FUTEX_WAIT, tail, NULL, NULL, 0);
			continue;
		}
		syscall(SYS_close, ring->fds[head % CLOSER_RING]);
		/* release: the slot may be written again once this is seen */
		atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	}
}

static void closer_spawn(struct closer *closer)
{
	pid_t parent = getpid();
	long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		helper_run(closer->ring, parent);
	}
	closer->pid = pid > 0 ? (pid_t)pid : -1;
	if (pid < 0) {
		log_error("cannot start the closing helper: %s", strerrordesc_np(errno));
	}
}

unsigned int closer_pending(const struct closer *closer)
{
	/* acquire: what the helper did before is done; tail is our own */
	return atomic_load_explicit(&closer->ring->tail, memory_order_relaxed) -
	       atomic_load_explicit(&closer->ring->head, memory_order_acquire);
}

static void closer_watch(struct closer *closer)
{
	closer->watched = atomic_load_explicit(&closer->ring->head, memory_order_relaxed);
	wheel_arm(closer->wheel, &closer->timer, clock_now_ns() + CLOSER_PATIENCE_NS);
}

/* The helper hangs in a close: that fd's number is free already, so go on behind it. */
static void closer_replace(struct closer *closer)
{
	if (closer->pid > 0) {
		log_warning("the closing helper %d hangs on a client's file and is replaced",
			    closer->pid);
		kill(closer->pid, SIGKILL);
		closer->replaced++;
		atomic_fetch_add_explicit(&closer->ring->head, 1, memory_order_relaxed);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0) {
	}
	closer_spawn(closer);
}

static void closer_tend(struct wheel_timer *timer)
{
	struct closer *closer = container_of(timer, struct closer, timer);
	if (closer_pending(closer) == 0) {
		return;
	}
	if (atomic_load_explicit(&closer->ring->head, memory_order_relaxed) == closer->watched) {
		closer_replace(closer);
	}
	closer_watch(closer);
}

int closer_init(struct closer *closer, struct wheel *wheel)
{
	*closer = (struct closer){ .pid = -1, .wheel = wheel };
	closer->timer.fire = closer_tend;
	void *memory = mmap(NULL, sizeof(struct closer_ring), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		return -errno;
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
	wheel_cancel(closer->wheel, &closer->timer);
	if (closer->pid > 0) {
		kill(closer->pid, SIGKILL);
		/* Killed, so it ends, unless it hangs in a close: then nobody waits for it. */
		waitpid(closer->pid, NULL, closer_pending(closer) > 0 ? WNOHANG : 0);
	}
	munmap(closer->ring, sizeof(struct closer_ring));
	closer->ring = NULL;
}

void closer_close(struct closer *closer, int fd)
{
	if (fd < 0) {
		return;
	}
	struct closer_ring *ring = closer->ring;
	if (closer_pending(closer) == CLOSER_RING) {
		closer_replace(closer);
	}
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	ring->fds[tail % CLOSER_RING] = fd;
	/* release: pairs with the acquire in helper_run */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	syscall(SYS_futex, &ring->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	if (!wheel_timer_armed(&closer->timer)) {
		closer_watch(closer);
	}
}

void closer_close_all(struct closer *closer, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		closer_close(closer, fds[i]);
	}
}
