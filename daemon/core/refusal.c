// SPDX-License-Identifier: MIT
#include "refusal.h"

#include <stdlib.h>

#include "client-log.h"
#include "client.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "proto/container.h"
#include "proto/wire.h"

#define REFUSAL_WINDOW_S 10

/* Of one user, for as long as somebody of it was refused in the last window. */
struct refusal {
	LIST_ENTRY(refusal) links;
	struct registry *registry;
	struct user *user;
	uint64_t count; /* that no line has told yet */
	pid_t pid;      /* the last of these */
	char why[FBK_REASON_SIZE];
	struct wheel_timer window;
};

static void refusal_destroy(struct refusal *refusal)
{
	loop_disarm(&refusal->registry->loop, &refusal->window);
	LIST_REMOVE(refusal, links);
	user_unref(refusal->user);
	free(refusal);
}

static void refusal_tell(struct refusal *refusal)
{
	const struct log_subject subject = { .message_id = LOG_MESSAGE_CLIENT,
					     .has_client = true,
					     .uid = user_uid(refusal->user),
					     .pid = refusal->pid };
	if (!log_claim(refusal->registry, refusal->user)) {
		return;
	}
	if (refusal->count == 1) {
		log_warning_about(&subject, "pid %d of uid %u was refused: %s", subject.pid,
				  subject.uid, refusal->why);
	} else {
		log_warning_about(&subject,
				  "%llu connections of uid %u were refused in %d seconds, the "
				  "last of pid %d: %s",
				  (unsigned long long)refusal->count, subject.uid, REFUSAL_WINDOW_S,
				  subject.pid, refusal->why);
	}
}

static void refusal_open_window(struct refusal *refusal)
{
	refusal->count = 0;
	loop_arm(&refusal->registry->loop, &refusal->window,
		 clock_now_ns() + REFUSAL_WINDOW_S * NS_PER_S);
}

static void refusal_window_ended(struct wheel_timer *timer)
{
	struct refusal *refusal = container_of(timer, struct refusal, window);
	if (refusal->count == 0) {
		refusal_destroy(refusal);
		return;
	}
	refusal_tell(refusal);
	refusal_open_window(refusal);
}

static struct refusal *refusal_of(struct registry *registry, struct user *user)
{
	struct refusal *refusal;
	LIST_FOREACH(refusal, &registry->refusals, links) {
		if (refusal->user == user) {
			return refusal;
		}
	}
	return NULL;
}

static struct refusal *refusal_create(struct registry *registry, struct user *user)
{
	struct refusal *refusal = calloc(1, sizeof(*refusal));
	if (refusal) {
		refusal->registry = registry;
		refusal->user = user_ref(user);
		refusal->window.fire = refusal_window_ended;
		LIST_INSERT_HEAD(&registry->refusals, refusal, links);
	}
	return refusal;
}

void refusal_log(struct registry *registry, const struct credentials *credentials, const char *why)
{
	struct user *user;
	if (client_user_ref(registry, credentials, &user) < 0) {
		return; /* out of memory: it is counted */
	}
	struct refusal *refusal = refusal_of(registry, user);
	bool first = !refusal;
	refusal = refusal ? refusal : refusal_create(registry, user);
	user_unref(user);
	if (!refusal) {
		return;
	}
	refusal->count++;
	refusal->pid = credentials->pid;
	wire_text_copy(refusal->why, sizeof(refusal->why), why);
	if (first) {
		refusal_tell(refusal);
		refusal_open_window(refusal);
	}
}

void refusals_finish(struct registry *registry)
{
	struct refusal *refusal;
	while ((refusal = LIST_FIRST(&registry->refusals))) {
		if (refusal->count > 0) {
			refusal_tell(refusal);
		}
		refusal_destroy(refusal);
	}
}
