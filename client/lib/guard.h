// SPDX-License-Identifier: MIT
/*
 * The guard: one thread in poll(2). It sees the socket hang up, which a thread that sleeps in a futex can't, and it sends
 * what waits in the outbox, which no other thread may come back for. While something waits there it also reads: a daemon
 * whose replies are not read takes no requests.
 */
#pragma once

struct fbk_context;
struct outbox;

int guard_start(struct fbk_context *context); /* if there is none; not under the outbox's lock */
int guard_begin(struct outbox *outbox);       /* of a context: `begin` */
void guard_end(struct fbk_context *context);  /* at the end of the context */
