// SPDX-License-Identifier: MIT
/*
 * From a call on the bus to dispatch_run(), and back: the same requests, checks and sentences as over the socket.
 * Loop's thread only.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "bus-state.h"
#include "dispatch.h"
#include "proto/request.h"

/* Errors as org.fencebroker1.Error.*; sends the answer. `detail` "" or NULL: the error's own sentence. */
int bus_reply_error(sd_bus_message *call, int error, const char *detail);

/* A client for the time of a few requests of a caller, without connection or charge. NULL when out of memory; end it
 * by bus_caller_end(), which takes NULL. */
struct client *bus_caller(struct bus *bus, const struct bus_peer *peer);
void bus_caller_end(struct client *client);

/* Run a request for the client; `fds` as in a packet: one that is kept is set to -1. The error, 0 or negative; end the
 * answer by answer_finish() in either case. */
int bus_run(struct client *client, const Fbk__Wire__Request *request, int *fds, size_t fd_count,
	    struct answer *ret_answer);
