// SPDX-License-Identifier: MIT
/*
 * A network of one sender and one receiver, for tests in a guest: two namespaces, joined by a veth pair whose sending end holds
 * each packet back for some time; and sends that the kernel says to be done when it lets go of the memory.
 * Nothing here knows of the daemon or the library. Whatever does not go as it must fails the running test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum net_way {
	NET_VETH,  /* to the receiver's namespace */
	NET_DUMMY, /* to a device that has nobody at its other end */
};

/* For main(): makes all that. NULL, or what is missing. */
const char *net_start(void);
void net_stop(void);

/* Sockets in the namespaces, whichever the process is in. */
int net_receiver(void);
int net_sender(enum net_way way); /* connected, with SO_ZEROCOPY */

/* From this memory, which has to stay as it is until it is said to be done. */
void net_send(int socket, const void *data, size_t size);

/* Of what was sent, counted from 0. */
struct net_done {
	uint32_t first, last;
	bool copied; /* the kernel had to, somewhere on the way */
};

/* The next ones; false: none within that time. */
bool net_done(int socket, int timeout_ms, struct net_done *ret_done);
