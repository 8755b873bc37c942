// SPDX-License-Identifier: MIT
#include "lib-wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------ the connection -- */

void client_connect(struct client *client, const struct daemon *daemon)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	*client = (struct client){ .pair_fd = -1, .doorbell = -1, .life_fd = -1 };
	client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	EXPECT(client->socket >= 0);
	strncpy(address.sun_path, daemon->socket, sizeof(address.sun_path) - 1);
	EXPECT(connect(client->socket, (struct sockaddr *)&address, sizeof(address)) == 0);
}

static void pair_map(struct client *client, struct reply *reply)
{
	EXPECT(reply->fd_count == 3);
	client->pair_fd = reply->fds[0];
	client->doorbell = reply->fds[1];
	client->life_fd = reply->fds[2];
	reply->fd_count = 0; /* kept */
	client->pair = mmap(NULL, sizeof(struct fbk_pair_page), PROT_READ | PROT_WRITE, MAP_SHARED,
			    client->pair_fd, 0);
	EXPECT(client->pair != MAP_FAILED);
}

int client_hello(struct client *client, uint32_t version_min, uint32_t version_max)
{
	struct reply reply;
	REQUEST(request, HELLO, hello);
	request.hello->version_min = version_min;
	request.hello->version_max = version_max;
	request.hello->name = (char *)(uintptr_t) "raw";
	int r = client_call(client, &request, NULL, 0, &reply);
	if (r == 0) {
		EXPECT(reply.message->body_case == FBK__WIRE__MESSAGE__BODY_WELCOME);
		const Fbk__Wire__Welcome *welcome = reply.message->welcome;
		client->features = welcome->features;
		client->clock_ns = welcome->clock_ns;
		EXPECT(welcome->instance.len == sizeof(client->instance));
		memcpy(client->instance, welcome->instance.data, sizeof(client->instance));
		EXPECT(welcome->page_version == FBK_PAGE_VERSION);
		EXPECT(welcome->pair && welcome->pair->size == sizeof(struct fbk_pair_page));
		EXPECT(welcome->pair->header_size == offsetof(struct fbk_pair_page, cells));
		EXPECT(welcome->pair->stride == sizeof(struct fbk_pair_cell));
		EXPECT(welcome->life && welcome->life->kind == FBK__WIRE__PAGE_KIND__PAGE_LIFE);
		pair_map(client, &reply);
		reply_free(&reply);
	}
	return r;
}

void client_open(struct client *client, const struct daemon *daemon)
{
	client_connect(client, daemon);
	int r = client_hello(client, WIRE_VERSION_MIN, WIRE_VERSION_MAX);
	ck_assert_msg(r == 0, "hello: %s: %s", strerror(-r), client->detail);
}

int client_try(struct client *client, const struct daemon *daemon)
{
	uint8_t bytes[64];
	struct pollfd polled = { .events = POLLIN };
	struct reply reply;
	char first;
	REQUEST(request, HELLO, hello);
	request.hello->version_min = WIRE_VERSION_MIN;
	request.hello->version_max = WIRE_VERSION_MAX;
	request.hello->name = (char *)(uintptr_t) "raw";
	client_connect(client, daemon);
	request.serial = client->serial = 1;
	size_t size = fbk__wire__request__pack(&request, bytes);
	client_send_raw(client, bytes, size, NULL, 0);
	polled.fd = client->socket;
	EXPECT(poll(&polled, 1, PATIENCE_MS) == 1);
	if (recv(client->socket, &first, 1, MSG_PEEK | MSG_DONTWAIT) <= 0 ||
	    !client_receive(client, &reply)) {
		return -EPIPE;
	}
	int error = reply.message->error;
	strncpy(client->detail, reply.message->detail, sizeof(client->detail) - 1);
	reply_free(&reply);
	return error;
}

static void fd_close(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
	*fd = -1;
}

void client_close(struct client *client)
{
	fd_close(&client->socket);
	fd_close(&client->pair_fd);
	fd_close(&client->doorbell);
	fd_close(&client->life_fd);
	if (client->pair) {
		munmap(client->pair, sizeof(*client->pair));
		client->pair = NULL;
	}
	for (size_t i = 0; i < client->page_count; i++) {
		munmap(client->pages[i].memory, client->pages[i].size);
	}
	client->page_count = 0;
}

int client_send_raw(struct client *client, const void *bytes, size_t size, const int *fds,
		    size_t fd_count)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	int r;
	while ((r = wire_send(client->socket, bytes, size, fds, fd_count)) == -EAGAIN) {
		struct pollfd polled = { .fd = client->socket, .events = POLLOUT };
		EXPECT(now_ms() < deadline);
		poll(&polled, 1, 100);
	}
	return r;
}

/* The field for the id that the client chooses for what the request makes; NULL: none. `ret_handle`: it is a handle. */
static uint32_t *id_field(Fbk__Wire__Request *request, bool *ret_handle)
{
	*ret_handle = true;
	switch (request->body_case) {
	case FBK__WIRE__REQUEST__BODY_TIMELINE_CREATE:
		return &request->timeline_create->handle;
	case FBK__WIRE__REQUEST__BODY_TIMELINE_OPEN:
		return &request->timeline_open->handle;
	case FBK__WIRE__REQUEST__BODY_LINK_OFFER:
		return &request->link_offer->lane;
	case FBK__WIRE__REQUEST__BODY_LINK_ACCEPT:
		return &request->link_accept->lane;
	default:
		break;
	}
	*ret_handle = false;
	switch (request->body_case) {
	case FBK__WIRE__REQUEST__BODY_DEVICE_REGISTER:
		return &request->device_register->device;
	case FBK__WIRE__REQUEST__BODY_SET_CREATE:
		return &request->set_create->set;
	case FBK__WIRE__REQUEST__BODY_MIRROR_TO:
		return &request->mirror_to->mirror;
	case FBK__WIRE__REQUEST__BODY_MIRROR_FROM:
		return &request->mirror_from->mirror;
	case FBK__WIRE__REQUEST__BODY_POINT_EXPORT:
		return &request->point_export->export;
	case FBK__WIRE__REQUEST__BODY_POINT_EXPORT_TO:
		return &request->point_export_to->export;
	case FBK__WIRE__REQUEST__BODY_TIMELINE_SHARE:
		return &request->timeline_share->token;
	default:
		return NULL;
	}
}

static uint32_t handle_choose(struct client *client)
{
	for (uint32_t handle = 1; handle < FBK_PAIR_CELLS; handle++) {
		if (!(client->handles[handle / 64] & UINT64_C(1) << handle % 64)) {
			client->handles[handle / 64] |= UINT64_C(1) << handle % 64;
			return handle;
		}
	}
	return FBK_PAIR_CELLS - 1;
}

static void handle_done(struct client *client, uint32_t handle)
{
	if (handle < FBK_PAIR_CELLS) {
		client->handles[handle / 64] &= ~(UINT64_C(1) << handle % 64);
	}
}

/* It was not made, is another that was open, or was closed: the number is free. */
static void ids_settle(struct client *client, Fbk__Wire__Request *request, int error,
		       const Fbk__Wire__Message *message)
{
	bool handle;
	const uint32_t *id = id_field(request, &handle);
	bool other = error == 0 && message->body_case == FBK__WIRE__MESSAGE__BODY_TIMELINE && id &&
		     message->timeline->handle != *id;
	if (id && handle && (other || (error < 0 && error != -EEXIST))) {
		handle_done(client, *id);
	}
	if (error == 0 && request->body_case == FBK__WIRE__REQUEST__BODY_TIMELINE_CLOSE) {
		handle_done(client, request->timeline_close->handle);
	}
}

void client_send(struct client *client, Fbk__Wire__Request *request, const int *fds,
		 size_t fd_count)
{
	bool handle;
	uint32_t *id = id_field(request, &handle);
	if (id && *id == 0) {
		*id = handle ? handle_choose(client) : ++client->last_id;
	}
	client_send_as_is(client, request, fds, fd_count);
}

void client_send_as_is(struct client *client, Fbk__Wire__Request *request, const int *fds,
		       size_t fd_count)
{
	static uint8_t bytes[WIRE_PACKET_MAX];
	request->serial = ++client->serial;
	ssize_t size = wire_pack(&request->base, bytes);
	EXPECT(size > 0);
	EXPECT(client_send_raw(client, bytes, (size_t)size, fds, fd_count) == 0);
}

bool client_receive(struct client *client, struct reply *ret_reply)
{
	static struct wire_packet packet;
	uint64_t deadline = now_ms() + PATIENCE_MS;
	int r;
	while ((r = wire_receive(client->socket, &packet)) == -EAGAIN) {
		struct pollfd polled = { .fd = client->socket, .events = POLLIN };
		ck_assert_msg(now_ms() < deadline, "the daemon does not answer");
		poll(&polled, 1, 100);
	}
	if (r == 0) {
		return false;
	}
	ck_assert_msg(r == 1, "receiving: %s", strerror(-r));
	ret_reply->message = fbk__wire__message__unpack(NULL, packet.size, packet.bytes);
	EXPECT(ret_reply->message);
	memcpy(ret_reply->fds, packet.fds, packet.fd_count * sizeof(int));
	ret_reply->fd_count = packet.fd_count;
	return true;
}

void reply_free(struct reply *reply)
{
	fbk__wire__message__free_unpacked(reply->message, NULL);
	reply->message = NULL;
	for (size_t i = 0; i < reply->fd_count; i++) {
		close(reply->fds[i]);
	}
	reply->fd_count = 0;
}

void client_expect_end(struct client *client)
{
	struct reply reply;
	ck_assert_msg(!client_receive(client, &reply), "a message came, the end was to");
}

/* --------------------------------------------------------------------------- requests, replies -- */

static void event_keep(struct client *client, const Fbk__Wire__Message *message)
{
	EXPECT(message->body_case == FBK__WIRE__MESSAGE__BODY_WATCHES_FIRED);
	const Fbk__Wire__WatchesFired *fired = message->watches_fired;
	EXPECT(fired->n_watch == fired->n_result);
	for (size_t i = 0; i < fired->n_watch; i++) {
		EXPECT(client->fired_count < CLIENT_EVENTS);
		client->fired_watch[client->fired_count] = fired->watch[i];
		client->fired_result[client->fired_count++] = fired->result[i];
	}
}

int client_call(struct client *client, Fbk__Wire__Request *request, const int *fds, size_t fd_count,
		struct reply *ret_reply)
{
	struct reply reply;
	client_send(client, request, fds, fd_count);
	for (;;) {
		ck_assert_msg(client_receive(client, &reply), "the daemon hung up");
		if (reply.message->serial != 0) {
			break;
		}
		event_keep(client, reply.message);
		reply_free(&reply);
	}
	EXPECT(reply.message->serial == client->serial);
	int error = reply.message->error;
	if (error != 0) {
		EXPECT(error < 0 && error > -4096);
		EXPECT(reply.fd_count == 0);
		EXPECT(reply.message->detail[0]);
		EXPECT(reply.message->body_case == FBK__WIRE__MESSAGE__BODY__NOT_SET);
		strncpy(client->detail, reply.message->detail, sizeof(client->detail) - 1);
	}
	ids_settle(client, request, error, reply.message);
	if (error == 0 && ret_reply) {
		*ret_reply = reply;
	} else {
		reply_free(&reply);
	}
	return error;
}

/* The status, which policy must let the client see. */
static Fbk__Wire__Status *status_get(struct client *client, struct reply *ret_reply)
{
	REQUEST(request, INSPECT_STATUS, inspect_status);
	int r = client_call(client, &request, NULL, 0, ret_reply);
	ck_assert_msg(r == 0, "inspect status: %s", client->detail);
	EXPECT(ret_reply->message->body_case == FBK__WIRE__MESSAGE__BODY_STATUS);
	return ret_reply->message->status;
}

uint64_t client_counter(struct client *client, const char *name)
{
	struct reply reply;
	const Fbk__Wire__Status *status = status_get(client, &reply);
	for (size_t i = 0; i < status->n_counters; i++) {
		if (strcmp(status->counters[i]->name, name) == 0) {
			uint64_t value = status->counters[i]->value;
			reply_free(&reply);
			return value;
		}
	}
	ck_abort_msg("the daemon has no counter %s", name);
}

void client_await_counter(struct client *client, const char *name, uint64_t value)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	uint64_t now;
	while ((now = client_counter(client, name)) < value) {
		ck_assert_msg(now_ms() < deadline, "counter %s is %llu and not %llu", name,
			      (unsigned long long)now, (unsigned long long)value);
		yield_briefly();
	}
}

uint64_t client_usage(struct client *client, uid_t uid, const char *resource)
{
	struct reply reply;
	const Fbk__Wire__Status *status = status_get(client, &reply);
	uint64_t used = 0;
	for (size_t i = 0; i < status->n_users; i++) {
		const Fbk__Wire__User *user = status->users[i];
		for (size_t j = 0; user->uid == uid && j < user->n_usage; j++) {
			if (strcmp(user->usage[j]->resource, resource) == 0) {
				used = user->usage[j]->used;
			}
		}
	}
	reply_free(&reply);
	return used;
}

void client_expect_detail(const struct client *client, const char *text)
{
	ck_assert_msg(strstr(client->detail, text), "'%s' is not in: %s", text, client->detail);
}

void client_ping(struct client *client)
{
	REQUEST(request, WATCH_CANCEL, watch_cancel);
	request.watch_cancel->watch = UINT64_MAX;
	EXPECT(client_call(client, &request, NULL, 0, NULL) == -ENOENT);
}

void client_next_fired(struct client *client, uint64_t *ret_number, int *ret_result)
{
	struct reply reply;
	if (client->fired_count == 0) {
		EXPECT(client_receive(client, &reply));
		EXPECT(reply.message->serial == 0);
		event_keep(client, reply.message);
		reply_free(&reply);
	}
	*ret_number = client->fired_watch[0];
	*ret_result = client->fired_result[0];
	client->fired_count--;
	memmove(client->fired_watch, client->fired_watch + 1,
		client->fired_count * sizeof(client->fired_watch[0]));
	memmove(client->fired_result, client->fired_result + 1,
		client->fired_count * sizeof(client->fired_result[0]));
}
