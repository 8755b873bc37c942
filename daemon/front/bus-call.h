// SPDX-License-Identifier: MIT
/*
 * From a call on the bus to dispatch_run(), and back: the same requests, checks and sentences as over the socket.
 * Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "bus-state.h"
#include "dispatch.h"
#include "proto/request.h"

/* Answer with an error, as org.fencebroker1.Error.*. Never 0, also for a call that wants no reply. `detail` "" or NULL: the error's own sentence. */
int bus_reply_error(sd_bus_message *call, int error, const char *detail);

/* A call under way. */
struct bus_call {
	struct bus *bus;
	sd_bus_message *message;
	struct bus_peer *peer; /* NULL where the client is not the caller's */
	/* That the requests are of. If there is none, the first request makes one for the time of the call, with the
	 * caller's credentials, without connection or charge. */
	struct client *client;
	bool made_client;
	bool admin;           /* what a client that is made may do */
	struct answer answer; /* of the last request */
	char detail[FBK_REASON_SIZE];
};

/* 0; or an error, which sd-bus answers: nobody knows the caller. */
int bus_call_begin(struct bus_call *call, struct bus *bus, sd_bus_message *message);

/* Run a request; `fds` as in a packet: one that is kept is set to -1. The error, 0 or negative, with call->detail. The
 * answer lasts until the next request, or the end of the call. */
int bus_call_run(struct bus_call *call, const Fbk__Wire__Request *request, int *fds,
		 size_t fd_count);

/* The end of a call that is answered otherwise. */
void bus_call_finish(struct bus_call *call);

/* Send `reply`, which it takes, unless it is NULL (then it was sent), or `r` is an error: then that. What the handler
 * returns. */
int bus_call_end(struct bus_call *call, sd_bus_message *reply, int r);
