// SPDX-License-Identifier: MIT
/*
 * A network of one sender and one receiver, for tests in a guest: two namespaces, joined by a veth
 * pair whose sending end delays each packet; and sends that the kernel reports as done when it lets
 * go of the memory. Nothing here knows the daemon or the library. Every unexpected error fails the
 * running test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum net_way {
	NET_VETH,  /* to the receiver's namespace */
	NET_DUMMY, /* to a device without another end */
};

/* For main(): sets all this up. NULL, or what is missing. */
const char *net_start(void);
void net_stop(void);

/* Sockets in the namespaces, whichever the process is in. */
int net_receiver(void);
int net_sender(enum net_way way); /* connected, with SO_ZEROCOPY */

/* From this memory, which must not change until the send is reported as done. */
void net_send(int socket, const void *data, size_t size);

/* A range of sends, counted from 0. */
struct net_done {
	uint32_t first, last;
	bool copied; /* the kernel had to, somewhere on the way */
};

/* The next reported range; false: none within that time. */
bool net_done(int socket, int timeout_ms, struct net_done *ret_done);
