// SPDX-License-Identifier: MIT
#include "bus-transport.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "proto/container.h"
#include "proto/wire.h"

#define RETRY_FIRST_NS  (50 * NS_PER_MS)
#define RETRY_DOUBLINGS 10 /* up to 51 s */
/* A bus that starts makes its socket before it listens; after 13 s only a new file makes a difference. */
#define RETRIES_ABSENT 8
#define STARVING_NS    (20 * NS_PER_MS)

/* ------------------------------------------------------------------------- watching for a bus -- */

static void watch_stop(struct bus_transport *transport)
{
	event_drop(transport->appeared);
	transport->appeared = NULL;
	if (transport->watch >= 0) {
		close(transport->watch);
	}
	transport->watch = -1;
}

static void transport_retry_soon(struct bus_transport *transport)
{
	transport->tries = 0;
	loop_arm(&transport->registry->loop, &transport->retry, clock_now_ns() + RETRY_FIRST_NS);
}

static void watch_fired(evutil_socket_t fd, short what, void *arg)
{
	(void)fd; /* not read: it is closed */
	(void)what;
	struct bus_transport *transport = arg;
	watch_stop(transport);
	transport_retry_soon(transport);
}

/* Wait until something appears in the folder of the bus's socket, or in the nearest one that exists. */
static void watch_start(struct bus_transport *transport)
{
	char path[sizeof(transport->address.socket.sun_path)];
	if (!transport->address.in_files || transport->watch >= 0) {
		return;
	}
	transport->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (transport->watch < 0) {
		return;
	}
	char *folder = memcpy(path, transport->address.socket.sun_path, sizeof(path));
	int r;
	do {
		folder = dirname(folder);
		r = inotify_add_watch(transport->watch, folder,
				      IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF);
	} while (r < 0 && strcmp(folder, "/") != 0 && strcmp(folder, ".") != 0);
	transport->appeared =
		r < 0 ? NULL
		      : loop_listen(&transport->registry->loop, transport->watch, EV_READ,
				    PRIORITY_REQUEST, watch_fired, transport);
	if (!transport->appeared) {
		watch_stop(transport); /* then the wheel tries on */
	}
}

/* ------------------------------------------------------------------------------ life with sd-bus -- */

static void transport_lose(struct bus_transport *transport)
{
	if (!transport->bus) {
		return;
	}
	if (transport->connected) {
		log_info("the bus at %s is gone", transport->text);
		transport->tries = 0;
	}
	loop_disarm(&transport->registry->loop, &transport->timeout);
	event_drop(transport->readable);
	event_drop(transport->writable);
	transport->readable = transport->writable = NULL;
	transport->ops->lost(transport);
	closer_close_all(&transport->registry->closer, transport->gate.fds,
			 transport->gate.fd_count);
	bus_gate_reset(&transport->gate);
	/* Its two fds are ours and the bus's: a unix socket without SO_LINGER, whose close never blocks. */
	sd_bus_close(transport->bus);
	transport->bus = sd_bus_unref(transport->bus);
	close(transport->feed);
	close(transport->socket);
	transport->connected = transport->broken = false;
}

static void transport_retry_later(struct bus_transport *transport, int error)
{
	unsigned int doublings =
		transport->tries < RETRY_DOUBLINGS ? transport->tries : RETRY_DOUBLINGS;
	bool absent = error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR;
	if (transport->tries++ == 0) {
		log_debug("no bus at %s: %s", transport->text, strerrordesc_np(-error));
	}
	if (absent) {
		watch_start(transport);
	}
	if (!absent || transport->watch < 0 || transport->tries < RETRIES_ABSENT) {
		loop_arm(&transport->registry->loop, &transport->retry,
			 clock_now_ns() + (RETRY_FIRST_NS << doublings));
	}
}

static void transport_rearm(struct bus_transport *transport)
{
	uint64_t usec;
	int events = sd_bus_get_events(transport->bus);
	if (events < 0 || sd_bus_get_timeout(transport->bus, &usec) < 0) {
		transport->broken = true;
		event_active(transport->again, EV_TIMEOUT, 0);
		return;
	}
	if (events & POLLOUT) {
		event_add(transport->writable, NULL);
	} else {
		event_del(transport->writable);
	}
	if (usec >= UINT64_MAX / NS_PER_US) {
		loop_disarm(&transport->registry->loop, &transport->timeout);
	} else {
		loop_arm(&transport->registry->loop, &transport->timeout, usec * NS_PER_US);
	}
}

static void transport_process(struct bus_transport *transport)
{
	int r;
	do {
		r = sd_bus_process(transport->bus, NULL);
	} while (r > 0);
	if (r < 0) {
		transport->broken = true;
	}
}

/* Ends each turn: nothing above runs inside sd-bus any more. */
static void transport_turn(struct bus_transport *transport)
{
	if (!transport->broken) {
		transport->ops->turned(transport);
	}
	if (transport->broken) {
		transport_lose(transport);
		transport_retry_later(transport, -ENOTCONN);
		return;
	}
	transport_rearm(transport);
}

void bus_transport_deliver(struct bus_transport *transport, const struct bus_message *message)
{
	int r = bus_gate_pass(&transport->gate, transport->feed, message);
	if (r < 0) {
		transport->broken = true;
	} else {
		transport->gate.current = message;
		transport_process(transport);
		transport->gate.current = NULL;
	}
	closer_close_all(&transport->registry->closer, message->fds, message->fd_count);
}

static bool transport_receive(struct bus_transport *transport)
{
	struct bus_message message;
	if (registry_free_fds(transport->registry) < BUS_FDS_ROOM) { /* rule R10 */
		log_starved("the bus is not read");
		event_del(transport->readable);
		loop_arm(&transport->registry->loop, &transport->retry,
			 clock_now_ns() + STARVING_NS);
		return false;
	}
	int r = bus_gate_read(&transport->gate, transport->socket, &message);
	if (r == -EAGAIN) {
		return false;
	}
	if (r < 0) {
		transport->broken = true;
		return false;
	}
	if (message.type != BUS_MESSAGE_CALL || transport->ops->admit(transport, &message)) {
		bus_transport_deliver(transport, &message);
	}
	return !transport->broken;
}

static void transport_count_turn(struct bus_transport *transport, uint64_t cpu_ns)
{
	struct counters *counters = &transport->registry->counters;
	uint64_t took_us = (clock_cpu_ns() - cpu_ns) / NS_PER_US;
	if (took_us > counters->bus_turn_max_us) {
		counters->bus_turn_max_us = took_us;
	}
}

static void transport_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct bus_transport *transport = arg;
	uint64_t cpu_ns = clock_cpu_ns(), end_ns = clock_now_ns() + BUS_TURN_NS;
	transport->registry->bells_in_a_row = 0;
	for (int i = 0; i < BUS_MESSAGES_PER_TURN && transport_receive(transport); i++) {
		if (clock_now_ns() >= end_ns) {
			break;
		}
	}
	transport_turn(transport);
	transport_count_turn(transport, cpu_ns);
}

static void transport_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct bus_transport *transport = arg;
	if (transport->bus) {
		transport_process(transport);
		transport_turn(transport);
	}
}

static void transport_timeout(struct wheel_timer *timer)
{
	transport_writable(-1, 0, container_of(timer, struct bus_transport, timeout));
}

void bus_transport_sent(struct bus_transport *transport)
{
	event_active(transport->again, EV_TIMEOUT, 0);
}

bool bus_transport_has_room(const struct bus_transport *transport)
{
	uint64_t unsent;
	return transport->connected && sd_bus_get_n_queued_write(transport->bus, &unsent) >= 0 &&
	       unsent < BUS_UNSENT_MAX;
}

/* -------------------------------------------------------------------------------- connecting -- */

static int on_message(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)error;
	struct bus_transport *transport = arg;
	const struct bus_message *current = transport->gate.current;
	uint8_t type;
	if (!transport->connected && sd_bus_is_ready(transport->bus) > 0) {
		transport->connected = true;
		transport->tries = 0;
		transport->ops->connected(transport);
	}
	if (current && current->refusal && sd_bus_message_get_type(message, &type) >= 0 &&
	    type == SD_BUS_MESSAGE_METHOD_CALL) {
		sd_bus_reply_method_errorf(message, "org.fencebroker1.Error.Limit", "%s",
					   current->refusal);
		return 1; /* also where nobody wants the reply: no handler gets it */
	}
	return 0;
}

/* Opens the socket to the bus, and the pair through which the gate feeds sd-bus. */
static int transport_open(struct bus_transport *transport, int *ret_input)
{
	int pair[2];
	transport->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (transport->socket < 0) {
		return -errno;
	}
	if (connect(transport->socket, (const struct sockaddr *)&transport->address.socket,
		    transport->address.size) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		int r = -errno;
		close(transport->socket);
		return r;
	}
	transport->feed = pair[0];
	*ret_input = pair[1];
	return 0;
}

static int transport_start_sd_bus(struct bus_transport *transport, int input)
{
	int output = fcntl(transport->socket, F_DUPFD_CLOEXEC, 0);
	int r = output < 0 ? -errno : sd_bus_new(&transport->bus);
	if (r >= 0) {
		r = sd_bus_set_fd(transport->bus, input, output);
	}
	if (r < 0) {
		close(input);
		if (output >= 0) {
			close(output);
		}
		return r;
	}
	sd_bus_set_description(transport->bus, "fencebrokerd");
	if ((r = sd_bus_set_bus_client(transport->bus, 1)) < 0 ||
	    (r = sd_bus_negotiate_fds(transport->bus, 1)) < 0 ||
	    (r = sd_bus_add_filter(transport->bus, NULL, on_message, transport)) < 0 ||
	    (r = transport->ops->setup(transport)) < 0) {
		return r;
	}
	return sd_bus_start(transport->bus);
}

static int transport_connect(struct bus_transport *transport)
{
	struct loop *loop = &transport->registry->loop;
	int input = -1;
	int r = transport_open(transport, &input);
	if (r < 0) {
		return r;
	}
	r = transport_start_sd_bus(transport, input);
	if (r >= 0) {
		transport->readable = loop_listen(loop, transport->socket, EV_READ | EV_PERSIST,
						  PRIORITY_REQUEST, transport_readable, transport);
		transport->writable = event_new(loop->base, transport->socket, EV_WRITE,
						transport_writable, transport);
		r = transport->readable && transport->writable ? 0 : -ENOMEM;
	}
	if (r < 0) {
		if (transport->bus) {
			transport_lose(transport);
		} else {
			close(transport->feed);
			close(transport->socket);
		}
		return r;
	}
	event_priority_set(transport->writable, PRIORITY_REQUEST);
	return 0;
}

static void transport_try(struct wheel_timer *timer)
{
	struct bus_transport *transport = container_of(timer, struct bus_transport, retry);
	if (transport->bus) { /* it was starved of fds */
		event_add(transport->readable, NULL);
		return;
	}
	int r = transport_connect(transport);
	if (r < 0) {
		transport_retry_later(transport, r);
	} else {
		watch_stop(transport);
		transport_process(transport);
		transport_turn(transport);
	}
}

static void transport_again(evutil_socket_t fd, short what, void *arg)
{
	transport_writable(fd, what, arg);
}

/* --------------------------------------------------------------------------- birth and death -- */

int bus_transport_init(struct bus_transport *transport, struct registry *registry,
		       const struct bus_transport_ops *ops, const char *text)
{
	*transport = (struct bus_transport){
		.ops = ops,
		.registry = registry,
		.text = text,
		.watch = -1,
		.timeout.fire = transport_timeout,
		.retry.fire = transport_try,
	};
	int r = bus_address_parse(text, &transport->address);
	if (r < 0) {
		return r;
	}
	transport->again =
		loop_trigger(&registry->loop, PRIORITY_REQUEST, transport_again, transport);
	r = bus_gate_init(&transport->gate);
	bus_gate_reset(&transport->gate);
	return transport->again ? r : -ENOMEM;
}

void bus_transport_start(struct bus_transport *transport)
{
	transport_try(&transport->retry);
}

void bus_transport_finish(struct bus_transport *transport)
{
	if (!transport->registry) {
		return;
	}
	transport_lose(transport);
	watch_stop(transport);
	loop_disarm(&transport->registry->loop, &transport->retry);
	event_drop(transport->again);
	bus_gate_finish(&transport->gate);
	*transport = (struct bus_transport){ .watch = -1 };
}
