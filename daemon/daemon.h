// SPDX-License-Identifier: MIT
/* Assembles the daemon, runs it, and takes it apart. Loop's thread only. */
#pragma once

#include <stdbool.h>

struct broker;
struct policy;

/* Takes the policy, also when it fails. */
int broker_create(struct policy *policy, const char *policy_name, bool user_mode,
		  struct broker **ret_broker);
/* Before it runs: be on the bus at that address too. As bus_create(). */
int broker_join_bus(struct broker *broker, const char *address);
int broker_run(struct broker *broker);      /* until broker_stop() is done; else an error */
void broker_destroy(struct broker *broker); /* ends all clients; takes NULL */

/* Notify all clients and stop the loop: at once, or once every promise is kept or broken. A second call
 * stops it at once. */
void broker_stop(struct broker *broker);
