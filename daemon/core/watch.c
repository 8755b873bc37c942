// SPDX-License-Identifier: MIT
#include "watch.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/container.h"

static int watch_compare(const struct watch *a, const struct watch *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

RB_GENERATE_INTERNAL(watch_tree, watch, node, watch_compare, __attribute__((unused)) static)

static void watch_destroy(struct watch *watch)
{
	struct client *client = watch->handle->client;
	arm_remove(&watch->arm);
	loop_disarm(&client->registry->loop, &watch->deadline);
	if (watch->fired) {
		TAILQ_REMOVE(&client->fired, watch, fired_links);
	}
	LIST_REMOVE(watch, links);
	RB_REMOVE(watch_tree, &client->watches, watch);
	client->watch_count--;
	charge_release(&watch->charge);
	free(watch);
}

static void watch_fire(struct watch *watch, int result)
{
	struct client *client = watch->handle->client;
	loop_disarm(&client->registry->loop, &watch->deadline);
	watch->result = result;
	watch->fired = true;
	TAILQ_INSERT_TAIL(&client->fired, watch, fired_links);
	if (!client->ending && client->notify) {
		client->notify(client);
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
	struct registry *registry = watch->handle->client->registry;
	struct wait wait = watch_wait(watch);
	int state = arm_expire(&watch->arm);
	if (state == -EAGAIN) {
		registry->counters.watches_expired++;
		registry->blame->expired(&wait);
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
	client->watch_count++;
	LIST_INSERT_HEAD(&handle->watches, watch, links);
	client->registry->counters.watches++;
	timeline_count(handle->timeline)->watches++;
	timeline_hint(handle->timeline, value, deadline_ns);
	loop_arm(&client->registry->loop, &watch->deadline, deadline_ns);
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
	/* the macro takes no const head, and changes nothing */
	return RB_NFIND(watch_tree, (struct watch_tree *)&client->watches, &key);
}

static void watch_handle_closed(struct handle *handle, enum fbk_cause cause)
{
	(void)cause;
	while (!LIST_EMPTY(&handle->watches)) {
		watch_destroy(LIST_FIRST(&handle->watches));
	}
}

const struct observer watch_observer = {
	.handle_closed = watch_handle_closed,
};

size_t watch_take_fired(struct client *client, uint64_t *ret_numbers, int32_t *ret_results,
			size_t size)
{
	size_t count = 0;
	while (count < size && !TAILQ_EMPTY(&client->fired)) {
		struct watch *watch = TAILQ_FIRST(&client->fired);
		ret_numbers[count] = watch->number;
		ret_results[count] = watch->result;
		count++;
		watch_destroy(watch);
	}
	return count;
}

struct wait watch_wait(const struct watch *watch)
{
	struct wait wait = wait_of_arm(&watch->arm, WAIT_WATCH, watch->handle->client);
	wait.deadline_ns = watch->deadline.deadline_ns;
	return wait;
}
