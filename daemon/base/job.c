// SPDX-License-Identifier: MIT
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/thread.h"

#define STACK_SIZE (512 * 1024) /* look-ups run code of name services */

static void job_release(struct job *job)
{
	/* acquire, release: the last holder sees what the other wrote before it let go */
	if (atomic_fetch_sub_explicit(&job->holders, 1, memory_order_acq_rel) > 1) {
		return;
	}
	if (job->ended >= 0) {
		close(job->ended);
	}
	job->ops->free(job);
}

static void *job_run(void *arg)
{
	struct job *job = arg;
	const uint64_t one = 1;
	pthread_setname_np(pthread_self(), job->ops->name);
	job->ops->work(job);
	ssize_t written = write(job->ended, &one, sizeof(one)); /* never blocks: it is the first */
	(void)written;
	job_release(job);
	return NULL;
}

static int job_start_thread(struct job *job)
{
	atomic_store_explicit(&job->holders, 2, memory_order_relaxed); /* before the thread is */
	int r = thread_start(&job->thread, STACK_SIZE, 0, job_run, job);
	if (r != 0) {
		atomic_store_explicit(&job->holders, 1, memory_order_relaxed); /* there is none */
	}
	job->joined = r != 0;
	return r;
}

static void job_ended(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct job *job = arg;
	job_join(job, 0); /* only its last steps are left */
	job->ops->done(job);
	job_let_go(job);
}

int job_start(struct job *job, const struct job_ops *ops, struct loop *loop)
{
	job->ops = ops;
	job->event = NULL;
	job->joined = true;
	atomic_store_explicit(&job->holders, 1, memory_order_relaxed); /* there is no thread */
	job->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = job->ended < 0 ? -errno : 0;
	if (r == 0) {
		job->event =
			loop_listen(loop, job->ended, EV_READ, PRIORITY_REQUEST, job_ended, job);
		r = job->event ? job_start_thread(job) : -ENOMEM;
	}
	if (r < 0) {
		job_let_go(job);
	}
	return r;
}

bool job_join(struct job *job, int timeout_ms)
{
	struct pollfd polled = { .fd = job->ended, .events = POLLIN };
	if (!job->joined && poll(&polled, 1, timeout_ms) == 1) {
		pthread_join(job->thread, NULL);
		job->joined = true;
	}
	return job->joined;
}

void job_let_go(struct job *job)
{
	if (!job->joined) {
		pthread_detach(job->thread);
	}
	event_drop(job->event);
	job->event = NULL;
	job_release(job);
}
