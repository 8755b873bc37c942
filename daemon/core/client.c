// SPDX-License-Identifier: MIT
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"

const char *client_label(const struct client *client)
{
	static char label[96];
	snprintf(label, sizeof(label), "%s (pid %d, uid %u)",
		 client->name[0] ? client->name : "a new client", client->credentials.pid,
		 client->subject.uid);
	return label;
}

/* ------------------------------------------------------------------------------ the handles -- */

struct handle *client_handle(const struct client *client, uint32_t number)
{
	return number < client->handles_size ? client->handles[number] : NULL;
}

static int client_handles_grow(struct client *client, uint32_t number)
{
	uint32_t size = client->handles_size ? client->handles_size : 16;
	while (size <= number) {
		size *= 2;
	}
	struct handle **handles = reallocarray(client->handles, size, sizeof(struct handle *));
	if (!handles) {
		return -ENOMEM;
	}
	memset(handles + client->handles_size, 0,
	       (size - client->handles_size) * sizeof(struct handle *));
	client->handles = handles;
	client->handles_size = size;
	return 0;
}

int client_add_handle(struct client *client, struct handle *handle, uint32_t number)
{
	int r = number < client->handles_size ? 0 : client_handles_grow(client, number);
	if (r == 0) {
		r = charge_grow(&client->handles_charge, client->user, ACCOUNT_HANDLES, 1);
	}
	if (r == 0) {
		client->handles[number] = handle;
	}
	return r;
}

void client_remove_handle(struct client *client, uint32_t number)
{
	charge_shrink(&client->handles_charge, 1);
	client->handles[number] = NULL;
}

uint32_t client_free_handle(const struct client *client)
{
	uint32_t number = FBK_PAIR_CELLS - 1;
	while (number > 0 && client_handle(client, number)) {
		number--;
	}
	return number;
}

uint32_t client_new_id(struct client *client)
{
	return UINT32_MAX - client->bus_ids++;
}

/* --------------------------------------------------------------------------- birth and death -- */

static int user_find(struct registry *registry, const struct policy_subject *subject,
		     struct user **ret_user)
{
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	policy_limits(registry->policy, subject, limits);
	int r = account_user_ref(registry->account, subject->uid, limits, ret_user);
	if (r == 0 && user_usage(*ret_user, ACCOUNT_SESSIONS) == 0) {
		/* The policy may have changed since the user's last client, which left charges. */
		user_set_limits(*ret_user, limits);
	}
	return r;
}

static struct policy_subject credentials_subject(const struct credentials *credentials)
{
	return (struct policy_subject){ .uid = credentials->uid,
					.gid = credentials->gid,
					.groups = credentials->groups,
					.group_count = credentials->group_count };
}

int client_user_ref(struct registry *registry, const struct credentials *credentials,
		    struct user **ret_user)
{
	const struct policy_subject subject = credentials_subject(credentials);
	return user_find(registry, &subject, ret_user);
}

int client_create(struct registry *registry, const struct credentials *credentials,
		  struct client **ret_client)
{
	struct client *client = calloc(1, sizeof(*client));
	if (!client) {
		close(credentials->pidfd);
		return -ENOMEM;
	}
	client->registry = registry;
	client->id = registry_new_id(registry);
	client->since_ns = clock_now_ns();
	client->credentials = *credentials;
	client->subject = credentials_subject(&client->credentials);
	bell_init(&client->bell, registry);
	TAILQ_INIT(&client->fired);
	TAILQ_INIT(&client->tokens);
	int r = user_find(registry, &client->subject, &client->user);
	if (r < 0) {
		close(client->credentials.pidfd);
		free(client);
		return r;
	}
	LIST_INSERT_HEAD(&registry->clients, client, links);
	registry->client_count++;
	*ret_client = client;
	return 0;
}

void clients_set_limits(struct registry *registry)
{
	const struct client *client;
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	LIST_FOREACH(client, &registry->clients, links) {
		policy_limits(registry->policy, &client->subject, limits);
		user_set_limits(client->user, limits);
	}
}

int client_admit(struct client *client)
{
	int r = charge_take(&client->charge, client->user, ACCOUNT_SESSIONS, 1);
	if (r == 0) { /* pidfd and doorbell; the pair page has a charge of its own */
		r = charge_take(&client->fd_charge, client->user, ACCOUNT_FDS, 2);
	}
	return r;
}

bool client_may_use_reserve(const struct client *client, int error)
{
	return (error == -EDQUOT || error == -ENFILE) && client->admin &&
	       client->credentials.inspects && !client->greeted && !client->reserve;
}

int client_use_reserve(struct client *client)
{
	struct user *reserve;
	int r = account_reserve_ref(client->registry->account, &reserve);
	if (r < 0) {
		return r;
	}
	charge_release(&client->fd_charge);
	charge_release(&client->charge);
	user_unref(client->user);
	client->user = reserve;
	client->reserve = true;
	return client_admit(client);
}

void client_end(struct client *client, enum fbk_cause cause)
{
	struct registry *registry = client->registry;
	client->ending = true;
	bell_mute(&client->bell);
	registry_client_ended(registry, client, cause);
	graph_drop(&registry->graph, &client->waits);
	free(client->handles);
	bell_close(&client->bell);
	close(client->credentials.pidfd);
	charge_release(&client->fd_charge);
	charge_release(&client->charge);
	user_unref(client->user);
	LIST_REMOVE(client, links);
	registry->client_count--;
	free(client);
}
