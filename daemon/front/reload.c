// SPDX-License-Identifier: MIT
#include "reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/job.h"
#include "daemon/base/log.h"
#include "daemon/rules/policy.h"
#include "proto/container.h"

#define PATIENCE_MS 1000 /* for a thread to end when the daemon ends */

struct reload_run {
	struct job job;
	struct policy_source source;
	struct reload *reload; /* the loop's */

	/* The thread's until it has ended. */
	int result;
	struct policy *policy;
	char error[512];
};

/* ---------------------------------------------------------------------------------- the thread -- */

static void run_free(struct job *job)
{
	struct reload_run *run = container_of(job, struct reload_run, job);
	policy_destroy(run->policy);
	free(run);
}

static void run_read(struct job *job)
{
	struct reload_run *run = container_of(job, struct reload_run, job);
	run->result =
		policy_source_load(&run->source, &run->policy, run->error, sizeof(run->error));
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

static void run_ended(struct job *job);

static const struct job_ops run_ops = {
	.name = "fbk-policy",
	.work = run_read,
	.done = run_ended,
	.free = run_free,
};

static int run_start(struct reload *reload)
{
	struct reload_run *run = calloc(1, sizeof(*run));
	if (!run) {
		return -ENOMEM;
	}
	run->reload = reload;
	run->source = reload->source;
	int r = job_start(&run->job, &run_ops, reload->loop);
	reload->run = r < 0 ? NULL : run;
	return r;
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

static void run_ended(struct job *job)
{
	struct reload_run *run = container_of(job, struct reload_run, job);
	struct reload *reload = run->reload;
	struct reload_waiters told = LIST_HEAD_INITIALIZER(told);
	reload->run = NULL;
	waiters_move(&reload->running, &told);
	if (run->result == 0) {
		struct policy *policy = run->policy;
		run->policy = NULL;
		log_info("policy %s is in force", policy_name(policy));
		reload->apply(reload, policy);
	} else {
		log_warning_about(&(struct log_subject){ .message_id = LOG_MESSAGE_POLICY },
				  "the policy stays as it was: %s", run->error);
		reload->refuse(reload, run->error);
	}
	reload_go_on(reload);
	waiters_tell(&told, run->result, run->error);
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

void reload_finish(struct reload *reload)
{
	struct reload_waiters told = LIST_HEAD_INITIALIZER(told);
	reload->source.path = NULL; /* no run starts any more */
	if (reload->run) {
		if (!job_join(&reload->run->job, PATIENCE_MS)) {
			log_warning("reading the policy hangs in a look-up: not waiting for it");
		}
		job_let_go(&reload->run->job);
		reload->run = NULL;
	}
	waiters_move(&reload->running, &told);
	waiters_move(&reload->next, &told);
	waiters_tell(&told, -ESHUTDOWN, "the daemon stops");
}
