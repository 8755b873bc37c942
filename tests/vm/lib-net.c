// SPDX-License-Identifier: MIT
#include "lib-net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../integration/lib-daemon.h"

#define SENDER   "fbk_sender"
#define RECEIVER "fbk_receiver"
#define PORT     7700
#define ROOM     (32 << 20) /* of the receiver, for everything sent before it reads */

/* In the guest, where the tools are. */
static bool command(const char *line)
{
	return system(line) == 0;
}

void net_stop(void)
{
	command("ip netns delete " SENDER " 2>/dev/null");
	command("ip netns delete " RECEIVER " 2>/dev/null");
}

/* A dummy device does not resolve its neighbours' addresses. */
const char *net_start(void)
{
	net_stop(); /* of an interrupted run */
	if (!command("ip netns add " SENDER " && ip netns add " RECEIVER)) {
		return "no network namespaces can be made";
	}
	if (!command("ip link add veth0 mtu 9000 netns " SENDER
		     " type veth peer name veth0 mtu 9000 netns " RECEIVER " && ip -n " SENDER
		     " link add dummy1 mtu 9000 type dummy")) {
		return "this kernel has no veth, or no dummy";
	}
	if (!command("ip -n " SENDER " addr add 10.78.0.1/24 dev veth0 && ip -n " RECEIVER
		     " addr add 10.78.0.2/24 dev veth0 && ip -n " SENDER
		     " addr add 10.79.0.1/24 dev dummy1 && ip -n " SENDER
		     " link set veth0 up && ip -n " SENDER " link set dummy1 up && ip -n " RECEIVER
		     " link set veth0 up")) {
		return "the namespaces' devices can't be brought up";
	}
	if (!command("tc -n " SENDER " qdisc add dev veth0 root netem delay 2ms && tc -n " SENDER
		     " qdisc add dev dummy1 root netem delay 2ms")) {
		return "this kernel has no netem to hold packets back";
	}
	return NULL;
}

/* A socket stays in the namespace in which it was created. */
static int socket_in(const char *namespace)
{
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(namespace, O_RDONLY | O_CLOEXEC);
	EXPECT(before >= 0 && there >= 0);
	EXPECT(setns(there, CLONE_NEWNET) == 0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	EXPECT(fd >= 0);
	EXPECT(setns(before, CLONE_NEWNET) == 0);
	close(before);
	close(there);
	return fd;
}

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	EXPECT(inet_pton(AF_INET, text, &address.sin_addr) == 1);
	return address;
}

int net_receiver(void)
{
	const struct sockaddr_in address = address_of("10.78.0.2");
	int fd = socket_in("/run/netns/" RECEIVER), room = ROOM;
	EXPECT(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0);
	EXPECT(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

int net_sender(enum net_way way)
{
	const struct sockaddr_in address = address_of(way == NET_VETH ? "10.78.0.2" : "10.79.0.2");
	int fd = socket_in("/run/netns/" SENDER), on = 1;
	EXPECT(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0);
	EXPECT(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

void net_send(int socket, const void *data, size_t size)
{
	ck_assert_int_eq(send(socket, data, size, MSG_ZEROCOPY), (int)size);
}

static bool done_take(int socket, struct net_done *ret_done)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) +
				      sizeof(struct sockaddr_in))];
	} control;
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };
	struct sock_extended_err error;
	if (recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
		EXPECT(errno == EAGAIN);
		return false;
	}
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	EXPECT(header && header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR);
	memcpy(&error, CMSG_DATA(header), sizeof(error));
	EXPECT(error.ee_origin == SO_EE_ORIGIN_ZEROCOPY && error.ee_errno == 0);
	*ret_done = (struct net_done){
		.first = error.ee_info,
		.last = error.ee_data,
		.copied = error.ee_code & SO_EE_CODE_ZEROCOPY_COPIED,
	};
	return true;
}

bool net_done(int socket, int timeout_ms, struct net_done *ret_done)
{
	struct pollfd entry = { .fd = socket }; /* POLLERR is always told */
	return done_take(socket, ret_done) ||
	       (poll(&entry, 1, timeout_ms) == 1 && done_take(socket, ret_done));
}
