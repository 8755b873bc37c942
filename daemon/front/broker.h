// SPDX-License-Identifier: MIT
/*
 * The whole daemon: the core's registry, the translator to kernel fences, the probe and the connections. daemon.c alone
 * assembles it and takes it apart. Loop's thread only.
 */
#pragma once

#include <stdbool.h>

#include "daemon/base/spare.h"
#include "daemon/core/client.h"
#include "daemon/translate/hardware.h"
#include "daemon/translate/probe.h"
#include "daemon/translate/translator.h"
#include "proto/container.h"
#include "reload.h"

struct bus;
struct connection;

struct broker {
	struct registry registry;
	struct translator translator;
	struct probe probe;
	struct hardware hardware;
	struct bus *bus; /* NULL: it is on no bus */
	struct reload reload;
	char policy_problem[512]; /* why what stands in the files is not in force; "": it is */
	const char *serving;      /* the socket, for the service manager */
	bool user_mode;
	struct spare spare; /* for administrators, when no fd is free */
	bool stopping;
	struct wheel_timer stop_timer;
	struct event *closer_alarm;
	LIST_HEAD(, connection) connections;
	LIST_HEAD(, connection) dying;
	struct event *reaper; /* destroys the dying once the running callbacks have returned */
};

static inline struct broker *broker_of(const struct client *client)
{
	return container_of(client->registry, struct broker, registry);
}

static inline struct translator *translator_of(const struct client *client)
{
	return &broker_of(client)->translator;
}
