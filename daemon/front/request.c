// SPDX-License-Identifier: MIT
/*
 * Requests about the connection itself, devices and sets. As in all request-*.c, the dispatch table calls the
 * handlers after it has checked size, fds and rights.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/core/client-set.h"
#include "daemon/core/device.h"
#include "daemon/core/link.h"
#include "daemon/core/handle.h"
#include "dispatch.h"
#include "proto/version.h"

/* ------------------------------------------------------------------------------- connection -- */

int client_may_connect(const struct client *client, char *detail)
{
	const char *rule = "";
	if (!policy_may_connect(client->registry->policy, &client->subject, &rule)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "policy does not let uid %u connect (%s): ask the administrator to add a "
			 "rule",
			 client->subject.uid, rule);
		return -EPERM;
	}
	return 0;
}

int request_hello(struct client *client, struct handle *handle, const void *body, int *fds,
		  struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__Hello *hello = body;
	const struct broker *broker = broker_of(client);
	struct registry *registry = client->registry;
	char name[FBK_NAME_SIZE];

	wire_text_copy(name, sizeof(name), hello->name);
	if (hello->version_min > WIRE_VERSION_MAX || hello->version_max < WIRE_VERSION_MIN) {
		bool newer = hello->version_min > WIRE_VERSION_MAX;
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "this daemon (%s) speaks protocol %d to %d, the client %u to %u: update "
			 "the %s",
			 FBK_VERSION_STRING, WIRE_VERSION_MIN, WIRE_VERSION_MAX, hello->version_min,
			 hello->version_max, newer ? "daemon" : "client");
		registry->counters.refused++;
		return -EPROTONOSUPPORT;
	}
	int r = client->greeted ? 0 : client_may_connect(client, answer->detail);
	registry->counters.refused += r < 0;
	if (r == 0) {
		r = client_open_bell(client);
		if (client_may_use_reserve(client, r)) {
			r = client_use_reserve(client);
			r = r < 0 ? r : client_open_bell(client);
		}
	}
	if (r == 0) {
		r = answer_duplicate(answer, client->bell.pair->fd);
	}
	if (r == 0) {
		r = answer_duplicate(answer, client->bell.doorbell);
	}
	if (r == 0) {
		r = answer_readonly(answer, registry->life);
	}
	if (r < 0) {
		return r;
	}
	memcpy(client->name, name, sizeof(client->name));
	const struct policy_settings *settings = policy_settings(registry->policy);
	Fbk__Wire__Welcome *welcome = &answer->welcome;
	fbk__wire__welcome__init(welcome);
	welcome->version =
		hello->version_max < WIRE_VERSION_MAX ? hello->version_max : WIRE_VERSION_MAX;
	welcome->daemon_version = text(FBK_VERSION_STRING);
	welcome->features = registry->features;
	client->features = registry->features;
	welcome->spin_ns = settings->spin_ns;
	welcome->max_wait_ms = settings->max_wait_ms;
	welcome->user_mode = broker->user_mode;
	welcome->instance.data = registry->instance;
	welcome->instance.len = sizeof(registry->instance);
	welcome->page_version = FBK_PAGE_VERSION;
	page_describe(&answer->pair_page, client->bell.pair, 0);
	welcome->pair = &answer->pair_page;
	page_describe(&answer->life_page, registry->life, 0);
	welcome->life = &answer->life_page;
	const struct device *device = LIST_FIRST(&client->devices);
	if (device) {
		answer_object(answer, device->handle);
		answer->object.backing = device->backing;
		welcome->device = &answer->object;
	}
	welcome->clock_ns = clock_now_ns();
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_WELCOME;
	answer->message.welcome = welcome;
	client->greeted = true;
	client->said_hello = true;
	return 0;
}

int request_goodbye(struct client *client, struct handle *handle, const void *body, int *fds,
		    struct answer *answer)
{
	(void)client;
	(void)handle;
	(void)body;
	(void)fds;
	answer->silent = true;
	answer->then = ANSWER_THEN_LEAVE;
	return 0;
}

/* -------------------------------------------------------------------------- devices and sets -- */

int request_device_register(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__DeviceRegister *request = body;
	const struct device_spec spec = {
		.id = request->device,
		.name = request->name,
		.class = request->class_,
		.waits = request->waits,
		.signals = request->signals,
		.silent = request->silent,
		.visibility = request->visibility,
		.page_align = request->page_align,
		.backings = request->backings,
		.routes = request->routes,
	};
	struct device *device;
	int r = id_check(request->device, answer->detail);
	if (r == 0) {
		r = device_register(client, &spec, &device, answer->detail);
	}
	if (r < 0) {
		return r;
	}
	answer_object(answer, device->handle);
	answer->object.backing = device->backing;
	return 0;
}

int request_device_unregister(struct client *client, struct handle *handle, const void *body,
			      int *fds, struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__DeviceUnregister *request = body;
	struct device *device = device_find(client, request->device);
	if (!device) {
		return answer_no_device(answer, request->device);
	}
	links_leave(device);
	handles_orphan(client, device, FBK_CAUSE_OWNER_LEFT);
	device_unregister(device);
	return 0;
}

int request_set_create(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__SetCreate *request = body;
	int r = id_check(request->set, answer->detail);
	if (r == 0) {
		r = client_set_create(client, request->set);
	}
	return r < 0 ? r : answer_object(answer, request->set);
}

int request_set_destroy(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)handle;
	(void)fds;
	const Fbk__Wire__SetDestroy *request = body;
	int r = client_set_destroy(client, request->set);
	if (r < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE, "this client has no set %u",
			 request->set);
	}
	return r;
}
