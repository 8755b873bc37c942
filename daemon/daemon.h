// SPDX-License-Identifier: MIT
/* Assembles the daemon, runs it, and takes it apart. Loop's thread only. */
#pragma once

#include <stdbool.h>

struct broker;
struct policy;

/* Takes the policy, also when it fails. */
int broker_create(struct policy *policy, bool user_mode, struct broker **ret_broker);

/* `problem`: why what stands in the files is not in force; "": it is. */
void broker_set_policy_problem(struct broker *broker, const char *problem);

/* It serves that socket: tell the service manager, then and when the policy's state changes. Borrowed. */
void broker_tell_serving(struct broker *broker, const char *socket);
/* Before it runs: be on the bus at that address too. As bus_create(). */
int broker_join_bus(struct broker *broker, const char *address);
int broker_run(struct broker *broker);      /* until broker_stop() is done; else an error */
void broker_destroy(struct broker *broker); /* ends all clients; takes NULL */

/* Notify all clients and stop the loop: at once, or once every promise is kept or broken. A second call
 * stops it at once. */
void broker_stop(struct broker *broker);
