// SPDX-License-Identifier: MIT
#include "broker.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "foreign.h"
#include "log.h"
#include "memory.h"
#include "proto/container.h"
#include "provider.h"
#include "client.h"
#include "syncobj-follow.h"
#include "timeline.h"
#include "udmabuf.h"
#include "watcher.h"

#define WHEEL_BUDGET       256 /* deadlines per turn; the rest has the next */
#define CALLBACKS_PER_TURN 64  /* then new events are looked for */
#define FDS_RESERVED       32  /* for the daemon itself while it serves */

uint64_t broker_new_id(struct broker *broker)
{
	return ++broker->next_id;
}

/* ------------------------------------------------------------------------------- deadlines --- */

static void broker_set_timer(struct broker *broker, uint64_t when_ns)
{
	/* 0 would stop it; what is past goes off at once */
	uint64_t at = when_ns == UINT64_MAX ? 0 : when_ns == 0 ? 1 : when_ns;
	struct itimerspec time = { .it_value = { .tv_sec = (time_t)(at / NS_PER_S),
						 .tv_nsec = (long)(at % NS_PER_S) } };
	timerfd_settime(broker->timer, TFD_TIMER_ABSTIME, &time, NULL);
	broker->timer_ns = when_ns;
}

static void broker_set_timer_earlier(struct broker *broker)
{
	uint64_t next = wheel_next(&broker->wheel);
	if (next < broker->timer_ns) {
		broker_set_timer(broker, next);
	}
}

static void broker_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd; /* edge-triggered: never read */
	(void)what;
	struct broker *broker = arg;
	broker->timer_ns = UINT64_MAX; /* it went off */
	wheel_advance(&broker->wheel, clock_now_ns(), WHEEL_BUDGET);
	broker_set_timer_earlier(broker);
}

void broker_arm(struct broker *broker, struct wheel_timer *timer, uint64_t deadline_ns)
{
	wheel_arm(&broker->wheel, timer, deadline_ns);
	broker_set_timer_earlier(broker);
}

void broker_disarm(struct broker *broker, struct wheel_timer *timer)
{
	wheel_cancel(&broker->wheel, timer); /* the timer follows in broker_run */
}

int broker_run(struct broker *broker)
{
	int r;
	do {
		/* Before it sleeps: when nothing is armed, nothing wakes us (G7). */
		uint64_t next = wheel_next(&broker->wheel);
		if (broker->timer_ns < next) {
			broker_set_timer(broker, next);
		}
		r = event_base_loop(broker->base, EVLOOP_ONCE);
	} while (r == 0 && !event_base_got_break(broker->base));
	return r;
}

/* ------------------------------------------------------------------------------ the account -- */

static uint64_t count_open_fds(void)
{
	uint64_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	if (!directory) {
		return 64; /* more than there can be at start */
	}
	while (readdir(directory)) {
		count++;
	}
	closedir(directory);
	return count;
}

static uint64_t fd_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return 1024;
	}
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
			getrlimit(RLIMIT_NOFILE, &limit);
		}
	}
	return limit.rlim_cur;
}

uint64_t broker_free_fds(const struct broker *broker)
{
	uint64_t used = account_total(broker->account, ACCOUNT_FDS) +
			closer_pending(&broker->closer) + broker->base_fds;
	return used < broker->fd_limit ? broker->fd_limit - used : 0;
}

static void broker_set_ceiling(struct broker *broker)
{
	uint64_t kept = broker->base_fds + FDS_RESERVED + WIRE_FDS_ROOM;
	uint64_t ceiling = broker->fd_limit > kept ? broker->fd_limit - kept : 0;
	account_set_ceiling(broker->account, ACCOUNT_FDS, ceiling);
	if (ceiling < 256) {
		log_warning(
			"only %llu file descriptors are left for clients: raise LimitNOFILE= or "
			"`ulimit -n`",
			(unsigned long long)ceiling);
	}
}

/* ----------------------------------------------------------------------------------- stopping -- */

static void broker_stop_now(struct wheel_timer *timer)
{
	struct broker *broker = container_of(timer, struct broker, stop_timer);
	event_base_loopbreak(broker->base);
}

void broker_promise_over(struct broker *broker)
{
	broker->promise_count--;
	if (broker->stopping && broker->promise_count == 0) {
		/* Not from within: what is reached in this turn is still to be told. */
		broker_arm(broker, &broker->stop_timer, 0);
	}
}

void broker_stop(struct broker *broker)
{
	uint64_t within_ms =
		broker->promise_count > 0 ? policy_settings(broker->policy)->promise_ms : 0;
	if (broker->stopping) {
		event_base_loopbreak(broker->base);
		return;
	}
	broker->stopping = true;
	if (broker->promise_count > 0) {
		log_info("%u promises are under way: waiting for them, %llu ms at most",
			 broker->promise_count, (unsigned long long)within_ms);
	}
	struct client *client;
	LIST_FOREACH(client, &broker->clients, links) {
		client_tell_stopping(client, within_ms);
	}
	/* Each promise ends by its own deadline before this. */
	broker->stop_timer.fire = broker_stop_now;
	broker_arm(broker, &broker->stop_timer,
		   within_ms ? clock_now_ns() + within_ms * NS_PER_MS : 0);
}

/* --------------------------------------------------------------------------- ended clients --- */

static void broker_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct broker *broker = arg;
	while (!LIST_EMPTY(&broker->dying)) {
		client_destroy(LIST_FIRST(&broker->dying));
	}
}

void broker_reap_later(struct broker *broker)
{
	event_active(broker->reaper, EV_TIMEOUT, 0);
}

/* ------------------------------------------------------------------------------- the closer -- */

static void broker_tend_closer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct broker *broker = arg;
	closer_tend(&broker->closer);
}

static int broker_create_closer(struct broker *broker)
{
	int r = closer_init(&broker->closer, broker->fd_limit);
	if (r < 0) {
		return r;
	}
	broker->closer_alarm = event_new(broker->base, broker->closer.alarm, EV_READ | EV_PERSIST,
					 broker_tend_closer, broker);
	return broker->closer_alarm && event_add(broker->closer_alarm, NULL) == 0 ? 0 : -ENOMEM;
}

/* --------------------------------------------------------------------------- birth and death -- */

static int broker_create_loop(struct broker *broker)
{
	struct event_config *config = event_config_new();
	if (!config) {
		return -ENOMEM;
	}
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NOLOCK);
	event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_O1);
	/* A client that keeps its doorbell ringing does not keep the others' events from being seen. */
	event_config_set_max_dispatch_interval(config, NULL, CALLBACKS_PER_TURN, 0);
	broker->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!broker->base || event_base_priority_init(broker->base, PRIORITY_COUNT) < 0) {
		return -ENOMEM;
	}
	broker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (broker->timer < 0) {
		return -errno;
	}
	broker->timer_event = event_new(broker->base, broker->timer, EV_READ | EV_ET | EV_PERSIST,
					broker_deadline, broker);
	broker->reaper = evtimer_new(broker->base, broker_reap, broker);
	if (!broker->timer_event || !broker->reaper) {
		return -ENOMEM;
	}
	event_priority_set(broker->timer_event, PRIORITY_FENCE);
	event_priority_set(broker->reaper, PRIORITY_FENCE);
	return event_add(broker->timer_event, NULL) == 0 ? 0 : -ENOMEM;
}

int broker_create(struct policy *policy, const char *policy_name, bool user_mode,
		  struct broker **ret_broker)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	if (!broker) {
		policy_destroy(policy);
		return -ENOMEM;
	}
	broker->policy = policy;
	broker->policy_name = policy_name;
	broker->user_mode = user_mode;
	broker->started_ns = clock_now_ns();
	broker->aio.source = -1;
	broker->drm = (struct drm){ .syncobj = -1, .own_sync_file = -1 };
	broker->classifier.reference_fd = -1;
	wheel_init(&broker->wheel, broker->started_ns);
	graph_init(&broker->graph);
	broker->timer = -1;
	broker->udmabuf = -ENODEV;
	broker->timer_ns = UINT64_MAX;

	int r = broker_create_loop(broker);
	if (r == 0) {
		r = account_create(&broker->account);
	}
	if (r == 0) {
		broker->fd_limit = fd_limit();
		r = broker_create_closer(broker);
	}
	if (r == 0) {
		r = classifier_init(&broker->classifier);
	}
	if (r == 0) {
		r = watcher_create(broker, &broker->watcher);
	}
	if (r < 0) {
		broker_destroy(broker);
		return r;
	}
	int aio = aio_init(&broker->aio);
	if (aio < 0) {
		log_warning("no AIO context (%s): eventfds can't be exported",
			    strerrordesc_np(-aio));
	}
	broker->udmabuf = udmabuf_open();
	drm_open(&broker->drm);
	broker->memory_lock = -ENOTSUP;
	if (policy_settings(policy)->promises) {
		broker->memory_lock = memory_lock();
	}
	probe_run(broker);
	account_set_ceiling(broker->account, ACCOUNT_REGISTERED_PAGES, FOREIGN_MAX);
	broker->base_fds = count_open_fds();
	broker_set_ceiling(broker);
	*ret_broker = broker;
	return 0;
}

void event_drop(struct event *event)
{
	if (event) {
		event_free(event);
	}
}

void broker_destroy(struct broker *broker)
{
	if (!broker) {
		return;
	}
	struct timeline *timeline;
	broker->ending = true;
	LIST_FOREACH(timeline, &broker->timelines, links) {
		timeline_fail(timeline, FBK_CAUSE_DAEMON_LOST, -ENOTCONN, "the daemon was stopped");
	}
	while (!LIST_EMPTY(&broker->clients)) {
		struct client *client = LIST_FIRST(&broker->clients);
		client->left = true;
		client_end(client, NULL);
	}
	while (!LIST_EMPTY(&broker->dying)) {
		client_destroy(LIST_FIRST(&broker->dying));
	}
	watcher_destroy(broker->watcher); /* with it go the last sets */
	graph_finish(&broker->graph);
	log_forget(broker);
	broker_disarm(broker, &broker->stop_timer);
	submit_arms_finish(broker);
	vgem_finish(broker);
	drm_finish(&broker->drm);
	event_drop(broker->closer_alarm);
	closer_finish(&broker->closer);
	classifier_finish(&broker->classifier);
	aio_finish(&broker->aio);
	account_destroy(broker->account);
	event_drop(broker->reaper);
	event_drop(broker->timer_event);
	if (broker->timer >= 0) {
		close(broker->timer);
	}
	if (broker->udmabuf >= 0) {
		close(broker->udmabuf);
	}
	if (broker->base) {
		event_base_free(broker->base);
	}
	policy_destroy(broker->policy);
	free(broker);
}
