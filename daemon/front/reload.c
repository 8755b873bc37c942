// SPDX-License-Identifier: MIT
#include "reload.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/rules/policy.h"
#include "proto/thread.h"

#define STACK_SIZE  (512 * 1024) /* look-ups run code of name services */
#define PATIENCE_MS 1000         /* for a thread to end when the daemon ends */

/* Shared by the thread and the loop, as the loop may give up a thread that hangs: the last of them frees it. */
struct reload_run {
	_Atomic int holders;
	struct policy_source source; /* with a path of its own */
	char *path;
	int ended; /* an eventfd that the thread writes at its end; never read */

	/* The loop's. */
	struct reload *reload;
	struct event *event;
	pthread_t thread;

	/* The thread's until it has ended. */
	int result;
	struct policy *policy;
	bool from_file;
	char error[512];
};

/* ---------------------------------------------------------------------------------- the thread -- */

static void run_release(struct reload_run *run)
{
	/* acquire, release: the last holder sees what the other wrote before it let go */
	if (atomic_fetch_sub_explicit(&run->holders, 1, memory_order_acq_rel) > 1) {
		return;
	}
	policy_destroy(run->policy);
	if (run->ended >= 0) {
		close(run->ended);
	}
	free(run->path);
	free(run);
}

static void *run_read(void *arg)
{
	struct reload_run *run = arg;
	const char *name;
	const uint64_t one = 1;
	pthread_setname_np(pthread_self(), "fbk-policy");
	run->result = policy_source_load(&run->source, &run->policy, &name, run->error,
					 sizeof(run->error));
	run->from_file = name == run->path;
	ssize_t written = write(run->ended, &one, sizeof(one)); /* never blocks: it is the first */
	(void)written;
	run_release(run);
	return NULL;
}

static int run_start_thread(struct reload_run *run)
{
	atomic_store_explicit(&run->holders, 2, memory_order_relaxed); /* before the thread is */
	int r = thread_start(&run->thread, STACK_SIZE, 0, run_read, run);
	if (r != 0) {
		atomic_store_explicit(&run->holders, 1, memory_order_relaxed); /* there is none */
	}
	return r;
}

/* ------------------------------------------------------------------------------------ the loop -- */

static void waiters_move(struct reload_waiters *from, struct reload_waiters *to)
{
	struct reload_waiter *waiter;
	while ((waiter = LIST_FIRST(from))) {
		LIST_REMOVE(waiter, links);
		LIST_INSERT_HEAD(to, waiter, links);
	}
}

static void waiters_tell(struct reload_waiters *waiters, int error, const char *detail)
{
	struct reload_waiter *waiter;
	while ((waiter = LIST_FIRST(waiters))) {
		reload_forget(waiter);
		waiter->done(waiter, error, detail);
	}
}

static void run_drop(struct reload_run *run)
{
	event_drop(run->event);
	run->event = NULL;
	run_release(run);
}

static void run_ended(evutil_socket_t fd, short what, void *arg);

static int run_start(struct reload *reload)
{
	struct reload_run *run = calloc(1, sizeof(*run));
	if (!run) {
		return -ENOMEM;
	}
	run->holders = 1;
	run->reload = reload;
	run->path = strdup(reload->source.path);
	run->source = reload->source;
	run->source.path = run->path;
	run->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = !run->path ? -ENOMEM : run->ended < 0 ? -errno : 0;
	if (r == 0) {
		run->event = loop_listen(reload->loop, run->ended, EV_READ, PRIORITY_REQUEST,
					 run_ended, run);
		r = run->event ? run_start_thread(run) : -ENOMEM;
	}
	if (r < 0) {
		run_drop(run);
		return r;
	}
	reload->run = run;
	return 0;
}

/* Waiters that came during the run before. */
static void reload_go_on(struct reload *reload)
{
	struct reload_waiters refused = LIST_HEAD_INITIALIZER(refused);
	if (LIST_EMPTY(&reload->next)) {
		return;
	}
	int r = run_start(reload);
	waiters_move(&reload->next, r < 0 ? &refused : &reload->running);
	waiters_tell(&refused, r, strerrordesc_np(-r));
}

static void run_ended(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct reload_run *run = arg;
	struct reload *reload = run->reload;
	struct reload_waiters told = LIST_HEAD_INITIALIZER(told);
	pthread_join(run->thread, NULL); /* only its last steps are left */
	reload->run = NULL;
	waiters_move(&reload->running, &told);
	if (run->result == 0) {
		struct policy *policy = run->policy;
		const char *name = run->from_file ? reload->source.path : POLICY_BUILT_IN;
		run->policy = NULL;
		reload->apply(reload, policy, name);
		log_info("policy %s is in force", name);
	} else {
		log_warning("the policy stays as it was: %s", run->error);
	}
	reload_go_on(reload);
	waiters_tell(&told, run->result, run->error);
	run_drop(run);
}

int reload_start(struct reload *reload, struct reload_waiter *waiter)
{
	bool late = reload->run; /* it may have read the file before that changed */
	int r = late ? 0 : reload->source.path ? run_start(reload) : -EOPNOTSUPP;
	if (r < 0) {
		return r;
	}
	LIST_INSERT_HEAD(late ? &reload->next : &reload->running, waiter, links);
	waiter->waiting = true;
	return 0;
}

void reload_forget(struct reload_waiter *waiter)
{
	if (waiter->waiting) {
		LIST_REMOVE(waiter, links);
		waiter->waiting = false;
	}
}

/* A thread that hangs keeps what it uses. */
static void run_give_up(struct reload_run *run)
{
	struct pollfd polled = { .fd = run->ended, .events = POLLIN };
	if (poll(&polled, 1, PATIENCE_MS) == 1) {
		pthread_join(run->thread, NULL);
	} else {
		log_warning("reading the policy hangs in a look-up: not waiting for it");
		pthread_detach(run->thread);
	}
	run_drop(run);
}

void reload_finish(struct reload *reload)
{
	struct reload_waiters told = LIST_HEAD_INITIALIZER(told);
	reload->source.path = NULL; /* no run starts any more */
	if (reload->run) {
		run_give_up(reload->run);
		reload->run = NULL;
	}
	waiters_move(&reload->running, &told);
	waiters_move(&reload->next, &told);
	waiters_tell(&told, -ESHUTDOWN, "the daemon stops");
}
