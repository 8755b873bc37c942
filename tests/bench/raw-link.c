// SPDX-License-Identifier: MIT
/* The messages of setting up a link, as bare packets: requests of one process, of the other, of the first
 * again; and two notes between them. */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "member.h"

#define PACKET_MAX 64

enum { LEADER, PARTNER, CLIENTS };

struct raw_link {
	struct member relay, partner;
	int sockets[CLIENTS][2]; /* end of the client, end of the relay; -1: none */
};

static void link_close(void *state)
{
	struct raw_link *link = state;
	member_stop(&link->partner);
	member_stop(&link->relay);
	for (int i = 0; i < CLIENTS; i++) {
		for (int end = 0; end < 2; end++) {
			if (link->sockets[i][end] >= 0) {
				close(link->sockets[i][end]);
			}
		}
	}
	free(link);
}

static int link_serve(int socket, void *arg)
{
	const struct raw_link *link = arg;
	struct epoll_event event;
	char bytes[PACKET_MAX] = { 0 };
	(void)socket;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < CLIENTS; i++) {
		struct epoll_event one = { .events = EPOLLIN, .data.fd = link->sockets[i][1] };
		if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, link->sockets[i][1], &one) < 0) {
			return bench_fail("epoll: %s", strerror(errno));
		}
	}
	while (epoll_wait(epoll, &event, 1, -1) >= 0 || errno == EINTR) {
		ssize_t size = recv(event.data.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (size > 0 &&
		    send(event.data.fd, bytes, REPLY_SIZE, MSG_NOSIGNAL) != REPLY_SIZE) {
			return bench_fail("send: %s", strerror(errno));
		}
	}
	return bench_fail("epoll_wait: %s", strerror(errno));
}

static int requests_make(int socket, unsigned int count)
{
	char bytes[PACKET_MAX] = { 0 };
	for (; count > 0; count--) {
		if (send(socket, bytes, REQUEST_SIZE, MSG_NOSIGNAL) != REQUEST_SIZE ||
		    recv(socket, bytes, sizeof(bytes), 0) != REPLY_SIZE) {
			return bench_fail("no reply: %s", strerror(errno));
		}
	}
	return 0;
}

static int link_partner(int socket, void *arg)
{
	const struct raw_link *link = arg;
	uint64_t number;
	int r;
	while ((r = note_await(socket, &number)) == 0) {
		r = requests_make(link->sockets[PARTNER][0], ACCEPT_REQUESTS);
		r = r == 0 ? note_send(socket, number, -1) : r;
		if (r < 0) {
			break;
		}
	}
	return r;
}

static int link_open(const struct row *row, void **ret_state)
{
	struct raw_link *link = calloc(1, sizeof(*link));
	(void)row;
	if (!link) {
		return bench_fail("no memory");
	}
	memset(link->sockets, -1, sizeof(link->sockets));
	int r = 0;
	for (int i = 0; r == 0 && i < CLIENTS; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link->sockets[i]) < 0) {
			r = bench_fail("socketpair: %s", strerror(errno));
		}
	}
	if (r == 0) {
		r = member_start(&link->relay, PLACE_RELAY, 0, link_serve, link);
	}
	if (r == 0) {
		r = member_start(&link->partner, PLACE_PARTNER, 0, link_partner, link);
	}
	if (r < 0) {
		link_close(link);
		return r;
	}
	*ret_state = link;
	return 0;
}

static int link_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_link *link = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = requests_make(link->sockets[LEADER][0], OFFER_REQUESTS);
		r = r == 0 ? note_send(link->partner.socket, 0, -1) : r;
		r = r == 0 ? note_receive(link->partner.socket, NULL, NULL) : r;
		r = r == 0 ? requests_make(link->sockets[LEADER][0], JOIN_REQUESTS) : r;
		r = r == 0 ? samples_add(samples, (double)(host_now() - start)) : r;
	}
	return r;
}

const struct side raw_link = { "as many requests", link_open, link_round, link_close };
