// SPDX-License-Identifier: MIT
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/foreign.h"
#include "daemon/base/log.h"
#include "daemon/base/notify.h"
#include "daemon/core/client-log.h"
#include "daemon/core/client-set.h"
#include "daemon/core/device.h"
#include "daemon/core/life.h"
#include "daemon/core/link.h"
#include "daemon/core/pair.h"
#include "daemon/core/refusal.h"
#include "daemon/core/token.h"
#include "daemon/core/watch.h"
#include "daemon/core/watcher.h"
#include "daemon/front/blame.h"
#include "daemon/front/broker.h"
#include "daemon/front/bus.h"
#include "daemon/front/connection.h"
#include "daemon/translate/export.h"
#include "daemon/translate/mirror.h"
#include "daemon/translate/promise.h"
#include "daemon/translate/provider.h"
#include "daemon/translate/syncobj-follow.h"
#include "proto/wire.h"

#define FDS_RESERVED 32 /* for the daemon's own use while it serves */

/* The order in which a client's objects end: its exports fire while their timelines still exist; its handles close,
 * each with the objects that hang on it; its devices and sets go last. */
static const struct observer *const observers[] = {
	&export_observer,
	&link_observer,
	&handle_observer,
	&watch_observer,
	&token_observer,
	&pair_observer,
	&mirror_observer,
	&device_observer,
	&client_set_observer,
	&bus_observer,
	NULL,
};

/* Blame is logged, and the bus is told. */
static void wait_expired(const struct wait *wait)
{
	if (!blame_polls(wait)) {
		blame_log_expired(wait);
		bus_wait_expired(wait);
	}
}

static const struct blame_ops blame = {
	.expired = wait_expired,
	.late = blame_log_late,
	.describe = blame_describe,
};

/* ------------------------------------------------------------------------------ the account -- */

static uint64_t count_open_fds(void)
{
	uint64_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	if (!directory) {
		return 64; /* more than can be open at start */
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

static void registry_set_ceilings(struct registry *registry, uint64_t reserved)
{
	registry->base_fds = count_open_fds();
	uint64_t kept = registry->base_fds + reserved + ACCOUNT_RESERVE_FDS + WIRE_FDS_ROOM;
	uint64_t ceiling = registry->fd_limit > kept ? registry->fd_limit - kept : 0;
	account_set_ceiling(registry->account, ACCOUNT_REGISTERED_PAGES, FOREIGN_MAX);
	account_set_ceiling(registry->account, ACCOUNT_FDS, ceiling);
	if (ceiling < 256) {
		log_warning(
			"only %llu file descriptors are left for clients: raise LimitNOFILE= or "
			"`ulimit -n`",
			(unsigned long long)ceiling);
	}
}

/* -------------------------------------------------------------------------------- a new policy -- */

static void registry_set_watcher(struct registry *registry)
{
	uint64_t percent = policy_settings(registry->policy)->watcher_cpu_percent;
	int r = 0;
	if (!registry->watcher) {
		r = watcher_create(registry, &registry->watcher);
		registry->base_fds += registry->watcher ? 1 : 0;
	} else if (percent > 0) {
		watcher_set_percent(registry->watcher, percent);
	} else {
		log_warning("watcher_cpu_percent = 0 takes effect when the daemon starts again");
	}
	if (r < 0) {
		log_warning("no watcher: %s", strerrordesc_np(-r));
	}
}

static void broker_tell_features(struct broker *broker)
{
	struct connection *connection;
	if (broker->registry.features == broker->probe.features) {
		return;
	}
	broker->registry.features = broker->probe.features;
	LIST_FOREACH(connection, &broker->connections, links) {
		connection_flush_soon(connection);
	}
	bus_property_changed(broker, "Features");
}

static void broker_hardware_changed(struct hardware *hardware)
{
	struct broker *broker = container_of(hardware, struct broker, hardware);
	probe_hardware(&broker->probe, &broker->translator);
	broker_tell_features(broker);
}

static void broker_tell_state(const struct broker *broker, const char *first)
{
	const char *problem = broker->policy_problem;
	if (broker->serving) {
		notify_manager("%sSTATUS=serving %s, policy %s%s%s", first, broker->serving,
			       policy_name(broker->registry.policy),
			       problem[0] ? "; not in force: " : "", problem);
	}
}

void broker_tell_serving(struct broker *broker, const char *socket)
{
	broker->serving = socket;
	broker_tell_state(broker, "READY=1\n");
}

void broker_set_policy_problem(struct broker *broker, const char *problem)
{
	snprintf(broker->policy_problem, sizeof(broker->policy_problem), "%s", problem);
	broker_tell_state(broker, "");
}

static void broker_warn_unkept(const struct policy *policy)
{
	int r = policy_keep_error(policy);
	if (r < 0) {
		log_warning("the policy can't be kept for a start with a fault in its files: %s",
			    strerrordesc_np(-r));
	}
}

static void broker_refuse_policy(struct reload *reload, const char *detail)
{
	broker_set_policy_problem(container_of(reload, struct broker, reload), detail);
}

/* What exists stays, with the rights that it was given. Nothing keeps pointers into the old policy. */
static void broker_apply_policy(struct reload *reload, struct policy *policy)
{
	struct broker *broker = container_of(reload, struct broker, reload);
	struct registry *registry = &broker->registry;
	policy_destroy(registry->policy);
	registry->policy = policy;
	broker_warn_unkept(policy);
	clients_set_limits(registry);
	registry_set_watcher(registry);
	promises_prepare(&broker->translator);
	probe_promises(&broker->probe, &broker->translator);
	bus_property_changed(broker, "Policy");
	broker_tell_features(broker);
	if (!broker->hardware.event) { /* nothing reports changes */
		hardware_look(&broker->hardware);
	}
	broker_set_policy_problem(broker, "");
}

/* ----------------------------------------------------------------------------------- running -- */

int broker_run(struct broker *broker)
{
	return loop_run(&broker->registry.loop);
}

static void broker_stop_now(struct wheel_timer *timer)
{
	struct broker *broker = container_of(timer, struct broker, stop_timer);
	loop_stop(&broker->registry.loop);
}

static void broker_promises_over(struct translator *translator)
{
	struct broker *broker = container_of(translator, struct broker, translator);
	/* Stop from the loop, not from here: clients must first be notified of this turn's points. */
	loop_arm(&broker->registry.loop, &broker->stop_timer, 0);
}

void broker_stop(struct broker *broker)
{
	struct registry *registry = &broker->registry;
	struct translator *translator = &broker->translator;
	uint64_t within_ms =
		translator->promise_count > 0 ? policy_settings(registry->policy)->promise_ms : 0;
	if (broker->stopping) {
		loop_stop(&registry->loop);
		return;
	}
	broker->stopping = true;
	translator->stopping = true;
	if (translator->promise_count > 0) {
		log_info("%u promises are under way: waiting for them, %llu ms at most",
			 translator->promise_count, (unsigned long long)within_ms);
	}
	struct connection *connection;
	struct connection *next;
	LIST_FOREACH_SAFE(connection, &broker->connections, links, next) {
		connection_tell_stopping(connection, within_ms);
	}
	bus_stopping(broker, within_ms);
	/* Each promise ends by its own deadline before this. */
	loop_arm(&registry->loop, &broker->stop_timer,
		 within_ms ? clock_now_ns() + within_ms * NS_PER_MS : 0);
}

static void broker_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct broker *broker = arg;
	while (!LIST_EMPTY(&broker->dying)) {
		connection_destroy(LIST_FIRST(&broker->dying));
	}
}

static void broker_tend_closer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct broker *broker = arg;
	closer_tend(&broker->registry.closer);
}

/* --------------------------------------------------------------------------- birth and death -- */

static struct broker *broker_alloc(void)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	if (!broker) {
		return NULL;
	}
	struct registry *registry = &broker->registry;
	struct translator *translator = &broker->translator;
	registry->observers = observers;
	registry->blame = &blame;
	registry->started_ns = clock_now_ns();
	registry->classifier.reference_fd = -1;
	registry->udmabuf = -ENODEV;
	graph_init(&registry->graph);
	translator->registry = registry;
	translator->aio.source = -1;
	translator->drm = DRM_NONE;
	translator->memory_lock = -ENOTSUP;
	translator->promises_over = broker_promises_over;
	spare_init(&broker->spare);
	broker->stop_timer.fire = broker_stop_now;
	broker->reload.loop = &registry->loop;
	broker->reload.apply = broker_apply_policy;
	broker->reload.refuse = broker_refuse_policy;
	broker->hardware.translator = translator;
	broker->hardware.changed = broker_hardware_changed;
	broker->hardware.watch = -1;
	return broker;
}

static int broker_init_classifier(struct registry *registry)
{
	const char *call;
	int r = classifier_init(&registry->classifier, &call);
	if (r < 0) {
		return log_call(call, r);
	}
	int memfd = memfd_create("fencebroker-reference", MFD_CLOEXEC);
	if (memfd < 0) {
		return log_call("memfd_create", -errno);
	}
	r = classifier_know_memfds(&registry->classifier, memfd);
	close(memfd);
	return r;
}

/* The parts without which the daemon can't run. */
static int broker_init_core(struct broker *broker)
{
	struct registry *registry = &broker->registry;
	size_t random = sizeof(registry->instance);
	if (getrandom(registry->instance, random, 0) != (ssize_t)random) {
		return log_call("getrandom", -errno);
	}
	int r = loop_init(&registry->loop);
	if (r == 0) {
		r = account_create(&registry->account);
	}
	if (r == 0) {
		registry->fd_limit = fd_limit();
		r = closer_init(&registry->closer, registry->fd_limit);
	}
	if (r == 0) {
		r = broker_init_classifier(registry);
	}
	if (r == 0) {
		r = watcher_create(registry, &registry->watcher);
	}
	if (r < 0) {
		return r;
	}
	broker->reaper = loop_trigger(&registry->loop, PRIORITY_FENCE, broker_reap, broker);
	broker->closer_alarm =
		loop_listen(&registry->loop, registry->closer.alarm, EV_READ | EV_PERSIST,
			    PRIORITY_REQUEST, broker_tend_closer, broker);
	return broker->reaper && broker->closer_alarm ? 0 : -ENOMEM;
}

/* The parts that a machine may lack. */
static void broker_init_translation(struct broker *broker)
{
	struct registry *registry = &broker->registry;
	struct translator *translator = &broker->translator;
	int aio = aio_init(&translator->aio);
	if (aio < 0) {
		log_warning("io_setup: %s%s: eventfds can't be exported", strerrordesc_np(-aio),
			    call_hint(aio));
	}
	hardware_start(&broker->hardware);
	promises_prepare(translator);
	probe_run(&broker->probe, translator);
	registry->features = broker->probe.features;
}

int broker_create(struct policy *policy, bool user_mode, struct broker **ret_broker)
{
	struct broker *broker = broker_alloc();
	if (!broker) {
		policy_destroy(policy);
		return -ENOMEM;
	}
	broker->registry.policy = policy;
	broker_warn_unkept(policy);
	broker->user_mode = user_mode;
	int r = broker_init_core(broker);
	if (r < 0) {
		broker_destroy(broker);
		return r;
	}
	broker_init_translation(broker);
	r = probe_fatal(&broker->probe) ? 0 : life_begin(&broker->registry);
	if (r < 0) {
		broker_destroy(broker);
		return r;
	}
	spare_fill(&broker->spare);
	registry_set_ceilings(&broker->registry, FDS_RESERVED);
	*ret_broker = broker;
	return 0;
}

int broker_join_bus(struct broker *broker, const char *address)
{
	int r = bus_create(broker, address);
	if (r == 0) {
		registry_set_ceilings(&broker->registry, FDS_RESERVED + BUS_FDS_RESERVED);
	}
	return r;
}

/* The first cause counts: timelines of clients that have ended by now fail with that. */
static void broker_end_clients(struct broker *broker)
{
	struct timeline *timeline;
	struct connection *connection, *next;
	LIST_FOREACH_SAFE(connection, &broker->connections, links, next) {
		connection_look_exit(connection);
	}
	broker_reap(-1, 0, broker);
	broker->registry.ending = true;
	LIST_FOREACH(timeline, &broker->registry.timelines, links) {
		timeline_stop(timeline);
	}
	life_end(&broker->registry); /* after the pages said why, before fences of the kernel end */
	while (!LIST_EMPTY(&broker->connections)) {
		connection_end(LIST_FIRST(&broker->connections), FBK_CAUSE_OWNER_LEFT, NULL);
	}
	while (!LIST_EMPTY(&broker->dying)) {
		connection_destroy(LIST_FIRST(&broker->dying));
	}
}

void broker_destroy(struct broker *broker)
{
	if (!broker) {
		return;
	}
	struct registry *registry = &broker->registry;
	struct translator *translator = &broker->translator;
	reload_finish(&broker->reload); /* while its waiters can still be answered */
	hardware_finish(&broker->hardware);
	broker_end_clients(broker);
	bus_destroy(broker);
	watcher_destroy(registry->watcher); /* its guards hold the last sets */
	graph_finish(&registry->graph);
	refusals_finish(registry);
	client_log_finish(registry);
	spare_lend(&broker->spare);
	loop_disarm(&registry->loop, &broker->stop_timer);
	submit_arms_finish(translator);
	vgem_finish(translator);
	drm_finish(&translator->drm);
	event_drop(broker->closer_alarm);
	closer_finish(&registry->closer);
	classifier_finish(&registry->classifier);
	life_finish(registry);
	aio_finish(&translator->aio);
	account_destroy(registry->account);
	event_drop(broker->reaper);
	if (registry->udmabuf >= 0) {
		close(registry->udmabuf);
	}
	loop_finish(&registry->loop);
	policy_destroy(registry->policy);
	free(broker);
}
