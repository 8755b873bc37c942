// SPDX-License-Identifier: MIT
/*
 * Requests sent ahead: 32 signals of a brokered timeline are under way, and the reply to each carries
 * its serial. The library has no public call that sends a request and does not wait for its reply, so
 * this side speaks the protocol (docs/protocol.md) itself; what it measures is the daemon.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ours.h"
#include "proto/fencebroker.pb-c.h"
#include "proto/wire.h"
#include "raw.h"

#define PATIENCE_MS 20000

struct wire_client {
	struct daemon daemon;
	int socket;
	uint64_t serial; /* of the last request */
	uint32_t handle; /* of the timeline */
	uint64_t value;  /* of its last signal */
	unsigned int batch;
	struct wire_packet packet;
};

static int wire_request(struct wire_client *client, Fbk__Wire__Request *request)
{
	uint8_t bytes[WIRE_PACKET_MAX];
	request->serial = ++client->serial;
	ssize_t size = wire_pack(&request->base, bytes);
	int r = size < 0 ? (int)size : wire_send(client->socket, bytes, (size_t)size, NULL, 0);
	return r < 0 ? bench_fail("sending a request: %s", strerror(-r)) : 0;
}

/* The reply to the request `serial`, without its fds. The caller frees it. */
static int wire_reply(struct wire_client *client, uint64_t serial, Fbk__Wire__Message **ret_reply)
{
	struct wire_packet *packet = &client->packet;
	struct pollfd entry = { .fd = client->socket, .events = POLLIN };
	int r;
	while ((r = wire_receive(client->socket, packet)) == -EAGAIN) {
		if (poll(&entry, 1, PATIENCE_MS) == 0) {
			return bench_fail("the daemon does not answer");
		}
	}
	for (size_t i = 0; i < packet->fd_count; i++) {
		close(packet->fds[i]);
	}
	if (r != 1) {
		return bench_fail("the daemon hung up");
	}
	Fbk__Wire__Message *reply = fbk__wire__message__unpack(NULL, packet->size, packet->bytes);
	if (!reply || reply->serial != serial || reply->error < 0) {
		r = bench_fail("request %llu: %s", (unsigned long long)serial,
			       reply && reply->error < 0 ? reply->detail
							 : "the reply is not to this request");
		fbk__wire__message__free_unpacked(reply, NULL);
		return r;
	}
	*ret_reply = reply;
	return 0;
}

static int wire_call(struct wire_client *client, Fbk__Wire__Request *request,
		     Fbk__Wire__Message **ret_reply)
{
	int r = wire_request(client, request);
	return r < 0 ? r : wire_reply(client, client->serial, ret_reply);
}

/* ----------------------------------------------------------------------------- the connection -- */

static int wire_hello(struct wire_client *client)
{
	Fbk__Wire__Hello hello = FBK__WIRE__HELLO__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	Fbk__Wire__Message *reply;
	hello.version_min = WIRE_VERSION_MIN;
	hello.version_max = WIRE_VERSION_MAX;
	hello.name = "fence-bench";
	request.body_case = FBK__WIRE__REQUEST__BODY_HELLO;
	request.hello = &hello;
	int r = wire_call(client, &request, &reply);
	if (r == 0) {
		fbk__wire__message__free_unpacked(reply, NULL);
	}
	return r;
}

static int wire_register(struct wire_client *client, uint32_t *ret_device)
{
	Fbk__Wire__DeviceRegister device = FBK__WIRE__DEVICE_REGISTER__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	Fbk__Wire__Message *reply;
	device.device = 1;
	device.name = "leader";
	device.class_ = FBK_CLASS_CPU;
	device.waits = device.signals = FBK_FENCE_MEMORY64;
	request.body_case = FBK__WIRE__REQUEST__BODY_DEVICE_REGISTER;
	request.device_register = &device;
	int r = wire_call(client, &request, &reply);
	if (r < 0) {
		return r;
	}
	if (reply->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT) {
		*ret_device = reply->object->id;
	} else {
		r = bench_fail("the reply to DeviceRegister has no device");
	}
	fbk__wire__message__free_unpacked(reply, NULL);
	return r;
}

static int wire_create(struct wire_client *client, uint32_t device)
{
	Fbk__Wire__TimelineCreate create = FBK__WIRE__TIMELINE_CREATE__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	Fbk__Wire__Message *reply;
	create.handle = 1;
	create.device = device;
	create.name = "bench";
	create.flags = FBK_TIMELINE_BROKERED;
	request.body_case = FBK__WIRE__REQUEST__BODY_TIMELINE_CREATE;
	request.timeline_create = &create;
	int r = wire_call(client, &request, &reply);
	if (r < 0) {
		return r;
	}
	if (reply->body_case == FBK__WIRE__MESSAGE__BODY_TIMELINE) {
		client->handle = reply->timeline->handle;
	} else {
		r = bench_fail("the reply to TimelineCreate has no timeline");
	}
	fbk__wire__message__free_unpacked(reply, NULL);
	return r;
}

static int wire_connect(struct wire_client *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, client->daemon.socket);
	if (client->socket < 0 ||
	    connect(client->socket, (struct sockaddr *)&address, sizeof(address)) < 0) {
		return bench_fail("connecting: %s", strerror(errno));
	}
	uint32_t device = 0;
	int r = wire_hello(client);
	if (r == 0) {
		r = wire_register(client, &device);
	}
	return r == 0 ? wire_create(client, device) : r;
}

static void wire_close(void *state)
{
	struct wire_client *client = state;
	if (client->socket >= 0) {
		close(client->socket);
	}
	daemon_stop(&client->daemon);
	free(client);
}

static int wire_open(const struct row *row, void **ret_state)
{
	struct wire_client *client = calloc(1, sizeof(*client));
	if (!client) {
		return bench_fail("no memory");
	}
	client->socket = -1;
	client->batch = row->batch;
	int r = daemon_start(&client->daemon, NULL);
	if (r == 0) {
		r = wire_connect(client);
	}
	if (r < 0) {
		wire_close(client);
		return r;
	}
	*ret_state = client;
	return 0;
}

/* ------------------------------------------------------------------------------ 32 at a time -- */

static int signal_send(struct wire_client *client)
{
	Fbk__Wire__TimelineSignal body = FBK__WIRE__TIMELINE_SIGNAL__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.handle = client->handle;
	body.value = ++client->value;
	request.body_case = FBK__WIRE__REQUEST__BODY_TIMELINE_SIGNAL;
	request.timeline_signal = &body;
	return wire_request(client, &request);
}

/* Replies come in the order of the requests. */
static int signals_run(struct wire_client *client)
{
	uint64_t answered = client->serial;
	uint64_t last = client->serial + client->batch;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < PIPELINE_DEPTH; i++) {
		r = signal_send(client);
	}
	while (r == 0 && answered < last) {
		Fbk__Wire__Message *reply;
		r = wire_reply(client, ++answered, &reply);
		if (r < 0) {
			return r;
		}
		fbk__wire__message__free_unpacked(reply, NULL);
		r = client->serial < last ? signal_send(client) : 0;
	}
	return r;
}

static int wire_round(void *state, unsigned int count, struct samples *samples)
{
	struct wire_client *client = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = signals_run(client);
		double seconds = (double)(host_now() - start) / 1e9;
		r = r == 0 ? samples_add(samples, client->batch / seconds) : r;
	}
	return r;
}

const struct side ours_requests = { "signals of a brokered timeline, depth 32", wire_open,
				    wire_round, wire_close };
