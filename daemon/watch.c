// SPDX-License-Identifier: MIT
#include "watch.h"

#include <errno.h>
#include <stdlib.h>

#include "blame.h"
#include "broker.h"
#include "import.h"
#include "proto/container.h"
#include "client.h"

#define WATCHES_PER_EVENT 256

static int watch_compare(const struct watch *a, const struct watch *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

RB_GENERATE_INTERNAL(watch_tree, watch, node, watch_compare, static inline)

static void watch_destroy(struct watch *watch)
{
	struct client *client = watch->handle->client;
	arm_remove(&watch->arm);
	broker_disarm(client->broker, &watch->deadline);
	if (watch->fired) {
		TAILQ_REMOVE(&client->fired, watch, fired_links);
	}
	LIST_REMOVE(watch, links);
	RB_REMOVE(watch_tree, &client->watches, watch);
	charge_release(&watch->charge);
	free(watch);
}

static void watch_fire(struct watch *watch, int result)
{
	struct client *client = watch->handle->client;
	broker_disarm(client->broker, &watch->deadline);
	watch->result = result;
	watch->fired = true;
	TAILQ_INSERT_TAIL(&client->fired, watch, fired_links);
	if (!client->closing) {
		client_notify(client);
	}
}

static void watch_decided(struct arm *arm, struct timeline *timeline, int result)
{
	(void)timeline;
	watch_fire(container_of(arm, struct watch, arm), result);
}

static void watch_expired(struct wheel_timer *timer)
{
	struct watch *watch = container_of(timer, struct watch, deadline);
	struct blame_wait wait = blame_watch(watch);
	int state = arm_expire(&watch->arm);
	if (state == -EAGAIN) {
		watch->handle->client->broker->counters.watches_expired++;
		blame_log_expired(&wait);
	}
	watch_fire(watch, state == -EAGAIN ? -ETIMEDOUT : state);
}

int watch_create(struct handle *handle, uint64_t number, uint64_t value, uint64_t deadline_ns)
{
	struct client *client = handle->client;
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch) {
		return -ENOMEM;
	}
	watch->handle = handle;
	watch->number = number;
	watch->arm.done = watch_decided;
	watch->deadline.fire = watch_expired;

	int r = charge_take(&watch->charge, client->user, ACCOUNT_WATCHES, 1);
	if (r == 0 && RB_INSERT(watch_tree, &client->watches, watch)) {
		r = -EEXIST;
	}
	if (r < 0) {
		charge_release(&watch->charge);
		free(watch);
		return r;
	}
	LIST_INSERT_HEAD(&handle->watches, watch, links);
	client->broker->counters.watches++;
	timeline_count(handle->timeline)->watches++;
	import_hint(handle->timeline, value, deadline_ns);
	broker_arm(client->broker, &watch->deadline, deadline_ns);
	arm_add(&watch->arm, handle->timeline, value);
	return 0;
}

int watch_cancel(struct client *client, uint64_t number)
{
	struct watch key = { .number = number };
	struct watch *watch = RB_FIND(watch_tree, &client->watches, &key);
	if (!watch) {
		return -ENOENT;
	}
	watch_destroy(watch);
	return 0;
}

const struct watch *watch_from(const struct client *client, uint64_t number)
{
	struct watch key = { .number = number };
	/* the macro takes no const head; it changes nothing */
	return RB_NFIND(watch_tree, (struct watch_tree *)&client->watches, &key);
}

void watch_drop_handle(struct handle *handle)
{
	while (!LIST_EMPTY(&handle->watches)) {
		watch_destroy(LIST_FIRST(&handle->watches));
	}
}

int watch_flush(struct client *client)
{
	uint64_t numbers[WATCHES_PER_EVENT];
	int32_t results[WATCHES_PER_EVENT];
	while (!TAILQ_EMPTY(&client->fired)) {
		if (client->reply.size > 0 || client->closing) {
			return -EAGAIN;
		}
		size_t count = 0;
		while (count < WATCHES_PER_EVENT && !TAILQ_EMPTY(&client->fired)) {
			struct watch *watch = TAILQ_FIRST(&client->fired);
			numbers[count] = watch->number;
			results[count] = watch->result;
			count++;
			watch_destroy(watch);
		}
		Fbk__Wire__WatchesFired fired = FBK__WIRE__WATCHES_FIRED__INIT;
		fired.n_watch = count;
		fired.watch = numbers;
		fired.n_result = count;
		fired.result = results;
		Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
		message.body_case = FBK__WIRE__MESSAGE__BODY_WATCHES_FIRED;
		message.watches_fired = &fired;
		client->broker->counters.watches_fired += count;
		client_send(client, &message, NULL, 0);
	}
	return 0;
}
