// SPDX-License-Identifier: MIT
/*
 * The receiver: takes datagrams on a port of 127.0.0.1 and writes them to a file. Prints "port N" when
 * it is ready. Ends at the end of its standard input, after it took all datagrams that arrived. Fails
 * if the kernel dropped datagrams, and prints how many.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (16 * 1024 * 1024) /* for datagrams that arrive while this process does not run */

struct receiver {
	int socket, file;
	uint64_t bytes;
	uint32_t dropped;
};

static int receiver_bind(struct receiver *receiver)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int on = 1;
	int room = ROOM;
	receiver->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (receiver->socket < 0 ||
	    bind(receiver->socket, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(receiver->socket, (struct sockaddr *)&address, &size) < 0 ||
	    setsockopt(receiver->socket, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)) < 0) {
		return -errno;
	}
	/* without privilege the kernel grants at most net.core.rmem_max */
	if (setsockopt(receiver->socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0) {
		setsockopt(receiver->socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	}
	printf("port %u\n", ntohs(address.sin_port));
	fflush(stdout);
	return 0;
}

/* -EAGAIN: no datagram. */
static int receiver_take(struct receiver *receiver)
{
	static char bytes[65536];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(uint32_t))];
	} control;
	struct iovec data = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(receiver->socket, &header, MSG_DONTWAIT);
	if (size < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	struct cmsghdr *dropped = CMSG_FIRSTHDR(&header);
	if (dropped && dropped->cmsg_type == SO_RXQ_OVFL) {
		memcpy(&receiver->dropped, CMSG_DATA(dropped), sizeof(receiver->dropped));
	}
	receiver->bytes += (uint64_t)size;
	ssize_t written = write(receiver->file, bytes, (size_t)size);
	return written < 0 ? -errno : written < size ? -ENOSPC : 0;
}

static int receiver_run(struct receiver *receiver)
{
	struct pollfd wanted[] = { { .fd = receiver->socket, .events = POLLIN },
				   { .fd = STDIN_FILENO, .events = POLLIN } };
	int r = -EAGAIN;
	while (wanted[1].revents == 0 && r == -EAGAIN) {
		if (poll(wanted, 2, -1) < 0 && errno != EINTR) {
			return -errno;
		}
		do {
			r = receiver_take(receiver);
		} while (r == 0);
	}
	return r == -EAGAIN ? 0 : r;
}

int main(int argc, char **argv)
{
	struct receiver receiver = { .socket = -1 };
	if (argc != 2 || argv[1][0] == '-') {
		printf("Usage: %s FILE\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	receiver.file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (receiver.file < 0) {
		fprintf(stderr, "receive: %s: %s\n", argv[1], strerror(errno));
		return EXIT_FAILURE;
	}
	int r = receiver_bind(&receiver);
	if (r == 0) {
		r = receiver_run(&receiver);
	}
	if (r < 0) {
		fprintf(stderr, "receive: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	if (receiver.dropped > 0) {
		fprintf(stderr,
			"receive: the kernel dropped %u datagrams: raise net.core.rmem_max, or "
			"send less\n",
			receiver.dropped);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
