// SPDX-License-Identifier: MIT
/*
 * A client that speaks the wire protocol without the library: it can do what the library never
 * would. Functions that return int give 0 or the daemon's (negative) error, whose sentence is then
 * in client->detail; any other error fails the running test. Owned by the test; one thread at a
 * time, except cell_wait() and view_signal().
 */
#pragma once

#include "lib-daemon.h"

#include "client/include/fencebroker.h"
#include "proto/fencebroker.pb-c.h"
#include "proto/page.h"
#include "proto/wire.h"

#define CLIENT_PAGES  128
#define CLIENT_EVENTS 512

struct client_page {
	uint64_t id;
	uint64_t size;
	void *memory;
	bool writable;
};

struct client {
	int socket;
	uint64_t serial; /* of the last request */
	struct fbk_pair_page *pair;
	int pair_fd;
	int doorbell;
	int life_fd;
	uint64_t features;
	uint8_t instance[16]; /* of the daemon, as Welcome says */
	uint64_t clock_ns;
	char detail[FBK_REASON_SIZE + 1]; /* of the last error */
	struct client_page pages[CLIENT_PAGES];
	size_t page_count;
	uint64_t fired_watch[CLIENT_EVENTS]; /* events that came during the wait for a reply */
	int fired_result[CLIENT_EVENTS];
	size_t fired_count;
	uint64_t handles[FBK_PAIR_CELLS / 64]; /* in use, of those that client_send() chose */
	uint32_t last_id;
};

struct reply {
	Fbk__Wire__Message *message;
	int fds[WIRE_FDS_ROOM];
	size_t fd_count;
};

/* ------------------------------------------------------------------------------ the connection -- */

void client_connect(struct client *client, const struct daemon *daemon); /* without a Hello */
int client_hello(struct client *client, uint32_t version_min, uint32_t version_max);
void client_open(struct client *client, const struct daemon *daemon); /* connected and greeted */
/* The same of a daemon that may refuse it, or have hung up already. Returns the error of the reply; -EPIPE if there is none. */
int client_try(struct client *client, const struct daemon *daemon);
void client_close(struct client *client); /* hangs up, and unmaps all; takes a closed one */

/* A packet as it is. The fds stay the caller's. */
int client_send_raw(struct client *client, const void *bytes, size_t size, const int *fds,
		    size_t fd_count);
/* An id of what the request makes that is 0 is chosen, as the library would. */
void client_send(struct client *client, Fbk__Wire__Request *request, const int *fds,
		 size_t fd_count);
/* The same, as it is. */
void client_send_as_is(struct client *client, Fbk__Wire__Request *request, const int *fds,
		       size_t fd_count);

/* The next message. False at the end of the connection. */
bool client_receive(struct client *client, struct reply *ret_reply);
void reply_free(struct reply *reply); /* closes the fds it still has */

/* The next thing that comes must be the end of the connection. */
void client_expect_end(struct client *client);

/* The reply to a request that failed is only its error; `ret_reply` is empty then, and may be NULL. */
int client_call(struct client *client, Fbk__Wire__Request *request, const int *fds, size_t fd_count,
		struct reply *ret_reply);

/* The text of the last error must contain `text`. */
void client_expect_detail(const struct client *client, const char *text);

/* A request with a reply: the connection is alive. */
void client_ping(struct client *client);

/* A request with its body: REQUEST(request, TIMELINE_CLOSE, timeline_close); then fill in
 * request.timeline_close. */
#define REQUEST(request, body_name, field)                        \
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;    \
	typeof(*request.field) request##_body;                    \
	fbk__wire__##field##__init(&request##_body);              \
	request.body_case = FBK__WIRE__REQUEST__BODY_##body_name; \
	request.field = &request##_body

/* The next fired watch; fails the test when none comes. */
void client_next_fired(struct client *client, uint64_t *ret_number, int *ret_result);

/* One of the daemon's counters, by its name; policy must let the client inspect. */
uint64_t client_counter(struct client *client, const char *name);
void client_await_counter(struct client *client, const char *name, uint64_t value); /* or more */

/* How much of a resource a user has, by its key in the policy; also 0 for a user that the daemon
 * does not know. */
uint64_t client_usage(struct client *client, uid_t uid, const char *resource);
