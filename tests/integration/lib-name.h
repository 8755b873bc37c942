// SPDX-License-Identifier: MIT
/*
 * Tests of links by name: a daemon whose policy tells several users apart, services that offer and
 * guests that accept. Every unexpected error fails the running test. Needs root, to act as several
 * users.
 */
#pragma once

#include "lib-frame.h"
#include "lib-peer.h"
#include "lib-wire.h"

/* Users, named after the rules of the policy. */
#define SERVED 65534
#define BARRED 65533
#define POOR   65532

extern struct names {
	struct daemon server;
	struct client observer;     /* may inspect, and find */
	struct fbk_context *finder; /* the same by the library */
} names;

/* The fixture. */
void names_open(void);
void names_close(void);

void expect_ok(int result);
void expect_error(int result, int error, const char *part); /* of the sentence */

/* A service, which offers links. */
struct service {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

void service_open(struct service *service);
void service_offer(struct service *service); /* one more link, in place of the last */

/* A client of its own that finds a link and accepts it. */
struct guest {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

void guest_connect(struct guest *guest);
int guest_accept(struct guest *guest, const char *name);
void guest_open(struct guest *guest, const char *name); /* both */

enum fbk_link_phase phase_of(struct fbk_link *link);

int find(const char *name); /* 0, or the finder's error */

/* Waits until the daemon has seen the end of the process that has that name. */
void await_none(const char *name);

/* Becomes another user, for the rest of this process. */
void become(uid_t uid);
